"""Numba kernels: from gradients in the picture to gradients of means, quaternions and scales.

This is the chain rule through `toolkit.render.cpu.project_forward`, written backwards line by line.
The intermediate values are computed again: that is cheaper than storing them for every Gaussian.
The mathematics and the letters are in `toolkit.render.cpu.project_shared`.

Source: gsplat 1.5.3, ProjectionEWA3DGSFused.cu.
"""

import numpy as np

from toolkit.render.cpu.jit import inline, kernel
from toolkit.render.cpu.project_shared import (
    BLOCK,
    columns_in,
    combine,
    dot,
    jacobian,
    rotation,
    spread_view,
    times_m,
    to_camera,
    u_rows,
    unit_quaternion,
)
from toolkit.render.cpu.simd import LANES, lanes, load, store, where


@kernel
def project_backward(scene, lens, forward_results, gradients, sums, columns, start, stop):
    """Add one camera's gradients to `sums`: v_means, v_quats, v_scales, v_view (4,4) float64.

    Args:
        scene, lens, columns: as in `toolkit.render.cpu.project_forward.project_forward`.
        forward_results: radii, conics, compensations.
        gradients: v_means2d (N,2), v_depths (N,), v_conics (N,3), v_compensations (N,).
    """
    means, quats, scales = scene
    v_means, v_quats, v_scales, v_view = sums
    V = spread_view(lens[0])
    lane_sums = np.zeros((12, LANES), np.float32)
    at, view_at = columns.ctypes.data, lane_sums.ctypes.data
    columns[:] = np.float32(1)
    for n in range(start, stop, BLOCK):
        count = min(BLOCK, stop - n)
        columns_in(means, quats, scales, columns, n, count)
        _gradients_in(forward_results, gradients, columns, n, count)
        for i in range(0, count, LANES):
            _backward_lanes(at, i, V, lens, view_at)
        for i in range(count):
            for k in range(3):
                v_means[n + i, k] += columns[21 + k, i]
                v_scales[n + i, k] += columns[28 + k, i]
            for k in range(4):
                v_quats[n + i, k] += columns[24 + k, i]
    for k in range(12):
        v_view[k // 4, k % 4] += lane_sums[k].sum()


@kernel
def _gradients_in(forward_results, gradients, columns, n, count):
    """Copy what the backward pass starts from into columns 10..20 and 31."""
    radii, conics, compensations = forward_results
    v_means2d, v_depths, v_conics, v_comps = gradients
    columns[31] = np.float32(0)
    for i in range(count):
        k = n + i
        columns[31, i] = 1.0 if radii[k, 0] > 0 else 0.0
        columns[10, i], columns[11, i], columns[12, i] = conics[k, 0], conics[k, 1], conics[k, 2]
        columns[13, i], columns[16, i] = compensations[k], v_depths[k]
        columns[14, i], columns[15, i] = v_means2d[k, 0], v_means2d[k, 1]
        columns[17, i], columns[18, i] = v_conics[k, 0], v_conics[k, 1]
        columns[19, i], columns[20, i] = v_conics[k, 2], v_comps[k]


@inline
def _backward_lanes(at, i, V, lens, view_at):
    """Columns 21..30: gradients of mean, quaternion, scales; adds to the view's 12 lane sums."""
    zero = lanes(0.0)
    mask = load(at, 31 * BLOCK + i) > zero
    m, p = to_camera(at, i, V)
    w, x, y, z, inv = unit_quaternion(at, i)
    R = rotation(w, x, y, z)
    s = load(at, 7 * BLOCK + i), load(at, 8 * BLOCK + i), load(at, 9 * BLOCK + i)
    # 1. As in the forward pass. An invisible Gaussian may lie at z = 0: it divides by 1 instead.
    rz = lanes(1.0) / where(mask, p[2], lanes(1.0))
    J = jacobian(p, rz, lens[1])
    U = u_rows(J, V)
    a, b = times_m(U[0], R, s), times_m(U[1], R, s)
    # 2. cov = P P^T with rows a, b: their gradients va, vb are twice the gradient of cov times P.
    gxx, gxy, gyy = _covariance_lanes(at, i, lens[2])
    va, vb = combine(gxx, a, gxy, b), combine(gxy, a, gyy, b)
    _shape_lanes(at, i, (w, x, y, z, inv, R, s), (U, va, vb), mask)
    # 3. P = U R diag(s): gradients u0, u1 of U's rows, then of J's four entries (U = J V).
    va, vb = (va[0] * s[0], va[1] * s[1], va[2] * s[2]), (vb[0] * s[0], vb[1] * s[1], vb[2] * s[2])
    u0 = dot(R[0], va), dot(R[1], va), dot(R[2], va)
    u1 = dot(R[0], vb), dot(R[1], vb), dot(R[2], vb)
    j00, j02, j11, j12 = dot(u0, V[0]), dot(u0, V[2]), dot(u1, V[1]), dot(u1, V[2])
    # 4. Gradient of the mean in the camera: through the projected mean, through depth, and
    # through 1/z and the slopes in J.
    g_x, g_y = J[0] * load(at, 14 * BLOCK + i), J[2] * load(at, 15 * BLOCK + i)
    g_z = load(at, 16 * BLOCK + i) - rz * (
        p[0] * g_x + p[1] * g_y + J[0] * j00 + J[2] * j11 + J[1] * j02 + J[3] * j12
    )
    # A clamped slope does not move with the mean, so it passes no gradient on.
    free_x = where(J[4] == p[0] * rz, rz * j02, zero)
    free_y = where(J[5] == p[1] * rz, rz * j12, zero)
    g_x, g_y = where(mask, g_x - J[0] * free_x, zero), where(mask, g_y - J[2] * free_y, zero)
    g_z = where(mask, g_z - J[1] * free_x - J[3] * free_y, zero)
    # 5. p = V m + t: on to the mean in the world, and to the view (rows of V, t in columns 3).
    for k in range(3):
        store(at, (21 + k) * BLOCK + i, V[0][k] * g_x + V[1][k] * g_y + V[2][k] * g_z)
        _add(view_at, k, g_x * m[k] + where(mask, J[0] * u0[k], zero))
        _add(view_at, 4 + k, g_y * m[k] + where(mask, J[2] * u1[k], zero))
        _add(view_at, 8 + k, g_z * m[k] + where(mask, J[1] * u0[k] + J[3] * u1[k], zero))
    _add(view_at, 3, g_x)
    _add(view_at, 7, g_y)
    _add(view_at, 11, g_z)


@inline
def _covariance_lanes(at, i, limits):
    """Twice the gradient of cov (xx, xy, yy), from the gradients of conic and compensation."""
    a, b = load(at, 10 * BLOCK + i), load(at, 11 * BLOCK + i)
    c, comp = load(at, 12 * BLOCK + i), load(at, 13 * BLOCK + i)
    va = load(at, 17 * BLOCK + i)
    vb = lanes(0.5) * load(at, 18 * BLOCK + i)  # b stands for two equal entries of the matrix
    vc = load(at, 19 * BLOCK + i)
    # The gradient of an inverse: d loss / d cov = -conic (d loss / d conic) conic.
    t0, t1, t2, t3 = va * a + vb * b, va * b + vb * c, vb * a + vc * b, vb * b + vc * c
    zero = lanes(0.0)
    gxx, gxy, gyy = zero - (a * t0 + b * t2), zero - (a * t1 + b * t3), zero - (b * t1 + c * t3)
    if limits[4] > 0:  # antialiased: compensation^2 = det before the blur / det
        k = load(at, 20 * BLOCK + i) * lanes(0.5) / (comp + lanes(1e-6))
        shrink, blur = lanes(1.0) - comp * comp, lanes(limits[2]) * (a * c - b * b)
        gxx, gxy, gyy = (
            gxx + k * (shrink * a - blur),
            gxy + k * shrink * b,
            gyy + k * (shrink * c - blur),
        )
    two = lanes(2.0)
    return two * gxx, two * gxy, two * gyy


@inline
def _shape_lanes(at, i, parts, rows, mask):
    """Columns 24..30: gradients of the quaternion and the scales."""
    w, x, y, z, inv, R, s = parts
    U, va, vb = rows
    zero, two = lanes(0.0), lanes(2.0)
    vM = (  # P = U M, so vM = U^T (va, vb)
        combine(U[0][0], va, U[1][0], vb),
        combine(U[0][1], va, U[1][1], vb),
        combine(U[0][2], va, U[1][2], vb),
    )
    v_s = (  # M = R diag(s)
        vM[0][0] * R[0][0] + vM[1][0] * R[1][0] + vM[2][0] * R[2][0],
        vM[0][1] * R[0][1] + vM[1][1] * R[1][1] + vM[2][1] * R[2][1],
        vM[0][2] * R[0][2] + vM[1][2] * R[1][2] + vM[2][2] * R[2][2],
    )
    # Gradient of R, then of the quaternion: the derivative of `rotation`, term by term.
    r00, r01, r02 = vM[0][0] * s[0], vM[0][1] * s[1], vM[0][2] * s[2]
    r10, r11, r12 = vM[1][0] * s[0], vM[1][1] * s[1], vM[1][2] * s[2]
    r20, r21, r22 = vM[2][0] * s[0], vM[2][1] * s[1], vM[2][2] * s[2]
    v_w = two * (x * (r21 - r12) + y * (r02 - r20) + z * (r10 - r01))
    v_x = two * (y * (r01 + r10) + z * (r02 + r20) + w * (r21 - r12) - two * x * (r11 + r22))
    v_y = two * (x * (r01 + r10) + z * (r12 + r21) + w * (r02 - r20) - two * y * (r00 + r22))
    v_z = two * (x * (r02 + r20) + y * (r12 + r21) + w * (r10 - r01) - two * z * (r00 + r11))
    along = v_w * w + v_x * x + v_y * y + v_z * z
    # The length of the quaternion does not matter, so the part of the gradient along it is removed.
    store(at, 24 * BLOCK + i, where(mask, (v_w - along * w) * inv, zero))
    store(at, 25 * BLOCK + i, where(mask, (v_x - along * x) * inv, zero))
    store(at, 26 * BLOCK + i, where(mask, (v_y - along * y) * inv, zero))
    store(at, 27 * BLOCK + i, where(mask, (v_z - along * z) * inv, zero))
    store(at, 28 * BLOCK + i, where(mask, v_s[0], zero))
    store(at, 29 * BLOCK + i, where(mask, v_s[1], zero))
    store(at, 30 * BLOCK + i, where(mask, v_s[2], zero))


@inline
def _add(at, k, value):
    """Add eight lanes to the k-th of the sums."""
    store(at, LANES * k, load(at, LANES * k) + value)
