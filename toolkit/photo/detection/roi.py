"""A rotated square of a picture (region of interest): cut it out, lay it back."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Roi:
    """A rotated square in the picture.

    Attributes:
        center: x, y in pixels.
        size: side in pixels.
        angle_rad: clockwise turn of the square (y points down); 0 is upright.
    """

    center: Float[np.ndarray, " 2"]
    size: float
    angle_rad: float = 0.0

    @property
    def rotation(self) -> Float[np.ndarray, "2 2"]:
        c, s = np.cos(self.angle_rad), np.sin(self.angle_rad)
        return np.array([[c, -s], [s, c]])

    def to_image(self, points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        """Crop coordinates in [0, 1] to pixels of the picture."""
        return ((points - 0.5) * self.size) @ self.rotation.T + self.center

    def to_crop(self, points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        """Pixels of the picture to crop coordinates in [0, 1]."""
        return ((points - self.center) @ self.rotation) / self.size + 0.5


def crop(image: Float[np.ndarray, "H W 3"], roi: Roi, size: int) -> Float[np.ndarray, "S S 3"]:
    """Cut a square of `size` pixels out; outside is black; shrinking averages, so no aliasing."""
    shrink = max(1, int(roi.size / size / 2))  # at most ~2 source pixels a sample are left
    oversample = 2 if roi.size / shrink > 1.2 * size else 1
    grid = (np.arange(size * oversample) + 0.5) / (size * oversample)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    planes = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).permute(2, 0, 1)[None]
    if shrink > 1:
        planes = functional.avg_pool2d(planes, shrink)
    fine = _sample(planes, roi.to_image(points) / shrink).reshape(1, 3, size * oversample, -1)
    return functional.avg_pool2d(fine, oversample)[0].permute(1, 2, 0).numpy()


def paste(
    values: Float[np.ndarray, "S S"], roi: Roi, shape: tuple[int, int]
) -> Float[np.ndarray, "H W"]:
    """Lay a crop's scalar field back over the picture; outside the crop is 0."""
    height, width = shape
    grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    planes = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None]
    return _sample(planes, roi.to_crop(grid.reshape(-1, 2)) * len(values)).reshape(shape).numpy()


def _sample(
    planes: Float[Tensor, "1 C H W"], points: Float[np.ndarray, "N 2"]
) -> Float[Tensor, "C N"]:
    """Bilinear values at x, y in pixels (centres at +0.5); 0 outside."""
    height, width = planes.shape[2:]
    grid = torch.from_numpy((points / [width, height] * 2 - 1).astype(np.float32))
    return functional.grid_sample(planes, grid[None, None], align_corners=False)[0, :, 0]
