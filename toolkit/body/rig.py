r"""Posing: where the Gaussians of the T-pose go when the body takes a pose.

    T-pose                              posed

        x  centre                             x'  centre = a' + R (x - a)
        |                                    /
        |  offset                           /  offset, turned by R
    ----a-------- skin                     a'  anchor = A a + b
        anchor                              \
                                             \ skin

Each Gaussian hangs on one anchor, a point of the skin that lies under it. Three steps pose it:

1. **Blend.** The anchor's skinning weights average the transforms of the 55 joints into one affine
   map, y -> A y + b.
2. **Anchor.** The map moves the anchor, a' = A a + b, as it would move a vertex of the body: linear
   blend skinning.
3. **Offset and orientation.** R, the rotation nearest to A, turns the offset, x' = a' + R (x - a),
   and the Gaussian's own axes.

Why R and not A? An average of rotations is not a rotation. Half way between a joint that rests and
one that is bent by 90 degrees, A shrinks everything across the axis to cos 45 = 0.71 of its length.
It would flatten the ellipsoids there, so that their scales no longer mean metres, and pull hair and
cloth towards the joint. R moves each Gaussian like a rigid thing: its scales and its distance from
the anchor stay, and the motion can be inverted, which un-posing needs.

Together, x' = R x + t with t = a' - R a: one rotation and one translation per Gaussian, which is
what `Rig.motions` returns. This is the only place where Gaussians are posed, except that LHM's own
network poses its output by its own rule (`coarse/lhm/posing.py`) before it becomes an avatar.
"""

import os
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.avatar_file import read_avatar_file
from toolkit.body.model import BodyModel, check_pose, joint_transforms
from toolkit.body.rotations import matrix_to_quat, multiply_quats, nearest_rotation, rodrigues
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.run.files import atomic_path


