"""Numba kernels: Gaussians given by their covariance to the picture and back (`covars=`).

The usual case, quaternions and scales, has faster kernels of its own; the mathematics is the same
and is explained there, in `toolkit.render.cpu.project_shared`.

Letters: m mean in the world, p mean in the camera, S world covariance (xx, xy, xz, yy, yz, zz),
J Jacobian of the pinhole, U = J V with V the view's rotation and rows (a, b, c) and (d, e, f),
cov = U S U^T + eps2d I, conic = cov^-1 as (a, b, c).

Scalars are float64 inside: the determinant of a needle's cov is a difference of large numbers. (The
faster kernels avoid this difference, and can then compute in float32.) Arrays are float32.

Source: gsplat 1.5.3, ProjectionEWA3DGSFused.cu; radius rule of arXiv 2402.00525, B.2.
"""

import math

from toolkit.render.cpu.jit import inline, kernel
from toolkit.render.cpu.rules import ALPHA_MIN, EXTENT, MAX_RADIUS


@kernel
def _jacobian(px, py, pz, camera):
    """J's entries 00, 02, 11, 12, and whether x or y was clamped to 1.3 times the frustum."""
    fx, fy, cx, cy, width, height = camera
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    rz = 1.0 / pz
    ux = min((width - cx) / fx + margin_x, max(-cx / fx - margin_x, px * rz))
    uy = min((height - cy) / fy + margin_y, max(-cy / fy - margin_y, py * rz))
    return fx * rz, -fx * ux * rz, fy * rz, -fy * uy * rz, ux != px * rz, uy != py * rz


@kernel
def _u_rows(j00, j02, j11, j12, view):
    """U = J V, row by row."""
    return (
        j00 * view[0, 0] + j02 * view[2, 0],
        j00 * view[0, 1] + j02 * view[2, 1],
        j00 * view[0, 2] + j02 * view[2, 2],
        j11 * view[1, 0] + j12 * view[2, 0],
        j11 * view[1, 1] + j12 * view[2, 1],
        j11 * view[1, 2] + j12 * view[2, 2],
    )


@kernel
def _sym_times(s, x, y, z):
    """S (x, y, z) for the packed symmetric S."""
    return (
        s[0] * x + s[1] * y + s[2] * z,
        s[1] * x + s[3] * y + s[4] * z,
        s[2] * x + s[4] * y + s[5] * z,
    )


@kernel
def _camera_point(m, view):
    """p = V m + t."""
    return (
        view[0, 0] * m[0] + view[0, 1] * m[1] + view[0, 2] * m[2] + view[0, 3],
        view[1, 0] * m[0] + view[1, 1] * m[1] + view[1, 2] * m[2] + view[1, 3],
        view[2, 0] * m[0] + view[2, 1] * m[1] + view[2, 2] * m[2] + view[2, 3],
    )


@inline
def _sharp_covariance(covars, n, px, py, pz, camera, view):
    """xx, xy, yy of U S U^T, the covariance in the picture before the blur."""
    j00, j02, j11, j12, _, _ = _jacobian(px, py, pz, camera)
    a, b, c, d, e, f = _u_rows(j00, j02, j11, j12, view)
    x0, x1, x2 = _sym_times(covars[n], a, b, c)
    y0, y1, y2 = _sym_times(covars[n], d, e, f)
    return a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2, d * y0 + e * y1 + f * y2


@kernel
def project_covars_forward(scene, lens, out, start, stop):
    """Project Gaussians start..stop of one camera; culled ones get radii 0.

    Args:
        scene: means (N,3), covariances (N,6), opacities (N,).
        lens: view, world to camera (4,4) float64; camera fx, fy, cx, cy, width, height; limits
            near, far, eps2d, radius_clip, and 1.0 if antialiased else 0.0.
        out: radii (N,2) int32, means2d (N,2), depths (N,), conics (N,3), compensations (N,).
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
        cxx, cxy, cyy = _sharp_covariance(covars, n, px, py, pz, camera, view)
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


@kernel
def _covariance_gradient(conic, gradients, compensation, limits):
    """Gradient of cov (gxx, gxy, gyy; gxy is one of the two equal entries) from conic's."""
    a, b, c = conic[0] + 0.0, conic[1] + 0.0, conic[2] + 0.0  # + 0.0 makes them float64
    va, vb, vc, v_comp = gradients
    vb = 0.5 * vb  # b stands for two equal entries
    # The gradient of an inverse: d loss / d cov = -conic (d loss / d conic) conic.
    t0, t1, t2, t3 = va * a + vb * b, va * b + vb * c, vb * a + vc * b, vb * b + vc * c
    gxx, gxy, gyy = -(a * t0 + b * t2), -(a * t1 + b * t3), -(b * t1 + c * t3)
    if limits[4] > 0:  # antialiased: compensation^2 = det before the blur / det
        k = v_comp * 0.5 / (compensation + 1e-6)
        shrink, det = 1.0 - compensation * compensation, a * c - b * b
        gxx += k * (shrink * a - limits[2] * det)
        gxy += k * shrink * b
        gyy += k * (shrink * c - limits[2] * det)
    return gxx, gxy, gyy


