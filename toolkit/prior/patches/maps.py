r"""Body maps: the Gaussians of an avatar laid out flat, the front on one picture, the back on one.

Each limb of the T pose is unrolled like a label from a bottle. An ellipse is laid through every
slice of it; phi is the angle around the ellipse, 0 in front:

          back                      the limb's box in both maps
        .--------.
       /          \                 |<- a phi ->|        rows:    along the limb
    a |     + ---> | across         +-----.-----+        columns: a phi to both sides
       \          /                 |     .     |
        '--------'                  +-----.-----+
          front, phi = 0

The back's angle is counted from the back. So the same pixel of both maps is the same place, seen
from in front and from behind, and the maps are symmetric: a flip exchanges left and right. Arms
hang beside the trunk; the head, where detail is fine, is drawn larger.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.rig import Rig

HEAD, TRUNK, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG = range(6)
JOINTS = {  # SMPL-X joints of each limb
    HEAD: (15, 22, 23, 24),
    TRUNK: (0, 3, 6, 9, 12, 13, 14),
    LEFT_ARM: (16, 18, 20, *range(25, 40)),
    RIGHT_ARM: (17, 19, 21, *range(40, 55)),
    LEFT_LEG: (1, 4, 7, 10),
    RIGHT_LEG: (2, 5, 8, 11),
}
ARMS, LEFT, RIGHT = (LEFT_ARM, RIGHT_ARM), (LEFT_ARM, LEFT_LEG), (RIGHT_ARM, RIGHT_LEG)
PIXEL_M = 0.0065  # of the body; half the gap between Gaussians
HEAD_ZOOM = 1.8
SLICE_M = 0.02  # thickness of the slices that the ellipses are laid through
GAP_PX = 8  # between the boxes of limbs
REACH_PX = 2.5  # pixels further from every Gaussian do not belong to the body
NUM_NEAREST = 4


@dataclass(frozen=True)
class BodyMaps:
    """Where each of N Gaussians lies on the front and the back map, and the way to and fro.

    Attributes:
        places: row, column, and side (0 front, 1 back) of each Gaussian.
        limb: of each pixel, a key of `JOINTS`; -1 outside of the body.
        nearest, weights: the Gaussians that a pixel is interpolated from.
    """

    places: Float[Tensor, "N 3"]
    limb: Int[Tensor, "2 H W"]
    nearest: Int[Tensor, "2 H W K"]
    weights: Float[Tensor, "2 H W K"]

    @classmethod
    def of(cls, rig: Rig) -> "BodyMaps":
        """The maps of a rig's anchors; their size follows from the body's."""
        limbs = _limbs(rig)
        places, (height, width) = _lay_out(_unroll(rig, limbs), limbs)
        # the third coordinate keeps the sides so far apart that none is a neighbour of the other
        tree = cKDTree(places * [1, 1, 1e4])
        grid = np.moveaxis(np.indices((2, height, width)), 0, -1)[..., [1, 2, 0]]
        distances, nearest = tree.query(grid * [1, 1, 1e4], k=list(range(1, NUM_NEAREST + 1)))
        weights = 1 / (distances**2 + 0.05)  # a Gaussian in the middle of a pixel takes it over
        limb = np.where(distances[..., 0] < REACH_PX, limbs[nearest[..., 0]], -1)
        return cls(
            torch.from_numpy(places).float(),
            torch.from_numpy(limb),
            torch.from_numpy(nearest),
            torch.from_numpy(weights / weights.sum(-1, keepdims=True)).float(),
        )

    @property
    def inside(self) -> Bool[Tensor, "2 H W"]:
        """Pixels of the body."""
        return self.limb >= 0

    def scatter(self, values: Float[Tensor, "N C"]) -> Float[Tensor, "C 2 H W"]:
        """Maps of values that the Gaussians have: the means of the nearest ones, weighted."""
        # outside of the body the nearest values go on, so that `gather` meets no edge
        return (values[self.nearest] * self.weights[..., None]).sum(-2).movedim(-1, 0)

    def gather(self, maps: Float[Tensor, "C 2 H W"]) -> Float[Tensor, "N C"]:
        """What maps show where the Gaussians lie, bilinear; undoes `scatter` up to a little blur.

        An edit loses less than the maps do: add the *change* of the maps to what the Gaussians had.
        """
        height, width = maps.shape[-2:]
        grid = 2 * (self.places[:, [1, 0]] + 0.5) / torch.tensor([width, height]) - 1
        both = F.grid_sample(maps.movedim(1, 0), grid.expand(2, 1, -1, 2), align_corners=False)
        front, back = both[:, :, 0].mT  # (2,C,1,N) -> two of (N,C)
        return torch.where(self.places[:, 2:] > 0.5, back, front)


def _limbs(rig: Rig) -> Int[np.ndarray, " N"]:
    """The limb whose joints hold most of an anchor's skinning weight."""
    weights = rig.lbs_weights.cpu()
    return torch.stack([weights[:, list(j)].sum(1) for j in JOINTS.values()], 1).argmax(1).numpy()


