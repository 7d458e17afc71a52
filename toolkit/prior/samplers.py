"""Samplers for the one loop `sdedit`: functions that turn a prior's velocity into another one.

All but `self_ensemble` pull the velocity v towards (x - guide) / s. That is the velocity of the
straight line from the noise to the guide (the coarse clip), so with weight 1 the loop ends at the
guide, and with weight 0 the prior is left alone. The weight depends on sigma and on the pixel.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail
from toolkit.prior.prior import Condition
from toolkit.prior.sdedit import Velocity

Weight = Callable[[Tensor], Tensor | float]


def self_ensemble(velocity: Velocity) -> Velocity:
    """The mean of a prior's answers to a clip and to its mirror image.

    Both answer the same question, with errors that are partly independent; their mean has less
    error than either. It costs two evaluations per step.

    Source: Timofte et al. 2016 (Seven ways to improve example-based super resolution), Sec. 3.5.
    """

    def mean(x: Float[Tensor, "B 3 T H W"], sigma: Tensor, condition: Condition) -> Tensor:
        clips = {name: getattr(condition, name) for name in ("coarse", "seen", "carried")}
        mirrored = replace(
            condition,
            azimuths_deg=-condition.azimuths_deg,
            reference=condition.reference.flip(-1),
            **{name: None if clip is None else clip.flip(-1) for name, clip in clips.items()},
        )
        return (velocity(x, sigma, condition) + velocity(x.flip(-1), sigma, mirrored).flip(-1)) / 2

    return mean


def pulled(velocity: Velocity, guide: Tensor, weight: Weight) -> Velocity:
    """The prior's velocity, drawn to the straight line that ends at `guide`.

    Args:
        velocity: the prior.
        guide: clip of the loop's shape.
        weight: sigma -> in [0, 1], a number or broadcast to the clip.
    """

    def mixed(x: Tensor, sigma: Tensor, condition: Any) -> Tensor:
        v = velocity(x, sigma, condition)
        return v + weight(sigma) * ((x - guide) / sigma - v)

    return mixed


def h_transform(
    velocity: Velocity, guide: Tensor, alpha: float | Tensor = 4.0, *, scale: float = 1.0
) -> Velocity:
    """Weighted h-transform: run it from pure noise (strength 1), for it needs no start level.

    The guide resembles the clean clip less well than the prior's own estimate does once little
    noise is left. So its weight `scale sigma^alpha` fades on the way; alpha plays the role of
    strength.

    Args:
        velocity, guide: as in `pulled`.
        alpha: 0 returns the guide, infinity leaves the prior alone after the first step; a map
            broadcast to the clip holds some pixels longer than others.
        scale: 0 is the prior's own ODE, 1 the paper.

    Source: Wang et al. 2026 (2603.12057), in flow form as in their released code.
    """
    if not 0 <= scale <= 1 or (torch.as_tensor(alpha) < 0).any():
        fail(
            "h_transform",
            got=f"alpha {alpha}, scale {scale}",
            wanted="alpha >= 0, scale in [0, 1]",
            fix="The paper uses 4 to 20, higher where less is to be kept.",
        )
    return pulled(velocity, guide, lambda sigma: scale * sigma**alpha)


def held(velocity: Velocity, guide: Tensor, levels: Tensor) -> Velocity:
    """A start level for each pixel: above its level, a pixel is the noised guide and nothing else.

    With one level everywhere this is plain SDEdit from that level; a pixel of level 0 returns
    untouched. The prior sees all pixels at the loop's sigma, as it was trained to. The free pixels
    see the held ones only with the noise of the present step, and therefore fit them less well than
    samples of a true posterior would.

    Args:
        velocity, guide: as in `pulled`.
        levels: sigma at which each pixel is let go, in [0, 1], broadcast to the clip.

    Source: Levin & Fried 2023 (Differential Diffusion, 2306.00950), Alg. 1, in flow form.
    """
    return pulled(velocity, guide, lambda sigma: (sigma > levels + 1e-6).to(guide))


def start_levels(
    seen: Float[Tensor, "B 1 T H W"],
    alpha: Float[Tensor, "B 1 T H W"],
    sigma: float,
    *,
    trust: float = 1.0,
    band_px: int = 6,
) -> Float[Tensor, "B 1 T H W"]:
    """How noisy each pixel of a coarse clip deserves to be, for `held`.

    What the photo saw is known, and so is the white far from the person. The body's unseen sides
    get all of the noise, and so does a band around its outline, where hair or a coat may reach.

    Args:
        seen: share of each pixel that the photo saw.
        alpha: coverage by the coarse avatar.
        sigma: level of what is not known at all.
        trust: in the photo; 1 leaves what it saw untouched.
        band_px: width of the band.

    Source: ours, after the opacity mixing of ArtiFixer (de Lutio et al. 2026, 2603.00492).
    """
    near = F.max_pool3d(
        alpha, (1, 2 * band_px + 1, 2 * band_px + 1), stride=1, padding=(0, band_px, band_px)
    )
    return sigma * near * (1 - trust * seen)
