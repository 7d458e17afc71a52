"""Pictures made from pictures: contact sheets, difference maps, outlines on a photo."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Real, UInt8
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from toolkit.show.export import Array, to_array, to_uint8
from toolkit.show.style import INK, PAPER, PHOTO_COLOR, RENDER_COLOR, STAGE_COLORS

BRIGHTER_COLOR, DARKER_COLOR = STAGE_COLORS[1], "#2c6fb0"  # of a difference map
LABEL_PX = 20  # height of the strip under each tile of a contact sheet


def contact_sheet(
    images: Sequence[Real[Array, "H W C"]],
    *,
    columns: int,
    labels: Sequence[str] = (),
    gap_px: int = 6,
) -> UInt8[np.ndarray, "h w 3"]:
    """Arrange pictures of one size as one sheet, row by row, with a label under each.

    Args:
        images: floats in [0, 1] or uint8; a fourth channel is dropped.
        columns: tiles per row.
        labels: one per picture, or none at all.
        gap_px: between the tiles and around them.
    """
    tiles = [to_uint8(image)[..., :3] for image in images]
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)  # rounded up
    columns = min(columns, len(tiles))
    row_px, column_px = height + (LABEL_PX if labels else 0) + gap_px, width + gap_px
    paper = np.round(np.array(to_rgb(PAPER)) * 255).astype(np.uint8)
    sheet = np.tile(paper, (rows * row_px + gap_px, columns * column_px + gap_px, 1))
    corners = [
        (gap_px + (i // columns) * row_px, gap_px + (i % columns) * column_px)
        for i in range(len(tiles))
    ]
    for (y, x), tile in zip(corners, tiles, strict=True):
        sheet[y : y + height, x : x + width] = tile
    if not labels:
        return sheet
    canvas = Image.fromarray(sheet)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for (y, x), label in zip(corners, labels, strict=False):
        draw.text((x + width / 2, y + height + 3), label, fill=INK, font=font, anchor="mt")
    return np.asarray(canvas)


def difference_map(
    first: Real[Array, "H W 3"], second: Real[Array, "H W 3"], *, scale: float = 4.0
) -> UInt8[np.ndarray, "H W 3"]:
    """Where two pictures differ: white is equal, orange brighter in the second, blue darker.

    Args:
        first: floats in [0, 1].
        second: floats in [0, 1].
        scale: a difference of 1 / scale has the full colour; larger ones are clipped.
    """
    change = (to_array(second).astype(np.float32) - to_array(first)).mean(-1) * scale
    color = np.where(change[..., None] > 0, to_rgb(BRIGHTER_COLOR), to_rgb(DARKER_COLOR))
    amount = np.clip(np.abs(change), 0, 1)[..., None]
    return to_uint8(1 - amount * (1 - color))  # a blend of white (1) and the colour


def alignment_overlay(
    photo: Real[Array, "H W 3"], photo_mask: Real[Array, "..."], render_mask: Real[Array, "..."]
) -> UInt8[np.ndarray, "H W 3"]:
    """The photo in grey with two outlines on it: the photo's person in teal, the render's in pink.

    Args:
        photo: floats in [0, 1] or uint8.
        photo_mask: the person in the photo, (H,W) or (H,W,1), in [0, 1].
        render_mask: the avatar's coverage, of the same shape.
    """
    gray = to_uint8(photo).astype(np.float32).mean(-1, keepdims=True) / 255
    image = np.repeat(0.35 + 0.6 * gray, 3, -1)  # pale, so that the outlines stand out
    height = image.shape[0]
    thickness_px = max(1, round(height / 300))
    for mask, color in ((photo_mask, PHOTO_COLOR), (render_mask, RENDER_COLOR)):
        inside = to_array(mask).reshape(image.shape[:2]) > 0.5
        # the outline is what erosion takes away from the shape
        line = inside & ~ndimage.binary_erosion(inside, iterations=thickness_px)
        image[line] = to_rgb(color)
    return to_uint8(image)


def person_box(mask: Real[Array, "..."], margin: float = 0.06) -> tuple[slice, slice]:
    """Rows and columns around the person, a little wider, never narrower than half its height.

    Args:
        mask: the person, (H,W) or (H,W,1), in [0, 1]; the whole picture if it is empty.
        margin: added on each side, as a share of the person's size.
    """
    inside = to_array(mask) > 0.5
    inside = inside[..., 0] if inside.ndim == 3 else inside
    if not inside.any():
        return slice(0, inside.shape[0]), slice(0, inside.shape[1])
    # first and last row, then first and last column, in which there is any person
    ends = [np.flatnonzero(inside.any(axis))[[0, -1]] for axis in (1, 0)]
    half = [(1 + 2 * margin) * (end - start + 1) / 2 for start, end in ends]
    half[1] = max(half[1], half[0] / 2)
    middle = [(start + end + 1) / 2 for start, end in ends]
    return tuple(
        slice(max(0, int(m - h)), min(size, int(m + h) + 1))
        for m, h, size in zip(middle, half, inside.shape, strict=True)
    )
