"""The body: betas and pose in, vertices and joints out, in the SMPL-X layout."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.body.rotations import rodrigues
from toolkit.errors import fail

NUM_JOINTS = 55
JOINT_NAMES = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "jaw",
    "left_eye",
    "right_eye",
    *(
        f"{side}_{finger}{i}"
        for side in ("left", "right")
        for finger in ("index", "middle", "pinky", "ring", "thumb")
        for i in (1, 2, 3)
    ),
)


@dataclass(frozen=True)
class BodyOutput:
    """A posed body. `transforms` take a point of the shaped rest body to the posed one."""

    vertices: Float[Tensor, "V 3"]
    joints: Float[Tensor, "J 3"]
    transforms: Float[Tensor, "J 4 4"]


@dataclass(frozen=True)
class BodyModel:
    """A body of V vertices and 55 joints; metres, y up, T-pose, faces +z.

    Attributes:
        shapedirs: vertex displacement per unit of each beta, m.
        expr_dirs: the same for expression coefficients.
        faces_body: triangles of what a camera sees: skin without inner cavities, and the eyes.
        layers: further meshes over the same vertices, name -> triangles: "tights" (a closed suit),
            "skirt", "hair", "lashes", "mouth", "cavity"; empty for a licensed SMPL-X file.
        posedirs: pose correctives (V, 3, 486), or None where they are zero.
        extra: the file's other arrays, as numpy: vt, ft, part, masks, vertex_layer, blazepose33,
            ...
    """

    v_template: Float[Tensor, "V 3"]
    shapedirs: Float[Tensor, "V 3 S"]
    expr_dirs: Float[Tensor, "V 3 E"]
    J_regressor: Float[Tensor, "J V"]
    lbs_weights: Float[Tensor, "V J"]
    parents: Int[Tensor, " J"]
    faces: Int[Tensor, "F 3"]
    faces_body: Int[Tensor, "F 3"]
    layers: dict[str, Tensor] = field(default_factory=dict)
    posedirs: Tensor | None = None
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def num_betas(self) -> int:
        return self.shapedirs.shape[2]

    def shaped(
        self, betas: Float[Tensor, " K"], expression: Float[Tensor, " L"] | None = None
    ) -> Tensor:
        """Vertices (V, 3) of the T-pose with this shape; betas left out are zero."""
        vertices = self.v_template + blend(self.shapedirs, betas, "betas")
        return (
            vertices
            if expression is None
            else vertices + blend(self.expr_dirs, expression, "expression")
        )

    def rest_joints(self, betas: Float[Tensor, " K"]) -> Float[Tensor, "J 3"]:
        """Joints of the shaped T-pose."""
        return self.J_regressor @ self.shaped(betas)

    def __call__(
        self,
        betas: Float[Tensor, " K"],
        pose: Float[Tensor, "J 3"],
        transl: Tensor | None = None,
        expression: Float[Tensor, " L"] | None = None,
    ) -> BodyOutput:
        """Pose the body; differentiable in every argument.

        Args:
            betas: shape, roughly N(0, 1).
            pose: axis-angle rotations relative to the parent, radians; row 0 is the global
                orientation.
            transl: added to the posed body, m.
            expression: face coefficients, about 0 to 1.

        Source: Loper et al. 2015, Eq. 2-4; Pavlakos et al. 2019.
        """
        check_pose(pose)
        vertices = self.shaped(betas, expression)
        rotmats = rodrigues(pose)
        joints = self.J_regressor @ vertices
        if self.posedirs is not None:
            feature = (rotmats[1:] - torch.eye(3).to(rotmats)).reshape(-1)
            vertices = vertices + self.posedirs @ feature
        transforms = joint_transforms(rotmats, joints, self.parents)
        posed = lbs(vertices, self.lbs_weights, transforms)
        posed_joints = (transforms[:, :3, :3] @ joints[..., None])[..., 0] + transforms[:, :3, 3]
        if transl is not None:
            shift = torch.cat([torch.zeros(3, 3), transl.reshape(3, 1)], dim=1)
            bottom = torch.zeros(1, 4)
            transforms = transforms + torch.cat([shift, bottom]).to(transforms)
            posed, posed_joints = posed + transl, posed_joints + transl
        return BodyOutput(posed, posed_joints, transforms)

    def named_betas(self, **attributes: float) -> Float[Tensor, " S"]:
        """Betas of the average person with these attributes, each in [0, 1].

        Names: gender (0 female, 1 male), age (0: 25 years, 1: 90 years), child, muscle, weight,
        height, proportions, cup, african, asian. What is not named stays at the population's mean.
        """
        if "named_betas" not in self.extra:
            fail(
                "Named attributes",
                got="a body file without 'named_betas'",
                wanted="our body.npz",
                fix="Load the default body, or set betas directly.",
            )
        names = [str(n) for n in self.extra["named_betas_names"]]
        unknown = sorted(set(attributes) - set(names))
        if unknown:
            fail(
                "Named attributes",
                got=unknown,
                wanted=f"some of {names}",
                fix="Check the spelling.",
            )
        means = dict(zip(names, self.extra["named_means"], strict=True))
        steps = np.array([attributes.get(n, means[n]) - means[n] for n in names], np.float32)
        return torch.from_numpy(steps @ self.extra["named_betas"])


def blend(
    directions: Float[Tensor, "V 3 S"], values: Float[Tensor, " K"], name: str
) -> Float[Tensor, "V 3"]:
    """Sum of the first len(values) directions, each times its value."""
    if (
        values.ndim != 1
        or values.shape[0] > directions.shape[2]
        or not torch.isfinite(values).all()
    ):
        fail(
            name,
            got=f"shape {tuple(values.shape)}, finite: {bool(torch.isfinite(values).all())}",
            wanted=f"at most {directions.shape[2]} finite numbers in one row",
            fix="Cut the list, or drop the batch axis.",
        )
    return directions[..., : values.shape[0]] @ values


def check_pose(pose: Tensor) -> None:
    if tuple(pose.shape) != (NUM_JOINTS, 3) or not torch.isfinite(pose).all():
        fail(
            "pose",
            got=f"shape {tuple(pose.shape)}, finite: {bool(torch.isfinite(pose).all())}",
            wanted="(55, 3) finite axis-angle rotations in radians",
            fix="Fill missing joints with zeros; row 0 is the global orientation.",
        )


def joint_transforms(
    rotmats: Float[Tensor, "J 3 3"], joints: Float[Tensor, "J 3"], parents: Int[Tensor, " J"]
) -> Float[Tensor, "J 4 4"]:
    """Forward kinematics: rest to posed, for a point that hangs on one joint only."""
    offsets = torch.cat([joints[:1], joints[1:] - joints[parents[1:]]])
    bottom = torch.tensor([[[0.0, 0.0, 0.0, 1.0]]]).to(joints).expand(len(joints), 1, 4)
    local = torch.cat([torch.cat([rotmats, offsets[..., None]], dim=2), bottom], dim=1)
    world = [local[0]]
    for j, parent in enumerate(parents.tolist()[1:], start=1):
        world.append(world[parent] @ local[j])
    world = torch.stack(world)
    moved = (
        world[:, :3, 3] - (world[:, :3, :3] @ joints[..., None])[..., 0]
    )  # posed minus rotated rest joint
    return torch.cat([torch.cat([world[:, :3, :3], moved[..., None]], dim=2), bottom], dim=1)


def lbs(
    points: Float[Tensor, "N 3"], weights: Float[Tensor, "N J"], transforms: Float[Tensor, "J 4 4"]
) -> Float[Tensor, "N 3"]:
    """Linear blend skinning: each point moves with the weighted mean of its joints' transforms.

    Source: Loper et al. 2015, Eq. 4.
    """
    blended = (weights @ transforms[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
    return (blended[..., :3] @ points[..., None])[..., 0] + blended[..., 3]
