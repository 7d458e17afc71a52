"""Posing Gaussians: means by linear blend skinning, orientations by the rotation in the blend."""

import os
import zipfile
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.assets import atomic_path
from toolkit.body.anchors import Anchors
from toolkit.body.model import BodyModel, check_pose, joint_transforms, rodrigues
from toolkit.errors import MissingFileError, fail
from toolkit.gaussians import Gaussians


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


def pose_gaussians(
    gaussians: Gaussians,
    rig: Rig,
    pose: Float[Tensor, "J 3"],
    transl: Float[Tensor, "3"] | None = None,
) -> Gaussians:
    """Carry Gaussians of the T-pose to `pose`.

    The anchor moves by linear blend skinning. The Gaussian's offset from its anchor and its
    orientation turn by the *rotation* nearest to the blend, so neither shrinks at a joint; scales
    stay as they are.
    Differentiable in the Gaussians and in the pose.

    Args:
        pose: axis-angle, radians; row 0 is the global orientation.
        transl: added to the posed means, m.

    Source: LHM (Qiu et al. 2025), Sec. 3.4; the nearest rotation by quaternion blending of the
        joints.
    """
    check_pose(pose)
    if len(gaussians) != len(rig):
        fail(
            "pose_gaussians",
            got=f"{len(gaussians)} Gaussians, {len(rig)} anchors",
            wanted="one each",
            fix="Use the rig that was made with these Gaussians.",
        )
    transforms = joint_transforms(rodrigues(pose), rig.joints, rig.parents)
    blended = (rig.lbs_weights @ transforms[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
    rotations = nearest_rotation(blended[:, :, :3])
    anchors = (blended[..., :3] @ rig.anchors_rest[..., None])[..., 0] + blended[..., 3]
    offsets = gaussians.means - rig.anchors_rest
    means = anchors + (rotations @ offsets[..., None])[..., 0]
    means = means if transl is None else means + transl
    quats = multiply_quats(matrix_to_quat(rotations), gaussians.quats)
    return gaussians.replace(means=means, quats=torch.nn.functional.normalize(quats, dim=-1))


def nearest_rotation(
    matrices: Float[Tensor, "N 3 3"], num_iterations: int = 7
) -> Float[Tensor, "N 3 3"]:
    """The rotation nearest to each blend of rotations (its polar factor), by Newton's iteration.

    Blends at a joint keep a positive determinant, and seven steps bring them to float32 accuracy;
    unlike an SVD the gradient has no poles where singular values coincide, which is everywhere off
    the joints.
    Source: Higham 1986, Eq. 3.1.
    """
    entries = matrices.flatten(1).T.contiguous()  # (9, N): whole columns are much faster on a CPU
    for _ in range(num_iterations):
        entries = 0.5 * (entries + _inverse_transpose(entries))
    return entries.T.reshape(-1, 3, 3)


def _inverse_transpose(entries: Float[Tensor, "9 N"]) -> Float[Tensor, "9 N"]:
    """Cofactors over determinant of matrices given by their nine entries."""
    a, b, c, d, e, f, g, h, i = entries
    cofactors = [e * i - f * h, f * g - d * i, d * h - e * g,
                 c * h - b * i, a * i - c * g, b * g - a * h,
                 b * f - c * e, c * d - a * f, a * e - b * d]  # fmt: skip
    determinant = a * cofactors[0] + b * cofactors[1] + c * cofactors[2]
    return torch.stack(cofactors) / determinant.clamp_min(1e-6)


def matrix_to_quat(matrices: Float[Tensor, "*N 3 3"]) -> Float[Tensor, "*N 4"]:
    """Unit quaternions (w, x, y, z) of rotation matrices, stable for every rotation.

    Of the four equivalent forms (one per component) the one with the largest divisor is taken.
    Source: Shepperd 1978.
    """
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrices.flatten(-2).unbind(-1)
    squares = torch.stack(
        [1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], dim=-1
    )  # 4 times each component squared
    forms = torch.stack(
        [
            torch.stack([squares[..., 0], m21 - m12, m02 - m20, m10 - m01], -1),
            torch.stack([m21 - m12, squares[..., 1], m10 + m01, m02 + m20], -1),
            torch.stack([m02 - m20, m10 + m01, squares[..., 2], m12 + m21], -1),
            torch.stack([m10 - m01, m20 + m02, m21 + m12, squares[..., 3]], -1),
        ],
        dim=-2,
    )
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    return torch.nn.functional.normalize(forms.gather(-2, best)[..., 0, :], dim=-1)


def multiply_quats(
    left: Float[Tensor, "*N 4"], right: Float[Tensor, "*N 4"]
) -> Float[Tensor, "*N 4"]:
    """Hamilton product, wxyz: first `right`, then `left`."""
    lw, lv = left[..., :1], left[..., 1:]
    rw, rv = right[..., :1], right[..., 1:]
    return torch.cat(
        [lw * rw - (lv * rv).sum(-1, keepdim=True), lw * rv + rw * lv + torch.linalg.cross(lv, rv)],
        dim=-1,
    )


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
                    kind(
                        **{f.name: torch.tensor(file[f"{part}_{f.name}"]) for f in fields(kind)}
                    )
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
