"""The work plan of one picture: which Gaussians meet which tile, near to far."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toolkit.render.cpu import threads, tiles

_PARTS_PER_THREAD = 6  # tiles differ in work; with several parts no thread waits long for another


@dataclass(frozen=True)
class Plan:
    """Depth order and tile lists of one image; the fields are explained in `tiles`.

    Attributes:
        order: indices of the visible Gaussians, near to far. A rank is a place in this order.
        splats: packed values by rank.
        boxes: pixel boxes by rank.
        offsets: where the entries of each tile begin.
        entries: rank and slot of every (Gaussian, tile) pair, by tile, near to far.
        first_slot: where the slots of each rank begin.
    """

    order: Int[np.ndarray, " R"]
    splats: Float[np.ndarray, "R 12"]
    boxes: Int[np.ndarray, "R 4"]
    offsets: Int[np.ndarray, " tiles_plus_1"]
    entries: Int[np.ndarray, "M 2"]
    first_slot: Int[np.ndarray, " R_plus_1"]

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What the compositing kernels read."""
        return self.splats, self.boxes, self.offsets, self.entries

    def spans(self) -> list[tuple[int, int]]:
        """Ranges of tiles with about equal work, a few for each thread."""
        num_threads = threads.num_threads()
        parts = 1 if num_threads == 1 else _PARTS_PER_THREAD * num_threads
        # offsets counts entries, so equal steps of it are equal work; find the tiles at the marks.
        marks = np.linspace(0, self.offsets[-1], parts + 1)[1:-1]
        cuts = np.searchsorted(self.offsets, marks).tolist()
        cuts = [0, *cuts, len(self.offsets) - 1]
        return [(a, b) for a, b in zip(cuts, cuts[1:], strict=False) if b > a]


def make_plan(
    projected: tuple[np.ndarray, ...],
    reaches: Float[np.ndarray, " N"],
    colors: Float[np.ndarray, "N X"],
    size: tuple[int, int],
) -> Plan:
    """Sort the Gaussians of one image by depth, and hand them to tiles.

    Args:
        projected: radii, means2d, depths, conics, opacities of N Gaussians.
        reaches: the exponent at which alpha falls below ALPHA_MIN, see `tiles.pack_splats`.
        colors: at most four channels.
        size: width and height in pixels.
    """
    radii, means2d, depths, conics, opacities = projected
    tiles_x, tiles_y = math.ceil(size[0] / tiles.TILE_W), math.ceil(size[1] / tiles.TILE_H)
    # Positive floats sort like their bits read as integers, which a radix sort can use.
    order = tiles.depth_order(radii, depths.view(np.uint32))
    splats, boxes = tiles.pack_splats(order, (means2d, conics, opacities), reaches, colors, size)
    offsets, entries, first_slot = tiles.fill_tiles(boxes, tiles_x, tiles_y)
    return Plan(order, splats, boxes, offsets, entries, first_slot)
