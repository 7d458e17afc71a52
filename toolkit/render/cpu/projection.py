"""The first differentiable step: Gaussians in the world to Gaussians in the picture.

A `torch.autograd.Function` around the kernels of `project_forward` and `project_backward` (or
`project_covars`). "Image" here means one camera of one batch entry: I images in all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx

from toolkit.render.cpu import threads
from toolkit.render.cpu.arrays import to_float32, to_float64
from toolkit.render.cpu.project_backward import project_backward
from toolkit.render.cpu.project_covars import project_covars_backward, project_covars_forward
from toolkit.render.cpu.project_forward import project_forward
from toolkit.render.cpu.project_shared import scratch
from toolkit.render.cpu.rules import ALPHA_MIN, EXTENT

_CHUNK = 8192  # Gaussians per task; fixed, so that sums do not depend on the number of threads


@dataclass(frozen=True)
class Lens:
    """What projection needs besides tensors.

    Attributes:
        cameras: one row (fx, fy, cx, cy, width, height) per image, in pixels.
        limits: near and far plane (metres), eps2d (the blur, px^2), radius_clip (px), and 1.0 if
            the opacity is compensated for the blur ("antialiased"), else 0.0.
    """

    cameras: Float[np.ndarray, "I 6"]
    limits: tuple[float, float, float, float, float]

    def for_image(self, views: Float[np.ndarray, "I 4 4"], image: int) -> tuple:
        """View, camera and limits of one image, as the kernels take them."""
        return views[image], tuple(self.cameras[image]), self.limits


class Projection(torch.autograd.Function):
    """Means, shapes and (I,4,4) views -> radii, means2d, depths, conics, compensations of I images.

    Means are (B,N,3). Shapes are (B,N,4) quaternions with (B,N,3) scales, or (B,N,6) covariances
    with None. Opacities get no gradient here: they only decide which Gaussians are too faint.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        means: Float[Tensor, "B N 3"],
        shape: Float[Tensor, "B N 4"] | Float[Tensor, "B N 6"],
        scales: Float[Tensor, "B N 3"] | None,
        opacities: Float[Tensor, "B N"],
        viewmats: Float[Tensor, "I 4 4"],
        lens: Lens,
    ) -> tuple[Int[Tensor, "I N 2"], Tensor, Tensor, Tensor, Tensor]:
        scene = [to_float32(t) for t in (means, shape, scales) if t is not None]
        # Float64 for the views: they are few, and every mean passes through them.
        opac, views = to_float32(opacities), to_float64(viewmats)
        num_images, n = len(views), means.shape[1]
        out = _empty_projection(num_images, n)
        project_span = _forward_task(scene, (opac, _extents(opac)), views, lens, out)
        spans = threads.spans(n, _CHUNK)
        threads.run(project_span, [(i, *span) for i in range(num_images) for span in spans])
        ctx.lens = lens
        radii, *rest = (torch.from_numpy(a) for a in out)
        ctx.mark_non_differentiable(radii)  # integers
        ctx.save_for_backward(means, shape, scales, opacities, viewmats, radii, rest[2], rest[3])
        return radii, *rest

    @staticmethod
    def backward(ctx: FunctionCtx, _: None, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *scene, opacities, viewmats, radii, conics, comps = ctx.saved_tensors
        scene, views = [to_float32(t) for t in scene if t is not None], to_float64(viewmats)
        radii = radii.numpy()
        opac, conics, comps = to_float32(opacities), to_float32(conics), to_float32(comps)
        gradients = [to_float32(g) for g in gradients]
        spans = threads.spans(radii.shape[1], _CHUNK)
        sums = [np.zeros_like(a) for a in scene]
        v_views = np.zeros((len(spans), *views.shape))  # each span sums for itself: no atomics

        def gradient_of_span(p: int) -> None:
            # All images add to the same Gaussians. A span visits them in order, in one thread, so
            # that the sums are always the same.
            for i in range(len(views)):
                b = i * len(opac) // len(views)  # the batch entry that image i belongs to
                entry = tuple(a[b] for a in scene)
                known = ctx.lens.for_image(views, i), (radii[i], conics[i], comps[i])
                image_gradients = tuple(g[i] for g in gradients)
                target = (*(a[b] for a in sums), v_views[p, i])
                if len(scene) == 2:
                    scene_of_b = (*entry, opac[b])
                    project_covars_backward(scene_of_b, *known, image_gradients, target, *spans[p])
                else:
                    project_backward(entry, *known, image_gradients, target, scratch(), *spans[p])

        threads.run(gradient_of_span, [(p,) for p in range(len(spans))])
        # One gradient per argument of forward: means, shape, scales (None with covariances), no
        # opacities, viewmats, no lens. The views' parts are summed over the spans in order.
        out = [torch.from_numpy(a) for a in sums] + [None] * (3 - len(sums))
        return *out, None, torch.from_numpy(v_views.sum(0).astype(np.float32)), None


def _empty_projection(num_images: int, n: int) -> tuple[np.ndarray, ...]:
    """Memory for radii, means2d, depths, conics, compensations."""
    return (
        np.empty((num_images, n, 2), np.int32),
        np.empty((num_images, n, 2), np.float32),
        np.empty((num_images, n), np.float32),
        np.empty((num_images, n, 3), np.float32),
        np.empty((num_images, n), np.float32),
    )


def _extents(opacities: Float[np.ndarray, "B N"]) -> Float[np.ndarray, "B N"]:
    """Standard deviations at which alpha falls below ALPHA_MIN; -1 for what is always fainter.

    opacity exp(-x^2 / 2) = ALPHA_MIN, solved for x.
    """
    brightness = np.maximum(opacities * (1 / ALPHA_MIN), 1)
    extents = np.minimum(EXTENT, np.sqrt(2 * np.log(brightness)))
    extents[opacities < ALPHA_MIN] = -1
    return extents


def _forward_task(
    scene: list[np.ndarray],
    visibility: tuple[np.ndarray, np.ndarray],
    views: Float[np.ndarray, "I 4 4"],
    lens: Lens,
    out: tuple[np.ndarray, ...],
) -> Callable[[int, int, int], None]:
    """A function (image, start, stop) that projects these Gaussians into this image."""
    opacities, extents = visibility

    def project_span(i: int, *span: int) -> None:
        b = i * len(opacities) // len(views)  # the batch entry that image i belongs to
        entry, target = tuple(a[b] for a in scene), tuple(a[i] for a in out)
        camera = lens.for_image(views, i)
        if len(scene) == 2:
            project_covars_forward((*entry, opacities[b]), camera, target, *span)
        else:
            seen = opacities[b], extents[b]
            project_forward(entry, seen, camera, target, scratch(), *span)

    return project_span
