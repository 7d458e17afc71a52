"""The body: from shape (betas) and pose to vertices and joints, in the SMPL-X layout.

    betas --shapedirs--> T-pose of this person --J_regressor--> joints
    pose --rodrigues--> a rotation per joint --chain of parents--> a transform per joint
    vertices of the T-pose --linear blend skinning--> posed vertices

The package smplx computes the same (a test compares them). This one also reads the further layers
of our body, and it shows each of the three steps in a few lines.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.body.rotations import rodrigues
from toolkit.errors import fail

NUM_JOINTS = 55
JOINT_NAMES = (
    *"pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle".split(),
    *"spine3 left_foot right_foot neck left_collar right_collar head".split(),
    *"left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist".split(),
    *"jaw left_eye right_eye".split(),
    *(
        f"{side}_{finger}{i}"
        for side in ("left", "right")
        for finger in ("index", "middle", "pinky", "ring", "thumb")
        for i in (1, 2, 3)
    ),
)


@dataclass(frozen=True)
class BodyOutput:
    """A posed body.

    Attributes:
        vertices: metres.
        joints: metres.
        transforms: of each joint; they take a point of the shaped T-pose to the pose.
    """

    vertices: Float[Tensor, "V 3"]
    joints: Float[Tensor, "J 3"]
    transforms: Float[Tensor, "J 4 4"]


@dataclass(frozen=True)
class BodyModel:
    """A body of V vertices and 55 joints: metres, y up, in the T-pose, facing +z.

    Attributes:
        v_template: vertices of the average person, metres.
        shapedirs: displacement of each vertex per unit of each beta, metres.
        expr_dirs: the same for expression coefficients.
        J_regressor: each joint as a weighted mean of vertices; rows sum to 1.
        lbs_weights: share of each joint in each vertex's motion; rows sum to 1.
        parents: row of each joint's parent; -1 for the pelvis, the root.
        faces: all triangles of the skin and the eyes.
        faces_body: triangles that a camera can see: skin without inner cavities, and the eyes.
        layers: further meshes over the same vertices, name -> triangles: "tights" (a closed suit),
            "skirt", "hair", "lashes", "mouth", "cavity"; empty for a licensed SMPL-X file.
        posedirs: pose correctives (V, 3, 486), or None where they are zero.
        extra: the file's other arrays, as numpy: vt, ft, part, masks, vertex_layer, blazepose33 and
            so on.
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
        """Vertices (V, 3) of the T-pose with this shape, metres; betas left out are zero."""
        vertices = self.v_template + blend(self.shapedirs, betas, "betas")
        if expression is None:
            return vertices
        return vertices + blend(self.expr_dirs, expression, "expression")

    def rest_joints(self, betas: Float[Tensor, " K"]) -> Float[Tensor, "J 3"]:
        """Joints of the T-pose with this shape, metres."""
        return self.J_regressor @ self.shaped(betas)

    def __call__(
        self,
        betas: Float[Tensor, " K"],
        pose: Float[Tensor, "J 3"],
        transl: Float[Tensor, "3"] | None = None,
        expression: Float[Tensor, " L"] | None = None,
    ) -> BodyOutput:
        """Pose the body; differentiable in every argument.

        Args:
            betas: shape coefficients, each roughly standard normal.
            pose: axis-angle vectors relative to the parent joint, radians; row 0 is the global
                orientation.
            transl: added to the posed body, metres.
            expression: face coefficients, about 0 to 1.

        Raises:
            InputError: a wrong number of coefficients, a pose of another shape, or NaN inside.

        Source: Loper et al. 2015, Eq. 2-4; Pavlakos et al. 2019.
        """
        check_pose(pose)
        vertices = self.shaped(betas, expression)  # (V,3)
        rotmats = rodrigues(pose)  # (J,3,3)
        joints = self.J_regressor @ vertices  # (J,V) @ (V,3) -> (J,3)
        if self.posedirs is not None:
            # Pose correctives (Eq. 3): skin bulges where joints bend. They are linear in the
            # entries of R - I, which is zero in the T-pose: 54 joints of 9 entries, 486 numbers.
            feature = (rotmats[1:] - torch.eye(3).to(rotmats)).reshape(-1)
            vertices = vertices + self.posedirs @ feature
        transforms = joint_transforms(rotmats, joints, self.parents)
        posed = lbs(vertices, self.lbs_weights, transforms)
        posed_joints = (transforms[:, :3, :3] @ joints[..., None])[..., 0] + transforms[:, :3, 3]
        if transl is not None:
            # transforms + [0 | transl], so that they still take the T-pose to the vertices returned
            shift = torch.cat([torch.zeros(3, 3), transl.reshape(3, 1)], dim=1)
            bottom = torch.zeros(1, 4)
            transforms = transforms + torch.cat([shift, bottom]).to(transforms)
            posed, posed_joints = posed + transl, posed_joints + transl
        return BodyOutput(posed, posed_joints, transforms)

    def named_betas(self, **traits: float) -> Float[Tensor, " S"]:
        """Betas of the average person with these traits, each in [0, 1].

        Names: gender (0 female, 1 male), age (0: 25 years, 1: 90 years), child, muscle, weight,
        height, proportions, cup, african, asian. Traits left out stay at the population's mean.

        Raises:
            InputError: an unknown name, or a body file without named betas.
        """
        if "named_betas" not in self.extra:
            fail(
                "Named traits",
                got="a body file without 'named_betas'",
                wanted="our body.npz",
                fix="Load the default body, or set betas directly.",
            )
        names = [str(n) for n in self.extra["named_betas_names"]]
        unknown = sorted(set(traits) - set(names))
        if unknown:
            fail("Named traits", got=unknown, wanted=f"some of {names}", fix="Check the spelling.")
        means = dict(zip(names, self.extra["named_means"], strict=True))
        # from the mean person, one linear step per trait: (10,) @ (10,S)
        steps = np.array([traits.get(n, means[n]) - means[n] for n in names], np.float32)
        return torch.from_numpy(steps @ self.extra["named_betas"])


