"""A small copy of the body for fitting: 22 joints, the 33 photo points and a few hundred vertices.

A step of the fit takes a few milliseconds with it, instead of about 100 with the full body.
Fingers, jaw and eyes stay at rest: a photo of a whole person does not show them well enough.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from toolkit.body.model import JOINT_NAMES, BodyModel, joint_transforms, lbs
from toolkit.body.rotations import rodrigues
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES
from toolkit.photo.smplify.points import point_regressor

NUM_BODY_JOINTS = 22  # the pelvis and 21 more; joints 22 to 54 are jaw, eyes and fingers

# Photo point -> joint whose rotation moves it; points that are not listed hang on the head.
_CARRIER = {
    "shoulder": "collar",
    "elbow": "shoulder",
    "wrist": "elbow",
    "pinky": "wrist",
    "foot_index": "ankle",
    "index": "wrist",
    "thumb": "wrist",
    "knee": "hip",
    "ankle": "knee",
    "heel": "ankle",
}

# From our regressor's point to where the landmark net sees the point, in cm, in the rest axes of
# the joint that carries it; measured by tools/bake/photo_points.py. Values are for the left side,
# the right side is the mirror image.
_OFFSET_CM = {
    "nose": (0.0, 1.1, -1.8),
    "eye_inner": (-0.1, 0.6, -0.6),
    "eye": (-0.1, 0.3, -1.3),
    "eye_outer": (-0.1, 0.4, -1.4),
    "ear": (-1.8, 1.7, 2.1),
    "mouth": (-0.3, 0.6, -1.1),
    "shoulder": (0.0, 2.4, 1.0),
    "elbow": (-0.6, 0.1, 1.0),
    "wrist": (0.1, -0.2, 0.4),
    "pinky": (-0.9, 0.2, 2.9),
    "index": (-2.7, -1.4, -1.3),
    "thumb": (0.3, 0.1, -2.5),
    "hip": (-0.1, -0.5, 2.2),
    "knee": (-0.5, -0.2, -0.3),
    "ankle": (-0.1, 2.0, 1.5),
    "heel": (-1.3, 0.5, 1.8),
    "foot_index": (1.7, 1.3, -0.3),
}

# Usual distance in cm from the skin to the outside of clothes, hair or shoes, by the joint that
# moves the skin; medians over rendered people.
_CLOTH_CM = {
    "neck": 0.3,
    "head": 1.2,
    "hip": 1.6,
    "knee": 1.8,
    "ankle": 1.8,
    "foot": 1.8,
    "shoulder": 1.7,
    "elbow": 1.5,
    "wrist": 0.2,
}
_TRUNK_CLOTH_CM = 2.6


def _carrier(point: str) -> str:
    """Name of the joint whose rotation moves a photo point."""
    side, part = point.split("_", 1) if "_" in point else ("", point)
    if part == "hip":
        return "pelvis"
    return f"{side}_{_CARRIER[part]}" if part in _CARRIER else "head"


def point_offsets() -> Float[Tensor, "33 3"]:
    """From our points to the landmark net's, in metres, in the rest axes of `POINT_JOINTS`."""

    def offset(name: str) -> list[float]:
        # "left_knee" -> "knee", "mouth_left" -> "mouth"
        part = name.replace("left_", "").replace("right_", "").split("_left")[0].split("_right")[0]
        mirror = [-1.0, 1.0, 1.0] if "right" in name else [1.0, 1.0, 1.0]
        return [m * v / 100 for m, v in zip(mirror, _OFFSET_CM[part], strict=True)]

    return torch.tensor([offset(name) for name in KEYPOINT_NAMES])


def cloth_thickness(weights: Float[Tensor, "V 22"]) -> Float[Tensor, " V"]:
    """Usual thickness in metres of what a person wears over each point of the skin."""
    by_joint = [_CLOTH_CM.get(name.split("_")[-1], _TRUNK_CLOTH_CM) for name in JOINT_NAMES[:22]]
    return weights @ torch.tensor(by_joint) / 100


POINT_JOINTS = [JOINT_NAMES.index(_carrier(name)) for name in KEYPOINT_NAMES]


