"""The one plotting style: comparison sheets, contact sheets, difference maps, overlays.

Figures are built without pyplot, so nothing global changes and nothing pops up in a notebook.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy import ndimage

from toolkit.measure.misalignment import Misalignment, ShiftField
from toolkit.run.files import atomic_path
from toolkit.show.export import to_uint8

PAPER, INK, FAINT = "#faf9f6", "#23262b", "#8b9099"
STAGE_COLORS = ("#5f7c99", "#d8612c", "#4c8c5a")  # coarse, refined, truth
PHOTO_COLOR, RENDER_COLOR = "#12a5a0", "#e0338a"  # contours: two hues no person wears together
DPI = 100


@dataclass(frozen=True)
class StageViews:
    """One row of a comparison sheet.

    Attributes:
        name: e.g. "coarse".
        photo_rgb: render (H,W,3) in the photo's own view, on white.
        photo_alpha: its coverage (H,W).
        views: renders (V,h,w,3) on white, e.g. front, side, back.
        misalignment: against the photo, or None for a row without.
        shifts: what block matching found, or None.
        sharpness: fine contrast by sector (`Sharpness.by_sector`), or empty.
    """

    name: str
    photo_rgb: object
    photo_alpha: object
    views: object
    misalignment: Misalignment | None
    shifts: ShiftField | None
    sharpness: dict[str, float]


def figure(width_px: int, height_px: int) -> Figure:
    """An empty figure of this size on the project's paper colour."""
    fig = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(fig)
    return fig


def save_figure(fig: Figure, path: str | os.PathLike) -> None:
    """Write a PNG; the same figure gives the same bytes."""
    with atomic_path(path) as tmp:
        fig.savefig(tmp, dpi=DPI, facecolor=fig.get_facecolor(), metadata={"Software": None})


def figure_pixels(fig: Figure) -> np.ndarray:
    """The drawn figure as (H,W,3) uint8, e.g. to put it into a video."""
    fig.canvas.draw()
    return np.asarray(fig.canvas.buffer_rgba())[..., :3].copy()


def compare_figure(
    photo,
    mask,
    stages: Sequence[StageViews],
    *,
    view_names: Sequence[str] = ("front", "side", "back"),
    title: str = "",
    photo_sharpness: float | None = None,
) -> Figure:
    """Photo and stages side by side, about 1600 px wide, with the diagnostics beside them.

    Args:
        photo: (H,W,3) in [0, 1].
        mask: the person in it, (H,W).
        stages: one row each, in order: coarse, refined, perhaps the truth.
        view_names: of the columns in `stages[i].views`.
        title: printed at the top left.
        photo_sharpness: fine contrast of the photo at the renders' size: a line in the chart.
    """
    rows = len(stages)
    height_px = 460 * rows + 130
    fig, top = figure(1600, height_px), 1 - 84 / height_px
    fig.text(
        0.026,
        1 - 32 / height_px,
        title or "From one photo to a refined avatar",
        color=INK,
        fontsize=17,
        fontweight="bold",
        va="center",
    )
    box = person_box(mask)
    grid = fig.add_gridspec(
        rows,
        3 + len(view_names),
        left=0.026,
        right=0.99,
        top=top,
        bottom=56 / height_px,
        wspace=0.05,
        hspace=0.2,
        width_ratios=[1.45, 1.3, *[0.86] * len(view_names), 1.3],
    )
    left = grid[:, 0].subgridspec(2, 1, height_ratios=[1.45, 1], hspace=0.2)
    _picture(fig.add_subplot(left[0]), photo, "photo")
    _sharpness_bars(fig.add_subplot(left[1]), stages, photo_sharpness)
    for row, stage in enumerate(stages):
        axes = [fig.add_subplot(grid[row, column]) for column in range(1, 3 + len(view_names))]
        _stage_row(axes, stage, photo, mask, box, view_names, STAGE_COLORS[row % 3])
    return fig


def _stage_row(
    axes: Sequence[Axes], stage: StageViews, photo, mask, box, view_names, color: str
) -> None:
    _picture(
        axes[0], np.asarray(to_uint8(stage.photo_rgb))[box], f"{stage.name}, photo's view", color
    )
    for ax, view, name in zip(axes[1:-1], stage.views, view_names, strict=True):
        _picture(ax, view, name)
    if stage.misalignment is None:
        axes[-1].axis("off")
        return
    _misalignment(axes[-1], stage, photo, mask, box)


def _misalignment(ax: Axes, stage: StageViews, photo, mask, box) -> None:
    """Outlines and shifts on the photo, and the numbers under them."""
    _picture(ax, alignment_overlay(photo, mask, stage.photo_alpha)[box], "outlines, shifts x3")
    _shift_arrows(ax, stage.shifts, box)
    for y, word, hue in ((0.985, "photo", PHOTO_COLOR), (0.93, "render", RENDER_COLOR)):
        ax.text(
            0.02,
            y,
            word,
            color=hue,
            fontsize=10,
            fontweight="bold",
            va="top",
            transform=ax.transAxes,
            path_effects=[withStroke(linewidth=2.5, foreground=PAPER)],
        )
    m = stage.misalignment
    shift = "no texture to match" if np.isnan(m.shift_px) else f"texture off {m.shift_px:.1f} px"
    ax.set_xlabel(
        f"IoU {m.iou:.3f}   outline off {m.chamfer_px:.1f} px\n{shift}   PSNR {m.psnr_db:.1f} dB",
        color=INK,
        fontsize=9.5,
        labelpad=4,
    )


