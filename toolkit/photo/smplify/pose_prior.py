"""The pose prior: mean and spread of each joint's rotation, and the term that pulls towards them.

A photo does not determine a pose: depth is ambiguous and joints are hidden. SMPLify takes a mixture
of Gaussians learned from motion capture; ours is one diagonal Gaussian, written by hand, that the
lifter's own answer replaces when it is used.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from toolkit.body.model import JOINT_NAMES

# Mean and standard deviation of the axis-angle rotation in degrees (x, y, z), in the T-pose's axes.
# Values are for the left side; the right side is mirrored. Turning about x bends legs and spine,
# about y bends the elbow forwards (the arm lies along x), about z swings the arm up and down.
_PRIOR_DEG = {
    "spine1": ((0, 0, 0), (10, 6, 6)),
    "spine2": ((0, 0, 0), (8, 6, 6)),
    "spine3": ((0, 0, 0), (8, 6, 6)),
    "neck": ((0, 0, 0), (12, 12, 10)),
    "head": ((0, 0, 0), (14, 16, 10)),
    "hip": ((0, 0, 2), (35, 15, 15)),
    "knee": ((15, 0, 0), (40, 6, 6)),
    "ankle": ((0, 0, 0), (15, 10, 10)),
    "foot": ((0, 0, 0), (5, 3, 3)),
    "collar": ((0, 0, -3), (6, 8, 10)),
    "shoulder": ((0, 0, -60), (35, 35, 35)),
    "elbow": ((0, -20, 0), (35, 45, 12)),
    "wrist": ((0, 0, 0), (18, 12, 18)),
}


def pose_statistics() -> tuple[Float[Tensor, "22 3"], Float[Tensor, "22 3"]]:
    """Mean and spread of each joint's axis-angle rotation in radians; the pelvis is left free."""
    mean, spread = torch.zeros(22, 3), torch.full((22, 3), 1e3)  # 1000 rad: any turn is likely
    for joint, name in enumerate(JOINT_NAMES[1:22], start=1):
        center, width = (
            torch.tensor(v, dtype=torch.float32) for v in _PRIOR_DEG[name.split("_")[-1]]
        )
        # A reflection at x = 0 turns an axis-angle (x, y, z) into (x, -y, -z).
        mirror = torch.tensor([1.0, -1.0, -1.0]) if name.startswith("right") else 1.0
        mean[joint], spread[joint] = torch.deg2rad(center * mirror), torch.deg2rad(width)
    return mean, spread


@dataclass(frozen=True)
class BodyPrior:
    """What the body is assumed to be where the photo says little.

    Attributes:
        pose: mean axis-angle rotation of 22 joints, in radians.
        spread: standard deviation of each axis, in radians.
        betas: mean shape; its spread is 1 and its weight is `FitStage.shape`.
        upright: weight of the term that keeps the pelvis vertical.
    """

    pose: Float[Tensor, "22 3"]
    spread: Float[Tensor, "22 3"]
    betas: Float[Tensor, " S"]
    upright: float = 4.0

    @staticmethod
    def anybody(num_betas: int) -> "BodyPrior":
        """The average shape, in common poses."""
        return BodyPrior(*pose_statistics(), torch.zeros(num_betas))

    @staticmethod
    def near(
        pose: Float[Tensor, "22 3"], betas: Float[Tensor, " S"], spread_deg: float
    ) -> "BodyPrior":
        """A body whose pose and shape are estimated already, with errors of `spread_deg`."""
        spread = torch.full((22, 3), float(np.deg2rad(spread_deg)))
        return BodyPrior(pose, spread, betas, upright=0.0)


def pose_term(pose: Float[Tensor, "22 3"], mean: Tensor, spread: Tensor) -> Tensor:
    """Squared distance from the mean pose in spreads; backward-bent knees and elbows cost more.

    Source: after Bogo et al. 2016 (SMPLify), sec 3.2; the constants are ours.
    """
    distance = (((pose - mean) / spread) ** 2).sum()
    # Knees (joints 4, 5) bend about +x, elbows (18, 19) about -y on the left and +y on the right;
    # only the opposite sign costs.
    knees = functional.relu(-pose[[4, 5], 0])
    elbows = functional.relu(pose[[18, 19], 1] * torch.tensor([1.0, -1.0]))
    return distance + 40.0 * (knees**2).sum() + 40.0 * (elbows**2).sum()
