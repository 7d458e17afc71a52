"""Cut a square around the person out of the photo, for the coarse model and for the refit.

The crop keeps more than pixels. Colours continue beyond the person's contour, so that bilinear
sampling at the contour does not mix in background; two maps of vectors lead from each pixel to the
nearest person pixel and to the nearest background pixel; and the camera is adapted, so that
projected points land in pixels of the crop.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.errors import fail

CROP_PX = 256  # side of the square that the coarse model sees


@dataclass(frozen=True)
class PhotoCrop:
    """The person in a square picture of S pixels.

    Attributes:
        rgb: colour in [0, 1]; outside the person each pixel repeats the nearest person pixel.
        mask: how much of each pixel the person covers, in [0, 1].
        known: 1 within the photo, 0 where the square reaches beyond the photo's border.
        to_inside_px: vector (x, y) to the nearest person pixel, in pixels of the crop; zero on
            the person and where `known` is 0.
        to_outside_px: vector (x, y) to the nearest background pixel, in pixels of the crop; zero
            on the background.
        camera: one camera, whose pixels are those of the crop.
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
    """Cut the square around the mask, resize it with antialiasing and adapt the camera.

    Args:
        image: RGB in [0, 1].
        mask: how much of each pixel the person covers, in [0, 1].
        camera: the photo's camera; its width and height are those of `image`.
        margin: free border on each side of the mask, as a share of the mask's longer side.
        size: side of the crop in pixels.

    Raises:
        InputError: the shapes do not match, values are not finite, or the mask is almost empty.
    """
    image, mask = _checked(image, mask)
    x0, y0, side = _square_around(mask, margin)
    h, w = mask.shape
    # `F.pad` wants left, right, top, bottom: as far as the square reaches beyond the photo.
    pad = (max(0, -x0), max(0, x0 + side - w), max(0, -y0), max(0, y0 + side - h))
    # Premultiplied colour (colour * coverage) and coverage can be averaged by the resize without
    # mixing in background; `crop_from_premultiplied` divides them again. (1, 4, H, W)
    stack = torch.cat([image.permute(2, 0, 1) * mask, mask[None]])[None]
    top, left = y0 + pad[2], x0 + pad[0]
    stack = F.pad(stack, pad)[..., top : top + side, left : left + side]
    stack = F.interpolate(stack, (size, size), mode="bilinear", antialias=True)[0].clamp(0, 1)
    # Moving the picture's corner by (x0, y0) moves the principal point by as much the other way.
    shift = torch.eye(3)
    shift[0, 2], shift[1, 2] = -x0, -y0
    moved = Cameras(camera.viewmats[:1], shift.to(camera.Ks) @ camera.Ks[:1], side, side)
    # The photo's own border in pixels of the crop: left, top, right, bottom.
    frame = torch.tensor([-x0, -y0, w - x0, h - y0]) * (size / side)
    return crop_from_premultiplied(stack, moved.resized(size, size), frame)


def _checked(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Both as float32, after a check of shapes and values."""
    image, mask = torch.as_tensor(image).float(), torch.as_tensor(mask).float()
    if image.ndim != 3 or image.shape[-1] != 3 or mask.shape != image.shape[:2]:
        fail(
            "Photo",
            got=f"image {tuple(image.shape)}, mask {tuple(mask.shape)}",
            wanted="(H, W, 3) and (H, W)",
            fix="Load the photo with toolkit.photo.read_photo.",
        )
    if not (torch.isfinite(image).all() and torch.isfinite(mask).all()):
        fail("Photo", got="NaN or Inf", wanted="finite values in [0, 1]", fix="Read it again.")
    if (mask > 0.5).sum() < 64:
        fail(
            "Mask",
            got=f"{int((mask > 0.5).sum())} person pixels",
            wanted="at least 64",
            fix="Use a photo in which the person is larger.",
        )
    return image, mask


def _square_around(mask: Tensor, margin: float) -> tuple[int, int, int]:
    """Left, top and side in pixels of the square around the mask; it may reach beyond the photo."""
    ys, xs = torch.nonzero(mask > 0.5, as_tuple=True)
    x_low, x_high, y_low, y_high = (int(v) for v in (xs.min(), xs.max(), ys.min(), ys.max()))
    side = round((max(x_high - x_low, y_high - y_low) + 1) * (1 + 2 * margin))
    return (x_low + x_high + 1 - side) // 2, (y_low + y_high + 1 - side) // 2, side


def crop_from_premultiplied(
    stack: Float[Tensor, "4 S S"], camera: Cameras, frame: Float[Tensor, " 4"]
) -> PhotoCrop:
    """Continue the colours beyond the contour and measure the distances to it.

    Args:
        stack: colour times coverage (3 channels) and coverage, in [0, 1].
        camera: the camera of the crop.
        frame: left, top, right and bottom border of the photo in pixels of the crop.
    """
    mask = stack[3].numpy()
    # Only pixels that the person covers almost fully have a colour without background in it.
    covered = mask > min(0.9, 0.9 * mask.max())
    row, column = np.indices(mask.shape) + 0.5  # pixel centres lie at +0.5
    # The outermost pixel on each side is half blended with the black beyond the photo.
    left, top, right, bottom = (frame + torch.tensor([1, 1, -1, -1])).tolist()
    known = (column > left) & (column < right) & (row > top) & (row < bottom)
    # Row and column of the nearest covered pixel, for each pixel.
    y, x = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    rgb = (stack[:3].numpy() / np.maximum(mask, 1e-3))[:, y, x].clip(0, 1)
    # Beyond the photo nobody knows where the person ends, so those pixels are no background.
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
    """Vectors (x, y) in pixels to the nearest true pixel; a whole picture long if there is none."""
    if not goal.any():
        return np.full((2, *goal.shape), goal.shape[0], np.float32)
    nearest = distance_transform_edt(~goal, return_distances=False, return_indices=True)
    return (nearest - np.indices(goal.shape))[::-1].astype(np.float32)  # (row, column) to (x, y)


def sample_bilinear(
    maps: Float[Tensor, "C h w"], pixels: Float[Tensor, "N 2"], size: int | None = None
) -> Float[Tensor, "N C"]:
    """Read maps at pixel positions, bilinearly; beyond the border the edge values repeat.

    Args:
        maps: C square maps.
        pixels: positions (x, y), with pixel centres at +0.5.
        size: side of the picture that `pixels` count in; None if that is the maps' own side.
    """
    grid = pixels / (size or maps.shape[-1]) * 2 - 1  # `grid_sample` counts from -1 to 1
    # Points behind the camera project to infinity or NaN; they must not reach `grid_sample`.
    grid = torch.nan_to_num(grid, 2.0, 2.0, -2.0).clamp(-2, 2)[None, :, None]
    return F.grid_sample(maps[None], grid, padding_mode="border", align_corners=False)[0, :, :, 0].T
