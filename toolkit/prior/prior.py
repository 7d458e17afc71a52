"""What a video prior is, and what it is told about a clip."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """What the prior is told about a clip.

    Attributes:
        azimuths_deg: of each view, 0 = front; (T,) for the whole batch or (B,T).
        elevations_deg: of each view.
        reference: front picture in the turntable's framing, [-1, 1], on white.
        coarse: the coarse clip, [-1, 1], on white; None asks for the plain prior.
        seen: share of each pixel of the coarse clip that the photo saw, [0, 1]; None: unknown.
        through: the coarse clip painted with the front's colours all round
            (`refine.turntable.colors_through`), [-1, 1]; only a repairer with `config.through` looks at it.
    """

    azimuths_deg: Float[Tensor, "*batch T"]
    elevations_deg: Float[Tensor, "*batch T"]
    reference: Float[Tensor, "B 3 H W"]
    coarse: Float[Tensor, "B 3 T H W"] | None = None
    seen: Float[Tensor, "B 1 T H W"] | None = None
    through: Float[Tensor, "B 3 T H W"] | None = None
