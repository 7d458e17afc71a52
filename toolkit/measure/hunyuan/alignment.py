"""Does a 3D result lie on the photo, pixel by pixel? Silhouettes, and the normals inside them.

Silhouettes can agree although the head looks elsewhere; then the normals differ. All normals here
are in the viewer's axes: x right, y up, z towards the viewer.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Shaped
from scipy import ndimage

from toolkit.cameras import Cameras
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.measure.hunyuan.meshes import Mesh
from toolkit.measure.hunyuan.view import MeshView, draw_mesh, to_view
from toolkit.measure.misalignment import contour_chamfer, silhouette_iou
from toolkit.render.api import render

ERODE_PX = 4  # of a 512 px picture: at the rim normals turn away within a pixel
SHIFTS_PX, TURNS_DEG = (2.0, 4.0, 8.0), (2.5, 5.0, 10.0)  # known errors of the control


@dataclass(frozen=True)
class PixelAlignment:
    """How far a 3D result is from the truth, in the photo's view.

    Attributes:
        iou: overlap of the silhouettes, 0 to 1.
        chamfer_px: mean distance between the outlines.
        shift_px: length of the shift that aligns the two pictures of normals best.
        mean_deg, median_deg: angle between the normals, over the pixels where both exist.
        within_11, within_22, within_30: share of these pixels with an angle below 11.25, 22.5 and
            30 degrees.
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


def measure_alignment(
    mask: Shaped[np.ndarray, "H W"],
    normals: Float[np.ndarray, "H W 3"],
    true_mask: Shaped[np.ndarray, "H W"],
    true_normals: Float[np.ndarray, "H W 3"],
    *,
    erode_px: int = ERODE_PX,
) -> PixelAlignment:
    """Measure one picture of masks and normals against another.

    Args:
        mask, true_mask: coverage, in [0, 1] or bool.
        normals, true_normals: unit vectors in the viewer's axes, 0 where there is no surface.
        erode_px: width of the rim of the common mask that is left out.

    Raises:
        InputError: the sizes differ, or the two masks do not overlap.
    """
    mask, true_mask = (np.asarray(m, np.float32) for m in (mask, true_mask))
    if not mask.shape == true_mask.shape == normals.shape[:2] == true_normals.shape[:2]:
        fail(
            "measure_alignment",
            got=[mask.shape, true_mask.shape, normals.shape, true_normals.shape],
            wanted="one picture size",
            fix="Draw both with the same camera.",
        )
    angles = angle_map(normals, true_normals, mask, true_mask, erode_px=erode_px)
    inside = angles[np.isfinite(angles)]
    if not len(inside):
        fail(
            "measure_alignment",
            got="no common pixel",
            wanted="masks that overlap",
            fix="Fit the camera with fit_view.",
        )
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
    first: Float[np.ndarray, "H W 3"],
    second: Float[np.ndarray, "H W 3"],
    mask: Shaped[np.ndarray, "H W"],
    other_mask: Shaped[np.ndarray, "H W"],
    *,
    erode_px: int = ERODE_PX,
) -> Float[np.ndarray, "H W"]:
    """Angle between two pictures of normals, degrees; NaN outside the eroded common mask."""
    common = (np.asarray(mask) > 0.5) & (np.asarray(other_mask) > 0.5)
    for normals in (first, second):
        common &= np.linalg.norm(normals, axis=-1) > 0.5
    if erode_px:
        common = ndimage.binary_erosion(common, iterations=erode_px)
    cosine = (np.asarray(first, np.float64) * second).sum(axis=-1).clip(-1, 1)
    return np.where(common, np.degrees(np.arccos(cosine)), np.nan)


