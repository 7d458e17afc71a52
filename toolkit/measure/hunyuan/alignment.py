"""Does a 3D result lie on the photo, pixel by pixel? Silhouettes, and normals inside of them.

A silhouette can agree while the head inside looks elsewhere; normals show it. All normals here are
in the viewer's axes: x right, y up, z to the viewer.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from toolkit.cameras import Cameras
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.measure.hunyuan.meshes import Mesh
from toolkit.measure.hunyuan.view import MeshView, draw, to_view
from toolkit.measure.misalignment import contour_chamfer, silhouette_iou
from toolkit.render.api import render

ERODE_PX = 4  # of a 512 px picture: at the very rim normals turn away within a pixel
SHIFTS_PX, TURNS_DEG = (2.0, 4.0, 8.0), (2.5, 5.0, 10.0)


@dataclass(frozen=True)
class PixelAlignment:
    """How far a 3D result is from the photo in the photo's view.

    Attributes:
        iou: of the silhouettes, 0 to 1.
        chamfer_px: mean distance of the outlines.
        shift_px: length of the one shift that brings the normal pictures together best.
        mean_deg, median_deg: angle between the normals where both have some.
        within_11, within_22, within_30: share of these pixels below 11.25, 22.5 and 30 degrees.
    """

    iou: float
    chamfer_px: float
    shift_px: float
    mean_deg: float
    median_deg: float
    within_11: float
    within_22: float
    within_30: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def compare(
    mask,
    normals: Float[np.ndarray, "H W 3"],
    true_mask,
    true_normals: Float[np.ndarray, "H W 3"],
    *,
    erode_px: int = ERODE_PX,
) -> PixelAlignment:
    """Measure one picture of masks and normals against another.

    Args:
        mask, true_mask: coverage (H,W) in [0, 1].
        normals, true_normals: unit, viewer's axes, 0 where there are none.
        erode_px: rim of the common mask that is left out.

    Raises:
        InputError: sizes differ, or the two do not meet.
    """
    mask, true_mask = (np.asarray(m, np.float32) for m in (mask, true_mask))
    if not mask.shape == true_mask.shape == normals.shape[:2] == true_normals.shape[:2]:
        fail(
            "compare",
            got=[mask.shape, true_mask.shape, normals.shape, true_normals.shape],
            wanted="one picture size",
            fix="Draw both with the same camera.",
        )
    angles = angle_map(normals, true_normals, mask, true_mask, erode_px=erode_px)
    inside = angles[np.isfinite(angles)]
    if not len(inside):
        fail("compare", got="no common pixel", wanted="masks that overlap", fix="Fit the camera.")
    shares = [float((inside < limit).mean()) for limit in (11.25, 22.5, 30.0)]
    return PixelAlignment(
        silhouette_iou(mask, true_mask),
        contour_chamfer(mask, true_mask),
        float(np.hypot(*normal_shift(normals, true_normals))),
        float(inside.mean()),
        float(np.median(inside)),
        *shares,
    )


def angle_map(
    first, second, mask, other_mask, *, erode_px: int = ERODE_PX
) -> Float[np.ndarray, "H W"]:
    """Angle between two normal pictures in degrees; NaN outside of the eroded common mask."""
    common = (np.asarray(mask) > 0.5) & (np.asarray(other_mask) > 0.5)
    for normals in (first, second):
        common &= np.linalg.norm(normals, axis=-1) > 0.5
    if erode_px:
        common = ndimage.binary_erosion(common, iterations=erode_px)
    cosine = (np.asarray(first, np.float64) * second).sum(axis=-1).clip(-1, 1)
    return np.where(common, np.degrees(np.arccos(cosine)), np.nan)


def normal_shift(normals, true_normals) -> Float[np.ndarray, " 2"]:
    """x and y pixels to move `true_normals` onto `normals`: peak of their correlation.

    Source: Guizar-Sicairos et al. 2008, on the complex picture n_x + i n_y.
    """
    from skimage.registration import phase_cross_correlation

    planes = [
        np.asarray(n[..., 0] + 1j * n[..., 1], np.complex128) for n in (normals, true_normals)
    ]
    shift, *_ = phase_cross_correlation(*planes, upsample_factor=20, normalization=None)
    return np.array([shift[1], shift[0]])


def measure_mesh(mesh: Mesh, view: MeshView, true_mask, true_normals) -> PixelAlignment:
    """A mesh from one view against the truth of a square picture."""
    return compare(*draw(mesh, view.camera(mesh, len(true_mask))), true_mask, true_normals)


def sensitivity(
    mesh: Mesh,
    view: MeshView,
    true_mask,
    true_normals,
    *,
    shifts_px: Sequence[float] = SHIFTS_PX,
    turns_deg: Sequence[float] = TURNS_DEG,
) -> dict[str, PixelAlignment]:
    """The control: the same mesh moved and turned by known amounts, without another camera fit.

    Each series has to get worse step by step, or the measure would not have seen a misalignment of
    that size. Keys: "0", "2 px", ..., "5 deg", ...
    """
    size = len(true_mask)
    views = {"0": view}
    for shift in shifts_px:
        part = shift / np.sqrt(2)
        views[f"{shift:g} px"] = MeshView(
            view.scale_px,
            view.x_px + part,
            view.y_px + part,
            view.yaw_deg,
            view.pitch_deg,
            view.perspective,
        )
    for turn in turns_deg:
        views[f"{turn:g} deg"] = MeshView(
            view.scale_px,
            view.x_px,
            view.y_px,
            view.yaw_deg + turn,
            view.pitch_deg,
            view.perspective,
        )
    return {
        name: compare(*draw(mesh, v.camera(mesh, size)), true_mask, true_normals)
        for name, v in views.items()
    }


def gaussian_normals(
    gaussians: Gaussians, cameras: Cameras
) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W 3"]]:
    """Coverage and normals of posed Gaussians in one camera's picture, viewer's axes.

    A Gaussian's normal is its shortest axis, turned towards the camera.
    Source: ours, as in Gaussian surfel methods.
    """
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_quat(gaussians.quats.detach().numpy(), scalar_first=True).as_matrix()
    with torch.no_grad():
        shortest = gaussians.scales.argmin(dim=1)
        axes = torch.from_numpy(turns).float()[torch.arange(len(gaussians)), :, shortest]
        away = ((gaussians.means - cameras.centers[0]) * axes).sum(1, keepdim=True) > 0
        axes = torch.where(away, -axes, axes)
        painted = gaussians.recolored(0.5 + 0.5 * axes)
        # not antialiased: thin splats shall stay opaque, what counts is the first surface
        seen = render(painted, cameras, background=(0.0, 0.0, 0.0), antialiased=False)
    alpha = seen.alpha[0, ..., 0].numpy()
    world = 2 * seen.rgb[0].numpy() / np.maximum(alpha, 1e-6)[..., None] - 1
    return alpha, to_view(np.where((alpha > 0.5)[..., None], world, 0.0), cameras)


def paint(normals: Float[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 3"]:
    """The usual colours of a normal picture, white where there is none."""
    seen = np.linalg.norm(normals, axis=-1, keepdims=True) > 0.5
    return np.where(seen, 0.5 + 0.5 * normals, 1.0).astype(np.float32)
