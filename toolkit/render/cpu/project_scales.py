"""Numba kernels: Gaussians given by quaternion and scale to the picture and back, eight at a time.

Letters: m mean in the world, p mean in the camera, V the view's rotation, M = R diag(s),
J Jacobian of the pinhole, U = J V, P = U M (rows p, q below), cov = P P^T + eps2d I. Its
determinant is |p x q|^2 + eps2d (p p + q q) + eps2d^2: a sum of positive terms, so that needles
keep their digits in float32.

Arrays of structures are turned into columns of 64 Gaussians (`_BLOCK`), the lanes run down the
columns, and a plain loop writes the results back.
"""

import math

import numpy as np
from numba import njit

from toolkit.render.cpu.project_covars import ALPHA_MIN, EXTENT, MAX_RADIUS
from toolkit.render.cpu.simd import LANES, bigger, lanes, load, root, smaller, store, where

_BLOCK = 64
_FLOAT_MAX = np.float32(3e38)
_fast = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
_inline = njit(forceinline=True, error_model="numpy", fastmath={"contract", "nsz"})


def scratch() -> np.ndarray:
    """Columns of one block."""
    return np.empty((32, _BLOCK), np.float32)


@_inline
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@_inline
def _rotation(w, x, y, z):
    """Rows of R for a unit quaternion."""
    one, two = lanes(1.0), lanes(2.0)
    return (
        (one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y)),
        (two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x)),
        (two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y)),
    )


@_inline
def _spread_view(view):
    """Rows of V and the translation."""
    return (
        (lanes(view[0, 0]), lanes(view[0, 1]), lanes(view[0, 2])),
        (lanes(view[1, 0]), lanes(view[1, 1]), lanes(view[1, 2])),
        (lanes(view[2, 0]), lanes(view[2, 1]), lanes(view[2, 2])),
        (lanes(view[0, 3]), lanes(view[1, 3]), lanes(view[2, 3])),
    )


@_inline
def _unit_quaternion(at, i):
    w, x, y, z = (
        load(at, 3 * _BLOCK + i),
        load(at, 4 * _BLOCK + i),
        load(at, 5 * _BLOCK + i),
        load(at, 6 * _BLOCK + i),
    )
    length = bigger(root(w * w + x * x + y * y + z * z), lanes(1e-12))
    inv = lanes(1.0) / length
    return w * inv, x * inv, y * inv, z * inv, inv


@_inline
def _jacobian(p, rz, camera):
    """J's entries; the last two are the slopes x/z, y/z clamped to 1.3 times the frustum."""
    fx, fy, cx, cy, width, height = camera
    x_min, x_max = -cx / fx - 0.15 * width / fx, (width - cx) / fx + 0.15 * width / fx
    y_min, y_max = -cy / fy - 0.15 * height / fy, (height - cy) / fy + 0.15 * height / fy
    ux = smaller(bigger(p[0] * rz, lanes(x_min)), lanes(x_max))
    uy = smaller(bigger(p[1] * rz, lanes(y_min)), lanes(y_max))
    j00, j11 = lanes(fx) * rz, lanes(fy) * rz
    return j00, lanes(0.0) - j00 * ux, j11, lanes(0.0) - j11 * uy, ux, uy


@_inline
def _u_rows(J, V):
    return (
        (
            J[0] * V[0][0] + J[1] * V[2][0],
            J[0] * V[0][1] + J[1] * V[2][1],
            J[0] * V[0][2] + J[1] * V[2][2],
        ),
        (
            J[2] * V[1][0] + J[3] * V[2][0],
            J[2] * V[1][1] + J[3] * V[2][1],
            J[2] * V[1][2] + J[3] * V[2][2],
        ),
    )


@_inline
def _times_m(u, R, s):
    """Row u times M."""
    return (
        (u[0] * R[0][0] + u[1] * R[1][0] + u[2] * R[2][0]) * s[0],
        (u[0] * R[0][1] + u[1] * R[1][1] + u[2] * R[2][1]) * s[1],
        (u[0] * R[0][2] + u[1] * R[1][2] + u[2] * R[2][2]) * s[2],
    )


@_inline
def _to_camera(at, i, V):
    m = load(at, i), load(at, _BLOCK + i), load(at, 2 * _BLOCK + i)
    return m, (_dot(V[0], m) + V[3][0], _dot(V[1], m) + V[3][1], _dot(V[2], m) + V[3][2])


