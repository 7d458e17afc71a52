"""Numba kernels: Gaussians given by their covariance to the picture and back (`covars=`).

The common case, quaternions and scales, has its own faster kernels in `toolkit.render.cpu.project_scales`.

Letters: m mean in the world, p mean in the camera, S world covariance (xx, xy, xz, yy, yz, zz),
J Jacobian of the pinhole, U = J R, cov = U S U^T + eps2d I, conic = cov^-1 as (a, b, c).
Scalars are float64 inside, so needles and far-away splats keep their digits; arrays are float32.
"""

import math

from numba import njit

ALPHA_MIN = 1.0 / 255.0  # a fainter pair is skipped (gsplat 1.5.3)
EXTENT = 3.33  # standard deviations; exp(-EXTENT^2 / 2) is just below ALPHA_MIN
MAX_RADIUS = 1e6  # pixels; keeps the int32 radius of a huge splat defined

_fast = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})


@_fast
def _jacobian(px, py, pz, camera):
    """Non-zero entries of J, and whether x or y was clamped to 1.3 times the frustum."""
    fx, fy, cx, cy, width, height = camera
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    rz = 1.0 / pz
    ux = min((width - cx) / fx + margin_x, max(-cx / fx - margin_x, px * rz))
    uy = min((height - cy) / fy + margin_y, max(-cy / fy - margin_y, py * rz))
    return fx * rz, -fx * ux * rz, fy * rz, -fy * uy * rz, ux != px * rz, uy != py * rz


@_fast
def _rows_times_rotation(j00, j02, j11, j12, view):
    """U = J R, row by row."""
    return (
        j00 * view[0, 0] + j02 * view[2, 0],
        j00 * view[0, 1] + j02 * view[2, 1],
        j00 * view[0, 2] + j02 * view[2, 2],
        j11 * view[1, 0] + j12 * view[2, 0],
        j11 * view[1, 1] + j12 * view[2, 1],
        j11 * view[1, 2] + j12 * view[2, 2],
    )


@_fast
def _sym_times(s, x, y, z):
    """S (x, y, z) for the packed symmetric S."""
    return (
        s[0] * x + s[1] * y + s[2] * z,
        s[1] * x + s[3] * y + s[4] * z,
        s[2] * x + s[4] * y + s[5] * z,
    )


@_fast
def _camera_point(m, view):
    return (
        view[0, 0] * m[0] + view[0, 1] * m[1] + view[0, 2] * m[2] + view[0, 3],
        view[1, 0] * m[0] + view[1, 1] * m[1] + view[1, 2] * m[2] + view[1, 3],
        view[2, 0] * m[0] + view[2, 1] * m[1] + view[2, 2] * m[2] + view[2, 3],
    )


@_fast
def project_forward(scene, lens, out, start, stop):
    """Project Gaussians start..stop of one camera; culled ones get radii 0.

    Args:
        scene: means (N,3), covariances (N,6), opacities (N,).
        lens: view, world to camera (4,4) float64; camera fx, fy, cx, cy, width, height; limits
            near, far, eps2d, radius_clip, and 1.0 if antialiased else 0.0.
        out: radii (N,2) int32, means2d (N,2), depths (N,), conics (N,3), compensations (N,).

    Source: gsplat 1.5.3, ProjectionEWA3DGSFused.cu; radius rule of arXiv 2402.00525, B.2.
    """
    means, covars, opacities = scene
    view, camera, limits = lens
    radii, means2d, depths, conics, compensations = out
    near, far, eps2d, radius_clip, antialiased = limits
    fx, fy, cx, cy, width, height = camera
    for n in range(start, stop):
        radii[n, 0] = radii[n, 1] = 0
        means2d[n, 0] = means2d[n, 1] = conics[n, 0] = conics[n, 1] = conics[n, 2] = 0.0
        compensations[n] = 0.0
        px, py, pz = _camera_point(means[n], view)
        depths[n] = pz
        if not (near <= pz <= far):
            continue
        j00, j02, j11, j12, _, _ = _jacobian(px, py, pz, camera)
        a, b, c, d, e, f = _rows_times_rotation(j00, j02, j11, j12, view)
        x0, x1, x2 = _sym_times(covars[n], a, b, c)
        y0, y1, y2 = _sym_times(covars[n], d, e, f)
        cxx, cxy, cyy = a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2, d * y0 + e * y1 + f * y2
        det_sharp = cxx * cyy - cxy * cxy
        cxx += eps2d
        cyy += eps2d
        det = cxx * cyy - cxy * cxy
        compensation = math.sqrt(max(0.0, det_sharp / det)) if det > 0 else 0.0
        opacity = opacities[n] * (compensation if antialiased > 0 else 1.0)
        if not (det > 0 and opacity >= ALPHA_MIN):
            continue
        extent = min(EXTENT, math.sqrt(2.0 * math.log(opacity / ALPHA_MIN)))
        rx = min(MAX_RADIUS, math.ceil(extent * math.sqrt(cxx)))
        ry = min(MAX_RADIUS, math.ceil(extent * math.sqrt(cyy)))
        mx, my = fx * px / pz + cx, fy * py / pz + cy
        if (
            (rx <= radius_clip and ry <= radius_clip)
            or mx + rx <= 0
            or mx - rx >= width
            or my + ry <= 0
            or my - ry >= height
        ):
            continue
        radii[n, 0], radii[n, 1] = int(rx), int(ry)
        means2d[n, 0], means2d[n, 1] = mx, my
        conics[n, 0], conics[n, 1], conics[n, 2] = cyy / det, -cxy / det, cxx / det
        compensations[n] = compensation


