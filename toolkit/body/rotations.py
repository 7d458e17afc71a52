"""Rotations in three forms: matrices, unit quaternions (w, x, y, z) and axis-angle vectors.

What needs a gradient is written here in torch. `matrix_to_axis_angle` needs none and is scipy's.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor


def rodrigues(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of axis-angle vectors, radians. Exact and differentiable at zero.

    Source: R = I + sin(a)/a K + (1 - cos(a))/a^2 K^2.
    """
    square = (axis_angle**2).sum(-1)[..., None, None]
    small = square < 1e-8
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    first = torch.where(small, 1 - square / 6, angle.sin() / angle)
    second = torch.where(small, 0.5 - square / 24, 2 * ((angle / 2).sin() / angle) ** 2)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    K = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*axis_angle.shape, 3)
    return torch.eye(3).to(axis_angle) + first * K + second * (K @ K)


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


def matrix_to_axis_angle(rotmats: Float[np.ndarray, "*N 3 3"]) -> Float[np.ndarray, "*N 3"]:
    """Axis-angle vectors (float64, angle in [0, pi]) of rotation matrices; inverts `rodrigues`."""
    flat = np.asarray(rotmats, np.float64).reshape(-1, 3, 3)
    return Rotation.from_matrix(flat).as_rotvec().reshape(*np.shape(rotmats)[:-2], 3)
