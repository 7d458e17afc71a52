"""The photo cut to a square around its person: what the coarse model and the refit look at."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.errors import fail

CROP_PX = 256  # side of the square the network sees


@dataclass(frozen=True)
class PhotoCrop:
    """The person alone, square.

    Attributes:
        rgb: the photo; outside the person the colour of the nearest person pixel, so that
            bilinear sampling near the contour never mixes in background.
        mask: person coverage in [0, 1].
        known: 1 within the photo, 0 where the square reaches over its border.
        to_inside_px: vector (x, y) to the nearest person pixel; zero inside and where unknown.
        to_outside_px: vector (x, y) to the nearest background pixel of the photo; zero there.
        camera: one camera of the crop.
    """

    rgb: Float[Tensor, "3 S S"]
    mask: Float[Tensor, "S S"]
    known: Float[Tensor, "S S"]
    to_inside_px: Float[Tensor, "2 S S"]
    to_outside_px: Float[Tensor, "2 S S"]
    camera: Cameras


def crop_photo(
    image: Float[Tensor, "H W 3"],
    mask: Float[Tensor, "H W"],
    camera: Cameras,
    *,
    margin: float = 0.06,
    size: int = CROP_PX,
) -> PhotoCrop:
    """Cut the square around the mask, resize it with antialiasing, adapt the camera.

    Args:
        image: in [0, 1].
        mask: person coverage in [0, 1].
        camera: the photo's camera, same picture size.
        margin: border around the mask, as a share of its longer side.

    Raises:
        InputError: wrong shapes, NaN, or a mask with nobody in it.
    """
    image, mask = _checked(image, mask)
    x0, y0, side = _square_around(mask, margin)
    h, w = mask.shape
    pad = (max(0, -x0), max(0, x0 + side - w), max(0, -y0), max(0, y0 + side - h))
    stack = torch.cat([image.permute(2, 0, 1) * mask, mask[None]])[None]
    top, left = y0 + pad[2], x0 + pad[0]
    stack = F.pad(stack, pad)[..., top : top + side, left : left + side]
    stack = F.interpolate(stack, (size, size), mode="bilinear", antialias=True)[0].clamp(0, 1)
    shift = torch.eye(3)
    shift[0, 2], shift[1, 2] = -x0, -y0
    moved = Cameras(camera.viewmats[:1], shift.to(camera.Ks) @ camera.Ks[:1], side, side)
    frame = torch.tensor([-x0, -y0, w - x0, h - y0]) * (size / side)
    return crop_from_premultiplied(stack, moved.resized(size, size), frame)


def _checked(image, mask) -> tuple[Tensor, Tensor]:
    image, mask = torch.as_tensor(image).float(), torch.as_tensor(mask).float()
    if image.ndim != 3 or image.shape[-1] != 3 or mask.shape != image.shape[:2]:
        fail(
            "Photo",
            got=f"image {tuple(image.shape)}, mask {tuple(mask.shape)}",
            wanted="(H, W, 3) and (H, W)",
            fix="Load the photo with toolkit.photo.load_photo.",
        )
    if not (torch.isfinite(image).all() and torch.isfinite(mask).all()):
        fail("Photo", got="NaN or Inf", wanted="finite values in [0, 1]", fix="Load it again.")
    if (mask > 0.5).sum() < 64:
        fail(
            "Mask",
            got=f"{int((mask > 0.5).sum())} person pixels",
            wanted="at least 64",
            fix="Use a photo in which the person is larger.",
        )
    return image, mask


def _square_around(mask: Tensor, margin: float) -> tuple[int, int, int]:
    """Left, top and side (pixels) of the square around the mask; may reach over the border."""
    ys, xs = torch.nonzero(mask > 0.5, as_tuple=True)
    x_low, x_high, y_low, y_high = (int(v) for v in (xs.min(), xs.max(), ys.min(), ys.max()))
    side = round((max(x_high - x_low, y_high - y_low) + 1) * (1 + 2 * margin))
    return (x_low + x_high + 1 - side) // 2, (y_low + y_high + 1 - side) // 2, side


def crop_from_premultiplied(
    stack: Float[Tensor, "4 S S"], camera: Cameras, frame: Float[Tensor, "4"]
) -> PhotoCrop:
    """Make a `PhotoCrop` from premultiplied colour and coverage.

    Args:
        frame: left, top, right and bottom of the photo in pixels of the crop.
    """
    mask = stack[3].numpy()
    solid = mask > min(0.9, 0.9 * mask.max())
    row, column = np.indices(mask.shape) + 0.5
    left, top, right, bottom = (frame + torch.tensor([1, 1, -1, -1])).tolist()  # rim: half blended
    known = (column > left) & (column < right) & (row > top) & (row < bottom)
    y, x = distance_transform_edt(~solid, return_distances=False, return_indices=True)
    rgb = (stack[:3].numpy() / np.maximum(mask, 1e-3))[:, y, x].clip(0, 1)
    to_inside = _to_nearest(mask >= 0.5) * known
    to_outside = _to_nearest((mask < 0.5) & known)
    return PhotoCrop(
        torch.from_numpy(rgb.astype(np.float32)),
        stack[3],
        torch.from_numpy(known.astype(np.float32)),
        torch.from_numpy(to_inside),
        torch.from_numpy(to_outside),
        camera,
    )


def _to_nearest(goal: np.ndarray) -> np.ndarray:
    """Vectors (x, y) in pixels to the nearest true pixel; far away if there is none."""
    if not goal.any():
        return np.full((2, *goal.shape), goal.shape[0], np.float32)
    nearest = distance_transform_edt(~goal, return_distances=False, return_indices=True)
    return (nearest - np.indices(goal.shape))[::-1].astype(np.float32)


def sample_bilinear(
    maps: Float[Tensor, "C h w"], pixels: Float[Tensor, "N 2"], size: int | None = None
) -> Float[Tensor, "N C"]:
    """Bilinear values of `maps` at pixels of a picture of side `size` (default: their own)."""
    grid = pixels / (size or maps.shape[-1]) * 2 - 1
    grid = torch.nan_to_num(grid, 2.0, 2.0, -2.0).clamp(-2, 2)[None, :, None]
    return F.grid_sample(maps[None], grid, padding_mode="border", align_corners=False)[0, :, :, 0].T