@_fast
def _covariance_gradient(conic, grads, compensation, limits):
    """Gradient of cov (gxx, gxy, gyy; gxy is one of the two equal entries) from conic's."""
    a, b, c = conic[0] + 0.0, conic[1] + 0.0, conic[2] + 0.0
    va, vb, vc, v_comp = grads
    vb = 0.5 * vb
    t0, t1, t2, t3 = va * a + vb * b, va * b + vb * c, vb * a + vc * b, vb * b + vc * c
    gxx, gxy, gyy = -(a * t0 + b * t2), -(a * t1 + b * t3), -(b * t1 + c * t3)
    if limits[4] > 0:
        k = v_comp * 0.5 / (compensation + 1e-6)
        shrink, det = 1.0 - compensation * compensation, a * c - b * b
        gxx += k * (shrink * a - limits[2] * det)
        gxy += k * shrink * b
        gyy += k * (shrink * c - limits[2] * det)
    return gxx, gxy, gyy


@_fast
def project_backward(scene, lens, kept, grads, sums, start, stop):
    """Add one camera's gradients to `sums`: v_means (N,3), v_covars (N,6), v_view (4,4).

    Args:
        scene, lens: as in `project_forward`, lens = (view, camera, limits).
        kept: forward's radii, conics, compensations.
        grads: v_means2d (N,2), v_depths (N,), v_conics (N,3), v_compensations (N,).
    """
    means, covars, _ = scene
    view, camera, limits = lens
    radii, conics, compensations = kept
    v_means2d, v_depths, v_conics, v_comps = grads
    v_means, v_covars, v_view = sums
    fx, fy = camera[0], camera[1]
    for n in range(start, stop):
        if radii[n, 0] == 0:
            continue
        m, s = means[n], covars[n]
        px, py, pz = _camera_point(m, view)
        j00, j02, j11, j12, clamped_x, clamped_y = _jacobian(px, py, pz, camera)
        a, b, c, d, e, f = _rows_times_rotation(j00, j02, j11, j12, view)
        gxx, gxy, gyy = _covariance_gradient(
            conics[n],
            (v_conics[n, 0], v_conics[n, 1], v_conics[n, 2], v_comps[n]),
            compensations[n],
            limits,
        )
        v_covars[n, 0] += gxx * a * a + 2 * gxy * a * d + gyy * d * d
        v_covars[n, 1] += 2 * (gxx * a * b + gxy * (a * e + b * d) + gyy * d * e)
        v_covars[n, 2] += 2 * (gxx * a * c + gxy * (a * f + c * d) + gyy * d * f)
        v_covars[n, 3] += gxx * b * b + 2 * gxy * b * e + gyy * e * e
        v_covars[n, 4] += 2 * (gxx * b * c + gxy * (b * f + c * e) + gyy * e * f)
        v_covars[n, 5] += gxx * c * c + 2 * gxy * c * f + gyy * f * f
        x0, x1, x2 = _sym_times(s, a, b, c)
        y0, y1, y2 = _sym_times(s, d, e, f)
        gxx, gxy, gyy = 2 * gxx, 2 * gxy, 2 * gyy
        u00, u01, u02 = gxx * x0 + gxy * y0, gxx * x1 + gxy * y1, gxx * x2 + gxy * y2
        u10, u11, u12 = gxy * x0 + gyy * y0, gxy * x1 + gyy * y1, gxy * x2 + gyy * y2
        v_j00 = u00 * view[0, 0] + u01 * view[0, 1] + u02 * view[0, 2]
        v_j02 = u00 * view[2, 0] + u01 * view[2, 1] + u02 * view[2, 2]
        v_j11 = u10 * view[1, 0] + u11 * view[1, 1] + u12 * view[1, 2]
        v_j12 = u10 * view[2, 0] + u11 * view[2, 1] + u12 * view[2, 2]
        rz = 1.0 / pz
        g_x, g_y = j00 * v_means2d[n, 0], j11 * v_means2d[n, 1]
        g_z = v_depths[n] - rz * (px * g_x + py * g_y)
        g_z -= rz * (j00 * v_j00 + j11 * v_j11 + j02 * v_j02 + j12 * v_j12)
        if not clamped_x:
            g_x -= fx * rz * rz * v_j02
            g_z -= rz * j02 * v_j02
        if not clamped_y:
            g_y -= fy * rz * rz * v_j12
            g_z -= rz * j12 * v_j12
        for k in range(3):
            v_means[n, k] += view[0, k] * g_x + view[1, k] * g_y + view[2, k] * g_z
            v_view[0, k] += g_x * m[k]
            v_view[1, k] += g_y * m[k]
            v_view[2, k] += g_z * m[k]
        v_view[0, 0] += j00 * u00
        v_view[0, 1] += j00 * u01
        v_view[0, 2] += j00 * u02
        v_view[1, 0] += j11 * u10
        v_view[1, 1] += j11 * u11
        v_view[1, 2] += j11 * u12
        v_view[2, 0] += j02 * u00 + j12 * u10
        v_view[2, 1] += j02 * u01 + j12 * u11
        v_view[2, 2] += j02 * u02 + j12 * u12
        v_view[0, 3] += g_x
        v_view[1, 3] += g_y
        v_view[2, 3] += g_z