def blend(
    directions: Float[Tensor, "V 3 S"], values: Float[Tensor, " K"], name: str
) -> Float[Tensor, "V 3"]:
    """Sum of the first len(values) directions, each times its value: (V,3,K) @ (K,) -> (V,3).

    Args:
        directions: displacement of each vertex per unit of each coefficient, metres.
        values: coefficients, at most S of them.
        name: of the coefficients, for the error message.
    """
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
    """Raise an InputError unless `pose` is 55 finite axis-angle vectors."""
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
    """Forward kinematics: the transform of each joint, which takes its points from rest to posed.

    Args:
        rotmats: rotation of each joint relative to its parent.
        joints: in the T-pose, metres.
        parents: row of each joint's parent, always a smaller one; the root is row 0.

    Source: Loper et al. 2015, Eq. 3-4.
    """
    # each joint's frame in its parent's: turned by its rotation, at the bone's offset
    offsets = torch.cat([joints[:1], joints[1:] - joints[parents[1:]]])
    bottom = torch.tensor([[[0.0, 0.0, 0.0, 1.0]]]).to(joints).expand(len(joints), 1, 4)
    local = torch.cat([torch.cat([rotmats, offsets[..., None]], dim=2), bottom], dim=1)
    world = [local[0]]
    for j, parent in enumerate(parents.tolist()[1:], start=1):  # parents come before children
        world.append(world[parent] @ local[j])
    world = torch.stack(world)  # (J,4,4): a point in the joint's frame -> the world
    # A point p of the T-pose lies at p - joint in the joint's frame, so it goes to
    # R (p - joint) + posed joint = R p + (posed joint - R joint).
    moved = world[:, :3, 3] - (world[:, :3, :3] @ joints[..., None])[..., 0]
    return torch.cat([torch.cat([world[:, :3, :3], moved[..., None]], dim=2), bottom], dim=1)


def lbs(
    points: Float[Tensor, "N 3"], weights: Float[Tensor, "N J"], transforms: Float[Tensor, "J 4 4"]
) -> Float[Tensor, "N 3"]:
    """Linear blend skinning: each point moves with the weighted mean of the joints' transforms.

    Args:
        points: in the T-pose, metres.
        weights: share of each joint in each point's motion; rows sum to 1.
        transforms: rest to posed, from `joint_transforms`.

    Source: Loper et al. 2015, Eq. 4.
    """
    # (N,J) @ (J,12) -> one (3,4) matrix [A | b] per point; the constant last rows are left out
    blended = (weights @ transforms[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
    return (blended[..., :3] @ points[..., None])[..., 0] + blended[..., 3]
