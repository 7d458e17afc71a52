"""SDEdit of a turntable clip: pictures to the prior's tensors, the edit, and back."""

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.prior.prior import Condition
from toolkit.prior.sdedit import Callback, SDEditConfig, Velocity, sdedit
from toolkit.prior.wan.grid import LatentPrior, edit_latents
from toolkit.refine.turntable import Turntable


def to_latents(rgb: Float[Tensor, "T H W 3"]) -> Float[Tensor, "1 3 T H W"]:
    """A clip in [0, 1] as the prior wants it, in [-1, 1]."""
    return 2 * rgb.permute(3, 0, 1, 2)[None] - 1


def from_latents(x: Float[Tensor, "1 3 T H W"]) -> Float[Tensor, "T H W 3"]:
    """The prior's clip as pictures in [0, 1]."""
    return (x[0].permute(1, 2, 3, 0).clamp(-1, 1) + 1) / 2


def clip_condition(turntable: Turntable) -> Condition:
    """All that a repairer is told of a coarse clip; its own front view is the front picture."""
    x0 = to_latents(turntable.rgb)
    through = None if turntable.through is None else to_latents(turntable.through)
    return Condition(
        turntable.orbit.azimuths_deg,
        turntable.orbit.elevations_deg,
        x0[:, :, 0],
        x0,
        turntable.seen.permute(3, 0, 1, 2)[None],
        through,
    )


def refine_clip(
    prior: Velocity | LatentPrior,
    turntable: Turntable,
    config: SDEditConfig,
    *,
    generator: torch.Generator | None,
    callback: Callback | None = None,
) -> Float[Tensor, "T H W 3"]:
    """SDEdit of the whole clip at once, conditioned on the coarse clip and its front view.

    Args:
        prior: the velocity of a prior on pixels, or a whole prior that works on latents.
        turntable: the coarse clip, and where it shows what the photo saw.
        config: how far it is noised and how it comes back.
        generator: of all noise.
        callback: called after each step, see `sdedit`.
    """
    condition = clip_condition(turntable)
    x0, keep = condition.coarse, condition.seen
    if isinstance(prior, LatentPrior):
        return from_latents(
            edit_latents(prior, condition, keep, config, generator=generator, callback=callback)
        )
    return from_latents(
        sdedit(
            prior, x0, condition, config=config, keep=keep, generator=generator, callback=callback
        )
    )
