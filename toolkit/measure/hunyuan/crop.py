"""Hunyuan3D-2's way to prepare a photo: the person alone, in the middle of a white square."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from toolkit.cameras import Cameras
from toolkit.errors import fail

SHARE = 0.85  # of the square's side that the person's longer side takes


@dataclass(frozen=True)
class Recentred:
    """The person alone in a white square: x of the square = scale * x of the photo + corner.

    Attributes:
        rgb: in [0, 1].
        mask: coverage of the person, in [0, 1].
        scale: pixels of the square per pixel of the photo.
        corner: x and y of the photo's corner in the square, pixels of the square.
        box: x0, y0, x1, y1 of the person in the photo, pixels of the photo.
    """

    rgb: Float[np.ndarray, "S S 3"]
    mask: Float[np.ndarray, "S S"]
    scale: float
    corner: Float[np.ndarray, " 2"]
    box: tuple[int, int, int, int]

    def carry(self, picture: Float[np.ndarray, "H W *K"], fill: float = 0.0) -> np.ndarray:
        """Cut and place another picture of the same view, e.g. normals, in the same way."""
        return _place(picture, self.box, self.scale, self.corner, len(self.mask), fill)

    def camera(self, cameras: Cameras) -> Cameras:
        """The photo's camera, changed so that it sees the square picture."""
        Ks = cameras.Ks.clone()
        Ks[:, :2] *= self.scale  # focal lengths and principal point, in pixels of the square
        Ks[:, :2, 2] += torch.from_numpy(self.corner).to(Ks)
        return Cameras(cameras.viewmats, Ks, len(self.mask), len(self.mask))


def recentre(
    rgb: Float[np.ndarray, "H W 3"],
    mask: Float[np.ndarray, "H W"],
    *,
    size_px: int = 512,
    share: float = SHARE,
) -> Recentred:
    """Cut the person out and put them into the middle of a white square.

    Args:
        rgb: in [0, 1].
        mask: coverage of the person, in [0, 1].
        size_px: side of the square.
        share: of the square's side that the person's longer side takes.

    Raises:
        InputError: an empty mask.

    Source: as Hunyuan3D-2 prepares its input.
    """
    rows, cols = np.flatnonzero((mask > 0.5).any(1)), np.flatnonzero((mask > 0.5).any(0))
    if not len(rows):
        fail("recentre", got="an empty mask", wanted="a person", fix="Look at the person mask.")
    box = (int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1)
    scale = share * size_px / max(box[2] - box[0], box[3] - box[1])
    corner = size_px / 2 - scale * np.array([box[0] + box[2], box[1] + box[3]]) / 2
    coverage = _place(mask, box, scale, corner, size_px, 0.0).clip(0, 1)
    # the photo's background becomes white; pixels of the outline are mixed by their coverage
    alone = rgb * mask[..., None] + 1 - mask[..., None]
    square = _place(alone, box, scale, corner, size_px, 1.0).clip(0, 1)
    return Recentred(square.astype(np.float32), coverage.astype(np.float32), scale, corner, box)


def _place(
    picture: Float[np.ndarray, "H W *K"],
    box: tuple[int, int, int, int],
    scale: float,
    corner: Float[np.ndarray, " 2"],
    size_px: int,
    fill: float,
) -> Float[np.ndarray, "S S *K"]:
    """Sample a picture bilinearly at the square's pixel centres; `fill` outside the box."""
    centers = np.arange(size_px) + 0.5
    x, y = (centers - corner[0]) / scale, (centers - corner[1]) / scale
    planes = np.asarray(picture, np.float32).reshape(*picture.shape[:2], -1)
    if scale < 1:  # detail finer than the new pixels would show up as false patterns (aliasing)
        planes = ndimage.gaussian_filter(planes, (0.5 / scale - 0.5,) * 2 + (0,))
    # `map_coordinates` counts from the first pixel's centre, which lies at +0.5
    grid = np.meshgrid(y - 0.5, x - 0.5, indexing="ij")
    inside = ((y >= box[1] - 1) & (y <= box[3] + 1))[:, None] & (
        (x >= box[0] - 1) & (x <= box[2] + 1)
    )[None]
    samples = np.stack(
        [
            ndimage.map_coordinates(planes[..., k], grid, order=1, mode="nearest")
            for k in range(planes.shape[2])
        ],
        axis=-1,
    )
    samples = np.where(inside[..., None], samples, fill)
    return samples.reshape(size_px, size_px, *picture.shape[2:])