def normal_shift(
    normals: Float[np.ndarray, "H W 3"], true_normals: Float[np.ndarray, "H W 3"]
) -> Float[np.ndarray, " 2"]:
    """The shift (x, y) that moves `true_normals` onto `normals`, pixels: peak of their correlation.

    Two channels become one complex picture, n_x + i n_y, because the registration takes only one.
    Source: Guizar-Sicairos et al. 2008.
    """
    from skimage.registration import phase_cross_correlation

    planes = [
        np.asarray(n[..., 0] + 1j * n[..., 1], np.complex128) for n in (normals, true_normals)
    ]
    shift, *_ = phase_cross_correlation(*planes, upsample_factor=20, normalization=None)
    return np.array([shift[1], shift[0]])


def measure_mesh(
    mesh: Mesh,
    view: MeshView,
    true_mask: Shaped[np.ndarray, "S S"],
    true_normals: Float[np.ndarray, "S S 3"],
) -> PixelAlignment:
    """Measure a mesh, drawn from one view, against the truth of a square picture."""
    return measure_alignment(
        *draw_mesh(mesh, view.camera(mesh, len(true_mask))), true_mask, true_normals
    )


def measure_sensitivity(
    mesh: Mesh,
    view: MeshView,
    true_mask: Shaped[np.ndarray, "S S"],
    true_normals: Float[np.ndarray, "S S 3"],
    *,
    shifts_px: Sequence[float] = SHIFTS_PX,
    turns_deg: Sequence[float] = TURNS_DEG,
) -> dict[str, PixelAlignment]:
    """The control: measure the same mesh again, shifted and turned by known amounts.

    The camera is not fitted again, so each series has to get worse step by step. If it did not, the
    measure could not see a misalignment of that size.

    Args:
        view: the view that fits.
        shifts_px: lengths of the shifts, along the diagonal.
        turns_deg: angles of the turns about the vertical.

    Returns:
        Name of the change ("0", "2 px", ..., "5 deg", ...) -> measures.
    """
    size = len(true_mask)
    views = {"0": view}
    for shift in shifts_px:
        part = shift / np.sqrt(2)
        views[f"{shift:g} px"] = replace(view, x_px=view.x_px + part, y_px=view.y_px + part)
    for turn in turns_deg:
        views[f"{turn:g} deg"] = replace(view, yaw_deg=view.yaw_deg + turn)
    return {
        name: measure_alignment(*draw_mesh(mesh, v.camera(mesh, size)), true_mask, true_normals)
        for name, v in views.items()
    }


def gaussian_normals(
    gaussians: Gaussians, cameras: Cameras
) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W 3"]]:
    """Coverage and normals of posed Gaussians in one camera's picture, in the viewer's axes.

    The normal of a Gaussian is its shortest axis, turned towards the camera.
    Source: ours, as in Gaussian surfel methods.
    """
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_quat(gaussians.quats.detach().numpy(), scalar_first=True).as_matrix()
    with torch.no_grad():
        shortest = gaussians.scales.argmin(dim=1)
        # column k of a rotation matrix is axis k of the ellipsoid
        axes = torch.from_numpy(turns).float()[torch.arange(len(gaussians)), :, shortest]
        away = ((gaussians.means - cameras.centers[0]) * axes).sum(1, keepdim=True) > 0
        axes = torch.where(away, -axes, axes)
        painted = gaussians.recolored(0.5 + 0.5 * axes)
        # the normals are rendered as colours; not antialiased, because that would make thin splats
        # transparent and let the far side shine through
        seen = render(painted, cameras, background=(0.0, 0.0, 0.0), antialiased=False)
    alpha = seen.alpha[0, ..., 0].numpy()
    world = 2 * seen.rgb[0].numpy() / np.maximum(alpha, 1e-6)[..., None] - 1
    return alpha, to_view(np.where((alpha > 0.5)[..., None], world, 0.0), cameras)


def paint_normals(normals: Float[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 3"]:
    """The usual colours of a picture of normals, [-1, 1] -> [0, 1]; white where there is none."""
    seen = np.linalg.norm(normals, axis=-1, keepdims=True) > 0.5
    return np.where(seen, 0.5 + 0.5 * normals, 1.0).astype(np.float32)
