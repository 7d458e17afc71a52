"""One pixel per Gaussian: a picture of the body that a network can read and write without loss.

Body maps (`prior.patches.maps`) blur what is scattered to them, because a Gaussian rarely lies in
the middle of a pixel. Here every anchor gets a pixel of its own, close to where it lies on a body
map of about one pixel per anchor. Which one is an assignment problem: the sum of the squared
distances between places and pixels is as small as it can be. Reading a pixel gives back exactly
what was written.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.rig import Rig
from toolkit.prior.patches.maps import BodyMaps

ROOM = 1.6  # pixels of the body per anchor; tighter maps are slow to assign and less orderly
CANDIDATES = (24, 48, 96, 192)  # nearest pixels that an anchor may take, until all find one


@dataclass(frozen=True)
class PixelLayout:
    """The pixel of each of N anchors on the front and the back map.

    Attributes:
        pixels: side (0 front, 1 back), row and column of each anchor; no two are equal.
        owners: the anchor that a pixel shows: its own one, or that of the nearest pixel that has
            one on the same side.
        owned: whether a pixel has an anchor of its own.
    """

    pixels: Int[Tensor, "N 3"]
    owners: Int[Tensor, "2 H W"]
    owned: Bool[Tensor, "2 H W"]

    @classmethod
    def of(cls, rig: Rig) -> "PixelLayout":
        """The layout of a rig's anchors; the same rig gives the same layout.

        Args:
            rig: of the average body (betas 0), so that all people share one layout. For 10,000
                anchors this takes about two seconds.
        """
        maps = BodyMaps.of(rig)
        factor = np.sqrt(ROOM * len(rig) / int(maps.inside.sum()))
        height, width = (int(np.ceil(size * factor)) for size in maps.limb.shape[1:])
        places = maps.places.double().numpy()
        grid = np.indices((height, width)).reshape(2, -1).T
        pixels = np.empty((len(rig), 3), np.int64)
        owners = np.empty((2, height, width), np.int64)
        owned = np.zeros((2, height, width), bool)
        for side in (0, 1):
            of = np.flatnonzero(places[:, 2] == side)
            pixel = grid[_assign((places[of, :2] + 0.5) * factor - 0.5, grid)]
            pixels[of, 0], pixels[of, 1:] = side, pixel
            owned[side, pixel[:, 0], pixel[:, 1]] = True
            owners[side] = of[cKDTree(pixel).query(grid)[1]].reshape(height, width)
        return cls(*map(torch.from_numpy, (pixels, owners, owned)))

    def write(self, values: Float[Tensor, "N C"]) -> Float[Tensor, "C 2 H W"]:
        """Maps of the anchors' values; pixels without an anchor repeat the nearest one."""
        return values[self.owners].movedim(-1, 0)

    def read(self, maps: Float[Tensor, "C 2 H W"]) -> Float[Tensor, "N C"]:
        """The anchors' values; exactly undoes `write`."""
        side, row, column = self.pixels.T
        return maps[:, side, row, column].T

    def neighbours(self) -> Int[Tensor, "P 2"]:
        """Pairs of anchors whose pixels touch, side by side or one above the other."""
        owners, owned = self.owners, self.owned
        pairs = []
        for dim in (1, 2):
            first, second = (slice(None, -1), slice(1, None))
            a, b = (
                torch.stack([t.movedim(dim, 0)[part] for t in (owners, owned.long())])
                for part in (first, second)
            )
            both = (a[1] & b[1]) > 0
            pairs.append(torch.stack([a[0][both], b[0][both]], dim=1))
        return torch.cat(pairs)


def _assign(
    places: Float[np.ndarray, "n 2"], grid: Int[np.ndarray, "P 2"]
) -> Int[np.ndarray, " n"]:
    """A row of `grid` for each place, all different, at the least sum of squared distances."""
    tree, rows = cKDTree(grid), np.arange(len(places))
    for count in CANDIDATES:
        distances, near = tree.query(places, count)
        columns, column = np.unique(near, return_inverse=True)
        # + 1, since a sparse matrix takes an entry of 0 for none; every sum grows by n alike
        costs = csr_matrix(
            ((1 + distances**2).ravel(), (np.repeat(rows, count), column.ravel())),
            shape=(len(places), len(columns)),
        )
        try:
            row, chosen = min_weight_full_bipartite_matching(costs)
        except ValueError:  # a crowd whose nearest pixels do not suffice
            if count == CANDIDATES[-1]:
                raise
            continue
        return columns[chosen[np.argsort(row)]]
    raise AssertionError("the loop returns or raises")
