"""How LHM's Gaussians move: canonical pose -> zero pose -> shape -> any pose, by linear blending.

The network works in the canonical pose (legs 20 degrees apart each, betas zero), so that its input
never depends on the person's shape or pose. Those enter here, after the network.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from toolkit.body.model import blend, joint_transforms
from toolkit.body.rotations import matrix_to_quat, multiply_quats, rodrigues
from toolkit.errors import fail
from toolkit.gaussians import Gaussians

HIP_ANGLE_RAD = torch.pi / 9  # of the canonical pose
LEFT_HIP, RIGHT_HIP = 1, 2
MASKS = (
    "is_rhand",
    "is_lhand",
    "is_face",
    "is_face_expr",
    "is_lower_body",
    "is_upper_body",
    "is_constrain_body",
    "is_cavity",
)


class SmplxLayer(nn.Module):
    """The part of the body model a checkpoint carries that skinning needs."""

    v_template: Float[Tensor, "V 3"]
    shapedirs: Float[Tensor, "V 3 S"]
    J_regressor: Float[Tensor, "J V"]
    parents: Int[Tensor, " J"]

    def __init__(self, num_vertices: int, num_joints: int, num_betas: int):
        super().__init__()
        self.register_buffer("v_template", torch.zeros(num_vertices, 3))
        self.register_buffer("shapedirs", torch.zeros(num_vertices, 3, num_betas))
        self.register_buffer("J_regressor", torch.zeros(num_joints, num_vertices))
        self.register_buffer("parents", torch.zeros(num_joints, dtype=torch.int64))


class SkinnedPoints(nn.Module):
    """Skinning, shape and masks of the query points; buffers only.

    Attributes:
        skinning_weight: of the nearest vertex; rows sum to 1.
        shape_dirs: displacement per unit of each beta, m.
        is_...: masks over the points.
    """

    skinning_weight: Float[Tensor, "N J"]
    shape_dirs: Float[Tensor, "N 3 S"]
    is_upper_body: Bool[Tensor, " N"]
    is_constrain_body: Bool[Tensor, " N"]

    def __init__(self, *, points: int, joints: int, betas: int, vertices: int):
        super().__init__()
        self.register_buffer("skinning_weight", torch.zeros(points, joints))
        self.register_buffer("shape_dirs", torch.zeros(points, 3, betas))
        for name in MASKS:
            self.register_buffer(name, torch.zeros(points, dtype=torch.bool))
        self.smplx_layer = SmplxLayer(vertices, joints, betas)

    def rest_joints(self, betas: Float[Tensor, " S"]) -> Float[Tensor, "J 3"]:
        """Joints of the zero pose with this shape."""
        layer = self.smplx_layer
        return layer.J_regressor @ (layer.v_template + blend(layer.shapedirs, betas, "betas"))

    def blended(self, transforms: Float[Tensor, "J 4 4"]) -> Float[Tensor, "N 4 4"]:
        """Each point's own transform: the weighted mean of its joints'."""
        return (self.skinning_weight @ transforms.flatten(1)).unflatten(1, (4, 4))

    def canonical(self) -> tuple[Float[Tensor, "J 4 4"], Float[Tensor, "J 4 4"]]:
        """Joint transforms of the zero pose into the canonical one, and back, at betas zero."""
        weight = self.skinning_weight
        pose = weight.new_zeros(weight.shape[1], 3)
        pose[LEFT_HIP, 2], pose[RIGHT_HIP, 2] = HIP_ANGLE_RAD, -HIP_ANGLE_RAD
        joints, parents = self.rest_joints(weight.new_zeros(0)), self.smplx_layer.parents
        there = joint_transforms(rodrigues(pose), joints, parents)
        moved = move(there, joints)
        return there, joint_transforms(rodrigues(-pose), moved, parents)


@dataclass(frozen=True)
class Posed:
    """LHM's Gaussians in V poses; `gaussians(view)` is one of them in our own type.

    Attributes:
        posed_xyz: metres. posed_rotation: unit, (w, x, y, z), w >= 0.
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


def move(transforms: Float[Tensor, "*B 4 4"], points: Float[Tensor, "*B 3"]) -> Tensor:
    """Each point by its own transform."""
    return (transforms[..., :3, :3] @ points[..., None])[..., 0] + transforms[..., :3, 3]


def zero_pose(skin: SkinnedPoints, output, betas: Float[Tensor, " S"]) -> Posed:
    """Gaussians of the zero pose (T-pose) with this shape; one view.

    Args:
        output: of `lhm.forward`.
        betas: shape, roughly N(0, 1); at most as many as the checkpoint has (10).
    """
    back = skin.blended(output.canonical_to_zero)
    points = move(back, output.query_points + output.offset)
    points = points + blend(skin.shape_dirs, betas.to(points), "betas")
    quats = _turned(skin, back[:, :3, :3], output.rotation)
    return Posed(points[None], quats[None], output.scaling, output.opacity, output.rgb)


def pose_views(
    skin: SkinnedPoints,
    output,
    betas: Float[Tensor, " S"],
    poses: Float[Tensor, "V J 3"],
    transl: Float[Tensor, "V 3"],
) -> Posed:
    """Gaussians in V poses of one shape.

    The rotation is the quaternion of the *blended*, not orthonormal matrices (PyTorch3D's formula),
    and points that are tied to the body keep the decoder's rotation: both as in training.

    Source: LHM (Qiu et al. 2025), Sec. 3.4; no pose correctives.
    """
    _check(skin, poses, transl)
    rest, joints = zero_pose(skin, output, betas).posed_xyz[0], skin.rest_joints(betas.to(poses))
    back = skin.blended(output.canonical_to_zero)
    points, quats = [], []
    for pose, shift in zip(poses, transl, strict=True):
        there = joint_transforms(rodrigues(pose), joints, skin.smplx_layer.parents)
        forth = skin.blended(there)
        points.append(move(forth, rest) + shift)
        quats.append(_turned(skin, (forth @ back)[:, :3, :3], output.rotation))
    return Posed(
        torch.stack(points), torch.stack(quats), output.scaling, output.opacity, output.rgb
    )


def _turned(skin: SkinnedPoints, matrices: Tensor, rotation: Tensor) -> Tensor:
    """`rotation` carried along by blended matrices; real part >= 0."""
    turns = _positive(matrix_to_quat(matrices))
    identity = torch.eye(4).to(turns)[0]
    turns = torch.where(skin.is_constrain_body[:, None], identity, turns)
    return _positive(F.normalize(multiply_quats(turns, rotation), dim=-1))


def _positive(quats: Tensor) -> Tensor:
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
