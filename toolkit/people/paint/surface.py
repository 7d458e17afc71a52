"""What painters get and share: visible samples in rest space, a garment's style, small masks."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from toolkit.people.arrays import Color, Colors, Mask, Values
from toolkit.people.paint.prints import Print

ARMHOLE_X = 0.175  # metres
TORSO_R, LEG_R, ARM_R = 0.13, 0.08, 0.055  # radii that turn angles into metres of cloth


@dataclass(frozen=True)
class Surface:
    """Visible pixels of one material.

    Attributes:
        point: rest position, metres.
        normal: rest normal.
        arm: share of arm weight.
        hem: the piece's fields at the pixel (metres inside each hem; 1 where no hem).
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
        """Cloth coordinates in metres, u around and v along; `tube` for skirts, not legs."""
        x, y, z = self.point.T
        u = TORSO_R * np.arctan2(x, 1.3 * (z - 0.045))  # about true to length on an oval chest
        flat = np.where(z > 0.03, x, np.sign(x) * np.pi * TORSO_R - x)
        high = np.clip((y - 0.36) / 0.08, 0, 1)  # towards the neck circles shrink, cloth does not
        u = u + high * (flat - u)
        low = (y < (0.12 if tube else -0.1)) & ~self.sleeve
        centre = np.interp(-y, [0.1, 0.37, 0.75], [0.095, 0.13, 0.165]) * (not tube)
        leg = (TORSO_R if tube else LEG_R) * np.arctan2(x - np.sign(x) * centre, z - 0.04)
        u = np.where(low, leg, u)
        u = np.where(self.sleeve, ARM_R * np.arctan2(y - 0.455, z - 0.02), u)
        return u, np.where(self.sleeve, np.abs(x), y)


@dataclass(frozen=True)
class ClothStyle:
    """How one garment looks.

    Attributes:
        color, color2: sRGB of ground and pattern.
        pattern: plain, stripes, pinstripes, checks, tartan, dots, blocks, raglan, denim, knit.
        period_m: repeat of the pattern.
        front, back: prints.
        details: names such as "buttons", "zip", "placket", "pockets", "yoke", "hood", "belt".
        seed: noise of folds and wear.
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
    """1 on a share `duty` of every period, 0 elsewhere."""
    return ((value / period) % 1.0 < duty).astype(np.float32)


def mix(rgb: Colors, other: Colors | Color, weight: Values) -> Colors:
    """Blend colours; `weight` (N,) in [0, 1] is the share of `other`."""
    return rgb + weight[:, None] * (other - rgb)


def edge_line(distance: Values, width: float) -> Values:
    """1 on a line of half-width `width` around distance 0, soft by a third of it."""
    return np.clip(1.5 - np.abs(distance) / width, 0, 1)
