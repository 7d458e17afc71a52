"""Posing Gaussians: each one moves rigidly with its anchor, `Rig.motions` says how."""

import os
import zipfile
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.model import BodyModel, check_pose, joint_transforms
from toolkit.body.rotations import matrix_to_quat, multiply_quats, nearest_rotation, rodrigues
from toolkit.errors import MissingFileError, fail
from toolkit.gaussians import Gaussians
from toolkit.run.files import atomic_path


@dataclass(frozen=True)
class RigidMotions:
    """One rotation and one translation per Gaussian: x -> rotations x + translations.

    Attributes:
        rotations: T-pose to posed.
        translations: m.
    """

    rotations: Float[Tensor, "N 3 3"]
    translations: Float[Tensor, "N 3"]

    def points(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        """Point i moved by motion i, m."""
        # products and a sum: a batched matrix product of 20,000 3x3 matrices is slower on a CPU
        return (self.rotations * points[:, None]).sum(-1) + self.translations

    def apply(self, gaussians: Gaussians) -> Gaussians:
        """Centres moved, orientations turned; scales, opacities and colours stay."""
        quats = multiply_quats(matrix_to_quat(self.rotations), gaussians.quats)
        return gaussians.replace(
            means=self.points(gaussians.means), quats=torch.nn.functional.normalize(quats, dim=-1)
        )

    def inverse(self) -> "RigidMotions":
        """The motions back."""
        back = self.rotations.mT
        return RigidMotions(back, -(back * self.translations[:, None]).sum(-1))


@dataclass(frozen=True)
class Rig:
    """How N Gaussians hang on 55 joints, in the T-pose of one shaped body.

    Attributes:
        anchors_rest: surface point of each Gaussian, m.
        lbs_weights: rows sum to 1.
        joints: rest joints of the shaped body, m.
        betas: the shape they belong to.
    """

    anchors_rest: Float[Tensor, "N 3"]
    lbs_weights: Float[Tensor, "N J"]
    joints: Float[Tensor, "J 3"]
    parents: Int[Tensor, " J"]
    betas: Float[Tensor, " S"]

    @classmethod
    def build(cls, body: BodyModel, anchors: Anchors, betas: Float[Tensor, " S"]) -> "Rig":
        """The rig of `anchors` on the body with this shape."""
        betas = betas.detach()
        return cls(
            anchors.shaped(betas), anchors.lbs_weights, body.rest_joints(betas), body.parents, betas
        )

    def __len__(self) -> int:
        return self.anchors_rest.shape[0]

    def to(self, device) -> "Rig":
        return Rig(*(getattr(self, f.name).to(device) for f in fields(self)))

    def motions(
        self, pose: Float[Tensor, "J 3"], transl: Float[Tensor, "3"] | None = None
    ) -> RigidMotions:
        """How each Gaussian moves, rigidly, from the T-pose to `pose`.

        The anchor moves by linear blend skinning. The Gaussian's offset from its anchor and its
        orientation turn by the *rotation* nearest to the blend, so neither shrinks at a joint.
        This is the only place where Gaussians are posed. Differentiable in the pose.

        Args:
            pose: axis-angle, radians; row 0 is the global orientation.
            transl: added to the posed means, m.

        Source: LHM (Qiu et al. 2025), Sec. 3.4; linear blend skinning: Loper et al. 2015, Eq. 4.
        """
        check_pose(pose)
        transforms = joint_transforms(rodrigues(pose), self.joints, self.parents)
        blended = (self.lbs_weights @ transforms[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
        rotations = nearest_rotation(blended[:, :, :3])
        rest = self.anchors_rest[:, None]
        # R (x - anchor) + posed anchor = R x + t: the anchor's blend less its own rotation
        translations = ((blended[..., :3] - rotations) * rest).sum(-1) + blended[..., 3]
        return RigidMotions(rotations, translations if transl is None else translations + transl)


def pose_gaussians(
    gaussians: Gaussians,
    rig: Rig,
    pose: Float[Tensor, "J 3"],
    transl: Float[Tensor, "3"] | None = None,
) -> Gaussians:
    """Carry Gaussians of the T-pose to `pose`: `rig.motions(pose, transl).apply(gaussians)`.

    Differentiable in the Gaussians and in the pose; see `Rig.motions` for the arguments.
    """
    if len(gaussians) != len(rig):
        fail(
            "pose_gaussians",
            got=f"{len(gaussians)} Gaussians, {len(rig)} anchors",
            wanted="one each",
            fix="Use the rig that was made with these Gaussians.",
        )
    return rig.motions(pose, transl).apply(gaussians)


@dataclass(frozen=True)
class Avatar:
    """Gaussians in the T-pose and the rig that moves them: everything a re-pose needs."""

    gaussians: Gaussians
    rig: Rig

    def posed(
        self, pose: Float[Tensor, "J 3"], transl: Float[Tensor, "3"] | None = None
    ) -> Gaussians:
        """The avatar in this pose; see `pose_gaussians`."""
        return pose_gaussians(self.gaussians, self.rig, pose, transl)

    def save(self, path: str | os.PathLike) -> None:
        """Write an npz of plain arrays; skinning keeps full precision."""
        arrays = {
            f"{part}_{f.name}": getattr(owner, f.name).detach().cpu().numpy()
            for part, owner in (("gaussians", self.gaussians), ("rig", self.rig))
            for f in fields(owner)
        }
        with atomic_path(path) as tmp, open(tmp, "wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Avatar":
        """Read what `save` wrote.

        Raises:
            MissingFileError: no such file.
            InputError: not an avatar file.
        """
        if not os.path.isfile(path):
            raise MissingFileError(
                f"{path} does not exist. Make it with: python -m toolkit avatar PHOTO --out DIR"
            )
        try:
            with np.load(path, allow_pickle=False) as file:
                gaussians, rig = (
                    kind(**{f.name: torch.tensor(file[f"{part}_{f.name}"]) for f in fields(kind)})
                    for part, kind in (("gaussians", Gaussians), ("rig", Rig))
                )
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            fail(
                f"{path}",
                got=f"{type(error).__name__}: {error}",
                wanted="an avatar.npz",
                fix="Make it again with: python -m toolkit avatar PHOTO --out DIR",
            )
        return cls(gaussians, rig)
