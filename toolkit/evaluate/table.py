"""What a reader looks at: `evaluation.md` and one figure."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from toolkit.evaluate.sections import misalignment_section, octave_section, target_section
from toolkit.evaluate.summary import HIGHER_IS_BETTER
from toolkit.evaluate.text import COLUMNS, cell
from toolkit.evaluate.variants import BASE, FRAMES, MEANING, TRUE_BODY
from toolkit.run.files import atomic_path
from toolkit.show.style import FAINT, INK, figure, quiet_axes, save_figure

TITLES = {
    "all": "All views",
    "side_back": "Side and back",
    "front": "Front",
    "three_quarter": "Three-quarter",
    "side": "Side",
    "back": "Back",
}
PANELS = ("psnr", "perceptual", "sharpness", "kid")
CHANGES = ("psnr", "perceptual", "sharpness", "iou")  # person by person, against coarse
# far above the others: no place beside them in the charts
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
}
PAIRED = ("psnr", "psnr_common", "ssim", "perceptual", "lpips", "face_distance", "iou")
MOST_PEOPLE = 3  # rows of pictures


def _arrow(measure: str) -> str:
    return {True: " ↑", False: " ↓", None: ""}[HIGHER_IS_BETTER.get(measure)]


def sector_table(table: dict, sector: str) -> list[str]:
    """A Markdown table: a row a variant, a column a measure that somebody has."""
    rows = {name: sectors[sector] for name, sectors in table.items() if sector in sectors}
    shown = [m for m in COLUMNS if any(m in row for row in rows.values())]
    lines = [
        "| | " + " | ".join(COLUMNS[m][0] + _arrow(m) for m in shown) + " |",
        "|---" * (len(shown) + 1) + "|",
    ]
    return lines + [
        f"| {MEANING[name]} | " + " | ".join(cell(row.get(m), COLUMNS[m][1]) for m in shown) + " |"
        for name, row in rows.items()
    ]


def test_table(tests: dict, sector: str) -> list[str]:
    """Differences to coarse with interval and p."""
    shown = [m for m in PAIRED if any(m in s.get(sector, {}) for s in tests.values())]
    lines = [
        "| | " + " | ".join(COLUMNS[m][0] + _arrow(m) for m in shown) + " |",
        "|---" * (len(shown) + 1) + "|",
    ]
    for name, sectors in tests.items():
        cells = [
            (f"{cell(v, 3)}, p={v['p']:.3g}" if (v := sectors.get(sector, {}).get(m)) else "-")
            for m in shown
        ]
        base = f" (against {MEANING[BASE[name]]})" if name in BASE else ""
        lines.append(f"| {MEANING[name]}{base} | " + " | ".join(cells) + " |")
    return lines


def write_markdown(path: Path, table: dict, details: dict) -> None:
    """All tables with the words that are needed to read them."""
    num = len(details["people"])
    lines = [
        "# The gain, measured",
        "",
        f"{num} people ({details['source']}), profile {details['pipeline']['profile']}; "
        "mean over people with its 95 % bootstrap interval. The avatar sees the photo alone; "
        "coarse and refined get the same similarity transform before they are scored.",
        "",
    ]
    scale = details["face_distance_of_different_people"]
    if scale is not None:
        lines += [
            "`face` is a feature distance of head crops, not a face recogniser: the true "
            f"faces of two different people here are {scale:.3f} apart on average.",
            "",
        ]
    lines += target_section(details["targets"], details["success"])
    for sector, title in TITLES.items():
        lines += [f"## {title}", "", *sector_table(table, sector), ""]
    lines += octave_section(table) + misalignment_section(details["misalignment"])
    for title, key in (
        ("Change against coarse", "tests"),
        ("Change against coarse in novel poses", "novel_poses_tests"),
    ):
        for sector in ("side_back", "all"):
            if details[key]:
                lines += [
                    f"## {title}: {TITLES[sector].lower()}",
                    "",
                    *test_table(details[key], sector),
                    "",
                ]
    for sector in ("all", "side_back"):
        if details["novel_poses"]:
            lines += [
                f"## {len(details['clips'])} novel poses: {TITLES[sector].lower()}",
                "",
                *sector_table(details["novel_poses"], sector),
                "",
            ]
    lines += [
        "## Notes",
        "",
        f"KID in {details['kid_features']}. p: paired sign-flip test, not "
        "corrected for the number of tests. `upper bound` is scored on the very views it "
        "was fitted to. Frames are scored in the A pose at the turntable's size.",
        "",
    ]
    lines += [f"- {name} left out: {why}" for name, why in details["skipped"].items()]
    lines += [f"- {name} failed: {why}" for name, why in details["failed"].items()]
    lines += [
        "- seconds a person (CPU): "
        + ", ".join(f"{name} {value:.0f}" for name, value in details["cpu_seconds"].items()),
        "",
    ]
    with atomic_path(path) as tmp:
        tmp.write_text("\n".join(lines), encoding="utf-8")


def draw_figure(path: Path, table: dict, details: dict, folder: Path) -> None:
    """Charts by sector above, pictures of the first people below."""
    people = details["people"][:MOST_PEOPLE]
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
    """Means with intervals of every variant, sector by sector; `change` titles differences."""
    title = f"{COLUMNS[measure][0]}{_arrow(measure)}"
    ax.set_title(f"{title}: {change}" if change else title, color=INK, fontsize=11.5)
    quiet_axes(ax)
    names = [v for v in table if v not in FRAMES]
    for place, name in enumerate(names):
        found = [
            (i, v)
            for i, s in enumerate(CHARTED)
            if (v := table[name].get(s, {}).get(measure)) is not None
        ]
        if not found:
            continue
        x = [i + 0.75 * ((place + 0.5) / len(names) - 0.5) for i, _ in found]
        mean = np.array([v["mean"] for _, v in found])
        ends = np.array([[v["mean"] - v["low"], v["high"] - v["mean"]] for _, v in found]).T
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
        views = [strip[:, i * side + trim : (i + 1) * side - trim] for i in (1, 2)]
        ax.imshow(np.concatenate(views, axis=1))
        if titled:
            ax.set_title(name.replace("_", " "), color=INK, fontsize=11)
