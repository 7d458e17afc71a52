"""Pictures and masks as the measures take them: tensors or arrays in, float32 arrays out."""

import numpy as np
import torch
from jaxtyping import Float, Real, Shaped
from scipy import ndimage
from torch import Tensor

Picture = Real[Tensor, "H W 3"] | Real[np.ndarray, "H W 3"]  # in [0, 1], or uint8 up to 255
Plane = Shaped[Tensor, "H W *one"] | Shaped[np.ndarray, "H W *one"]  # coverage, in [0, 1] or bool

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # brightness of red, green, blue; ITU-R BT.601


def as_picture(image: Picture | Plane) -> Float[np.ndarray, "H W *C"]:
    """A picture as an array in [0, 1]."""
    image = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    return image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)


def as_plane(coverage: Plane) -> Float[np.ndarray, "H W"]:
    """A mask as an array in [0, 1] without a channel axis."""
    plane = as_picture(coverage)
    return plane[..., 0] if plane.ndim == 3 else plane


def resize_plane(plane: Float[np.ndarray, "H W"], zoom: float) -> Float[np.ndarray, "h w"]:
    """One channel `zoom` times as large, bilinear; blurred first where it shrinks."""
    if zoom < 1:  # detail finer than the new pixels would show up as false patterns (aliasing)
        plane = ndimage.gaussian_filter(np.asarray(plane, np.float32), 0.5 / zoom - 0.5)
    return ndimage.zoom(
        np.asarray(plane, np.float32), zoom, order=1, grid_mode=True, mode="nearest"
    )