def _unroll(rig: Rig, limbs: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N 3"]:
    """Down the limb, around it (metres, positive where x is, for an arm upwards), and the side."""
    x, y, z = rig.anchors_rest.cpu().numpy().astype(np.float64).T
    arm = np.isin(limbs, ARMS)
    down, across = np.where(arm, np.abs(x), -y), np.where(arm, y, x)
    unrolled = np.empty((len(limbs), 3))
    for limb in np.unique(limbs):
        of = limbs == limb
        (middle, half), (depth, half_depth) = (_slices(down[of], v[of]) for v in (across, z))
        # the ellipse's own angle: x = half sin(phi), z = half_depth cos(phi)
        sine, cosine = (across[of] - middle) / half, (z[of] - depth) / half_depth
        back = cosine < 0
        unrolled[of] = np.stack([down[of], half * np.arctan2(sine, np.abs(cosine)), back], 1)
    return unrolled


def _slices(
    down: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Middle and half extent of `values` in each point's slice of the limb, smooth along it."""
    edges = np.arange(down.min(), down.max() + SLICE_M, SLICE_M)
    index = np.searchsorted(edges, down, side="right") - 1
    used = np.unique(index)
    low, high = (np.array([f(values[index == i]) for i in used]) for f in (np.min, np.max))
    centres = edges[used] + SLICE_M / 2
    smooth = [gaussian_filter1d(v, 1.0, mode="nearest") for v in (low, high)]
    low, high = (np.interp(down, centres, v) for v in smooth)
    return (low + high) / 2, (high - low) / 2 + 0.002  # 2 mm: no slice is without extent


def _lay_out(
    unrolled: Float[np.ndarray, "N 3"], limbs: Int[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "N 3"], tuple[int, int]]:
    """Rows and columns in pixels: head over trunk over legs, an arm hanging on either side."""
    zoom = np.where(limbs == HEAD, HEAD_ZOOM, 1.0)[:, None] / PIXEL_M
    down, around = (unrolled[:, :2] * zoom).T
    left, right = np.isin(limbs, LEFT), np.isin(limbs, RIGHT)
    # an arm hangs with its upper side outwards; the right one is the mirror image of the left one
    out = np.where(np.isin(limbs, ARMS) & right, -1, 1) * around
    kinds = [limbs == HEAD, limbs == TRUNK, np.isin(limbs, ARMS), (left | right) & (limbs > 3)]
    rows = np.empty(len(limbs))
    for of in kinds:
        rows[of] = down[of] - down[of].min()
    head, trunk, arms, legs = ((rows[of].max() if of.any() else 0) for of in kinds)
    wide_head, wide, arm, leg = (np.abs(out[of]).max() if of.any() else 0 for of in kinds)
    top = head + GAP_PX
    rows += np.select(kinds, [0, top, top, top + trunk + GAP_PX])
    hips = max(wide, 2 * leg + GAP_PX / 2)  # the legs' boxes lie beside each other
    offset = np.select(kinds, [0, 0, hips + arm + GAP_PX, leg + GAP_PX / 2])
    columns = out + np.where(right, -offset, np.where(left, offset, 0))
    half = int(np.ceil(max(wide_head, hips + 2 * arm + GAP_PX) + REACH_PX)) + 1
    bottom = max(top + trunk + GAP_PX + legs, top + arms)
    size = int(np.ceil(bottom + 2 * REACH_PX)) + 1, 2 * half
    return np.stack([rows + REACH_PX, columns + half - 0.5, unrolled[:, 2]], 1), size
