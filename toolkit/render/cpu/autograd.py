"""The two differentiable steps of the CPU rasteriser as `torch.autograd.Function`s over numba.

Projection (Gaussians -> conics in the picture) and compositing (-> pixels).
Everything is float32; images are the flattened (batch, camera) axis I.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.render.cpu import composite as kernels
from toolkit.render.cpu import project_covars as projection
from toolkit.render.cpu import project_scales as fused
from toolkit.render.cpu import threads, tiles

_CHUNK = 8192  # Gaussians a task; fixed, so sums do not depend on the number of threads


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to(torch.float32).contiguous().numpy()


def _float64(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to(torch.float64).contiguous().numpy()


@dataclass(frozen=True)
class Lens:
    """What projection needs besides tensors: one row (fx, fy, cx, cy, width, height) an image."""

    cameras: np.ndarray
    limits: tuple[float, float, float, float, float]  # near, far, eps2d, radius_clip, antialiased

    def of(self, views: np.ndarray, image: int) -> tuple:
        """What the kernels want to know about one image."""
        return views[image], tuple(self.cameras[image]), self.limits


def _empty_projection(images: int, n: int) -> tuple[np.ndarray, ...]:
    """radii, means2d, depths, conics, compensations."""
    return (
        np.empty((images, n, 2), np.int32),
        np.empty((images, n, 2), np.float32),
        np.empty((images, n), np.float32),
        np.empty((images, n, 3), np.float32),
        np.empty((images, n), np.float32),
    )


class Projection(torch.autograd.Function):
    """Means, shapes and (I,4,4) views -> radii, means2d, depths, conics, compensations of I images.

    Means are (B,N,3); shapes are the pair of (B,N,4) quaternions and (B,N,3) scales, or (B,N,6)
    covariances and None. Opacities only decide what is too faint.
    """

    @staticmethod
    def forward(ctx, means, shape, scales, opacities, viewmats, lens):
        scene = [_numpy(t) for t in (means, shape, scales) if t is not None]
        opac, views = _numpy(opacities), _float64(viewmats)
        images, n = len(views), means.shape[1]
        out = _empty_projection(images, n)
        bright = np.maximum(opac * (1 / projection.ALPHA_MIN), 1)
        extents = np.minimum(projection.EXTENT, np.sqrt(2 * np.log(bright)))
        extents[opac < projection.ALPHA_MIN] = -1

        def one_span(i, *span):
            b = i * len(opac) // images
            here, target = [a[b] for a in scene], tuple(a[i] for a in out)
            if scales is None:
                projection.project_forward((*here, opac[b]), lens.of(views, i), target, *span)
            else:
                fused.project_forward(
                    tuple(here),
                    (opac[b], extents[b]),
                    lens.of(views, i),
                    target,
                    fused.scratch(),
                    *span,
                )

        threads.run(one_span, [(i, *s) for i in range(images) for s in threads.spans(n, _CHUNK)])
        ctx.lens = lens
        radii, *rest = (torch.from_numpy(a) for a in out)
        ctx.mark_non_differentiable(radii)
        ctx.save_for_backward(means, shape, scales, opacities, viewmats, radii, rest[2], rest[3])
        return radii, *rest

    @staticmethod
    def backward(ctx, _, *grads):
        *scene, opacities, viewmats, radii, conics, comps = ctx.saved_tensors
        scene, views = [_numpy(t) for t in scene if t is not None], _float64(viewmats)
        radii = radii.numpy()
        opac, conics, comps = _numpy(opacities), _numpy(conics), _numpy(comps)
        grads = [_numpy(g) for g in grads]
        parts = threads.spans(radii.shape[1], _CHUNK)
        sums, v_views = [np.zeros_like(a) for a in scene], np.zeros((len(parts), *views.shape))

        def one_span(p):  # a span visits all its images in order, so sums are always the same
            for i in range(len(views)):
                b = i * len(opac) // len(views)
                here, kept = tuple(a[b] for a in scene), (radii[i], conics[i], comps[i])
                given = ctx.lens.of(views, i), kept, tuple(g[i] for g in grads)
                target = (*(a[b] for a in sums), v_views[p, i])
                if len(scene) == 2:
                    projection.project_backward((*here, opac[b]), *given, target, *parts[p])
                else:
                    fused.project_backward(here, *given, target, fused.scratch(), *parts[p])

        threads.run(one_span, [(p,) for p in range(len(parts))])
        out = [torch.from_numpy(a) for a in sums] + [None] * (3 - len(sums))
        return *out, None, torch.from_numpy(v_views.sum(0).astype(np.float32)), None


@dataclass(frozen=True)
class Plan:
    """Depth order and tile lists of one image, see `toolkit.render.cpu.tiles`."""

    order: np.ndarray
    splats: np.ndarray
    boxes: np.ndarray
    offsets: np.ndarray
    entries: np.ndarray
    first_slot: np.ndarray
    tiles_x: int

    @property
    def arrays(self):
        return self.splats, self.boxes, self.offsets, self.entries

    def spans(self) -> list[tuple[int, int]]:
        """Ranges of tiles with about equal work, a few for each thread."""
        parts = 1 if threads.num_threads() == 1 else 6 * threads.num_threads()
        marks = np.linspace(0, self.offsets[-1], parts + 1)[1:-1]
        cuts = np.searchsorted(self.offsets, marks).tolist()
        cuts = [0, *cuts, len(self.offsets) - 1]
        return [(a, b) for a, b in zip(cuts, cuts[1:], strict=False) if b > a]


def make_plan(geometry, reaches: np.ndarray, colors: np.ndarray, size: tuple[int, int]) -> Plan:
    """Sort and bin one image; `geometry` is radii, means2d, depths, conics, opacities."""
    radii, means2d, depths, conics, opacities = geometry
    tiles_x, tiles_y = math.ceil(size[0] / tiles.TILE_W), math.ceil(size[1] / tiles.TILE_H)
    order = tiles.depth_order(radii, depths.view(np.uint32))
    splats, boxes = tiles.pack_splats(order, (means2d, conics, opacities), reaches, colors, size)
    offsets, entries, first_slot = tiles.fill_tiles(boxes, tiles_x, tiles_y)
    return Plan(order, splats, boxes, offsets, entries, first_slot, tiles_x)


@dataclass(frozen=True)
class Target:
    """Picture size (width, height), and where compositing leaves its plans."""

    size: tuple[int, int]
    plans: list[Plan | None]


class Compositing(torch.autograd.Function):
    """Splats of I images -> (I,H,W,X) pictures and (I,H,W,1) alphas.

    Opacities and colours have an image axis of size 1, B or I; radii and depths get no gradient.
    """

    @staticmethod
    def forward(ctx, means2d, conics, opacities, colors, backgrounds, fixed, target):
        radii, depths = fixed
        width, height = target.size
        images, n = radii.shape[:2]
        m, q, o, c, d = (_numpy(t) for t in (means2d, conics, opacities, colors, depths))
        r = radii.numpy()
        reaches = np.log(np.maximum(o * (1 / projection.ALPHA_MIN), 1))
        plans = target.plans
        plans += [None] * images

        def plan_image(i):
            k = i * len(o) // images
            plans[i] = make_plan(
                (r[i], m[i], d[i], q[i], o[k]), reaches[k], c[i * len(c) // images], target.size
            )

        threads.run(plan_image, [(i,) for i in range(images)])
        back = np.zeros((images, c.shape[2]), np.float32)
        if backgrounds is not None:
            back[:] = _numpy(backgrounds)
        picture = np.empty((images, height, width, c.shape[2]), np.float32)
        alpha = np.empty((images, height, width), np.float32)
        used = [np.empty(len(p.entries), np.uint8) for p in plans]
        threads.run(
            kernels.composite_forward,
            [
                (
                    plans[i].arrays,
                    back[i],
                    (picture[i], alpha[i], used[i]),
                    kernels.scratch(),
                    *span,
                )
                for i in range(images)
                for span in plans[i].spans()
            ],
        )
        ctx.state = plans, used
        ctx.counts = len(o), len(c), n
        outputs = torch.from_numpy(picture), torch.from_numpy(alpha[..., None])
        ctx.save_for_backward(*outputs)
        return outputs

    @staticmethod
    def backward(ctx, v_picture, v_alpha):
        plans, used = ctx.state
        picture, alpha = (t.numpy() for t in ctx.saved_tensors)
        alpha = alpha[..., 0]
        num_o, num_c, n = ctx.counts
        images, _, _, channels = picture.shape
        v_p, v_a = _numpy(v_picture), _numpy(v_alpha)[..., 0]
        slots = [np.empty((len(p.entries), 6 + kernels.CHANNELS), np.float32) for p in plans]
        threads.run(
            kernels.composite_backward,
            [
                (
                    plans[i].arrays,
                    (picture[i], alpha[i], used[i]),
                    (v_p[i], v_a[i]),
                    slots[i],
                    kernels.scratch(),
                    *span,
                )
                for i in range(images)
                for span in plans[i].spans()
            ],
        )
        out = [np.zeros((images, n, k), np.float32) for k in (2, 3, 1, channels)]
        threads.run(
            kernels.sum_slots,
            [
                (
                    (plans[i].order, plans[i].first_slot, plans[i].splats),
                    used[i],
                    slots[i],
                    (out[0][i], out[1][i], out[2][i, :, 0], out[3][i]),
                )
                for i in range(images)
            ],
        )
        v_m, v_q, v_o, v_c = (torch.from_numpy(a) for a in out)
        v_back = None
        if ctx.needs_input_grad[4]:
            v_back = torch.from_numpy(np.einsum("ihw,ihwk->ik", 1 - alpha, v_p))
        return (v_m, v_q, _fold(v_o[..., 0], num_o), _fold(v_c, num_c), v_back, None, None)


def _fold(grad: Float[Tensor, "I ..."], count: int) -> Tensor:
    """Sum image gradients back onto the `count` entries they were read from."""
    return grad if count == len(grad) else grad.unflatten(0, (count, -1)).sum(1)


def composite(projected: tuple, opacities, colors, backgrounds, size):
    """Pictures (I,H,W,X), alphas (I,H,W,1) and the plan of every image; see `Compositing`.

    Channels go four at a time, so wide features cost about a quarter as many passes.
    """
    radii, means2d, depths, conics = projected
    pictures, step = [], kernels.CHANNELS
    for k in range(0, colors.shape[-1], step):
        target, here = Target(size, []), slice(k, k + step)
        back = None if backgrounds is None else backgrounds[:, here]
        picture, covered = Compositing.apply(
            means2d, conics, opacities, colors[..., here], back, (radii, depths.detach()), target
        )
        alpha = covered if k == 0 else alpha
        pictures.append(picture)
    return pictures[0] if len(pictures) == 1 else torch.cat(pictures, -1), alpha, target.plans