@_fast
def _columns_in(means, quats, scales, columns, n, count):
    for i in range(count):
        columns[0, i], columns[1, i] = means[n + i, 0], means[n + i, 1]
        columns[2, i] = means[n + i, 2]
        columns[3, i], columns[4, i] = quats[n + i, 0], quats[n + i, 1]
        columns[5, i], columns[6, i] = quats[n + i, 2], quats[n + i, 3]
        columns[7, i], columns[8, i], columns[9, i] = (
            scales[n + i, 0],
            scales[n + i, 1],
            scales[n + i, 2],
        )


@_inline
def _forward_lanes(at, i, V, camera, eps2d):
    """Columns 10..18: mean x, y, depth, a, b, c, compensation, sd x, sd y; det in 19."""
    _, p = _to_camera(at, i, V)
    w, x, y, z, _ = _unit_quaternion(at, i)
    R = _rotation(w, x, y, z)
    s = load(at, 7 * _BLOCK + i), load(at, 8 * _BLOCK + i), load(at, 9 * _BLOCK + i)
    rz = lanes(1.0) / p[2]
    J = _jacobian(p, rz, camera)
    U = _u_rows(J, V)
    a, b = _times_m(U[0], R, s), _times_m(U[1], R, s)
    cross = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    aa, bb, sharp, eps = _dot(a, a), _dot(b, b), _dot(cross, cross), lanes(eps2d)
    det = sharp + eps * (aa + bb) + eps * eps
    inv = lanes(1.0) / det
    store(at, 10 * _BLOCK + i, J[0] * p[0] + lanes(camera[2]))
    store(at, 11 * _BLOCK + i, J[2] * p[1] + lanes(camera[3]))
    store(at, 12 * _BLOCK + i, p[2])
    store(at, 13 * _BLOCK + i, (bb + eps) * inv)
    store(at, 14 * _BLOCK + i, lanes(0.0) - _dot(a, b) * inv)
    store(at, 15 * _BLOCK + i, (aa + eps) * inv)
    store(at, 16 * _BLOCK + i, root(sharp * inv))
    store(at, 17 * _BLOCK + i, root(aa + eps))
    store(at, 18 * _BLOCK + i, root(bb + eps))
    store(at, 19 * _BLOCK + i, det)


@_inline
def _whole_up(x):
    """x rounded up, at most MAX_RADIUS; x >= 0."""
    x = min(x, np.float32(MAX_RADIUS))
    down = int(x)
    return down + (np.float32(down) < x)


@_fast
def _columns_out(columns, extra, lens, out, n, count):
    """Cull, and write radii, means2d, depths, conics, compensations."""
    opacities, extents = extra
    radii, means2d, depths, conics, compensations = out
    near, far, _, radius_clip, antialiased = lens[2]
    width, height = lens[1][4], lens[1][5]
    for i in range(count):
        k = n + i
        mx, my, z, det = columns[10, i], columns[11, i], columns[12, i], columns[19, i]
        extent = extents[k]
        if antialiased > 0:
            opacity = opacities[k] * columns[16, i]
            extent = (
                min(EXTENT, math.sqrt(2 * math.log(opacity / ALPHA_MIN)))
                if opacity >= ALPHA_MIN
                else -1.0
            )
        rx, ry = _whole_up(extent * columns[17, i]), _whole_up(extent * columns[18, i])
        seen = (
            near <= z <= far
            and 0 < det < _FLOAT_MAX
            and extent >= 0
            and (rx > radius_clip or ry > radius_clip)
            and mx + rx > 0
            and mx - rx < width
            and my + ry > 0
            and my - ry < height
        )
        depths[k] = z
        radii[k, 0], radii[k, 1] = (rx, ry) if seen else (0, 0)
        means2d[k, 0], means2d[k, 1] = (mx, my) if seen else (0.0, 0.0)
        conics[k, 0], conics[k, 1], conics[k, 2] = (
            (columns[13, i], columns[14, i], columns[15, i]) if seen else (0.0, 0.0, 0.0)
        )
        compensations[k] = columns[16, i] if seen else 0.0


@_fast
def project_forward(scene, extra, lens, out, columns, start, stop):
    """Project Gaussians start..stop of one camera; culled ones get radii 0.

    Args:
        scene: means (N,3), quaternions (N,4), scales (N,3).
        extra: opacities (N,) and extents (N,) in standard deviations, negative if invisible.
        lens, out: as in `toolkit.render.cpu.project_covars.project_forward`.
        columns: from `scratch`, not shared with another thread.

    Source: gsplat 1.5.3, ProjectionEWA3DGSFused.cu; radius rule of arXiv 2402.00525, B.2.
    """
    means, quats, scales = scene
    V = _spread_view(lens[0])
    at = columns.ctypes.data
    columns[:10] = np.float32(1)
    for n in range(start, stop, _BLOCK):
        count = min(_BLOCK, stop - n)
        _columns_in(means, quats, scales, columns, n, count)
        for i in range(0, count, LANES):
            _forward_lanes(at, i, V, lens[1], lens[2][2])
        _columns_out(columns, extra, lens, out, n, count)