@kernel
def project_covars_backward(scene, lens, forward_results, gradients, sums, start, stop):
    """Add one camera's gradients to `sums`: v_means (N,3), v_covars (N,6), v_view (4,4).

    Args:
        scene, lens: as in `project_covars_forward`.
        forward_results: radii, conics, compensations.
        gradients: v_means2d (N,2), v_depths (N,), v_conics (N,3), v_compensations (N,).
    """
    means, covars, _ = scene
    view, camera, limits = lens
    radii, conics, compensations = forward_results
    v_means2d, v_depths, v_conics, v_comps = gradients
    v_means, v_covars, v_view = sums
    fx, fy = camera[0], camera[1]
    for n in range(start, stop):
        if radii[n, 0] == 0:
            continue
        m, s = means[n], covars[n]
        px, py, pz = _camera_point(m, view)
        j00, j02, j11, j12, clamped_x, clamped_y = _jacobian(px, py, pz, camera)
        a, b, c, d, e, f = _u_rows(j00, j02, j11, j12, view)
        gxx, gxy, gyy = _covariance_gradient(
            conics[n],
            (v_conics[n, 0], v_conics[n, 1], v_conics[n, 2], v_comps[n]),
            compensations[n],
            limits,
        )
        _add_covariance(v_covars[n], (a, b, c, d, e, f), gxx, gxy, gyy)
        # Gradients of U's two rows, then of J's four entries.
        x0, x1, x2 = _sym_times(s, a, b, c)
        y0, y1, y2 = _sym_times(s, d, e, f)
        gxx, gxy, gyy = 2 * gxx, 2 * gxy, 2 * gyy
        u00, u01, u02 = gxx * x0 + gxy * y0, gxx * x1 + gxy * y1, gxx * x2 + gxy * y2
        u10, u11, u12 = gxy * x0 + gyy * y0, gxy * x1 + gyy * y1, gxy * x2 + gyy * y2
        v_j00 = u00 * view[0, 0] + u01 * view[0, 1] + u02 * view[0, 2]
        v_j02 = u00 * view[2, 0] + u01 * view[2, 1] + u02 * view[2, 2]
        v_j11 = u10 * view[1, 0] + u11 * view[1, 1] + u12 * view[1, 2]
        v_j12 = u10 * view[2, 0] + u11 * view[2, 1] + u12 * view[2, 2]
        # Gradient of p: through the projected mean, through depth, and through 1/z in J. A clamped
        # slope does not move with the mean, so it passes no gradient on.
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
        _add_view(v_view, m, (g_x, g_y, g_z), (j00, j02, j11, j12), (u00, u01, u02, u10, u11, u12))


@inline
def _add_covariance(v_covar, rows, gxx, gxy, gyy):
    """Add U^T G U; the entries off the diagonal stand for two equal ones."""
    a, b, c, d, e, f = rows
    v_covar[0] += gxx * a * a + 2 * gxy * a * d + gyy * d * d
    v_covar[1] += 2 * (gxx * a * b + gxy * (a * e + b * d) + gyy * d * e)
    v_covar[2] += 2 * (gxx * a * c + gxy * (a * f + c * d) + gyy * d * f)
    v_covar[3] += gxx * b * b + 2 * gxy * b * e + gyy * e * e
    v_covar[4] += 2 * (gxx * b * c + gxy * (b * f + c * e) + gyy * e * f)
    v_covar[5] += gxx * c * c + 2 * gxy * c * f + gyy * f * f


@inline
def _add_view(v_view, m, g, J, u):
    """Add the gradient of the view, from the mean's (p = V m + t) and from U's (U = J V)."""
    g_x, g_y, g_z = g
    j00, j02, j11, j12 = J
    u00, u01, u02, u10, u11, u12 = u
    for k in range(3):
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
