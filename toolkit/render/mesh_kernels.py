"""Numba kernels of the mesh z-buffer: one loop over triangles, one over the pixels of each.

They are compiled without fused multiply-adds (unlike the kernels in `toolkit.render.cpu`), so that
every product in the test "is this pixel inside?" is rounded in the same way.
"""

import numba
import numpy as np

NEAR_M = 0.02  # triangles that reach nearer than this are not drawn


@numba.njit(cache=True, fastmath=False)
def draw(corners, faces, fields, face_id, bary, inv_depth):
    """Fill the buffers; the nearest fragment (largest 1/z) wins, ties keep the first face."""
    height, width = face_id.shape
    for f in range(faces.shape[0]):
        i0, i1, i2 = faces[f, 0], faces[f, 1], faces[f, 2]
        if min(corners[i0, 2], corners[i1, 2], corners[i2, 2]) < NEAR_M:
            continue
        x0, y0, x1 = corners[i0, 0], corners[i0, 1], corners[i1, 0]
        y1, x2, y2 = corners[i1, 1], corners[i2, 0], corners[i2, 1]
        left, right = _span(min(x0, x1, x2), max(x0, x1, x2), width)
        top, bottom = _span(min(y0, y1, y2), max(y0, y1, y2), height)
        # Twice the signed area; its sign, the side of the face, cancels in a, b and c below.
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if left >= right or top >= bottom or abs(area) < 1e-12:
            continue
        w0, w1, w2 = 1 / corners[i0, 2], 1 / corners[i1, 2], 1 / corners[i2, 2]
        for row in range(top, bottom):
            y = row + 0.5  # pixel centres lie at +0.5
            for col in range(left, right):
                x = col + 0.5
                # Barycentric weights in the picture: areas of the three inner triangles.
                a = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / area
                b = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / area
                c = 1 - a - b
                if a < 0 or b < 0 or c < 0:
                    continue
                inverse = a * w0 + b * w1 + c * w2
                if inverse <= inv_depth[row, col]:
                    continue
                # In perspective, not the weights but weights / z are linear in the picture.
                a, b, c = a * w0 / inverse, b * w1 / inverse, c * w2 / inverse
                if _cut(fields, i0, i1, i2, a, b, c):
                    continue
                inv_depth[row, col] = inverse
                face_id[row, col] = f
                bary[row, col, 0], bary[row, col, 1], bary[row, col, 2] = a, b, c


@numba.njit(cache=True)
def _span(low, high, size):
    """Pixels whose centres lie in [low, high], clipped to the picture."""
    start = np.ceil(min(max(low, 0.0), float(size)) - 0.5)
    stop = np.floor(max(min(high, float(size)), 0.0) - 0.5) + 1
    return max(int(start), 0), min(int(stop), size)


@numba.njit(cache=True)
def _cut(fields, i0, i1, i2, a, b, c):
    """True where one of the scalar fields is negative."""
    for k in range(fields.shape[1]):
        if a * fields[i0, k] + b * fields[i1, k] + c * fields[i2, k] < 0:
            return True
    return False
