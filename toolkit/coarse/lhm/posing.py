"""How LHM's Gaussians move: canonical pose -> zero pose -> shape -> any pose, by linear blending.

The toolkit poses every avatar by `body.rig`. This module exists beside it because the released
model defines its posing in this way, and we compare our outputs with its own.

The network works in the canonical pose (each leg spread by 20 degrees, betas zero), so that its
input never depends on the person's shape or pose. These enter here, after the network.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.body.model import blend, joint_transforms
from toolkit.body.rotations import matrix_to_quat, multiply_quats, rodrigues
from toolkit.coarse.lhm.skinning import SkinnedPoints, move
from toolkit.errors import fail
from toolkit.gaussians import Gaussians


@dataclass(frozen=True)
class LHMOutput:
    """What the network predicts from a photo; nothing in it depends on shape or pose.

    Attributes:
        query_points: the points in the canonical pose, metres.
        canonical_to_zero: per joint, canonical pose to zero pose.
        latent: after the transformer's last norm.
        offset: added to the query points, metres.
        rotation: unit quaternions, (w, x, y, z).
        scaling: standard deviations, metres.
        opacity: in [0, 1].
        rgb: in [0, 1].
    """

    query_points: Float[Tensor, "N 3"]
    canonical_to_zero: Float[Tensor, "J 4 4"]
    latent: Float[Tensor, "N D"]
    offset: Float[Tensor, "N 3"]
    rotation: Float[Tensor, "N 4"]
    scaling: Float[Tensor, "N 3"]
    opacity: Float[Tensor, "N 1"]
    rgb: Float[Tensor, "N 3"]


@dataclass(frozen=True)
class Posed:
    """LHM's Gaussians in V poses; `gaussians(view)` is one of them in our own type.

    Attributes:
        posed_xyz: metres.
        posed_rotation: unit, (w, x, y, z), w >= 0.
        scaling, opacity, rgb: the decoder's; posing does not change them.
    """

    posed_xyz: Float[Tensor, "V N 3"]
    posed_rotation: Float[Tensor, "V N 4"]
    scaling: Float[Tensor, "N 3"]
    opacity: Float[Tensor, "N 1"]
    rgb: Float[Tensor, "N 3"]

    def gaussians(self, view: int = 0) -> Gaussians:
        """The Gaussians of one view."""
        return Gaussians.from_colors(
            self.posed_xyz[view],
            self.posed_rotation[view],
            self.scaling,
            self.opacity[:, 0],
            self.rgb,
        )


def pose_at_rest(skin: SkinnedPoints, output: LHMOutput, betas: Float[Tensor, " S"]) -> Posed:
    """Gaussians of the zero pose (T-pose) with this shape; one view.

    Args:
        output: of `network.forward`.
        betas: shape, roughly N(0, 1); at most as many as the checkpoint has (10).
    """
    to_zero = skin.blended(output.canonical_to_zero)  # (N, 4, 4)
    points = move(to_zero, output.query_points + output.offset)
    points = points + blend(skin.shape_dirs, betas.to(points), "betas")
    quats = _turn(skin, to_zero[:, :3, :3], output.rotation)
    return Posed(points[None], quats[None], output.scaling, output.opacity, output.rgb)


def pose_views(
    skin: SkinnedPoints,
    output: LHMOutput,
    betas: Float[Tensor, " S"],
    poses: Float[Tensor, "V J 3"],
    transl: Float[Tensor, "V 3"],
) -> Posed:
    """Gaussians in V poses of one shape.

    Two things are as in LHM's training, although one would write them otherwise. The rotation is
    the quaternion of the *blended* matrix, which is not quite a rotation (PyTorch3D's formula). And
    points that are tied to the body keep the decoder's rotation in every pose.

    Source: LHM (Qiu et al. 2025), Sec. 3.4; no pose correctives.
    """
    _check(skin, poses, transl)
    rest, joints = pose_at_rest(skin, output, betas).posed_xyz[0], skin.rest_joints(betas.to(poses))
    to_zero = skin.blended(output.canonical_to_zero)
    points, quats = [], []
    for pose, shift in zip(poses, transl, strict=True):
        transforms = joint_transforms(rodrigues(pose), joints, skin.smplx_layer.parents)
        to_pose = skin.blended(transforms)
        points.append(move(to_pose, rest) + shift)
        quats.append(_turn(skin, (to_pose @ to_zero)[:, :3, :3], output.rotation))
    return Posed(
        torch.stack(points), torch.stack(quats), output.scaling, output.opacity, output.rgb
    )


def _turn(
    skin: SkinnedPoints, matrices: Float[Tensor, "N 3 3"], rotation: Float[Tensor, "N 4"]
) -> Float[Tensor, "N 4"]:
    """`rotation` turned by the blended matrices, except where points are tied to the body."""
    turns = _real_part_positive(matrix_to_quat(matrices))
    identity = torch.eye(4).to(turns)[0]  # (1, 0, 0, 0)
    turns = torch.where(skin.is_constrain_body[:, None], identity, turns)
    return _real_part_positive(F.normalize(multiply_quats(turns, rotation), dim=-1))


def _real_part_positive(quats: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Of q and -q, which are the same rotation, the one with w >= 0."""
    return torch.where(quats[..., :1] < 0, -quats, quats)


def _check(skin: SkinnedPoints, poses: Tensor, transl: Tensor) -> None:
    num_joints = skin.skinning_weight.shape[1]
    if (
        poses.ndim != 3
        or poses.shape[1:] != (num_joints, 3)
        or not poses.isfinite().all()
        or transl.shape != (len(poses), 3)
        or not transl.isfinite().all()
    ):
        fail(
            "LHM pose",
            got=f"poses {tuple(poses.shape)}, transl {tuple(transl.shape)}",
            wanted=f"finite (V,{num_joints},3) and (V,3)",
            fix="Give axis-angle rotations of all joints in SMPL-X order.",
        )
