"""SDEdit of a turntable clip under any prior: frames to the prior's tensors, the edit, and back."""

import os
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail
from toolkit.prior.prior import Condition, Prior
from toolkit.prior.sdedit import Callback, SDEditConfig, sdedit
from toolkit.refine.turntable import Turntable
from toolkit.run.files import atomic_path


@dataclass(frozen=True)
class Clip:
    """A refined turntable: the pictures that the Gaussians are refitted to.

    Attributes:
        frames: on white, in [0, 1].
    """

    frames: Float[Tensor, "T H W 3"]

    def save(self, path: str | os.PathLike) -> None:
        """Write a .npy file, whole or not at all."""
        with atomic_path(path) as tmp:
            np.save(tmp, self.frames.numpy())

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Clip":
        """Read what `save` wrote."""
        return cls(torch.from_numpy(np.load(path)))


def as_clip(frames: Float[Tensor, "T H W 3"]) -> Float[Tensor, "1 3 T H W"]:
    """Frames in [0, 1] as a prior wants them: one clip, channels first, in [-1, 1]."""
    # (T, H, W, 3) -> (1, 3, T, H, W): torch's convolutions want channels before time and place
    return 2 * frames.permute(3, 0, 1, 2)[None] - 1


def as_frames(clip: Float[Tensor, "1 3 T H W"]) -> Float[Tensor, "T H W 3"]:
    """A prior's clip as pictures in [0, 1]."""
    return (clip[0].permute(1, 2, 3, 0).clamp(-1, 1) + 1) / 2


def clip_condition(turntable: Turntable) -> Condition:
    """All that is known of a coarse clip; its own front view serves as the front picture."""
    coarse = as_clip(turntable.rgb)
    # View 0 of every orbit is the front. The photo itself would not do as the front picture: it
    # shows another pose, and a turntable prior is trained on pictures in the A pose.
    return Condition(
        turntable.orbit.azimuths_deg,
        turntable.orbit.elevations_deg,
        reference=coarse[:, :, 0],
        coarse=coarse,
        seen=turntable.seen.permute(3, 0, 1, 2)[None],
        carried=None if turntable.carried is None else as_clip(turntable.carried),
    )


def edit_clip(
    prior: Prior,
    known: Condition,
    config: SDEditConfig,
    *,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
) -> Float[Tensor, "B 3 T H W"]:
    """SDEdit of the coarse clip in the prior's own space: encode, noise, denoise, decode.

    Args:
        prior: any; on pixels or on a VAE's latents.
        known: what is known of the clip; `known.coarse` is edited.
        config: how far it is noised and how it comes back.
        generator: of all noise.
        callback: called after each step with (index, next sigma, clean estimate in the prior's
            own space).

    Raises:
        InputError: the prior returns something that is not a clip.
    """
    if config.strength == 0:
        return known.coarse  # encoding and decoding alone would already change it
    start = prior.encode(known)
    latents = sdedit(
        prior.velocity,
        start.latents,
        start.condition,
        config=config,
        keep=start.keep,
        generator=generator,
        callback=callback,
    )
    return _checked(prior.decode(latents, known), known.coarse, type(prior).__name__)


def _checked(clip: Tensor, coarse: Tensor, prior: str) -> Tensor:
    """Refuse what would only fail later, far from its cause."""
    if clip.shape != coarse.shape or clip.dtype != coarse.dtype or clip.requires_grad:
        fail(
            f"clip of the prior {prior}",
            got=f"{tuple(clip.shape)} {clip.dtype}, requires_grad {clip.requires_grad}",
            wanted=f"{tuple(coarse.shape)} {coarse.dtype}, no gradient, as the coarse clip",
            fix="Check the prior's decode, and use torch.no_grad in its velocity.",
        )
    if not torch.isfinite(clip).all():
        fail(
            f"clip of the prior {prior}",
            got="NaN or Inf",
            wanted="finite values in [-1, 1]",
            fix="Check the prior's velocity; float16 overflows in some models.",
        )
    return clip


def refine_clip(
    prior: Prior,
    turntable: Turntable,
    config: SDEditConfig,
    *,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
) -> Float[Tensor, "T H W 3"]:
    """`edit_clip` of the whole turntable at once, from pictures to pictures in [0, 1]."""
    edited = edit_clip(
        prior, clip_condition(turntable), config, generator=generator, callback=callback
    )
    return as_frames(edited)