@_inline
def _covariance_lanes(at, i, limits):
    """Twice the gradient of cov (xx, xy, yy), from the gradients of conic and compensation."""
    a, b, c, comp = (
        load(at, 10 * _BLOCK + i),
        load(at, 11 * _BLOCK + i),
        load(at, 12 * _BLOCK + i),
        load(at, 13 * _BLOCK + i),
    )
    va, vb, vc = (
        load(at, 17 * _BLOCK + i),
        lanes(0.5) * load(at, 18 * _BLOCK + i),
        load(at, 19 * _BLOCK + i),
    )
    t0, t1, t2, t3 = va * a + vb * b, va * b + vb * c, vb * a + vc * b, vb * b + vc * c
    zero = lanes(0.0)
    gxx, gxy, gyy = zero - (a * t0 + b * t2), zero - (a * t1 + b * t3), zero - (b * t1 + c * t3)
    if limits[4] > 0:
        k = load(at, 20 * _BLOCK + i) * lanes(0.5) / (comp + lanes(1e-6))
        shrink, blur = lanes(1.0) - comp * comp, lanes(limits[2]) * (a * c - b * b)
        gxx, gxy, gyy = (
            gxx + k * (shrink * a - blur),
            gxy + k * shrink * b,
            gyy + k * (shrink * c - blur),
        )
    two = lanes(2.0)
    return two * gxx, two * gxy, two * gyy


@_inline
def _shape_lanes(at, i, parts, rows, mask):
    """Columns 24..30: gradients of the quaternion and the scales."""
    w, x, y, z, inv, R, s = parts
    U, va, vb = rows
    zero, two = lanes(0.0), lanes(2.0)
    vM = (
        (
            U[0][0] * va[0] + U[1][0] * vb[0],
            U[0][0] * va[1] + U[1][0] * vb[1],
            U[0][0] * va[2] + U[1][0] * vb[2],
        ),
        (
            U[0][1] * va[0] + U[1][1] * vb[0],
            U[0][1] * va[1] + U[1][1] * vb[1],
            U[0][1] * va[2] + U[1][1] * vb[2],
        ),
        (
            U[0][2] * va[0] + U[1][2] * vb[0],
            U[0][2] * va[1] + U[1][2] * vb[1],
            U[0][2] * va[2] + U[1][2] * vb[2],
        ),
    )
    v_s = (
        vM[0][0] * R[0][0] + vM[1][0] * R[1][0] + vM[2][0] * R[2][0],
        vM[0][1] * R[0][1] + vM[1][1] * R[1][1] + vM[2][1] * R[2][1],
        vM[0][2] * R[0][2] + vM[1][2] * R[1][2] + vM[2][2] * R[2][2],
    )
    r00, r01, r02 = vM[0][0] * s[0], vM[0][1] * s[1], vM[0][2] * s[2]
    r10, r11, r12 = vM[1][0] * s[0], vM[1][1] * s[1], vM[1][2] * s[2]
    r20, r21, r22 = vM[2][0] * s[0], vM[2][1] * s[1], vM[2][2] * s[2]
    v_w = two * (x * (r21 - r12) + y * (r02 - r20) + z * (r10 - r01))
    v_x = two * (y * (r01 + r10) + z * (r02 + r20) + w * (r21 - r12) - two * x * (r11 + r22))
    v_y = two * (x * (r01 + r10) + z * (r12 + r21) + w * (r02 - r20) - two * y * (r00 + r22))
    v_z = two * (x * (r02 + r20) + y * (r12 + r21) + w * (r10 - r01) - two * z * (r00 + r11))
    along = v_w * w + v_x * x + v_y * y + v_z * z  # normalisation removes this part
    store(at, 24 * _BLOCK + i, where(mask, (v_w - along * w) * inv, zero))
    store(at, 25 * _BLOCK + i, where(mask, (v_x - along * x) * inv, zero))
    store(at, 26 * _BLOCK + i, where(mask, (v_y - along * y) * inv, zero))
    store(at, 27 * _BLOCK + i, where(mask, (v_z - along * z) * inv, zero))
    store(at, 28 * _BLOCK + i, where(mask, v_s[0], zero))
    store(at, 29 * _BLOCK + i, where(mask, v_s[1], zero))
    store(at, 30 * _BLOCK + i, where(mask, v_s[2], zero))


