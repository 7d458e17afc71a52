"""Rotations in three forms: matrices, unit quaternions (w, x, y, z) and axis-angle vectors.

Conversions that need a gradient are written here in torch, since scipy has none;
`matrix_to_axis_angle` needs none and is scipy's. An axis-angle vector points along the axis of the
rotation, and its length is the angle in radians: the form in which poses are stored.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor


def rodrigues(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of axis-angle vectors, radians; exact and differentiable at zero, too.

    Source: Rodrigues' formula, R = I + sin(a)/a K + (1 - cos(a))/a^2 K^2, where a is the angle and
    K the matrix with K y = axis_angle x y (the cross product).
    """
    square = (axis_angle**2).sum(-1)[..., None, None]  # a^2, (*batch,1,1)
    # Below an angle of 1e-4 the two factors come from their Taylor series. The angle is replaced by
    # 1 there, because 0/0 in the branch that `where` drops would still make the gradient NaN.
    small = square < 1e-8
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    first = torch.where(small, 1 - square / 6, angle.sin() / angle)
    # 1 - cos(a) = 2 sin(a/2)^2, without the cancellation of 1 - cos(a) at small angles
    second = torch.where(small, 0.5 - square / 24, 2 * ((angle / 2).sin() / angle) ** 2)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    K = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*axis_angle.shape, 3)
    return torch.eye(3).to(axis_angle) + first * K + second * (K @ K)


def nearest_rotation(
    matrices: Float[Tensor, "N 3 3"], num_iterations: int = 7
) -> Float[Tensor, "N 3 3"]:
    """The rotation nearest to each blend of rotations, by Newton's iteration X <- (X + X^-T) / 2.

    A rotation is its own inverse transpose, so it stays as it is. Any other matrix A = R S (S
    symmetric, positive) has its stretch S pulled towards the identity in each step, until R, its
    polar factor, is left. The usual way is an SVD, but its gradient divides by the differences of
    the singular values; those are all 1, so the differences are 0, wherever one joint alone moves
    the skin.

    Args:
        matrices: blends of rotations; skinning keeps their determinants positive.
        num_iterations: the error squares in each; seven reach float32 accuracy.

    Source: Higham 1986, Eq. 3.1.
    """
    entries = matrices.flatten(1).T.contiguous()  # (9, N): whole columns are much faster on a CPU
    for _ in range(num_iterations):
        entries = 0.5 * (entries + _inverse_transpose(entries))
    return entries.T.reshape(-1, 3, 3)


def _inverse_transpose(entries: Float[Tensor, "9 N"]) -> Float[Tensor, "9 N"]:
    """Inverse transposes, that is cofactors / determinant; row k holds entry k of every matrix."""
    a, b, c, d, e, f, g, h, i = entries
    cofactors = [e * i - f * h, f * g - d * i, d * h - e * g,
                 c * h - b * i, a * i - c * g, b * g - a * h,
                 b * f - c * e, c * d - a * f, a * e - b * d]  # fmt: skip
    determinant = a * cofactors[0] + b * cofactors[1] + c * cofactors[2]
    return torch.stack(cofactors) / determinant.clamp_min(1e-6)


def matrix_to_quat(matrices: Float[Tensor, "*N 3 3"]) -> Float[Tensor, "*N 4"]:
    """Unit quaternions (w, x, y, z) of rotation matrices, stable for every rotation.

    Four formulas give the same quaternion up to its length; formula k divides by component k. The
    one with the largest component is taken, so that nothing is divided by almost zero. q and -q are
    the same rotation; either may come out.

    Source: Shepperd 1978.
    """
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrices.flatten(-2).unbind(-1)
    squares = torch.stack(
        [1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], dim=-1
    )  # 4 w^2, 4 x^2, 4 y^2, 4 z^2
    # row k of (*N,4,4) is 4 q_k (w, x, y, z); normalising removes the factor 4 q_k
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
    """Hamilton product of quaternions (w, x, y, z): the rotation `right` followed by `left`."""
    lw, lv = left[..., :1], left[..., 1:]
    rw, rv = right[..., :1], right[..., 1:]
    return torch.cat(
        [lw * rw - (lv * rv).sum(-1, keepdim=True), lw * rv + rw * lv + torch.linalg.cross(lv, rv)],
        dim=-1,
    )


def matrix_to_axis_angle(rotmats: Float[np.ndarray, "*N 3 3"]) -> Float[np.ndarray, "*N 3"]:
    """Axis-angle vectors of rotation matrices, float64, angles in [0, pi]; inverts `rodrigues`."""
    flat = np.asarray(rotmats, np.float64).reshape(-1, 3, 3)
    return Rotation.from_matrix(flat).as_rotvec().reshape(*np.shape(rotmats)[:-2], 3)


def rotation_about(axis: str, angles_rad: Float[np.ndarray, " T"]) -> Float[np.ndarray, "T 3 3"]:
    """Rotation matrices about one coordinate axis, "x", "y" or "z".

    scipy's `from_euler` goes through quaternions, whose last bits differ from those with which the
    shipped clips were made.
    """
    i = "xyz".index(axis)
    a, b = (i + 1) % 3, (i + 2) % 3  # the two axes that turn, in right-handed order
    out = np.tile(np.eye(3), (len(angles_rad), 1, 1))
    out[:, a, a] = out[:, b, b] = np.cos(angles_rad)
    out[:, b, a], out[:, a, b] = np.sin(angles_rad), -np.sin(angles_rad)
    return out


def partial_rotation(
    rotmats: Float[np.ndarray, "T 3 3"], share: float
) -> Float[np.ndarray, "T 3 3"]:
    """Rotations about the same axes by `share` of the angles."""
    return rodrigues(torch.from_numpy(matrix_to_axis_angle(rotmats) * share)).numpy()
