"""The second differentiable step: Gaussians in the picture to pixels, four channels at a time.

A `torch.autograd.Function` around the kernels of `composite_forward` and `composite_backward`.
"Image" here means one camera of one batch entry: I images in all.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx

from toolkit.render.cpu import threads
from toolkit.render.cpu.arrays import to_float32
from toolkit.render.cpu.composite_backward import composite_backward, sum_slots
from toolkit.render.cpu.composite_forward import composite_forward
from toolkit.render.cpu.composite_shared import CHANNELS, scratch
from toolkit.render.cpu.plan import Plan, make_plan
from toolkit.render.cpu.rules import ALPHA_MIN


def composite(
    projected: tuple[Tensor, Tensor, Tensor, Tensor],
    opacities: Float[Tensor, "O N"],
    colors: Float[Tensor, "F N X"],
    backgrounds: Float[Tensor, "I X"] | None,
    size: tuple[int, int],
) -> tuple[Float[Tensor, "I H W X"], Float[Tensor, "I H W 1"], list[Plan]]:
    """Composite all images over their backgrounds.

    Channels go four at a time, so wide features cost about a quarter as many passes.

    Args:
        projected: radii, means2d, depths, conics of `Projection`.
        opacities: one row for all images, one per batch entry or one per image.
        colors: likewise; any number of channels.
        backgrounds: black if None.
        size: width and height in pixels.

    Returns:
        pictures, alphas, and the plan of every image.
    """
    radii, means2d, depths, conics = projected
    pictures = []
    for k in range(0, colors.shape[-1], CHANNELS):
        target, four = Target(size, []), slice(k, k + CHANNELS)
        back = None if backgrounds is None else backgrounds[:, four]
        picture, covered = Compositing.apply(
            means2d, conics, opacities, colors[..., four], back, (radii, depths.detach()), target
        )
        alpha = covered if k == 0 else alpha  # the same in every pass; its gradient must flow once
        pictures.append(picture)
    return pictures[0] if len(pictures) == 1 else torch.cat(pictures, -1), alpha, target.plans


@dataclass(frozen=True)
class Target:
    """Picture size (width, height), and a list in which compositing leaves its plans."""

    size: tuple[int, int]
    plans: list[Plan | None]


class Compositing(torch.autograd.Function):
    """Splats of I images -> (I,H,W,X) pictures and (I,H,W,1) alphas, X <= 4.

    Opacities and colours have an image axis of size 1, B or I; radii and depths get no gradient
    (depth decides the order only; where depth is rendered, it is a colour channel).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        means2d: Float[Tensor, "I N 2"],
        conics: Float[Tensor, "I N 3"],
        opacities: Float[Tensor, "O N"],
        colors: Float[Tensor, "F N X"],
        backgrounds: Float[Tensor, "I X"] | None,
        fixed: tuple[Int[Tensor, "I N 2"], Float[Tensor, "I N"]],
        target: Target,
    ) -> tuple[Float[Tensor, "I H W X"], Float[Tensor, "I H W 1"]]:
        radii, depths = fixed
        width, height = target.size
        num_images, n = radii.shape[:2]
        plans = target.plans
        plans += _plan_images((radii, means2d, depths, conics), opacities, colors, target.size)
        channels = colors.shape[2]
        back = np.zeros((num_images, channels), np.float32)
        if backgrounds is not None:
            back[:] = to_float32(backgrounds)
        picture = np.empty((num_images, height, width, channels), np.float32)
        alpha = np.empty((num_images, height, width), np.float32)
        # used[i][slot]: did any pixel take this (Gaussian, tile) pair? The backward pass needs it.
        used = [np.empty(len(plan.entries), np.uint8) for plan in plans]
        threads.run(
            composite_forward,
            [
                (plan.arrays, back[i], (picture[i], alpha[i], used[i]), scratch(), *span)
                for i, plan in enumerate(plans)
                for span in plan.spans()
            ],
        )
        ctx.state = plans, used  # plain arrays: save_for_backward takes tensors only
        ctx.counts = len(opacities), len(colors), n
        outputs = torch.from_numpy(picture), torch.from_numpy(alpha[..., None])
        ctx.save_for_backward(*outputs)
        return outputs

    @staticmethod
    def backward(
        ctx: FunctionCtx, v_picture: Float[Tensor, "I H W X"], v_alpha: Float[Tensor, "I H W 1"]
    ) -> tuple[Tensor | None, ...]:
        plans, used = ctx.state
        picture, alpha = (t.numpy() for t in ctx.saved_tensors)
        alpha = alpha[..., 0]
        num_o, num_c, n = ctx.counts
        num_images, _, _, channels = picture.shape
        v_p, v_a = to_float32(v_picture), to_float32(v_alpha)[..., 0]
        # First every (Gaussian, tile) pair gets its own row of gradients: no thread waits for
        # another, and nothing is added in a random order. Then the rows are summed per Gaussian.
        slots = [np.empty((len(plan.entries), 6 + CHANNELS), np.float32) for plan in plans]
        calls = [
            (
                plan.arrays,
                (picture[i], alpha[i], used[i]),
                (v_p[i], v_a[i]),
                slots[i],
                scratch(),
                *span,
            )
            for i, plan in enumerate(plans)
            for span in plan.spans()
        ]
        threads.run(composite_backward, calls)
        out = [np.zeros((num_images, n, k), np.float32) for k in (2, 3, 1, channels)]
        m, q, o, c = out
        calls = [
            (
                (plan.order, plan.first_slot, plan.splats),
                used[i],
                slots[i],
                (m[i], q[i], o[i, :, 0], c[i]),
            )
            for i, plan in enumerate(plans)
        ]
        threads.run(sum_slots, calls)
        v_m, v_q, v_o, v_c = (torch.from_numpy(a) for a in out)
        v_back = None
        if ctx.needs_input_grad[4]:
            # the background shows with weight T = 1 - alpha
            v_back = torch.from_numpy(np.einsum("ihw,ihwk->ik", 1 - alpha, v_p))
        return (v_m, v_q, _fold(v_o[..., 0], num_o), _fold(v_c, num_c), v_back, None, None)


def _plan_images(
    projected: tuple[Tensor, Tensor, Tensor, Tensor],
    opacities: Float[Tensor, "O N"],
    colors: Float[Tensor, "F N X"],
    size: tuple[int, int],
) -> list[Plan]:
    """The plan of every image; `projected` is radii, means2d, depths, conics."""
    radii, means2d, depths, conics = projected
    m, q, o, c, d = (to_float32(t) for t in (means2d, conics, opacities, colors, depths))
    r = radii.numpy()
    # opacity exp(-power) = ALPHA_MIN, solved for the power
    reaches = np.log(np.maximum(o * (1 / ALPHA_MIN), 1))
    num_images = len(r)
    plans = [None] * num_images

    def plan_image(i: int) -> None:
        k = i * len(o) // num_images  # the row of opacities that image i uses
        color = c[i * len(c) // num_images]
        plans[i] = make_plan((r[i], m[i], d[i], q[i], o[k]), reaches[k], color, size)

    threads.run(plan_image, [(i,) for i in range(num_images)])
    return plans


def _fold(grad: Float[Tensor, "I ..."], count: int) -> Tensor:
    """Sum the gradients of the images onto the `count` rows from which they were read."""
    return grad if count == len(grad) else grad.unflatten(0, (count, -1)).sum(1)
