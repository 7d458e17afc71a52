"""Where does the texture of one picture lie in another? Small blocks are looked up one by one.

both pictures: brightness, less its local mean
blocks with texture in the photo --squared difference at each offset--> best offset, per block
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from toolkit.measure.pictures import LUMA, Picture, as_picture, resize_plane

MATCH_HEIGHT_PX = 256  # the person is brought to this height before blocks are compared
BLOCK_PX, SEARCH_PX = 24, 10  # at that height: a block shows 16 cm, and is searched within 7 cm


@dataclass(frozen=True)
class ShiftField:
    """Offsets of M blocks: what the photo shows at a point, the render shows at point + offset.

    Attributes:
        points: centres of the blocks; x right, y down, photo pixels.
        offsets: in the same axes and unit.
    """

    points: Float[np.ndarray, "M 2"]
    offsets: Float[np.ndarray, "M 2"]

    @property
    def mean_length(self) -> float:
        """Mean length of the offsets, photo pixels; NaN without any."""
        return float(np.hypot(*self.offsets.T).mean()) if len(self.points) else float("nan")


def block_shifts(
    photo: Picture,
    render: Picture,
    photo_mask: Bool[np.ndarray, "H W"],
    render_mask: Bool[np.ndarray, "H W"],
) -> ShiftField:
    """Find where the render shows what each textured block of the photo shows.

    Blocks are compared after the local mean of the brightness is taken off, because a render that
    is too dark is another fault. The best offset of whole pixels is refined by a parabola. Blocks
    without texture fit anywhere, and the true match of a block whose best one lies on the rim of
    the search window may lie outside: both are left out.

    Source: classical block matching, sum of squared differences.
    """
    photo, render = as_picture(photo), as_picture(render)
    rows = np.flatnonzero(photo_mask.any(1))
    zoom = MATCH_HEIGHT_PX / (rows[-1] - rows[0] + 1)
    planes = [resize_plane(p, zoom) for p in (photo @ LUMA, render @ LUMA, photo_mask, render_mask)]
    gray, other, inside, other_inside = planes
    gray, other = (_detail(g, m > 0.5) for g, m in ((gray, inside), (other, other_inside)))
    # most of the picture is background: only the window around the person is searched
    window, corner = _window_around(inside > 0.5)
    centres = _textured_blocks(gray[window], inside[window] > 0.5, corner)
    costs = _match_costs(gray[window], other[window], centres - corner)
    offsets, good = _best_offsets(costs)
    # (row, column) -> (x, y); +0.5 is a pixel's centre; / zoom leads back to photo pixels
    points = (centres[good][:, ::-1] + 0.5) / zoom
    return ShiftField(points.astype(np.float32), (offsets[good] / zoom).astype(np.float32))


def _detail(
    gray: Float[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"]
) -> Float[np.ndarray, "H W"]:
    """Brightness less its local mean inside the person; 0 outside, so that outlines do not match.

    The local mean is taken over the person alone: blurred brightness over blurred mask.
    """
    weight = ndimage.gaussian_filter(inside.astype(np.float32), BLOCK_PX / 3) + 1e-6
    mean = ndimage.gaussian_filter(np.where(inside, gray, 0).astype(np.float32), BLOCK_PX / 3)
    return np.where(inside, gray - mean / weight, 0).astype(np.float32)


def _window_around(
    inside: Bool[np.ndarray, "H W"],
) -> tuple[tuple[slice, slice], Int[np.ndarray, "2"]]:
    """The part of the picture that blocks of the person can reach, and its corner (row, column)."""
    margin = SEARCH_PX + 2 * BLOCK_PX
    spans = [np.flatnonzero(inside.any(axis)) for axis in (1, 0)]
    starts = [max(0, int(span[0]) - margin) if len(span) else 0 for span in spans]
    stops = [int(span[-1]) + margin + 1 if len(span) else None for span in spans]
    return tuple(slice(*ends) for ends in zip(starts, stops, strict=True)), np.array(starts)


def _textured_blocks(
    gray: Float[np.ndarray, "h w"], inside: Bool[np.ndarray, "h w"], corner: Int[np.ndarray, "2"]
) -> Int[np.ndarray, "M 2"]:
    """Centres (row, column) of blocks inside the person with structure in both directions.

    They lie on a grid of the whole picture, of which `gray` is the part that starts at `corner`. A
    block of stripes can slide along them, so the weaker direction of the structure tensor counts.
    """
    gy, gx = np.gradient(gray)
    xx, yy, xy = (ndimage.uniform_filter(p, BLOCK_PX) for p in (gx * gx, gy * gy, gx * gy))
    weakest = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)  # its smaller eigenvalue
    core = ndimage.uniform_filter(inside.astype(np.float32), BLOCK_PX) > 0.8
    places = np.argwhere(core & (weakest > 1e-5)) + corner
    step, first = BLOCK_PX // 3, BLOCK_PX // 2
    return places[((places >= first) & ((places - first) % step == 0)).all(1)]


def _match_costs(
    gray: Float[np.ndarray, "h w"], other: Float[np.ndarray, "h w"], centres: Int[np.ndarray, "M 2"]
) -> Float[np.ndarray, "M S S"]:
    """Mean squared difference of each block for each offset (y, x) of the search.

    All blocks are compared at one offset together: the difference of the whole pictures, averaged
    over a block around each pixel.
    """
    padded = np.pad(other, SEARCH_PX)
    num = 2 * SEARCH_PX + 1
    costs = np.empty((len(centres), num, num), np.float32)
    for dy in range(num):
        for dx in range(num):
            moved = padded[dy : dy + gray.shape[0], dx : dx + gray.shape[1]]
            cost = ndimage.uniform_filter(np.square(gray - moved), BLOCK_PX)
            costs[:, dy, dx] = cost[centres[:, 0], centres[:, 1]]
    return costs


def _best_offsets(
    costs: Float[np.ndarray, "M S S"],
) -> tuple[Float[np.ndarray, "M 2"], Bool[np.ndarray, " M"]]:
    """The cheapest offset (x, y) of each block, to parts of a pixel, and whether to trust it."""
    num = costs.shape[1]
    best = costs.reshape(len(costs), -1).argmin(1) if len(costs) else np.zeros(0, int)
    iy, ix = np.divmod(best, num)
    good = (iy > 0) & (iy < num - 1) & (ix > 0) & (ix < num - 1)
    # a minimum on the rim has no neighbours for the parabola; it is moved in and marked as bad
    iy, ix, each = iy.clip(1, num - 2), ix.clip(1, num - 2), np.arange(len(costs))
    middle = costs[each, iy, ix]
    x = ix + _parabola(costs[each, iy, ix - 1], middle, costs[each, iy, ix + 1])
    y = iy + _parabola(costs[each, iy - 1, ix], middle, costs[each, iy + 1, ix])
    return np.stack([x, y], -1) - SEARCH_PX, good


def _parabola(
    left: Float[np.ndarray, " M"], middle: Float[np.ndarray, " M"], right: Float[np.ndarray, " M"]
) -> Float[np.ndarray, " M"]:
    """Where the parabola through the values at -1, 0 and 1 is lowest, in [-0.5, 0.5]."""
    bend = left + right - 2 * middle
    flat = bend < 1e-12
    return np.clip(np.where(flat, 0, 0.5 * (left - right) / np.where(flat, 1, bend)), -0.5, 0.5)
