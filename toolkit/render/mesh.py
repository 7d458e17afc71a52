"""Z-buffer rasteriser for triangle meshes: face id, barycentrics and depth of every pixel.

It only answers "what is seen here"; colours come later (deferred shading), so each visible pixel
is shaded once, however many layers of cloth lie behind it.
"""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float, Int

from toolkit.cameras import Cameras
from toolkit.errors import fail

NEAR_M = 0.02  # triangles that reach nearer than this are not drawn


@dataclass(frozen=True)
class MeshBuffers:
    """What one camera sees of a mesh.

    Attributes:
        face_id: row of `faces` at the pixel centre, -1 where empty.
        bary: perspective-correct weights of the face's corners (sum 1; 0 where empty).
        depth: z in the camera frame in metres, 0 where empty.
    """

    face_id: Int[np.ndarray, "H W"]
    bary: Float[np.ndarray, "H W 3"]
    depth: Float[np.ndarray, "H W"]

    @property
    def mask(self):
        """True where the mesh is seen."""
        return self.face_id >= 0


def project_vertices(
    vertices: Float[np.ndarray, "V 3"], cameras: Cameras
) -> Float[np.ndarray, "V 3"]:
    """Pixel x, pixel y and camera z (metres) of vertices, for the first camera, in float64."""
    view = cameras.viewmats[0].detach().cpu().numpy().astype(np.float64)
    K = cameras.Ks[0].detach().cpu().numpy().astype(np.float64)
    cam = np.asarray(vertices, np.float64) @ view[:3, :3].T + view[:3, 3]
    homogeneous = cam @ K.T
    z = homogeneous[:, 2]
    safe = np.where(np.abs(z) < 1e-9, 1e-9, z)
    return np.stack([homogeneous[:, 0] / safe, homogeneous[:, 1] / safe, z], axis=1)


def rasterize_mesh(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    cameras: Cameras,
    *,
    discard: Float[np.ndarray, "V *K"] | None = None,
) -> MeshBuffers:
    """Draw a mesh into one camera's picture; both sides of a face are seen.

    Args:
        vertices: corners in world metres.
        faces: corner indices.
        cameras: exactly one camera.
        discard: one or K scalar fields on the vertices; a fragment is dropped where any
            interpolated value is below 0, which cuts hems cleanly inside a triangle.

    Raises:
        InputError: if `cameras` holds another number of cameras than one.
    """
    if len(cameras) != 1:
        fail(
            "rasterize_mesh",
            got=f"{len(cameras)} cameras",
            wanted="one",
            fix="Call it once a camera: cameras[i].",
        )
    corners = np.ascontiguousarray(project_vertices(vertices, cameras), np.float32)
    fields = np.zeros((len(corners), 0)) if discard is None else np.asarray(discard)
    fields = np.ascontiguousarray(fields.reshape(len(corners), -1), np.float32)
    shape = (cameras.height, cameras.width)
    face_id = np.full(shape, -1, np.int32)
    bary = np.zeros((*shape, 3), np.float32)
    inv_depth = np.zeros(shape, np.float32)
    _draw(corners, np.ascontiguousarray(faces, np.int32), fields, face_id, bary, inv_depth)
    depth = np.divide(1.0, inv_depth, out=np.zeros_like(inv_depth), where=inv_depth > 0)
    return MeshBuffers(face_id, bary, depth)


@numba.njit(cache=True, fastmath=False)
def _draw(corners, faces, fields, face_id, bary, inv_depth):
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
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if left >= right or top >= bottom or abs(area) < 1e-12:
            continue
        w0, w1, w2 = 1 / corners[i0, 2], 1 / corners[i1, 2], 1 / corners[i2, 2]
        for row in range(top, bottom):
            y = row + 0.5
            for col in range(left, right):
                x = col + 0.5
                a = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / area
                b = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / area
                c = 1 - a - b
                if a < 0 or b < 0 or c < 0:
                    continue
                inverse = a * w0 + b * w1 + c * w2
                if inverse <= inv_depth[row, col]:
                    continue
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
