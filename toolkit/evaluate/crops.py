"""Squares around the person and the head, and what the feature network sees in them.

Sharpness and the perceptual distance look at a square of `CROP_PX` around the person, so that they
mean the same for pictures of any size; the face distance looks at the head alone.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.measure.perceptual import load_features, pool_features

CROP_PX, MARGIN = 224, 0.12  # side of the square; border as a share of the person's longer side
FACE_PX = 112  # side of the head crop

Square = tuple[int, int, int]  # left, top, side; pixels, may reach over the picture's border


@dataclass(frozen=True)
class Crops:
    """Some views, each cut to its square, with their features.

    Attributes:
        rgb: on white, in [0, 1]; S is `CROP_PX`.
        alpha: coverage, in [0, 1].
        features: one map per block of the network, see `measure.perceptual`.
        faces: pooled features of the head crop, by number of the view; only views that show a face.
    """

    rgb: Float[Tensor, "C S S 3"]
    alpha: Float[Tensor, "C S S"]
    features: list[Tensor]
    faces: dict[int, Tensor]


def crop_views(
    rgb: Float[Tensor, "C H W 3"],
    alpha: Float[Tensor, "C H W 1"],
    boxes: list[Square],
    heads: list[Square | None],
) -> Crops:
    """Crop each view and run the feature network on it once.

    Args:
        rgb: on white, in [0, 1].
        alpha: coverage, in [0, 1].
        boxes: around the person, one per view.
        heads: around the head, one per view; None where no face shows.
    """
    net = load_features()
    crops = torch.stack(
        [crop_square(rgb[i], alpha[i], box, CROP_PX) for i, box in enumerate(boxes)]
    )
    head_crops = {
        i: crop_square(rgb[i], alpha[i], box, FACE_PX)[..., :3]
        for i, box in enumerate(heads)
        if box is not None
    }
    with torch.no_grad():
        parts = [net(chunk) for chunk in crops[..., :3].split(4)]  # four at a time to save memory
        faces = pool_features(net(torch.stack(list(head_crops.values())))) if head_crops else []
    return Crops(
        crops[..., :3],
        crops[..., 3],
        [torch.cat(p) for p in zip(*parts, strict=True)],
        dict(zip(head_crops, faces, strict=True)),
    )


def person_square(alpha: Float[Tensor, "H W"]) -> Square:
    """The square around a silhouette, with its border; the whole picture if it is empty."""
    rows, columns = (torch.nonzero((alpha > 0.5).any(axis))[:, 0] for axis in (1, 0))
    if not len(rows):
        return 0, 0, max(alpha.shape)
    (top, bottom), (left, right) = ((int(v[0]), int(v[-1]) + 1) for v in (rows, columns))
    side = round(max(bottom - top, right - left) * (1 + 2 * MARGIN))
    return (left + right - side) // 2, (top + bottom - side) // 2, side


def crop_square(
    rgb: Float[Tensor, "H W 3"], alpha: Float[Tensor, "H W 1"], box: Square, size: int
) -> Float[Tensor, "S S 4"]:
    """Colour on white and coverage inside a square, which may reach over the border.

    Args:
        rgb: on white, in [0, 1].
        alpha: coverage, in [0, 1].
        box: what is cut out.
        size: height and width of the result, pixels.
    """
    left, top, side = box
    # less 1, white is 0: then the zeros that `pad` adds beyond the border are white, too
    stack = torch.cat([rgb - 1, alpha], -1).permute(2, 0, 1)
    height, width = alpha.shape[:2]
    stack = F.pad(
        stack,
        (max(0, -left), max(0, left + side - width), max(0, -top), max(0, top + side - height)),
    )
    stack = stack[:, max(0, top) :, max(0, left) :][:, :side, :side]
    stack = F.interpolate(
        stack[None], (size, size), mode="bilinear", antialias=True, align_corners=False
    )[0].permute(1, 2, 0)
    return torch.cat([(stack[..., :3] + 1).clamp(0, 1), stack[..., 3:].clamp(0, 1)], -1)