@dataclass(frozen=True)
class RigidMotions:
    """One rotation R and one translation t per Gaussian: Gaussian i goes to R_i x_i + t_i.

    Attributes:
        rotations: turn directions of the T-pose into those of the pose.
        translations: added after the rotation, metres.
    """

    rotations: Float[Tensor, "N 3 3"]
    translations: Float[Tensor, "N 3"]

    def points(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        """Move point i by motion i, metres."""
        # (N,3,3) * (N,1,3), summed over the columns, is R x. A batched matrix product of 20,000
        # matrices of 3x3 would give the same, but slower on a CPU.
        return (self.rotations * points[:, None]).sum(-1) + self.translations

    def apply(self, gaussians: Gaussians) -> Gaussians:
        """Move the centres and turn the orientations; scales, opacities and colours stay.

        Spherical harmonics are not turned. Ours have degree 0 and need no turning; view-dependent
        colours of other systems' Gaussians keep looking in the directions of the T-pose.
        """
        # first the Gaussian's own orientation, then the motion's rotation
        quats = multiply_quats(matrix_to_quat(self.rotations), gaussians.quats)
        return gaussians.replace(
            means=self.points(gaussians.means), quats=torch.nn.functional.normalize(quats, dim=-1)
        )

    def inverse(self) -> "RigidMotions":
        """The motions back, x = R^T (x' - t): rotations R^T, translations -R^T t."""
        back = self.rotations.mT  # the inverse of a rotation is its transpose
        return RigidMotions(back, -(back * self.translations[:, None]).sum(-1))


@dataclass(frozen=True)
class Rig:
    """How N Gaussians hang on the 55 joints of one shaped body.

    Attributes:
        anchors_rest: each Gaussian's anchor in the T-pose, metres.
        lbs_weights: share of each joint in each anchor's motion; rows sum to 1.
        joints: joints of the shaped body in the T-pose, metres.
        parents: row of each joint's parent; -1 for the root.
        betas: the shape of this body.
    """

    anchors_rest: Float[Tensor, "N 3"]
    lbs_weights: Float[Tensor, "N J"]
    joints: Float[Tensor, "J 3"]
    parents: Int[Tensor, " J"]
    betas: Float[Tensor, " S"]

    @classmethod
    def build(cls, body: BodyModel, anchors: Anchors, betas: Float[Tensor, " S"]) -> "Rig":
        """The rig of `anchors` on the body with this shape.

        Args:
            betas: shape coefficients; their gradient stops here, because an avatar keeps the shape
                with which it was made.
        """
        betas = betas.detach()
        return cls(
            anchors.shaped(betas), anchors.lbs_weights, body.rest_joints(betas), body.parents, betas
        )

    def __len__(self) -> int:
        return self.anchors_rest.shape[0]

    def to(self, device: torch.device | str) -> "Rig":
        return Rig(*(getattr(self, f.name).to(device) for f in fields(self)))

    def motions(
        self, pose: Float[Tensor, "J 3"], transl: Float[Tensor, "3"] | None = None
    ) -> RigidMotions:
        """How each Gaussian moves from the T-pose to `pose`; the module's text derives it.

        Differentiable in the pose and the translation.

        Args:
            pose: axis-angle vectors relative to the parent joint, radians; row 0 is the global
                orientation.
            transl: moves the posed person as a whole, metres; left out: no movement.

        Returns:
            One rotation and one translation per Gaussian.

        Raises:
            InputError: the pose has another shape, or NaN inside.

        Source: LHM (Qiu et al. 2025), Sec. 3.4; linear blend skinning: Loper et al. 2015, Eq. 4.
        """
        check_pose(pose)
        # Forward kinematics: (J,3) axis-angle -> (J,3,3) matrices -> (J,4,4) rest to posed.
        transforms = joint_transforms(rodrigues(pose), self.joints, self.parents)
        # Step 1, the blend: sum_j w_j [R_j | t_j]. The last row of a transform is always 0 0 0 1,
        # so 3 x 4 = 12 numbers per joint do: (N,J) @ (J,12) -> (N,12) -> (N,3,4) = [A | b].
        blended = (self.lbs_weights @ transforms[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
        # Step 3, the rotation: (N,3,3). It equals A where the weights are all on one joint.
        rotations = nearest_rotation(blended[:, :, :3])
        rest = self.anchors_rest[:, None]  # (N,1,3), to be multiplied with each row of a matrix
        # Step 2, the anchor: t = a' - R a = (A a + b) - R a = (A - R) a + b, (N,3).
        translations = ((blended[..., :3] - rotations) * rest).sum(-1) + blended[..., 3]
        return RigidMotions(rotations, translations if transl is None else translations + transl)


def pose_gaussians(
    gaussians: Gaussians,
    rig: Rig,
    pose: Float[Tensor, "J 3"],
    transl: Float[Tensor, "3"] | None = None,
) -> Gaussians:
    """Carry Gaussians of the T-pose to `pose`: `rig.motions(pose, transl).apply(gaussians)`.

    Differentiable in the Gaussians, the pose and the translation.

    Args:
        gaussians: in the T-pose, in the order of the rig's anchors.
        rig: of the same number of anchors.
        pose, transl: see `Rig.motions`.

    Returns:
        The Gaussians in the pose, in the same order.

    Raises:
        InputError: the numbers of Gaussians and anchors differ.
    """
    if len(gaussians) != len(rig):
        fail(
            "pose_gaussians",
            got=f"{len(gaussians)} Gaussians, {len(rig)} anchors",
            wanted="one Gaussian per anchor",
            fix="Use the rig that was made with these Gaussians.",
        )
    return rig.motions(pose, transl).apply(gaussians)


@dataclass(frozen=True)
class Avatar:
    """Gaussians in the T-pose and the rig that moves them: all that is needed to pose a person."""

    gaussians: Gaussians
    rig: Rig

    def posed(
        self, pose: Float[Tensor, "J 3"], transl: Float[Tensor, "3"] | None = None
    ) -> Gaussians:
        """The avatar in this pose; see `pose_gaussians`."""
        return pose_gaussians(self.gaussians, self.rig, pose, transl)

    def save(self, path: str | os.PathLike) -> None:
        """Write an npz file of plain arrays in full precision.

        A PLY file holds the Gaussians only; the npz also holds the rig, so it can be posed again.
        """
        arrays = {  # "gaussians_means", ..., "rig_anchors_rest", ...
            f"{part}_{f.name}": getattr(owner, f.name).detach().cpu().numpy()
            for part, owner in (("gaussians", self.gaussians), ("rig", self.rig))
            for f in fields(owner)
        }
        # an open file, because numpy would append .npz to a path, and the temporary name must stay
        with atomic_path(path) as tmp, open(tmp, "wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Avatar":
        """Read what `save` wrote.

        Raises:
            MissingFileError: there is no such file.
            InputError: the file is not an avatar, or damaged; names the array.
        """
        arrays = read_avatar_file(path)
        gaussians, rig = (
            kind(**{f.name: torch.tensor(arrays[f"{part}_{f.name}"]) for f in fields(kind)})
            for part, kind in (("gaussians", Gaussians), ("rig", Rig))
        )
        return cls(gaussians, rig)
