"""First fault of the coarse avatar: it does not lie on the photo, even in the photo's own view.

Four measures: silhouette overlap, distance of the contours, error of the colours inside the
person, and how many pixels the texture lies off, found by matching blocks of the photo.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from toolkit.errors import fail

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
MATCH_HEIGHT_PX = 256  # the person is brought to this height before blocks are matched
BLOCK_PX, SEARCH_PX = 24, 10  # at that height: blocks of 16 cm, found within 7 cm


@dataclass(frozen=True)
class Misalignment:
    """What is off between a render and the photo, in the photo's view.

    Attributes:
        iou: overlap of the silhouettes, 0 to 1.
        chamfer_px: mean distance between the contours, both ways, photo pixels.
        psnr_db: inside the photo's mask.
        l1: mean absolute colour difference inside the photo's mask.
        shift_px: mean length of the blocks' offsets, photo pixels; NaN if nothing matched.
        shift_percent: the same in percent of the person's height.
        height_px: height of the photo's mask.
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


@dataclass(frozen=True)
class ShiftField:
    """Offsets found by block matching: what `photo` shows at `points`, `render` has at + `offsets`.

    Both (M,2), x right and y down, photo pixels.
    """

    points: Float[np.ndarray, "M 2"]
    offsets: Float[np.ndarray, "M 2"]

    @property
    def mean_length(self) -> float:
        return float(np.hypot(*self.offsets.T).mean()) if len(self.points) else float("nan")


def measure_misalignment(rgb, alpha, photo, mask) -> tuple[Misalignment, ShiftField]:
    """Compare a render with the photo it was made from.

    Args:
        rgb: render (H,W,3) in [0, 1], tensor or array.
        alpha: its coverage, (H,W) or (H,W,1).
        photo: (H,W,3) in [0, 1], of the same size.
        mask: the person in the photo, (H,W) or (H,W,1), in [0, 1].

    Raises:
        InputError: sizes differ, or the mask is empty.
    """
    rgb, photo = _picture(rgb), _picture(photo)
    alpha, mask = _plane(alpha), _plane(mask)
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


def silhouette_iou(first, second) -> float:
    """Intersection over union of two coverages cut at 0.5; 1 if both are empty."""
    a, b = _plane(first) > 0.5, _plane(second) > 0.5
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0


def contour_chamfer(first, second) -> float:
    """Mean distance from each contour to the nearest point of the other, px, mean of both ways.

    An empty silhouette lies at the picture's diagonal.
    """
    contours = [_contour(_plane(coverage) > 0.5) for coverage in (first, second)]
    if not all(c.any() for c in contours):
        return float(np.hypot(*contours[0].shape)) if any(c.any() for c in contours) else 0.0
    distances = [ndimage.distance_transform_edt(~c) for c in contours]
    return float((distances[1][contours[0]].mean() + distances[0][contours[1]].mean()) / 2)


def block_shifts(photo, render, photo_mask, render_mask) -> ShiftField:
    """Where the render shows what each textured block of the photo shows.

    Blocks are compared after their mean brightness is taken off; the best whole-pixel offset is
    refined by a parabola. Blocks without texture, or whose best match lies on the rim of the
    search window, are left out.
    Source: classical block matching, sum of squared differences.
    """
    photo, render = _picture(photo), _picture(render)
    rows = np.flatnonzero(photo_mask.any(1))
    zoom = MATCH_HEIGHT_PX / (rows[-1] - rows[0] + 1)
    planes = [_resize(p, zoom) for p in (photo @ _LUMA, render @ _LUMA, photo_mask, render_mask)]
    gray, other, inside, other_inside = planes
    gray, other = (_detail(g, m > 0.5) for g, m in ((gray, inside), (other, other_inside)))
    window, corner = _window_around(inside > 0.5)
    centres = _textured_blocks(gray[window], inside[window] > 0.5, corner)
    costs = _match_costs(gray[window], other[window], centres - corner)
    offsets, good = _best_offsets(costs)
    points = (centres[good][:, ::-1] + 0.5) / zoom
    return ShiftField(points.astype(np.float32), (offsets[good] / zoom).astype(np.float32))


