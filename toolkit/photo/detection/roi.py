"""A rotated square in a picture: cut it out, and lay a map of it back over the picture."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Roi:
    """A rotated square in a picture (region of interest).

    Attributes:
        center: x, y in pixels.
        size: side in pixels.
        angle_rad: rotation of the square, clockwise on the screen because y points down.
    """

    center: Float[np.ndarray, " 2"]
    size: float
    angle_rad: float = 0.0

    @property
    def rotation(self) -> Float[np.ndarray, "2 2"]:
        """Rotation matrix from the axes of the square to those of the picture."""
        c, s = np.cos(self.angle_rad), np.sin(self.angle_rad)
        return np.array([[c, -s], [s, c]])

    def to_image(self, points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        """From coordinates in the square, [0, 1], to pixels of the picture."""
        return ((points - 0.5) * self.size) @ self.rotation.T + self.center

    def to_crop(self, points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        """From pixels of the picture to coordinates in the square, [0, 1]."""
        return ((points - self.center) @ self.rotation) / self.size + 0.5


def crop(image: Float[np.ndarray, "H W 3"], roi: Roi, size: int) -> Float[np.ndarray, "S S 3"]:
    """Cut a square out of a picture; what lies outside of the picture is black.

    Args:
        image: RGB in [0, 1].
        roi: the square.
        size: side of the result in pixels.
    """
    # Bilinear sampling reads 2 x 2 pixels, so it aliases when the crop is much smaller than the
    # square. First averaging blocks, then sampling at twice the size and averaging, prevents that.
    shrink = max(1, int(roi.size / size / 2))
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
    """Lay a map over the square `roi` into a picture of height and width `shape`; 0 elsewhere."""
    height, width = shape
    grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    planes = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None]
    return _sample(planes, roi.to_crop(grid.reshape(-1, 2)) * len(values)).reshape(shape).numpy()


def _sample(
    planes: Float[Tensor, "1 C H W"], points: Float[np.ndarray, "N 2"]
) -> Float[Tensor, "C N"]:
    """Bilinear values at positions x, y in pixels (pixel centres at +0.5); 0 outside."""
    height, width = planes.shape[2:]
    grid = torch.from_numpy((points / [width, height] * 2 - 1).astype(np.float32))
    return functional.grid_sample(planes, grid[None, None], align_corners=False)[0, :, 0]
