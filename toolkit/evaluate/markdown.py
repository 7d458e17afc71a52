"""`evaluation.md`: all tables, with the words that are needed to read them."""

from pathlib import Path

from toolkit.evaluate.sections import misalignment_section, octave_section, target_section
from toolkit.evaluate.text import COLUMNS, arrow, cell
from toolkit.evaluate.variants import BASE, MEANING
from toolkit.run.files import atomic_path

TITLES = {
    "all": "All views",
    "side_back": "Side and back",
    "front": "Front",
    "three_quarter": "Three-quarter",
    "side": "Side",
    "back": "Back",
}
TESTED = ("psnr", "psnr_common", "ssim", "perceptual", "lpips", "face_distance", "iou")


def sector_table(table: dict, sector: str) -> list[str]:
    """Means in a sector: one row per variant, one column per measure that any of them has."""
    rows = {name: sectors[sector] for name, sectors in table.items() if sector in sectors}
    shown = [m for m in COLUMNS if any(m in row for row in rows.values())]
    lines = [
        "| | " + " | ".join(COLUMNS[m][0] + arrow(m) for m in shown) + " |",
        "|---" * (len(shown) + 1) + "|",
    ]
    return lines + [
        f"| {MEANING[name]} | " + " | ".join(cell(row.get(m), COLUMNS[m][1]) for m in shown) + " |"
        for name, row in rows.items()
    ]


def test_table(tests: dict, sector: str) -> list[str]:
    """Differences from coarse, with interval and p."""
    shown = [m for m in TESTED if any(m in s.get(sector, {}) for s in tests.values())]
    lines = [
        "| | " + " | ".join(COLUMNS[m][0] + arrow(m) for m in shown) + " |",
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


def change_tables(details: dict) -> list[str]:
    """Paired differences in the photo's pose, then in the novel poses."""
    lines = []
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
    return lines


def novel_pose_tables(details: dict) -> list[str]:
    """Means in the novel poses; empty if no avatar was posed anew."""
    if not details["novel_poses"]:
        return []
    lines = []
    for sector in ("all", "side_back"):
        lines += [
            f"## {len(details['clips'])} novel poses: {TITLES[sector].lower()}",
            "",
            *sector_table(details["novel_poses"], sector),
            "",
        ]
    return lines


def introduction(details: dict) -> list[str]:
    """Who was scored, and how the tables are to be read."""
    lines = [
        "# The gain, measured",
        "",
        f"{len(details['people'])} people ({details['source']}), "
        f"profile {details['pipeline']['profile']}; "
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
    return lines


def notes(details: dict) -> list[str]:
    """What limits the numbers, what was left out, and the time that each record took."""
    return [
        "## Notes",
        "",
        f"KID in {details['kid_features']}. p: paired sign-flip test, not "
        "corrected for the number of tests. `upper bound` is scored on the very views it "
        "was fitted to. Frames are scored in the A pose at the turntable's size.",
        "",
        *(f"- {name} left out: {why}" for name, why in details["skipped"].items()),
        *(f"- {name} failed: {why}" for name, why in details["failed"].items()),
        "- seconds a person (CPU): "
        + ", ".join(f"{name} {value:.0f}" for name, value in details["cpu_seconds"].items()),
        "",
    ]


def write_markdown(path: Path, table: dict, details: dict) -> None:
    """All tables with the words that are needed to read them.

    Args:
        path: of the file.
        table: what `summary.evaluation` returned for the photo's pose.
        details: the content of `details.json`.
    """
    lines = introduction(details) + target_section(details["targets"], details["success"])
    for sector, title in TITLES.items():
        lines += [f"## {title}", "", *sector_table(table, sector), ""]
    lines += octave_section(table) + misalignment_section(details["misalignment"])
    lines += change_tables(details) + novel_pose_tables(details) + notes(details)
    with atomic_path(path) as tmp:
        tmp.write_text("\n".join(lines), encoding="utf-8")