@dataclass(frozen=True)
class ReducedBody:
    """Points that follow betas and pose as those of the full body do; lengths in metres.

    The support points come in two groups: first `num_surface` points that sample the clothed
    surface evenly, then the K vertices that the 33 photo points are averages of.

    Attributes:
        template: rest positions of the P support points at zero betas.
        shapedirs: their displacement per unit of each beta.
        weights: their skinning weights over 22 joints.
        joints: rest positions of the joints at zero betas.
        joint_dirs: their displacement per unit of each beta.
        parents: parent of each joint.
        keypoint_weights: weight of each of the last K support points in each photo point.
        num_surface: number of support points on the clothed surface.
        offsets: from our 33 points to the landmark net's, in the rest axes of `POINT_JOINTS`.
    """

    template: Float[Tensor, "P 3"]
    shapedirs: Float[Tensor, "P 3 S"]
    weights: Float[Tensor, "P 22"]
    joints: Float[Tensor, "22 3"]
    joint_dirs: Float[Tensor, "22 3 S"]
    parents: Int[Tensor, " 22"]
    keypoint_weights: Float[Tensor, "33 K"]
    num_surface: int
    offsets: Float[Tensor, "33 3"]

    @staticmethod
    def of(body: BodyModel, spacing_m: float = 0.045) -> "ReducedBody":
        """Keep the vertices that the 33 points need, and skin vertices about `spacing_m` apart."""
        regressor = point_regressor(body)
        skin = body.faces_body.unique()
        surface = skin[spread(body.v_template[skin], spacing_m)]
        support = regressor.abs().sum(dim=0).nonzero()[:, 0]
        used = torch.cat([surface, support])
        weights = to_body_joints(body)[used]
        template = body.v_template[used].clone()
        # Surface points move out along the normal onto the clothes, which are what a mask shows.
        template[: len(surface)] += (
            vertex_normals(body)[surface] * cloth_thickness(weights[: len(surface)])[:, None]
        )
        return ReducedBody(
            template,
            body.shapedirs[used],
            weights,
            (body.J_regressor @ body.v_template)[:NUM_BODY_JOINTS],
            torch.einsum("jv,vks->jks", body.J_regressor[:NUM_BODY_JOINTS], body.shapedirs),
            body.parents[:NUM_BODY_JOINTS],
            regressor[:, support],
            len(surface),
            point_offsets(),
        )

    @property
    def outline_trust(self) -> Float[Tensor, " N"]:
        """Weight of each surface point at the mask's contour; 0.1 on the head, under the hair."""
        return 1.0 - 0.9 * self.weights[: self.num_surface, JOINT_NAMES.index("head")]

    def posed(
        self, betas: Float[Tensor, " S"], pose: Float[Tensor, "22 3"], *, surface: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pose the points by linear blend skinning; the pelvis ends at the origin.

        Args:
            betas: shape.
            pose: axis-angle rotations in radians.
            surface: False leaves the surface out (N = 0), which is several times faster.

        Returns:
            Photo points (33, 3), points of the clothed surface (N, 3), joints (22, 3), in metres.
        """
        first = 0 if surface else self.num_surface
        joints = self.joints + self.joint_dirs @ betas
        points = self.template[first:] + self.shapedirs[first:] @ betas
        transforms = joint_transforms(rodrigues(pose), joints, self.parents)
        points = lbs(points, self.weights[first:], transforms) - joints[0]
        skin, support = points.split([self.num_surface - first, self.keypoint_weights.shape[1]])
        # `transforms` are rest to posed, so rest joints go through them; offsets only rotate.
        moved = (transforms[:, :3, :3] @ joints[..., None])[..., 0] + transforms[:, :3, 3]
        shift = (transforms[POINT_JOINTS, :3, :3] @ self.offsets[..., None])[..., 0]
        return self.keypoint_weights @ support + shift, skin, moved - joints[0]


def spread(points: Float[Tensor, "V 3"], spacing_m: float) -> Int[Tensor, " N"]:
    """Indices of points that cover the set evenly: the first point in each cube of a grid."""
    cells = np.floor(points.numpy() / spacing_m).astype(np.int64)
    return torch.from_numpy(np.sort(np.unique(cells, axis=0, return_index=True)[1]))


def vertex_normals(body: BodyModel) -> Float[Tensor, "V 3"]:
    """Unit normals of the template; 0 for vertices that belong to no skin triangle."""
    corners = body.v_template[body.faces_body]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # The cross product's length is twice the area, so large triangles count more.
    total = torch.zeros_like(body.v_template)
    for corner in range(3):
        total.index_add_(0, body.faces_body[:, corner], normal)
    return functional.normalize(total, dim=1)


def to_body_joints(body: BodyModel) -> Float[Tensor, "V 22"]:
    """Skinning weights over 22 joints; fingers count for the wrists, jaw and eyes for the head."""
    weights = body.lbs_weights.clone()
    # Last joint first: a fingertip's weight passes from parent to parent up to the wrist.
    for joint in range(weights.shape[1] - 1, NUM_BODY_JOINTS - 1, -1):
        weights[:, int(body.parents[joint])] += weights[:, joint]
    return weights[:, :NUM_BODY_JOINTS]
