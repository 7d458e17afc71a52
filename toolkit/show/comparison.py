"""The comparison sheet: photo, coarse and refined avatar side by side, with what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from toolkit.measure.block_matching import ShiftField
from toolkit.measure.misalignment import Misalignment
from toolkit.show.export import Array, to_uint8
from toolkit.show.pictures import alignment_overlay, person_box
from toolkit.show.style import (
    INK,
    PAPER,
    PHOTO_COLOR,
    RENDER_COLOR,
    STAGE_COLORS,
    figure,
    quiet_axes,
)

SHEET_PX = 1600  # width of the sheet
ROW_PX = 460  # height that each stage adds
INVENTED_COLOR = "#8a4fbf"  # violet: in neither outline, and rare in clothes
ARROW_SCALE = 3  # shifts are drawn so many times as long as they are


@dataclass(frozen=True)
class StageViews:
    """One row of a comparison sheet.

    Attributes:
        name: e.g. "coarse".
        photo_rgb: render in the photo's own view, on white.
        photo_alpha: its coverage.
        views: renders on white, e.g. from the front, the side and the back.
        misalignment: against the photo; None leaves its column empty.
        shifts: offsets that block matching found, or None.
        sharpness: fine contrast by sector (`Sharpness.by_sector`), or empty.
        invented: where `views` show what the photo says nothing about; it is marked. Or None.
    """

    name: str
    photo_rgb: Real[Array, "H W 3"]
    photo_alpha: Real[Array, "H W"]
    views: Real[Array, "V h w 3"]
    misalignment: Misalignment | None
    shifts: ShiftField | None
    sharpness: dict[str, float]
    invented: Bool[Array, "V h w"] | None = None


@dataclass(frozen=True)
class _Photo:
    """What every row of the sheet is compared with."""

    rgb: Real[Array, "H W 3"]
    mask: Real[Array, "..."]
    box: tuple[slice, slice]  # rows and columns around the person


def compare_figure(
    photo: Real[Array, "H W 3"],
    mask: Real[Array, "..."],
    stages: Sequence[StageViews],
    *,
    view_names: Sequence[str] = ("front", "side", "back"),
    title: str = "",
    photo_sharpness: float | None = None,
) -> Figure:
    """Photo and stages side by side, about 1600 px wide, with the diagnostics beside them.

    Args:
        photo: floats in [0, 1] or uint8.
        mask: the person in the photo, (H,W) or (H,W,1), in [0, 1].
        stages: one row each, in order: coarse, refined, perhaps the truth.
        view_names: of the columns in `stages[i].views`.
        title: printed at the top left.
        photo_sharpness: fine contrast of the photo at the renders' size: a line in the chart.
    """
    rows = len(stages)
    height_px = ROW_PX * rows + 130
    fig, top = figure(SHEET_PX, height_px), 1 - 84 / height_px
    fig.text(
        0.026,
        1 - 32 / height_px,
        title or "From one photo to a refined avatar",
        color=INK,
        fontsize=17,
        fontweight="bold",
        va="center",
    )
    # Columns: photo and chart | render in the photo's view | the views | outlines and numbers.
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
    _draw_picture(fig.add_subplot(left[0]), photo, "photo")
    _draw_sharpness(fig.add_subplot(left[1]), stages, photo_sharpness)
    compared = _Photo(photo, mask, person_box(mask))
    for row, stage in enumerate(stages):
        axes = [fig.add_subplot(grid[row, column]) for column in range(1, 3 + len(view_names))]
        _draw_row(axes, stage, compared, view_names, STAGE_COLORS[row % 3])
    return fig


def _draw_row(
    axes: Sequence[Axes], stage: StageViews, photo: _Photo, view_names: Sequence[str], color: str
) -> None:
    """One stage: its render in the photo's view, its other views, and its misalignment."""
    render = to_uint8(stage.photo_rgb)[photo.box]
    _draw_picture(axes[0], render, f"{stage.name}, photo's view", color)
    for index, (ax, view, name) in enumerate(zip(axes[1:-1], stage.views, view_names, strict=True)):
        _draw_picture(ax, view, name)
        if stage.invented is not None:
            _mark_invented(ax, np.asarray(stage.invented[index]))
    if stage.misalignment is None:
        axes[-1].axis("off")
    else:
        _draw_misalignment(axes[-1], stage, photo)


def _mark_invented(ax: Axes, invented: Bool[np.ndarray, "h w"]) -> None:
    """A dashed line around the parts that no pixel of the photo says anything about."""
    if invented.any():
        # a line drawn half a pixel outside, so that a part that touches the border is closed
        field = np.pad(invented.astype(float), 1)
        place = [np.arange(side) - 1 for side in field.shape[::-1]]
        ax.contour(
            *place, field, [0.5], colors=[INVENTED_COLOR], linewidths=1.1, linestyles="dashed"
        )
        ax.set_xlabel("dashed: invented", color=INVENTED_COLOR, fontsize=9.5, labelpad=4)


def _draw_misalignment(ax: Axes, stage: StageViews, photo: _Photo) -> None:
    """Outlines and shifts on the photo, and the numbers under them."""
    overlay = alignment_overlay(photo.rgb, photo.mask, stage.photo_alpha)
    _draw_picture(ax, overlay[photo.box], f"outlines, shifts x{ARROW_SCALE}")
    _draw_shifts(ax, stage.shifts, photo.box)
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


def _draw_shifts(
    ax: Axes, shifts: ShiftField | None, box: tuple[slice, slice], most: int = 60
) -> None:
    """Arrows for an evenly spaced sample of the offsets: all of them would hide the photo."""
    if shifts is None or not len(shifts.points):
        return
    pick = np.linspace(0, len(shifts.points) - 1, min(most, len(shifts.points))).astype(int)
    # Points are (x, y) with pixel centres at +0.5; imshow puts the centre of the first pixel at 0.
    points = shifts.points[pick] - [box[1].start, box[0].start] - 0.5
    ax.quiver(
        *points.T,
        *(ARROW_SCALE * shifts.offsets[pick]).T,
        angles="xy",
        scale_units="xy",
        scale=1,
        color="#ffd23e",
        width=0.008,
        headwidth=3.5,
        edgecolor=INK,
        linewidth=0.4,
    )


def _draw_picture(ax: Axes, image: Real[Array, "H W 3"], label: str, color: str = INK) -> None:
    ax.imshow(to_uint8(image), interpolation="lanczos")
    ax.set_anchor("N")  # the tops of all pictures of a row lie on one line
    ax.set_title(
        label, color=color, fontsize=11.5, pad=5, fontweight="bold" if color != INK else "normal"
    )
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _draw_sharpness(ax: Axes, stages: Sequence[StageViews], photo_sharpness: float | None) -> None:
    """Fine contrast by sector, with one bar per stage."""
    measured = [(i, stage) for i, stage in enumerate(stages) if stage.sharpness]
    if not measured:
        return ax.set_axis_off()
    sectors = [k for k in measured[0][1].sharpness if k != "all"]
    width = 0.8 / len(measured)  # all bars of a sector together are 0.8 wide, centred on its tick
    for place, (i, stage) in enumerate(measured):
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