def _picture(ax: Axes, image, label: str, color: str = INK) -> None:
    ax.imshow(to_uint8(image), interpolation="lanczos")
    ax.set_anchor("N")  # one line for the heads of all pictures of a row
    ax.set_title(
        label, color=color, fontsize=11.5, pad=5, fontweight="bold" if color != INK else "normal"
    )
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _sharpness_bars(ax: Axes, stages: Sequence[StageViews], photo_sharpness: float | None) -> None:
    """Fine contrast by sector, one bar a stage."""
    shown = [(i, s) for i, s in enumerate(stages) if s.sharpness]
    if not shown:
        return ax.set_axis_off()
    sectors = [k for k in shown[0][1].sharpness if k != "all"]
    width = 0.8 / len(shown)
    for place, (i, stage) in enumerate(shown):
        x = np.arange(len(sectors)) - 0.4 + width * (place + 0.5)
        heights = [100 * stage.sharpness.get(s, np.nan) for s in sectors]
        ax.bar(x, heights, width * 0.92, color=STAGE_COLORS[i % 3], label=stage.name)
    if photo_sharpness is not None:
        ax.axhline(100 * photo_sharpness, color=INK, lw=1.2, ls=(0, (4, 3)), label="photo")
    ax.set_xticks(range(len(sectors)), sectors, fontsize=10, color=INK)
    ax.set_title("fine contrast, % of white", fontsize=11.5, color=INK, pad=24)
    ax.legend(
        frameon=False,
        fontsize=9.5,
        ncols=4,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.985),
        borderpad=0,
        handlelength=1.3,
        columnspacing=1.2,
    )
    quiet_axes(ax)


def quiet_axes(ax: Axes) -> None:
    """Only the axes that carry numbers, light grid lines behind the data."""
    ax.set_facecolor(PAPER)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)
    ax.grid(axis="y", color="#dfddd7", lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK, labelsize=9.5, length=0)


def _shift_arrows(ax: Axes, shifts: ShiftField | None, box, most: int = 60) -> None:
    """A sample of the found offsets, drawn three times as long as they are."""
    if shifts is None or not len(shifts.points):
        return
    pick = np.linspace(0, len(shifts.points) - 1, min(most, len(shifts.points))).astype(int)
    points = shifts.points[pick] - [box[1].start, box[0].start] - 0.5
    ax.quiver(
        *points.T,
        *(3 * shifts.offsets[pick]).T,
        angles="xy",
        scale_units="xy",
        scale=1,
        color="#ffd23e",
        width=0.008,
        headwidth=3.5,
        edgecolor=INK,
        linewidth=0.4,
    )


def person_box(mask, margin: float = 0.06) -> tuple[slice, slice]:
    """Rows and columns around the person, a little wider, never narrower than half its height."""
    inside = _array(mask) > 0.5
    inside = inside[..., 0] if inside.ndim == 3 else inside
    if not inside.any():
        return slice(0, inside.shape[0]), slice(0, inside.shape[1])
    ends = [np.flatnonzero(inside.any(axis))[[0, -1]] for axis in (1, 0)]
    half = [(1 + 2 * margin) * (end - start + 1) / 2 for start, end in ends]
    half[1] = max(half[1], half[0] / 2)
    middle = [(start + end + 1) / 2 for start, end in ends]
    return tuple(
        slice(max(0, int(m - h)), min(size, int(m + h) + 1))
        for m, h, size in zip(middle, half, inside.shape, strict=True)
    )


def alignment_overlay(photo, photo_mask, render_mask) -> np.ndarray:
    """The photo in grey with both outlines on it: teal the photo's person, pink the render's."""
    gray = to_uint8(photo).astype(np.float32).mean(-1, keepdims=True) / 255
    image = np.repeat(0.35 + 0.6 * gray, 3, -1)
    height = image.shape[0]
    for mask, color in ((photo_mask, PHOTO_COLOR), (render_mask, RENDER_COLOR)):
        inside = _array(mask).reshape(image.shape[:2]) > 0.5
        line = inside & ~ndimage.binary_erosion(inside, iterations=max(1, round(height / 300)))
        image[line] = to_rgb(color)
    return to_uint8(image)


def difference_map(first, second, *, scale: float = 4.0) -> np.ndarray:
    """Where two pictures differ: white is equal, orange brighter, blue darker, times `scale`."""
    change = (_array(second).astype(np.float32) - _array(first)).mean(-1) * scale
    color = np.where(change[..., None] > 0, to_rgb(STAGE_COLORS[1]), to_rgb("#2c6fb0"))
    amount = np.clip(np.abs(change), 0, 1)[..., None]
    return to_uint8(1 - amount * (1 - color))


def contact_sheet(
    images: Sequence, *, columns: int, labels: Sequence[str] = (), gap_px: int = 6
) -> np.ndarray:
    """Pictures of one size as one (H,W,3) uint8 sheet, row by row, with a label under each."""
    from PIL import Image, ImageDraw, ImageFont

    tiles = [to_uint8(image)[..., :3] for image in images]
    height, width = tiles[0].shape[:2]
    strip = 20 if labels else 0
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    paper = np.round(np.array(to_rgb(PAPER)) * 255).astype(np.uint8)
    sheet = np.tile(
        paper, (rows * (height + strip + gap_px) + gap_px, columns * (width + gap_px) + gap_px, 1)
    )
    corners = [
        (
            gap_px + (i // columns) * (height + strip + gap_px),
            gap_px + (i % columns) * (width + gap_px),
        )
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


def _array(value) -> np.ndarray:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
