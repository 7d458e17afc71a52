"""Numba kernels: Gaussians given by quaternion and scales to the picture.

The mathematics and the letters are in `toolkit.render.cpu.project_shared`.

Source: gsplat 1.5.3, ProjectionEWA3DGSFused.cu; radius rule of arXiv 2402.00525, B.2.
"""

import math

import numpy as np

from toolkit.render.cpu.jit import inline, kernel
from toolkit.render.cpu.project_shared import (
    BLOCK,
    columns_in,
    dot,
    jacobian,
    rotation,
    spread_view,
    times_m,
    to_camera,
    u_rows,
    unit_quaternion,
)
from toolkit.render.cpu.rules import ALPHA_MIN, EXTENT, MAX_RADIUS
from toolkit.render.cpu.simd import LANES, lanes, load, root, store

_FLOAT_MAX = np.float32(3e38)


@kernel
def project_forward(scene, visibility, lens, out, columns, start, stop):
    """Project Gaussians start..stop of one camera; culled ones get radii 0.

    Args:
        scene: means (N,3), quaternions (N,4), scales (N,3).
        visibility: opacities (N,), and extents (N,) in standard deviations, negative if invisible.
        lens: view, world to camera (4,4) float64; camera fx, fy, cx, cy, width, height; limits
            near, far, eps2d, radius_clip, and 1.0 if antialiased else 0.0.
        out: radii (N,2) int32, means2d (N,2), depths (N,), conics (N,3), compensations (N,).
        columns: from `scratch`, not shared with another thread.
    """
    means, quats, scales = scene
    V = spread_view(lens[0])
    at = columns.ctypes.data
    columns[:10] = np.float32(1)  # lanes beyond the last Gaussian compute on harmless numbers
    for n in range(start, stop, BLOCK):
        count = min(BLOCK, stop - n)
        columns_in(means, quats, scales, columns, n, count)
        for i in range(0, count, LANES):
            _forward_lanes(at, i, V, lens[1], lens[2][2])
        _columns_out(columns, visibility, lens, out, n, count)


@inline
def _forward_lanes(at, i, V, camera, eps2d):
    """Project eight Gaussians: columns 0..9 to columns 10..19."""
    _, p = to_camera(at, i, V)
    w, x, y, z, _ = unit_quaternion(at, i)
    R = rotation(w, x, y, z)
    s = load(at, 7 * BLOCK + i), load(at, 8 * BLOCK + i), load(at, 9 * BLOCK + i)
    rz = lanes(1.0) / p[2]
    J = jacobian(p, rz, camera)
    U = u_rows(J, V)
    a, b = times_m(U[0], R, s), times_m(U[1], R, s)
    # det before the blur is |a x b|^2; cov = (a.a, a.b, b.b), with the blur added to its diagonal
    cross = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    aa, bb, sharp, eps = dot(a, a), dot(b, b), dot(cross, cross), lanes(eps2d)
    det = sharp + eps * (aa + bb) + eps * eps
    inv = lanes(1.0) / det
    # For the mean the true slope is used, not the clamped one: fx x/z + cx.
    store(at, 10 * BLOCK + i, J[0] * p[0] + lanes(camera[2]))
    store(at, 11 * BLOCK + i, J[2] * p[1] + lanes(camera[3]))
    store(at, 12 * BLOCK + i, p[2])
    # The conic is the inverse of cov; a 2 x 2 matrix is inverted by swapping its diagonal.
    store(at, 13 * BLOCK + i, (bb + eps) * inv)
    store(at, 14 * BLOCK + i, lanes(0.0) - dot(a, b) * inv)
    store(at, 15 * BLOCK + i, (aa + eps) * inv)
    # The blur makes the splat larger by sqrt(det / det before). If opacity is lowered by the same
    # factor (the 2D filter of Mip-Splatting), its total light stays the same.
    store(at, 16 * BLOCK + i, root(sharp * inv))
    store(at, 17 * BLOCK + i, root(aa + eps))
    store(at, 18 * BLOCK + i, root(bb + eps))
    store(at, 19 * BLOCK + i, det)


@kernel
def _columns_out(columns, visibility, lens, out, n, count):
    """Write radii, means2d, depths, conics, compensations; zeros for what cannot be seen."""
    opacities, extents = visibility
    radii, means2d, depths, conics, compensations = out
    near, far, _, radius_clip, antialiased = lens[2]
    width, height = lens[1][4], lens[1][5]
    for i in range(count):
        k = n + i
        mx, my, z, det = columns[10, i], columns[11, i], columns[12, i], columns[19, i]
        extent = extents[k]
        if antialiased > 0:  # the opacity, and with it the extent, depends on the projection
            opacity = opacities[k] * columns[16, i]
            extent = (
                min(EXTENT, math.sqrt(2 * math.log(opacity / ALPHA_MIN)))
                if opacity >= ALPHA_MIN
                else -1.0
            )
        rx, ry = _whole_up(extent * columns[17, i]), _whole_up(extent * columns[18, i])
        # Comparisons with NaN are false, so a broken Gaussian is not seen.
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


@inline
def _whole_up(x):
    """x rounded up, at most MAX_RADIUS; x >= 0."""
    x = min(x, np.float32(MAX_RADIUS))
    down = int(x)
    return down + (np.float32(down) < x)
