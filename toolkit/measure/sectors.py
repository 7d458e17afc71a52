"""Front, three-quarter, side and back: views named by their azimuth around the person."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import Cameras

# upper end of each sector, degrees of |azimuth|: views from the left and the right count alike
SECTORS = {"front": 30.0, "three-quarter": 60.0, "side": 120.0, "back": 180.0}


def azimuths_deg(cameras: Cameras, target: Float[Tensor, " 3"] | None = None) -> np.ndarray:
    """Azimuth (C,) of each camera around a point, degrees in [-180, 180]; 0 is in front.

    Args:
        target: the point, metres; left out: the origin, where the pelvis is.
    """
    offset = cameras.centers - (0 if target is None else target)
    return torch.rad2deg(torch.atan2(offset[:, 0], offset[:, 2])).cpu().numpy()


def sector_of(azimuth_deg: float) -> str:
    """Name of the sector in which an azimuth lies; 0 is the front, 180 the back."""
    folded = abs((float(azimuth_deg) + 180) % 360 - 180)
    # the small tolerance keeps a camera at exactly 30 degrees in front in spite of rounding
    return next(name for name, end in SECTORS.items() if folded <= end + 1e-4)


def mean_by_sector(
    values: Sequence[float] | np.ndarray | Tensor, azimuths: Sequence[float] | np.ndarray
) -> dict[str, float]:
    """Means of one value per view: over each sector that has views, and over `all`.

    Args:
        values: one per view; NaN is left out.
        azimuths: of the views, degrees.
    """
    values, names = np.asarray(values, np.float64), [sector_of(a) for a in azimuths]
    groups = {name: values[[n == name for n in names]] for name in SECTORS if name in names}
    means = {
        name: float(np.nanmean(group)) for name, group in groups.items() if np.isfinite(group).any()
    }
    return means | {"all": float(np.nanmean(values))}
