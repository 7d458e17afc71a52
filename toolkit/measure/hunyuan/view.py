"""From where was the photo taken? The camera of a mesh is fitted to the photo's mask.

An image-to-3D model returns a mesh in a unit box, without the photo's camera. Only with the best
camera is it fair to say that the mesh does not lie on the photo. Scale and shift come first from
the boxes of mesh and mask; then all six numbers are refined by drawing the mesh and comparing.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage, optimize

from toolkit.cameras import Cameras
from toolkit.errors import fail
from toolkit.measure.hunyuan.meshes import Mesh
from toolkit.render.mesh import rasterize_mesh

FLAT = 0.002  # least perspective: a camera 500 units away, as good as orthographic
STEPS = (0.03, 0.02, 0.02, 6.0, 4.0, 0.08)  # first steps of the search, in the order of `_unpack`
LEVELS_PX = (96, 224)  # sizes at which masks are compared, coarse to fine


@dataclass(frozen=True)
class MeshView:
    """A camera for a mesh in six numbers; one unit is half the longest side of the mesh's box.

    Attributes:
        scale_px: pixels per unit, at the depth of the box's middle.
        x_px, y_px: where the box's middle lands in the picture.
        yaw_deg: turn of the mesh about its y axis; positive turns its front to the right.
        pitch_deg: turn about the picture's x axis after that; positive nods towards the viewer.
        perspective: 1 / distance of the camera, per unit; `FLAT` is orthographic.
    """

    scale_px: float
    x_px: float
    y_px: float
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    perspective: float = FLAT

    def camera(self, mesh: Mesh, size_px: int) -> Cameras:
        """The camera of a square picture, for the mesh in its own unit."""
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        unit, distance = float((high - low).max()) / 2, 1 / max(self.perspective, FLAT)
        # the mesh's axes (y up, z to the viewer) -> the camera's (y down, z away), after both turns
        rotation = np.diag([1.0, -1.0, -1.0]) @ _turn(self.pitch_deg, 0) @ _turn(self.yaw_deg, 1)
        viewmat = np.eye(4)
        viewmat[:3, :3] = rotation
        viewmat[:3, 3] = np.array([0, 0, distance * unit]) - rotation @ ((low + high) / 2)
        # a unit at that distance takes focal / distance = scale_px pixels
        focal = self.scale_px * distance
        K = [[focal, 0, self.x_px], [0, focal, self.y_px], [0, 0, 1]]
        return Cameras(
            torch.tensor(viewmat[None], dtype=torch.float32),
            torch.tensor([K], dtype=torch.float32),
            size_px,
            size_px,
        )

    def resized(self, factor: float) -> "MeshView":
        """The same view of a picture `factor` times as large."""
        return replace(
            self, scale_px=self.scale_px * factor, x_px=self.x_px * factor, y_px=self.y_px * factor
        )


def _turn(angle_deg: float, axis: int) -> Float[np.ndarray, "3 3"]:
    """Rotation matrix about axis 0 (x), 1 (y) or 2 (z)."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz"[axis], angle_deg, degrees=True).as_matrix()


def draw_mesh(
    mesh: Mesh, cameras: Cameras
) -> tuple[Bool[np.ndarray, "H W"], Float[np.ndarray, "H W 3"]]:
    """Draw a mesh: where the camera sees it, and its normals there in the viewer's axes."""
    buffers = rasterize_mesh(mesh.vertices, mesh.faces, cameras)
    seen, normals = buffers.mask, np.zeros((*buffers.mask.shape, 3), np.float32)
    # (P,3,3): the normals at the corners of the triangle that each seen pixel shows
    corners = mesh.normals[mesh.faces[buffers.face_id[seen]]]
    world = (buffers.bary[seen][..., None] * corners).sum(axis=1)
    normals[seen] = to_view(world, cameras)
    return seen, normals


def to_view(normals: Float[np.ndarray, "*N 3"], cameras: Cameras) -> Float[np.ndarray, "*N 3"]:
    """World normals in the viewer's axes (x right, y up, z to the viewer), unit; 0 stays 0."""
    # world -> camera's axes, with y and z reversed
    rotation = cameras.viewmats[0, :3, :3].numpy() * np.array([[1], [-1], [-1]], np.float32)
    turned = np.asarray(normals) @ rotation.T
    return turned / np.maximum(np.linalg.norm(turned, axis=-1, keepdims=True), 1e-8)


