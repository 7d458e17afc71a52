"""Did the refit keep the structure? Coarse and refined Gaussians are one to one: how far apart?"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import cKDTree

from toolkit.errors import fail
from toolkit.gaussians import Gaussians


@dataclass(frozen=True)
class Drift:
    """How far the refined centres lie from their coarse ones.

    Attributes:
        mean_mm: mean distance.
        median_mm: median distance.
        p95_mm: 95th percentile.
        max_mm: largest distance.
        mean_spacings: mean distance over the local spacing, the way to the nearest other centre.
        not_self: share of refined Gaussians whose nearest coarse neighbour is another one.
    """

    mean_mm: float
    median_mm: float
    p95_mm: float
    max_mm: float
    mean_spacings: float
    not_self: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def measure_drift(coarse: Gaussians, refined: Gaussians) -> Drift:
    """Compare two sets of Gaussians of equal number and order, in one pose.

    Raises:
        InputError: numbers differ, or fewer than two.
    """
    if len(coarse) != len(refined) or len(coarse) < 2:
        fail(
            "drift",
            got=f"{len(coarse)} and {len(refined)} Gaussians",
            wanted="equal numbers, two or more",
            fix="Compare a refit with what it started from.",
        )
    start = coarse.means.detach().cpu().numpy().astype(np.float64)
    end = refined.means.detach().cpu().numpy().astype(np.float64)
    distance = np.linalg.norm(end - start, axis=1)
    tree = cKDTree(start)
    spacing = tree.query(start, k=2)[0][:, 1]
    # one that lies on its own old place, or as near to it as to any other, counts as itself
    not_self = tree.query(end)[0] < distance - 1e-12
    mm = 1e3 * distance
    return Drift(
        mean_mm=float(mm.mean()),
        median_mm=float(np.median(mm)),
        p95_mm=float(np.percentile(mm, 95)),
        max_mm=float(mm.max()),
        mean_spacings=float((distance / np.maximum(spacing, 1e-9)).mean()),
        not_self=float(not_self.mean()),
    )
