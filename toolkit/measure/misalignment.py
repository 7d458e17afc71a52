"""First fault of the coarse avatar: it does not lie on the photo, even in the photo's own view.

Four measures: overlap of the silhouettes, distance of their contours, error of the colours inside
the person, and how many pixels the texture lies off (`block_matching`).
"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from toolkit.errors import fail
from toolkit.measure.block_matching import ShiftField, block_shifts
from toolkit.measure.pictures import Picture, Plane, as_picture, as_plane


@dataclass(frozen=True)
class Misalignment:
    """What is off between a render and the photo, in the photo's view.

    Attributes:
        iou: overlap of the silhouettes, 0 to 1.
        chamfer_px: mean distance between the contours, both ways, photo pixels.
        psnr_db: of the colours inside the photo's mask.
        l1: mean absolute colour difference inside the photo's mask.
        shift_px: mean distance by which the texture lies off, photo pixels; NaN if no block of the
            photo was found in the render.
        shift_percent: the same in percent of the person's height.
        height_px: the person's height in the photo.
    """

    iou: float
    chamfer_px: float
    psnr_db: float
    l1: float
    shift_px: float
    shift_percent: float
    height_px: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def measure_misalignment(
    rgb: Picture, alpha: Plane, photo: Picture, mask: Plane
) -> tuple[Misalignment, ShiftField]:
    """Compare a render with the photo it was made from.

    Args:
        rgb: the render, seen from the photo's camera.
        alpha: its coverage.
        photo: of the same size.
        mask: coverage of the person in the photo.

    Returns:
        The measures, and the offset of each block of the photo.

    Raises:
        InputError: the sizes differ, or the mask is empty.
    """
    rgb, photo = as_picture(rgb), as_picture(photo)
    alpha, mask = as_plane(alpha), as_plane(mask)
    if not rgb.shape[:2] == photo.shape[:2] == alpha.shape == mask.shape:
        fail(
            "misalignment",
            got=[rgb.shape, alpha.shape, photo.shape, mask.shape],
            wanted="one picture size",
            fix="Render with the photo's camera.",
        )
    inside = mask > 0.5
    if not inside.any():
        fail(
            "misalignment",
            got="an empty mask",
            wanted="a person in the photo",
            fix="Look at the person mask.",
        )
    error = (rgb - photo)[inside]
    field = block_shifts(photo, rgb, inside, alpha > 0.5)
    rows = np.flatnonzero(inside.any(1))
    height = float(rows[-1] - rows[0] + 1)
    result = Misalignment(
        iou=silhouette_iou(alpha, mask),
        chamfer_px=contour_chamfer(alpha, mask),
        psnr_db=float(-10 * np.log10(max(np.mean(error**2), 1e-10))),
        l1=float(np.abs(error).mean()),
        shift_px=field.mean_length,
        shift_percent=100 * field.mean_length / height,
        height_px=height,
    )
    return result, field


def silhouette_iou(first: Plane, second: Plane) -> float:
    """Intersection over union of two silhouettes, cut at a coverage of 0.5; 1 if both are empty."""
    a, b = as_plane(first) > 0.5, as_plane(second) > 0.5
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0


def contour_chamfer(first: Plane, second: Plane) -> float:
    """Mean distance from the points of one contour to the other, pixels; the mean of both ways.

    If one silhouette is empty, the length of the picture's diagonal; if both are, 0.
    """
    contours = [_contour(as_plane(coverage) > 0.5) for coverage in (first, second)]
    if not all(c.any() for c in contours):
        return float(np.hypot(*contours[0].shape)) if any(c.any() for c in contours) else 0.0
    # the distance of every pixel to the contour, which is then read off along the other contour
    distances = [ndimage.distance_transform_edt(~c) for c in contours]
    return float((distances[1][contours[0]].mean() + distances[0][contours[1]].mean()) / 2)


def _contour(inside: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Pixels inside that have a neighbour outside."""
    return inside & ~ndimage.binary_erosion(inside)
