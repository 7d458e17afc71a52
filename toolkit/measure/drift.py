"""Did the refit keep the structure of the coarse avatar? Gaussians are compared one to one.

A refit is meant to correct each Gaussian near its place. If Gaussians wander past their neighbours,
they no longer hang on the right anchors, and they will come apart in another pose.
"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import cKDTree

from toolkit.errors import fail
from toolkit.gaussians import Gaussians


@dataclass(frozen=True)
class Drift:
    """How far the centres moved, from coarse to refined.

    Attributes:
        mean_mm: mean distance.
        median_mm: median distance.
        p95_mm: 95th percentile of the distances.
        max_mm: largest distance.
        mean_spacings: mean of distance / spacing, where the spacing of a Gaussian is the distance
            to its nearest neighbour in the coarse avatar.
        not_self: share of refined Gaussians that now lie nearest to the old place of another one.
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
        InputError: the numbers differ, or there are fewer than two Gaussians.
    """
    if len(coarse) != len(refined) or len(coarse) < 2:
        fail(
            "drift",
            got=f"{len(coarse)} and {len(refined)} Gaussians",
            wanted="equal numbers, two or more",
            fix="Compare a refit with the Gaussians from which it started.",
        )
    start = coarse.means.detach().cpu().numpy().astype(np.float64)
    end = refined.means.detach().cpu().numpy().astype(np.float64)
    distance = np.linalg.norm(end - start, axis=1)
    tree = cKDTree(start)
    spacing = tree.query(start, k=2)[0][:, 1]  # the first neighbour is the Gaussian itself
    # a Gaussian that lies as near to its own old place as to the nearest one counts as itself
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
