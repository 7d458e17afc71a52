"""`evaluation.png`: charts by sector above, pictures of the first people below."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from toolkit.evaluate.text import COLUMNS, arrow
from toolkit.evaluate.variants import FRAMES, MEANING, TRUE_BODY
from toolkit.show.style import FAINT, INK, figure, quiet_axes, save_figure

PANELS = ("psnr", "perceptual", "sharpness", "kid")
CHANGES = ("psnr", "perceptual", "sharpness", "iou")  # person by person, against coarse
# bounds: so far above the others that they would flatten the charts
APART = ("upper_bound", *TRUE_BODY)
CHARTED = ("front", "three_quarter", "side", "back")
COLORS = {
    "coarse": "#5f7c99",
    "self_refit": "#9fb3c8",
    "unsharp_refit": "#b59ad0",
    "esrgan_refit": "#7f57a8",
    "paper_recipe": "#c77d9b",
    "one_shot": "#d8612c",
    "progressive": "#b3851d",
    "coarse_frames": "#8b9099",
    "prior_frames": "#e39b78",
    "upper_bound": "#4c8c5a",
    "coarse_true_body": "#2f8f9d",
    "refined_true_body": "#a3443b",
    "upper_bound_true_body": "#6b8f3b",
}
MAX_PEOPLE = 3  # rows of pictures


def draw_figure(path: Path, table: dict, details: dict, folder: Path) -> None:
    """Charts by sector above, pictures of the first people below.

    Args:
        path: of the picture.
        table: what `summary.evaluation` returned for the photo's pose.
        details: the content of `details.json`.
        folder: holds one folder of pictures per person.
    """
    people = details["people"][:MAX_PEOPLE]
    shown = ["truth", *(v for v in table if v not in (*APART, *FRAMES))]
    charts = [(table, PANELS, "")]  # absolute, the bound included
    charts += [
        ({v: row for v, row in details[key].items() if v not in APART}, CHANGES, words)
        for key, words in (
            ("tests", "change, photo's pose"),
            ("novel_poses_tests", "change, novel poses"),
        )
        if details[key]
    ]
    picture_px, start_px = 200, 130 + 340 * len(charts)
    height_px = start_px + (picture_px + 8) * len(people) + 20
    fig = figure(1600, height_px)
    fig.text(
        0.026,
        1 - 30 / height_px,
        f"The gain, measured: {len(details['people'])} people, {details['source']}",
        color=INK,
        fontsize=17,
        fontweight="bold",
        va="center",
    )
    for row, (values, measures, words) in enumerate(charts):
        for column, measure in enumerate(measures):
            box = (
                0.035 + column * 0.245,
                1 - (410 + 340 * row) / height_px,
                0.205,
                265 / height_px,
            )
            chart(fig.add_axes(box), values, measure, words)
    handles, names = fig.axes[0].get_legend_handles_labels()
    fig.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(0.02, 1 - 48 / height_px),
        ncols=4,
        frameon=False,
        fontsize=10.5,
        labelcolor=INK,
    )
    for row, person in enumerate(people):
        top = 1 - (start_px + (picture_px + 8) * row) / height_px
        _picture_row(fig, folder / person, shown, (top, picture_px / height_px), row == 0)
    save_figure(fig, path)


def chart(ax: Axes, table: dict, measure: str, change: str = "") -> None:
    """Means with intervals of every variant, sector by sector.

    Args:
        ax: gets the chart.
        table: {variant: {sector: {measure: {mean, low, high}}}}.
        measure: the one that is charted.
        change: title of a chart of differences; empty for the values themselves.
    """
    title = f"{COLUMNS[measure][0]}{arrow(measure)}"
    ax.set_title(f"{title}: {change}" if change else title, color=INK, fontsize=11.5)
    quiet_axes(ax)
    names = [v for v in table if v not in FRAMES]
    for place, name in enumerate(names):
        values = {
            i: value
            for i, sector in enumerate(CHARTED)
            if (value := table[name].get(sector, {}).get(measure)) is not None
        }
        if not values:
            continue
        # the variants stand side by side within 0.75 of each sector's place
        x = [i + 0.75 * ((place + 0.5) / len(names) - 0.5) for i in values]
        mean = np.array([v["mean"] for v in values.values()])
        ends = np.array([[v["mean"] - v["low"], v["high"] - v["mean"]] for v in values.values()]).T
        ax.errorbar(
            x,
            mean,
            np.maximum(ends, 0),
            fmt="o",
            ms=5,
            lw=1.6,
            color=COLORS[name],
            label=MEANING[name],
        )
    if change or measure == "sharpness":
        ax.axhline(0 if change else 1, color=FAINT, lw=1, ls=(0, (4, 3)))
    ax.set_xticks(range(len(CHARTED)), [s.replace("_", "-") for s in CHARTED])
    ax.set_xlim(-0.5, len(CHARTED) - 0.5)


def _picture_row(
    fig: Figure, folder: Path, shown: list[str], place: tuple[float, float], titled: bool
) -> None:
    """One person: side and back of the truth and of every variant."""
    top, height = place
    width = 0.97 / len(shown)
    for column, name in enumerate(shown):
        ax = fig.add_axes((0.015 + column * width, top - height, width * 0.98, height))
        ax.axis("off")
        file = folder / f"{name}.png"
        if not file.is_file():
            continue
        strip = np.asarray(Image.open(file))
        side = strip.shape[0]
        trim = side // 5  # the squares' white borders
        # views 1 and 2 of three: the front is what the photo already shows
        views = [strip[:, i * side + trim : (i + 1) * side - trim] for i in (1, 2)]
        ax.imshow(np.concatenate(views, axis=1))
        if titled:
            ax.set_title(name.replace("_", " "), color=INK, fontsize=11)
