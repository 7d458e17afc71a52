"""Take an evaluation's numbers into the repository, and write the README's table from them.

    python -m experiments.gain runs/evaluation_test   # docs/evaluation_test.json, then README
    python -m experiments.gain                        # README from the committed JSON alone

The table stands between two marks in README.md; a test checks that it is what the committed JSON
says.
"""

import argparse
import json
from pathlib import Path

from toolkit.evaluate.sections import with_p, words_of
from toolkit.evaluate.text import COLUMNS, cell, table_lines
from toolkit.evaluate.variants import MEANING
from toolkit.run.files import atomic_path
from toolkit.run.folder import read_json

ROOT = Path(__file__).resolve().parents[1]
NUMBERS, README = ROOT / "docs" / "evaluation_test.json", ROOT / "README.md"
START = "<!-- results: python -m experiments.gain -->"
END = "<!-- end of results -->"
KEPT = (
    "people",
    "source",
    "targets",
    "success",
    "misalignment",
    "novel_poses",
    "tests",
    "novel_poses_tests",
    "failed",
    "skipped",
    "cpu_seconds",
    "pipeline",
    "versions",
    "kid_features",
    "face_distance_of_different_people",
)
FEW = 16  # fewer people than this show that it runs, and no more
SHOWN = ("psnr", "perceptual", "sharpness", "kid", "iou", "consistency")
LEFT_OUT = ("coarse_frames", "prior_frames", "coarse_true_body", "refined_true_body")
TARGETS = (
    "psnr_gain_db",
    "perceptual_change_percent",
    "kid_change_percent",
    "sharpness",
    "iou",
    "front_psnr_gain_db",
    "psnr_gain_kept_percent",
)


def rounded(value):
    """The same with five significant digits: a file that people read and git keeps."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def take(folder: Path) -> None:
    """Write docs/evaluation_test.json from an evaluation's folder."""
    details = read_json(folder / "details.json")
    numbers = {
        "table": read_json(folder / "evaluation.json"),
        **{name: details[name] for name in KEPT},
    }
    with atomic_path(NUMBERS) as tmp:
        tmp.write_text(json.dumps(rounded(numbers), indent=1, sort_keys=True) + "\n")


def results(numbers: dict) -> str:
    """The README's block: side and back of every variant, and what became of the targets."""
    num, source = len(numbers["people"]), numbers["source"]
    intro = (
        f"{num} {source} people whom no model has seen, photo alone, side and back, mean with "
        f"95 % bootstrap interval (`python -m toolkit evaluate --split {source} --num {num}`)"
    )
    if num < FEW:
        intro = f"**Too few people to conclude from**: {intro}"
    rows = {
        name: sectors["side_back"]
        for name, sectors in numbers["table"].items()
        if name in MEANING and name not in LEFT_OUT and "side_back" in sectors
    }
    shown = [m for m in SHOWN if any(m in row for row in rows.values())]
    lines = [
        intro + ":",
        "",
        *table_lines(
            ["", *(COLUMNS[m][0] for m in shown)],
            [
                [MEANING[name], *(cell(row.get(m), COLUMNS[m][1]) for m in shown)]
                for name, row in rows.items()
            ],
        ),
        "",
    ]
    if numbers["targets"]:
        floor = {True: "reached", False: "missed", None: "not decided"}[numbers["success"]]
        lines += [
            f"Refined against coarse; the floor for a success is **{floor}**:",
            "",
            *table_lines(["", "reached", "goal", "met"], target_rows(numbers["targets"])),
            "",
        ]
    return "\n".join(lines)


def target_rows(targets: dict) -> list[list[str]]:
    """One row a target that the README shows."""
    rows = []
    for name in TARGETS:
        if name in targets:
            words, digits = words_of(name)
            value = targets[name]
            rows.append(
                [words, with_p(value, digits), value["goal"], "yes" if value["met"] else "no"]
            )
    return rows


def with_results(readme: str, block: str) -> str:
    """The README with what stands between the marks replaced."""
    before, rest = readme.split(START)
    return f"{before}{START}\n{block}{END}{rest.split(END)[1]}"


def main() -> None:
    """Take numbers if a folder is named, then write the README's table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="of `python -m toolkit evaluate`")
    args = parser.parse_args()
    if args.folder:
        take(args.folder)
    with atomic_path(README) as tmp:
        tmp.write_text(with_results(README.read_text(), results(read_json(NUMBERS))))


if __name__ == "__main__":
    main()
