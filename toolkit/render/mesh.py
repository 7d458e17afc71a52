"""Z-buffer rasteriser for triangle meshes: face id, barycentrics and depth of every pixel.

It only answers "what is seen here"; colours come later (deferred shading), so each visible pixel
is shaded once, however many layers of cloth lie behind it. Own code, because a z-buffer is one page
of numba, while pyrender and nvdiffrast need OpenGL or CUDA, and a shader for `discard` below.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from toolkit.cameras import Cameras
from toolkit.errors import fail
from toolkit.render.mesh_kernels import draw


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
    def mask(self) -> Bool[np.ndarray, "H W"]:
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
    # A vertex in the camera's own plane has no picture; the kernel drops its triangles.
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
        faces: rows of `vertices`, three per triangle.
        cameras: exactly one camera.
        discard: one or K scalar fields on the vertices; a fragment is dropped where any
            interpolated value is below 0, which cuts hems cleanly inside a triangle.

    Raises:
        InputError: `cameras` holds none, or more than one.
    """
    if len(cameras) != 1:
        fail(
            "rasterize_mesh",
            got=f"{len(cameras)} cameras",
            wanted="one",
            fix="Call it once per camera: cameras[i].",
        )
    corners = np.ascontiguousarray(project_vertices(vertices, cameras), np.float32)
    fields = np.zeros((len(corners), 0)) if discard is None else np.asarray(discard)
    fields = np.ascontiguousarray(fields.reshape(len(corners), -1), np.float32)
    shape = (cameras.height, cameras.width)
    face_id = np.full(shape, -1, np.int32)
    bary = np.zeros((*shape, 3), np.float32)
    # The buffer keeps 1/z: it is linear in the picture, and its 0 stands for "infinitely far".
    inv_depth = np.zeros(shape, np.float32)
    draw(corners, np.ascontiguousarray(faces, np.int32), fields, face_id, bary, inv_depth)
    depth = np.divide(1.0, inv_depth, out=np.zeros_like(inv_depth), where=inv_depth > 0)
    return MeshBuffers(face_id, bary, depth)
