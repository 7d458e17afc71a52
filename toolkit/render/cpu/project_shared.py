"""What the forward and the backward projection kernels share: EWA splatting, eight at a time.

A 3D Gaussian seen by a camera is nearly a 2D Gaussian in the picture. Its mean is projected as any
point. Its covariance is carried over by the derivative of the projection, because a pinhole camera
is not linear, but nearly so over the size of one Gaussian (EWA splatting):

    p   = V m + t                    mean in the camera; V is the view's rotation
    J   = | fx/z   0     -fx x/z^2 |     Jacobian of (fx x/z + cx, fy y/z + cy) at p
          |  0    fy/z   -fy y/z^2 |
    M   = R diag(s)                  R from the quaternion, s the scales; covariance = M M^T
    U   = J V
    P   = U M                        2 x 3; rows a and b below
    cov = P P^T + eps2d I            eps2d = 0.3 px^2: the blur of one pixel, so that a Gaussian
                                     thinner than a pixel does not slip between pixel centres

The determinant of cov is |a x b|^2 + eps2d (a.a + b.b) + eps2d^2. This is a sum of positive terms,
so that needles keep their digits in float32; xx yy - xy^2 would cancel.

Arrays of structures are turned into columns of 64 Gaussians (`BLOCK`), because eight lanes need
eight neighbouring floats. The lanes run down the columns, and a plain loop writes the results back:

    columns   forward                            backward
    0 .. 9    mean, quaternion, scales           mean, quaternion, scales
    10 .. 12  mean x, mean y, depth              conic a, b, c
    13 .. 15  conic a, b, c                      compensation, gradient of mean x, mean y
    16        compensation                       gradient of depth
    17 .. 20  deviation in x, in y; det; -       gradient of conic a, b, c; of compensation
    21 .. 30  -                                  results: gradient of mean, quaternion, scales
    31        -                                  1 if the Gaussian was visible, else 0

Source: Zwicker et al. 2002 (EWA splatting); Kerbl et al. 2023 (3DGS), equations 5 and 6.
"""

import numpy as np

from toolkit.render.cpu.jit import inline, kernel
from toolkit.render.cpu.simd import bigger, lanes, load, root, smaller

BLOCK = 64  # Gaussians per block; 32 columns of them stay in the first cache
NUM_COLUMNS = 32


def scratch() -> np.ndarray:
    """Memory for the columns of one block; every thread needs its own."""
    return np.empty((NUM_COLUMNS, BLOCK), np.float32)


@inline
def dot(a, b):
    """Scalar product of two triples of lanes."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inline
def combine(x, a, y, b):
    """x a + y b for triples a and b."""
    return x * a[0] + y * b[0], x * a[1] + y * b[1], x * a[2] + y * b[2]


@inline
def spread_view(view):
    """Rows of V and the translation t, each number in all lanes: all Gaussians share the view."""
    return (
        (lanes(view[0, 0]), lanes(view[0, 1]), lanes(view[0, 2])),
        (lanes(view[1, 0]), lanes(view[1, 1]), lanes(view[1, 2])),
        (lanes(view[2, 0]), lanes(view[2, 1]), lanes(view[2, 2])),
        (lanes(view[0, 3]), lanes(view[1, 3]), lanes(view[2, 3])),
    )


@kernel
def columns_in(means, quats, scales, columns, n, count):
    """Copy Gaussians n .. n + count into columns 0..9."""
    for i in range(count):
        columns[0, i], columns[1, i] = means[n + i, 0], means[n + i, 1]
        columns[2, i] = means[n + i, 2]
        columns[3, i], columns[4, i] = quats[n + i, 0], quats[n + i, 1]
        columns[5, i], columns[6, i] = quats[n + i, 2], quats[n + i, 3]
        columns[7, i], columns[8, i] = scales[n + i, 0], scales[n + i, 1]
        columns[9, i] = scales[n + i, 2]


@inline
def to_camera(at, i, V):
    """Means in the world, m, and in the camera, p = V m + t."""
    m = load(at, i), load(at, BLOCK + i), load(at, 2 * BLOCK + i)
    return m, (dot(V[0], m) + V[3][0], dot(V[1], m) + V[3][1], dot(V[2], m) + V[3][2])


@inline
def unit_quaternion(at, i):
    """w, x, y, z of length 1, and one over the length before."""
    w, x = load(at, 3 * BLOCK + i), load(at, 4 * BLOCK + i)
    y, z = load(at, 5 * BLOCK + i), load(at, 6 * BLOCK + i)
    length = bigger(root(w * w + x * x + y * y + z * z), lanes(1e-12))
    inv = lanes(1.0) / length
    return w * inv, x * inv, y * inv, z * inv, inv


@inline
def rotation(w, x, y, z):
    """Rows of R for a unit quaternion."""
    one, two = lanes(1.0), lanes(2.0)
    return (
        (one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y)),
        (two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x)),
        (two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y)),
    )


@inline
def jacobian(p, rz, camera):
    """J's entries 00, 02, 11, 12, and the slopes x/z, y/z clamped to 1.3 times the frustum.

    The derivative is a good approximation only near the picture. For a Gaussian far to the side it
    would give a huge smear across the picture, so its slope is held at 15 % outside of each edge.
    """
    fx, fy, cx, cy, width, height = camera
    x_min, x_max = -cx / fx - 0.15 * width / fx, (width - cx) / fx + 0.15 * width / fx
    y_min, y_max = -cy / fy - 0.15 * height / fy, (height - cy) / fy + 0.15 * height / fy
    ux = smaller(bigger(p[0] * rz, lanes(x_min)), lanes(x_max))
    uy = smaller(bigger(p[1] * rz, lanes(y_min)), lanes(y_max))
    j00, j11 = lanes(fx) * rz, lanes(fy) * rz
    return j00, lanes(0.0) - j00 * ux, j11, lanes(0.0) - j11 * uy, ux, uy


@inline
def u_rows(J, V):
    """Rows of U = J V; J's two zeros are left out."""
    return combine(J[0], V[0], J[1], V[2]), combine(J[2], V[1], J[3], V[2])


@inline
def times_m(u, R, s):
    """Row u times M = R diag(s)."""
    return (
        (u[0] * R[0][0] + u[1] * R[1][0] + u[2] * R[2][0]) * s[0],
        (u[0] * R[0][1] + u[1] * R[1][1] + u[2] * R[2][1]) * s[1],
        (u[0] * R[0][2] + u[1] * R[1][2] + u[2] * R[2][2]) * s[2],
    )
