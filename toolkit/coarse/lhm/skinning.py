"""The body that an LHM checkpoint carries: skinning, shape and masks of its query points.

Only buffers, no weights. Their names are keys of the checkpoint.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from toolkit.body.model import blend, joint_transforms
from toolkit.body.rotations import rodrigues

HIP_ANGLE_RAD = torch.pi / 9  # 20 degrees: how far each leg is spread in the canonical pose
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
    """The part of the checkpoint's body model that skinning needs."""

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
    """Skinning, shape and masks of the query points.

    Attributes:
        skinning_weight: copied from the nearest vertex; rows sum to 1.
        shape_dirs: displacement per unit of each beta, metres.
        is_...: masks over the points. Two of them are used: `is_upper_body` limits the scales (see
            `decoder`), `is_constrain_body` marks points whose Gaussians do not turn (see `posing`).
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
        """Joints of the zero pose with this shape, metres."""
        layer = self.smplx_layer
        return layer.J_regressor @ (layer.v_template + blend(layer.shapedirs, betas, "betas"))

    def blended(self, transforms: Float[Tensor, "J 4 4"]) -> Float[Tensor, "N 4 4"]:
        """Linear blend skinning: each point's transform is the weighted mean of its joints'."""
        return (self.skinning_weight @ transforms.flatten(1)).unflatten(1, (4, 4))

    def canonical(self) -> tuple[Float[Tensor, "J 4 4"], Float[Tensor, "J 4 4"]]:
        """Joint transforms of the zero pose into the canonical one, and back, at betas zero."""
        weight = self.skinning_weight
        pose = weight.new_zeros(weight.shape[1], 3)
        pose[LEFT_HIP, 2], pose[RIGHT_HIP, 2] = HIP_ANGLE_RAD, -HIP_ANGLE_RAD
        joints, parents = self.rest_joints(weight.new_zeros(0)), self.smplx_layer.parents
        to_canonical = joint_transforms(rodrigues(pose), joints, parents)
        canonical_joints = move(to_canonical, joints)
        return to_canonical, joint_transforms(rodrigues(-pose), canonical_joints, parents)


def move(
    transforms: Float[Tensor, "*B 4 4"], points: Float[Tensor, "*B 3"]
) -> Float[Tensor, "*B 3"]:
    """Each point moved by its own transform."""
    return (transforms[..., :3, :3] @ points[..., None])[..., 0] + transforms[..., :3, 3]