def _detail(gray: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Brightness minus its local mean inside the person; 0 outside, so the outline has no say."""
    weight = ndimage.gaussian_filter(inside.astype(np.float32), BLOCK_PX / 3) + 1e-6
    mean = ndimage.gaussian_filter(np.where(inside, gray, 0).astype(np.float32), BLOCK_PX / 3)
    return np.where(inside, gray - mean / weight, 0).astype(np.float32)


def _window_around(inside: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
    """The person and all that its blocks can be compared with, and that window's corner."""
    margin = SEARCH_PX + 2 * BLOCK_PX
    spans = [np.flatnonzero(inside.any(axis)) for axis in (1, 0)]
    starts = [max(0, int(span[0]) - margin) if len(span) else 0 for span in spans]
    stops = [int(span[-1]) + margin + 1 if len(span) else None for span in spans]
    return tuple(slice(*ends) for ends in zip(starts, stops, strict=True)), np.array(starts)


def _textured_blocks(gray: np.ndarray, inside: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Centres (row, column) of blocks inside the person with structure in both directions.

    They lie on a grid of the whole picture, of which `gray` is the part that starts at `corner`.
    """
    gy, gx = np.gradient(gray)
    xx, yy, xy = (ndimage.uniform_filter(p, BLOCK_PX) for p in (gx * gx, gy * gy, gx * gy))
    weakest = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)  # smaller eigenvalue
    core = ndimage.uniform_filter(inside.astype(np.float32), BLOCK_PX) > 0.8
    places = np.argwhere(core & (weakest > 1e-5)) + corner
    step, first = BLOCK_PX // 3, BLOCK_PX // 2
    return places[((places >= first) & ((places - first) % step == 0)).all(1)]


def _match_costs(gray: np.ndarray, other: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Mean squared difference (M, S, S) of each block for each offset (y, x) of the search."""
    padded = np.pad(other, SEARCH_PX)
    num = 2 * SEARCH_PX + 1
    costs = np.empty((len(centres), num, num), np.float32)
    for dy in range(num):
        for dx in range(num):
            moved = padded[dy : dy + gray.shape[0], dx : dx + gray.shape[1]]
            cost = ndimage.uniform_filter(np.square(gray - moved), BLOCK_PX)
            costs[:, dy, dx] = cost[centres[:, 0], centres[:, 1]]
    return costs


def _best_offsets(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (M,2) as x, y with parts of a pixel, and which of them to trust."""
    num = costs.shape[1]
    best = costs.reshape(len(costs), -1).argmin(1) if len(costs) else np.zeros(0, int)
    iy, ix = np.divmod(best, num)
    good = (iy > 0) & (iy < num - 1) & (ix > 0) & (ix < num - 1)
    iy, ix, each = iy.clip(1, num - 2), ix.clip(1, num - 2), np.arange(len(costs))
    middle = costs[each, iy, ix]
    x = ix + _parabola(costs[each, iy, ix - 1], middle, costs[each, iy, ix + 1])
    y = iy + _parabola(costs[each, iy - 1, ix], middle, costs[each, iy + 1, ix])
    return np.stack([x, y], -1) - SEARCH_PX, good


def _parabola(left, middle, right) -> np.ndarray:
    """Vertex of the parabola through three equidistant values, in (-0.5, 0.5)."""
    bend = left + right - 2 * middle
    flat = bend < 1e-12
    return np.clip(np.where(flat, 0, 0.5 * (left - right) / np.where(flat, 1, bend)), -0.5, 0.5)


def _contour(inside: np.ndarray) -> np.ndarray:
    return inside & ~ndimage.binary_erosion(inside)


def _resize(plane: np.ndarray, zoom: float) -> np.ndarray:
    if zoom < 1:  # do not alias
        plane = ndimage.gaussian_filter(np.asarray(plane, np.float32), 0.5 / zoom - 0.5)
    return ndimage.zoom(
        np.asarray(plane, np.float32), zoom, order=1, grid_mode=True, mode="nearest"
    )


def _picture(image) -> np.ndarray:
    image = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    return image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)


def _plane(coverage) -> np.ndarray:
    plane = _picture(coverage)
    return plane[..., 0] if plane.ndim == 3 else plane