@_inline
def _backward_lanes(at, i, V, lens, view_at):
    """Columns 21..30: gradients of mean, quaternion, scales; adds to the view's 12 lane sums."""
    zero = lanes(0.0)
    mask = load(at, 31 * _BLOCK + i) > zero
    m, p = _to_camera(at, i, V)
    w, x, y, z, inv = _unit_quaternion(at, i)
    R = _rotation(w, x, y, z)
    s = load(at, 7 * _BLOCK + i), load(at, 8 * _BLOCK + i), load(at, 9 * _BLOCK + i)
    rz = lanes(1.0) / where(mask, p[2], lanes(1.0))
    J = _jacobian(p, rz, lens[1])
    U = _u_rows(J, V)
    a, b = _times_m(U[0], R, s), _times_m(U[1], R, s)
    gxx, gxy, gyy = _covariance_lanes(at, i, lens[2])
    va = gxx * a[0] + gxy * b[0], gxx * a[1] + gxy * b[1], gxx * a[2] + gxy * b[2]
    vb = gxy * a[0] + gyy * b[0], gxy * a[1] + gyy * b[1], gxy * a[2] + gyy * b[2]
    _shape_lanes(at, i, (w, x, y, z, inv, R, s), (U, va, vb), mask)
    va, vb = (va[0] * s[0], va[1] * s[1], va[2] * s[2]), (vb[0] * s[0], vb[1] * s[1], vb[2] * s[2])
    u0 = _dot(R[0], va), _dot(R[1], va), _dot(R[2], va)
    u1 = _dot(R[0], vb), _dot(R[1], vb), _dot(R[2], vb)
    j00, j02, j11, j12 = _dot(u0, V[0]), _dot(u0, V[2]), _dot(u1, V[1]), _dot(u1, V[2])
    g_x, g_y = J[0] * load(at, 14 * _BLOCK + i), J[2] * load(at, 15 * _BLOCK + i)
    g_z = load(at, 16 * _BLOCK + i) - rz * (
        p[0] * g_x + p[1] * g_y + J[0] * j00 + J[2] * j11 + J[1] * j02 + J[3] * j12
    )
    free_x, free_y = (
        where(J[4] == p[0] * rz, rz * j02, zero),
        where(J[5] == p[1] * rz, rz * j12, zero),
    )
    g_x, g_y = where(mask, g_x - J[0] * free_x, zero), where(mask, g_y - J[2] * free_y, zero)
    g_z = where(mask, g_z - J[1] * free_x - J[3] * free_y, zero)
    for k in range(3):
        store(at, (21 + k) * _BLOCK + i, V[0][k] * g_x + V[1][k] * g_y + V[2][k] * g_z)
        _add(view_at, k, g_x * m[k] + where(mask, J[0] * u0[k], zero))
        _add(view_at, 4 + k, g_y * m[k] + where(mask, J[2] * u1[k], zero))
        _add(view_at, 8 + k, g_z * m[k] + where(mask, J[1] * u0[k] + J[3] * u1[k], zero))
    _add(view_at, 3, g_x)
    _add(view_at, 7, g_y)
    _add(view_at, 11, g_z)


@_inline
def _add(at, k, value):
    store(at, LANES * k, load(at, LANES * k) + value)


@_fast
def _gradients_in(kept, grads, columns, n, count):
    radii, conics, compensations = kept
    v_means2d, v_depths, v_conics, v_comps = grads
    columns[31] = np.float32(0)
    for i in range(count):
        k = n + i
        columns[31, i] = 1.0 if radii[k, 0] > 0 else 0.0
        columns[10, i], columns[11, i], columns[12, i] = conics[k, 0], conics[k, 1], conics[k, 2]
        columns[13, i], columns[16, i] = compensations[k], v_depths[k]
        columns[14, i], columns[15, i] = v_means2d[k, 0], v_means2d[k, 1]
        columns[17, i], columns[18, i] = v_conics[k, 0], v_conics[k, 1]
        columns[19, i], columns[20, i] = v_conics[k, 2], v_comps[k]


@_fast
def project_backward(scene, lens, kept, grads, sums, columns, start, stop):
    """Add one camera's gradients to `sums`: v_means, v_quats, v_scales, v_view (4,4) float64.

    Args:
        kept: forward's radii, conics, compensations.
        grads: v_means2d (N,2), v_depths (N,), v_conics (N,3), v_compensations (N,).
    """
    means, quats, scales = scene
    v_means, v_quats, v_scales, v_view = sums
    V = _spread_view(lens[0])
    lane_sums = np.zeros((12, LANES), np.float32)
    at, view_at = columns.ctypes.data, lane_sums.ctypes.data
    columns[:] = np.float32(1)
    for n in range(start, stop, _BLOCK):
        count = min(_BLOCK, stop - n)
        _columns_in(means, quats, scales, columns, n, count)
        _gradients_in(kept, grads, columns, n, count)
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
