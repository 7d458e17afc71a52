"""What painters get and share: visible samples in rest space, a garment's style, small masks.

There are no textures and no texture coordinates. A painter is a function from the rest position of
a sample to its colour, evaluated for visible samples only, so patterns are sharp at any resolution.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from toolkit.people.arrays import Color, Colors, Mask, Values
from toolkit.people.paint.prints import Print

ARMHOLE_X = 0.175  # metres
TORSO_R, LEG_R, ARM_R = 0.13, 0.08, 0.055  # metres; turn angles around into lengths of cloth


@dataclass(frozen=True)
class Surface:
    """Visible samples of one material.

    Attributes:
        point: rest position, metres.
        normal: rest normal.
        arm: share of the skinning weight that belongs to the arms.
        hem: the piece's fields at the sample (metres inside each edge; 1 where there is no edge).
    """

    point: Float[np.ndarray, "N 3"]
    normal: Float[np.ndarray, "N 3"]
    arm: Float[np.ndarray, " N"]
    hem: Float[np.ndarray, "N K"]

    @property
    def front(self) -> Mask:
        """True on the chest's side of the body."""
        return self.normal[:, 2] > 0

    @property
    def sleeve(self) -> Mask:
        """True on sleeves, beyond the armhole's seam."""
        return (np.abs(self.point[:, 0]) > ARMHOLE_X) & (self.point[:, 1] > 0.32)

    def chart(self, *, tube: bool = False) -> tuple[Values, Values]:
        """Cloth coordinates in metres, u around the body part and v along it.

        Torso, legs and sleeves are each unrolled as a cylinder, so that stripes run around them.

        Args:
            tube: unroll everything below the waist as one cylinder (skirts), not as two legs.
        """
        x, y, z = self.point.T
        u = TORSO_R * np.arctan2(x, 1.3 * (z - 0.045))  # about true to length on an oval chest
        # Close to the neck u is x itself, not an angle; behind the body it goes on.
        flat = np.where(z > 0.03, x, np.sign(x) * np.pi * TORSO_R - x)
        high = np.clip((y - 0.36) / 0.08, 0, 1)  # towards the neck circles shrink, cloth does not
        u = u + high * (flat - u)
        low = (y < (0.12 if tube else -0.1)) & ~self.sleeve
        # |x| of a leg's axis, which moves outwards from hip to ankle.
        centre = np.interp(-y, [0.1, 0.37, 0.75], [0.095, 0.13, 0.165]) * (not tube)
        leg = (TORSO_R if tube else LEG_R) * np.arctan2(x - np.sign(x) * centre, z - 0.04)
        u = np.where(low, leg, u)
        u = np.where(self.sleeve, ARM_R * np.arctan2(y - 0.455, z - 0.02), u)
        return u, np.where(self.sleeve, np.abs(x), y)


@dataclass(frozen=True)
class ClothStyle:
    """How one garment looks.

    Attributes:
        color, color2: sRGB of the cloth and of its pattern.
        pattern: plain, stripes, pinstripes, checks, tartan, dots, blocks, raglan, denim, knit.
        period_m: after how many metres the pattern repeats.
        front, back: prints, or None.
        details: names such as "buttons", "zip", "placket", "pockets", "yoke", "hood", "belt".
        seed: of the noise behind folds and wear.
        folds: height of the wrinkles, about 0..1.5.
    """

    color: Float[np.ndarray, "3"]
    color2: Float[np.ndarray, "3"]
    pattern: str = "plain"
    period_m: float = 0.05
    front: Print | None = None
    back: Print | None = None
    details: tuple[str, ...] = field(default=())
    seed: int = 0
    folds: float = 1.0


def wave(value: Values, period: Values | float, duty: float = 0.5) -> Values:
    """A square wave: 1 on a share `duty` of every period, 0 elsewhere."""
    return ((value / period) % 1.0 < duty).astype(np.float32)


def mix(rgb: Colors, other: Colors | Color, weight: Values) -> Colors:
    """Blend colours; `weight` (N,) in [0, 1] is the share of `other`."""
    return rgb + weight[:, None] * (other - rgb)


def edge_line(distance: Values, width: float) -> Values:
    """1 on a line of half-width `width` around distance 0, soft by a third of it."""
    return np.clip(1.5 - np.abs(distance) / width, 0, 1)
