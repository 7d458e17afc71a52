"""The two pictures LHM looks at: the whole person on white, and the head.

photo + mask --frame_person--> person on white, 5 : 3 --body_input--> 1024 square, normalised
photo + head box --crop_head--> head               --head_input--> 448 square, *not* normalised

Resizing follows OpenCV (INTER_AREA) and kornia (antialiased bicubic), because the weights were
trained on their exact pixels. It is own code to spare two large dependencies for four functions;
tests compare it with their numbers.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.errors import fail

ASPECT = 5 / 3  # height to width of the framed person
PATCH_PX = 14  # framed sides are multiples of it
POSE_INPUT_PX = 896  # longer side between the two croppings
BODY_PX, HEAD_PX = 1024, 448
HEAD_MARGIN = 1.65  # side of the head square over the mean side of the head's box
MIN_HEAD_PX = 8
BODY_MEAN, BODY_STD = (0.4844, 0.4570, 0.4062), (0.2295, 0.2236, 0.2256)


def body_input(framed: Float[Tensor, "1 3 H W"], size: int = BODY_PX) -> Float[Tensor, "1 3 S S"]:
    """The picture for the body encoder: square, resized, normalised. Source: LHM."""
    mean, std = (torch.tensor(v).to(framed).reshape(1, 3, 1, 1) for v in (BODY_MEAN, BODY_STD))
    return (resize_square(framed, size) - mean) / std


def head_input(head: Float[Tensor, "1 3 H W"], size: int = HEAD_PX) -> Float[Tensor, "1 3 S S"]:
    """The picture for the head encoder: square and resized; LHM does not normalise this one."""
    return resize_square(head, size)


def resize_square(image: Float[Tensor, "1 3 H W"], size: int) -> Float[Tensor, "1 3 S S"]:
    """Pad to a square with white, then resize as kornia does with antialiasing.

    Bicubic with aligned corners; before it a Gaussian blur when shrinking. Values may leave [0, 1].
    """
    height, width = image.shape[-2:]
    extra_x, extra_y = max(0, height - width), max(0, width - height)
    pad = (extra_x // 2, extra_x - extra_x // 2, extra_y // 2, extra_y - extra_y // 2)
    image = F.pad(image, pad, value=1.0)
    factor = image.shape[-1] / size
    if factor > 1:  # shrinking: blur first, or fine patterns turn into moire
        image = _blur(image, max((factor - 1) / 2, 0.001))
    return F.interpolate(image, (size, size), mode="bicubic", align_corners=True)


def _blur(image: Tensor, sigma_px: float) -> Tensor:
    """Separable Gaussian, mirrored at the border; four sigma wide in all, as kornia cuts it."""
    width = int(max(4 * sigma_px, 3)) | 1  # odd
    place = torch.arange(width).to(image) - width // 2
    kernel = torch.exp(-0.5 * (place / sigma_px) ** 2)
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, 1, width)
    padded = F.pad(image, (width // 2,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel, groups=image.shape[1])
    return F.conv2d(rows, kernel.mT, groups=image.shape[1])


def frame_person(
    image: Float[Tensor, "H W 3"], mask: Float[Tensor, "H W"], *, source_px: int = 1024
) -> Float[Tensor, "1 3 h w"]:
    """The person cut out on white, 5 : 3, with little room around.

    Args:
        image: in [0, 1].
        mask: person coverage in [0, 1], cut at 0.5.
        source_px: width of the result before rounding to patches; 512 for LHM-MINI, else 1024.

    Raises:
        InputError: other shapes, NaN, or a mask with nobody in it.
    """
    _check(image, mask)
    person = (mask > 0.5).float()
    rows, columns = _grown_box(person, 1.1)  # 5 % of room on every side
    stack = torch.cat(
        [image * person[..., None] + 1 - person[..., None], person[..., None]], dim=-1
    )
    stack = _pad_to_aspect(stack[rows, columns].permute(2, 0, 1))
    scale = POSE_INPUT_PX / max(stack.shape[1:])
    stack = area_resize(stack, *(max(1, round(s * scale)) for s in stack.shape[1:]))
    stack = _cut_symmetric(stack)  # upstream crops twice, with the resize between; so do we
    sides = (int(side / PATCH_PX) * PATCH_PX for side in (source_px * ASPECT, source_px))
    return area_resize(stack[:3], *sides)[None]


def _check(image: Tensor, mask: Tensor) -> None:
    if (
        image.ndim != 3
        or image.shape[2] != 3
        or mask.shape != image.shape[:2]
        or not (image.isfinite().all() and mask.isfinite().all())
    ):
        fail(
            "Photo and mask",
            got=f"{tuple(image.shape)}, {tuple(mask.shape)} or NaN",
            wanted="finite (H,W,3) and (H,W)",
            fix="Read the photo with toolkit.photo.load.",
        )
    if (mask > 0.5).sum() < 64:
        fail(
            "Mask",
            got=f"{int((mask > 0.5).sum())} person pixels",
            wanted="at least 64",
            fix="Use a photo in which the person is larger.",
        )


def _grown_box(person: Tensor, scale: float) -> tuple[slice, slice]:
    """Rows and columns of the mask's box, scaled about its centre, cut at the picture's border."""
    slices = []
    for axis in (1, 0):
        occupied = torch.nonzero(person.amax(axis)).flatten()
        low, high = int(occupied[0]), int(occupied[-1])
        half, middle = (high - low) / 2 * scale, (low + high) / 2
        slices.append(slice(max(0, int(middle - half)), int(middle + half) + 1))
    return slices[0], slices[1]


def _pad_to_aspect(stack: Float[Tensor, "4 H W"]) -> Float[Tensor, "4 h w"]:
    """White left and right of a narrow cut-out, or above a wide one; feet stay at the bottom."""
    height, width = stack.shape[1:]
    side = (int(height / ASPECT) - width) // 2
    pad = (side, side, 0, 0) if height > ASPECT * width else (0, 0, int(width * ASPECT - height), 0)
    return torch.cat([F.pad(stack[:3], pad, value=1.0), F.pad(stack[3:], pad)])


def _cut_symmetric(stack: Float[Tensor, "4 H W"]) -> Float[Tensor, "4 h w"]:
    """The smallest 5 : 3 window about the picture's centre that holds the mask."""
    centre = [side // 2 for side in stack.shape[1:]]
    occupied = [torch.nonzero(stack[3].amax(axis) > 0).flatten() for axis in (1, 0)]
    reach = [max(c - int(u[0]), int(u[-1]) + 1 - c) for c, u in zip(centre, occupied, strict=True)]
    half_h = min(max(reach[0], round(reach[1] * ASPECT)), centre[0])
    half_w = min(max(reach[1], round(reach[0] / ASPECT)), centre[1])
    return stack[
        :, centre[0] - half_h : centre[0] + half_h, centre[1] - half_w : centre[1] + half_w
    ]


def area_resize(image: Float[Tensor, "C H W"], height: int, width: int) -> Float[Tensor, "C h w"]:
    """OpenCV's INTER_AREA: means over pixel areas when shrinking, its own blend when enlarging.

    Rows and columns are independent, so a resize is two products: rows @ image @ columns^T.
    """
    shrinks = height <= image.shape[1] and width <= image.shape[2]
    build = _area_weights if shrinks else _enlarging_weights
    rows = torch.from_numpy(build(image.shape[1], height)).to(image)
    columns = torch.from_numpy(build(image.shape[2], width)).to(image)
    return rows @ image @ columns.T


def _area_weights(size: int, new: int) -> np.ndarray:
    """(new, size): how much of each old pixel lies in each new one."""
    edges = np.arange(new + 1) * (size / new)
    pixel = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    overlap = overlap.clip(0)
    return (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)


def _enlarging_weights(size: int, new: int) -> np.ndarray:
    """(new, size): OpenCV's blend of two neighbours, only where a new pixel spans their border."""
    place, scale = np.arange(new), size / new  # scale < 1: old pixels per new one
    left = np.floor(place * scale).astype(int)
    share = (place + 1) - (left + 1) / scale
    share = np.where(share <= 0, 0.0, share - np.floor(share))
    weights = np.zeros((new, size), np.float32)
    np.add.at(weights, (place, left.clip(max=size - 1)), 1 - share)
    np.add.at(weights, (place, (left + 1).clip(max=size - 1)), share)
    return weights


def head_box(vertices: Float[Tensor, "V 3"], camera: Cameras) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the head's vertices in the photo, pixels."""
    (pixels,), _ = camera.project(vertices)
    (left, top), (right, bottom) = pixels.amin(0).tolist(), pixels.amax(0).tolist()
    return left, top, right, bottom


def crop_head(
    image: Float[Tensor, "H W 3"], box: tuple[float, float, float, float]
) -> Float[Tensor, "1 3 h w"]:
    """The square around the head's box, cut at the photo's border; black if it lies outside.

    Upstream finds the box with a detector, shrinks the square to 112 pixels and enlarges it again
    with a face restorer; we keep the photo's own pixels. Upstream too passes a black picture on if
    no head is detected.
    """
    left, top, right, bottom = box
    half = HEAD_MARGIN * math.sqrt(max(right - left, 0) * max(bottom - top, 0)) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    rows = slice(max(0, round(y - half)), max(0, round(y + half)))
    columns = slice(max(0, round(x - half)), max(0, round(x + half)))
    head = image[rows, columns].permute(2, 0, 1)[None]
    if min(head.shape[2:]) < MIN_HEAD_PX:
        return torch.zeros(1, 3, HEAD_PX, HEAD_PX)
    return head
