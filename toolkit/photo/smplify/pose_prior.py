"""Common poses of a person: mean and spread per joint, and the term that pulls towards them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from toolkit.body.model import JOINT_NAMES

# Axis-angle mean and spread in degrees (x, y, z) in the T-pose frame; left side, right mirrored.
# x bends legs and spine, y bends the elbow forwards (arm along x), z swings the arm up and down.
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
    """Mean and spread of each joint's axis-angle rotation, radians; the pelvis is left free."""
    mean, spread = torch.zeros(22, 3), torch.full((22, 3), 1e3)
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
    """What a body is taken for where the photo says little.

    Attributes:
        pose: axis-angle mean of 22 joints, radians; `spread` is how far from it is common.
        betas: shape.
        upright: weight of a vertical pelvis.
    """

    pose: Float[Tensor, "22 3"]
    spread: Float[Tensor, "22 3"]
    betas: Float[Tensor, " S"]
    upright: float = 4.0

    @staticmethod
    def anybody(num_betas: int) -> "BodyPrior":
        """The average person, in common poses."""
        return BodyPrior(*pose_statistics(), torch.zeros(num_betas))

    @staticmethod
    def near(
        pose: Float[Tensor, "22 3"], betas: Float[Tensor, " S"], spread_deg: float
    ) -> "BodyPrior":
        """Somebody whose pose and shape are known but for `spread_deg` a joint and axis."""
        spread = torch.full((22, 3), float(np.deg2rad(spread_deg)))
        return BodyPrior(pose, spread, betas, upright=0.0)


def pose_term(pose: Float[Tensor, "22 3"], mean: Tensor, spread: Tensor) -> Tensor:
    """Squared distance from the usual pose in spreads, and knees and elbows that bend backwards."""
    usual = (((pose - mean) / spread) ** 2).sum()
    knees = functional.relu(-pose[[4, 5], 0])
    elbows = functional.relu(pose[[18, 19], 1] * torch.tensor([1.0, -1.0]))
    return usual + 40.0 * (knees**2).sum() + 40.0 * (elbows**2).sum()
