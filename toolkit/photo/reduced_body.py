"""A small copy of the body for fitting: 22 joints, the 33 photo points and a few hundred vertices.

One step of the fit costs a few milliseconds with it, instead of about 100 with the full body.
Fingers, jaw and eyes stay at rest: a photo of a whole person does not show them well enough.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.body.model import BodyModel, joint_transforms, lbs, rodrigues
from toolkit.errors import fail

NUM_BODY_JOINTS = 22  # pelvis and 21 more; 22 to 54 are jaw, eyes and fingers


@dataclass(frozen=True)
class ReducedBody:
    """Points that follow betas and pose as the full body's would, with the fingers at rest.

    Attributes:
        template: rest positions of P support points, m.
        shapedirs: their displacement per unit of beta, m.
        weights: skinning weights over 22 joints.
        joints: rest joints at zero betas; `joint_dirs` per unit of beta, m.
        keypoint_weights: 33 photo points as averages of the support points after the surface.
        num_surface: the first so many support points sample the skin evenly.
    """

    template: Float[Tensor, "P 3"]
    shapedirs: Float[Tensor, "P 3 S"]
    weights: Float[Tensor, "P 22"]
    joints: Float[Tensor, "22 3"]
    joint_dirs: Float[Tensor, "22 3 S"]
    parents: Int[Tensor, " 22"]
    keypoint_weights: Float[Tensor, "33 K"]
    num_surface: int

    @staticmethod
    def of(body: BodyModel, spacing_m: float = 0.045) -> "ReducedBody":
        """Pick the support of the 33 points and skin vertices about `spacing_m` apart."""
        if "blazepose33" not in body.extra:
            fail("Body", got="no 'blazepose33' regressor", wanted="the body that ships with us",
                 fix="Fit with BodyModel.load(), then carry pose and betas over.")
        regressor = torch.from_numpy(np.asarray(body.extra["blazepose33"], np.float32))
        skin = body.faces_body.unique()
        surface = skin[spread(body.v_template[skin], spacing_m)]
        support = regressor.abs().sum(dim=0).nonzero()[:, 0]
        used = torch.cat([surface, support])
        return ReducedBody(
            body.v_template[used], body.shapedirs[used], _to_body_joints(body)[used],
            (body.J_regressor @ body.v_template)[:NUM_BODY_JOINTS],
            torch.einsum("jv,vks->jks", body.J_regressor[:NUM_BODY_JOINTS], body.shapedirs),
            body.parents[:NUM_BODY_JOINTS], regressor[:, support], len(surface))

    def posed(self, betas: Float[Tensor, " S"], pose: Float[Tensor, "22 3"], *,
              surface: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Photo points (33, 3), skin points (N, 3) and joints (22, 3), pelvis at the origin, m.

        Without `surface` the skin points are left out (N = 0), which is several times faster.
        """
        first = 0 if surface else self.num_surface
        joints = self.joints + self.joint_dirs @ betas
        points = self.template[first:] + self.shapedirs[first:] @ betas
        transforms = joint_transforms(rodrigues(pose), joints, self.parents)
        points = lbs(points, self.weights[first:], transforms) - joints[0]
        skin, support = points.split([self.num_surface - first, self.keypoint_weights.shape[1]])
        moved = (transforms[:, :3, :3] @ joints[..., None])[..., 0] + transforms[:, :3, 3]
        return self.keypoint_weights @ support, skin, moved - joints[0]


def spread(points: Float[Tensor, "V 3"], spacing_m: float) -> Int[Tensor, " N"]:
    """Indices of points that cover the set evenly: the first one in each cube of a grid."""
    cells = np.floor(points.numpy() / spacing_m).astype(np.int64)
    return torch.from_numpy(np.sort(np.unique(cells, axis=0, return_index=True)[1]))


def _to_body_joints(body: BodyModel) -> Float[Tensor, "V 22"]:
    """Skinning weights with each finger, jaw and eye handed up to the wrist or the head."""
    weights = body.lbs_weights.clone()
    for joint in range(weights.shape[1] - 1, NUM_BODY_JOINTS - 1, -1):
        weights[:, int(body.parents[joint])] += weights[:, joint]
    return weights[:, :NUM_BODY_JOINTS]