def start_view(mesh: Mesh, mask: Float[np.ndarray, "S S"]) -> MeshView:
    """A first guess: from the front, orthographic; the boxes of mesh and mask agree in height.

    Raises:
        InputError: the mask is not square, or empty.
    """
    rows, cols = np.flatnonzero((mask > 0.5).any(1)), np.flatnonzero((mask > 0.5).any(0))
    if mask.ndim != 2 or mask.shape[0] != mask.shape[1] or not len(rows):
        fail(
            "fit_view",
            got=f"a mask of {mask.shape} with {len(rows)} rows of person",
            wanted="a square mask with a person",
            fix="Make it with toolkit.measure.hunyuan.recentre.",
        )
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    height_units = (high - low)[1] / ((high - low).max() / 2)
    return MeshView(
        (rows[-1] + 1 - rows[0]) / height_units,
        (cols[0] + cols[-1] + 1) / 2,
        (rows[0] + rows[-1] + 1) / 2,
    )


def fit_view(
    mesh: Mesh,
    mask: Float[np.ndarray, "S S"],
    *,
    perspective: bool = True,
    most_evaluations: int = 260,
) -> MeshView:
    """Find the camera from which the mesh's silhouette covers the mask best.

    Args:
        mask: coverage of the person in a square picture, in [0, 1].
        perspective: whether the distance is fitted; if not, the view stays orthographic.
        most_evaluations: drawings at most, at each of the two resolutions.

    Raises:
        InputError: the mask is not square, or empty.

    Source: Nelder and Mead 1965 on 1 - soft IoU.
    """
    start = start_view(mesh, mask)
    values = np.array([0.0, 0, 0, 0, 0, 0.2 if perspective else FLAT])
    for number, side in enumerate(LEVELS_PX):
        target = _shrunk(mask, side)
        # the fine level starts near the goal, with steps a third as long
        steps = np.array(STEPS[: 5 + perspective]) / (1 + 2 * number)
        free = len(steps)

        def loss(
            free_values: np.ndarray, fixed: np.ndarray = values[free:], target: np.ndarray = target
        ) -> float:
            view = _unpack(np.concatenate([free_values, fixed]), start, len(mask))
            return 1 - soft_iou(silhouette(mesh, view, len(mask), len(target)), target)

        simplex = values[:free] + np.vstack([np.zeros(free), np.diag(steps)])
        # drawing has no gradient; Nelder-Mead needs none
        result = optimize.minimize(
            loss,
            values[:free],
            method="Nelder-Mead",
            options={
                "initial_simplex": simplex,
                "maxfev": most_evaluations,
                "xatol": 1e-3,
                "fatol": 1e-5,
                "adaptive": True,
            },
        )
        values = np.concatenate([result.x, values[free:]])
    return _unpack(values, start, len(mask))


def _unpack(values: Float[np.ndarray, "6"], start: MeshView, size_px: int) -> MeshView:
    """The view of the search's six numbers, all relative to `start` or zero.

    In order: logarithm of the scale, shift x and y as shares of the picture's side, yaw and pitch
    in degrees, perspective.
    """
    scale, x, y, yaw, pitch, perspective = (float(v) for v in values)
    return MeshView(
        start.scale_px * np.exp(scale),
        start.x_px + x * size_px,
        start.y_px + y * size_px,
        yaw,
        float(np.clip(pitch, -60, 60)),
        float(np.clip(perspective, FLAT, 0.6)),
    )


def silhouette(mesh: Mesh, view: MeshView, size_px: int, side_px: int) -> np.ndarray:
    """Coverage of the mesh in a picture shrunk from `size_px` to `side_px`; 4 samples per pixel."""
    fine = view.resized(2 * side_px / size_px)
    seen = rasterize_mesh(mesh.vertices, mesh.faces, fine.camera(mesh, 2 * side_px)).mask
    return seen.reshape(side_px, 2, side_px, 2).mean(axis=(1, 3), dtype=np.float32)


def soft_iou(first: Float[np.ndarray, "S S"], second: Float[np.ndarray, "S S"]) -> float:
    """Intersection over union of two blurred coverages: sum of minima over sum of maxima.

    It changes smoothly with the camera, where the plain IoU changes pixel by pixel.
    """
    a, b = (ndimage.gaussian_filter(np.asarray(p, np.float32), 1.0) for p in (first, second))
    return float(np.minimum(a, b).sum() / max(np.maximum(a, b).sum(), 1e-9))


def _shrunk(mask: Float[np.ndarray, "S S"], side_px: int) -> Float[np.ndarray, "s s"]:
    """The mask at a smaller size; each new pixel is the mean of the old ones under it."""
    from PIL import Image

    image = Image.fromarray(np.asarray(mask, np.float32))
    return np.asarray(image.resize((side_px, side_px), Image.Resampling.BOX))
