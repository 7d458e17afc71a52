"""What a video prior is, and what it may know of a clip.

    Condition --encode--> x0 --sdedit, step by step: velocity(x, sigma, ...)--> x --decode--> clip

Every prior, ours or Wan2.1, is used through the three functions of `Prior`. To add another one,
write a class with these three and run it with `profiles.choose.with_prior`; docs/core.md shows one
in ten lines.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail
from toolkit.prior.sdedit import Velocity


@dataclass(frozen=True)
class Condition:
    """What a prior may know about a clip; each prior takes from it what it was trained with.

    Attributes:
        azimuths_deg: of each view, 0 = front; (T,) for the whole batch or (B,T).
        elevations_deg: of each view.
        reference: front picture in the turntable's framing, [-1, 1], on white.
        coarse: the coarse clip, [-1, 1], on white. SDEdit starts from it. Only a repairer also
            looks at it while it denoises; with None our network behaves as the plain prior.
        seen: share of each pixel of the coarse clip that the photo saw, [0, 1]; None: unknown.
        carried: the coarse clip painted with the front's colours carried to the back
            (`refine.carried.carried_colors`), [-1, 1]; for a repairer with `config.carried`.
    """

    azimuths_deg: Float[Tensor, "*batch T"]
    elevations_deg: Float[Tensor, "*batch T"]
    reference: Float[Tensor, "B 3 H W"]
    coarse: Float[Tensor, "B 3 T H W"] | None = None
    seen: Float[Tensor, "B 1 T H W"] | None = None
    carried: Float[Tensor, "B 3 T H W"] | None = None

    def check(self, x: Tensor) -> None:
        """Refuse to go on with a clip that this condition does not describe.

        Raises:
            InputError: another number of views, another size, or sides that our U-Net cannot halve.
        """
        # three levels of our U-Net halve the picture three times, hence the multiples of 8
        num_views = self.azimuths_deg.shape[-1]
        if x.ndim != 5 or x.shape[1:3] != (3, num_views) or x.shape[3] % 8 or x.shape[4] % 8:
            fail(
                "clip",
                got=tuple(x.shape),
                wanted=f"(B,3,{num_views},H,W) with H and W multiples of 8",
                fix="Views and angles must match.",
            )
        for name in ("coarse", "carried"):
            clip = getattr(self, name)
            if clip is not None and clip.shape != x.shape:
                fail(
                    f"Condition.{name}",
                    got=tuple(clip.shape),
                    wanted=str(tuple(x.shape)),
                    fix="Render it at the clip's size and views.",
                )
        if self.reference.shape != (x.shape[0], 3, *x.shape[3:]):
            fail(
                "Condition.reference",
                got=tuple(self.reference.shape),
                wanted=str((x.shape[0], 3, *x.shape[3:])),
                fix="Give one front picture per clip.",
            )


@dataclass(frozen=True)
class Encoded:
    """A coarse clip in the space where a prior denoises.

    Attributes:
        latents: `x0` of SDEdit: the clip's pixels, or a VAE's latents of them.
        keep: in [0, 1], broadcast to `latents`: where they show what the photo saw.
        condition: handed to `velocity` at every step.
    """

    latents: Tensor
    keep: Tensor | None
    condition: Any


@runtime_checkable
class Prior(Protocol):
    """A video prior: a codec between clips and latents, and the flow velocity of noisy latents."""

    def encode(self, known: Condition) -> Encoded:
        """The latents of `known.coarse`, and what `velocity` is given at every step."""

    def velocity(self, x: Tensor, sigma: Tensor | float, condition: Any) -> Tensor:
        """`E[eps - x0 | x]`: the mean of eps - x0 over all clips that could have given this `x`.

        Shape and dtype of `x`, without a gradient; `sigma` in (0, 1] is the noise level.
        """

    def decode(self, latents: Tensor, known: Condition) -> Float[Tensor, "B 3 T H W"]:
        """The clip of latents in [-1, 1], with the shape and dtype of `known.coarse`."""


class PixelCodec:
    """Encode and decode of a prior that works on pixels: both change nothing."""

    def encode(self, known: Condition) -> Encoded:
        """The coarse clip itself, with all that is known of it as the condition."""
        return Encoded(known.coarse, known.seen, known)

    def decode(self, latents: Tensor, known: Condition) -> Tensor:
        """The clip itself."""
        return latents


class PixelPrior(PixelCodec):
    """A prior on pixels from its velocity alone, e.g. one that `prior.samplers` has wrapped."""

    def __init__(self, velocity: Velocity):
        self.velocity = velocity
