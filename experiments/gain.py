"""What does the refinement gain? The evaluation of 64 test people, for README and docs/results.md.

    python -m experiments.gain                        # evaluates (40 minutes on two cores), tables
    python -m experiments.gain runs/evaluation_test   # tables from an evaluation that has run
    python -m experiments.gain --table-only           # tables from docs/results/gain.json

The evaluation's own report is kept beside the JSON as docs/results/gain.md. Every table is made
from the JSON alone; a test checks that README and page are what it says.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from experiments.document import (
    NUMBERS,
    ROOT,
    TableOnly,
    markdown_table,
    number,
    publish,
    read_numbers,
)
from experiments.evaluation import evaluate
from toolkit.evaluate.sections import SPLIT, with_p, words_of
from toolkit.evaluate.text import COLUMNS, cell, table_lines
from toolkit.evaluate.variants import MEANING
from toolkit.run.files import atomic_path
from toolkit.run.folder import read_json
from tools.command import run

README = ROOT / "README.md"
FOLDER = Path("runs/evaluation_test")
START = "<!-- results: python -m experiments.gain -->"
END = "<!-- end of results -->"
KEPT = (  # of details.json
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
VARIANTS = (
    "coarse",
    "self_refit",
    "unsharp_refit",
    "one_shot",
    "progressive",
    "coarse_frames",
    "prior_frames",
    "upper_bound",
    "coarse_true_body",
    "refined_true_body",
)
FEW = 16  # with fewer people than this the table proves only that the job runs
SHOWN = ("psnr", "perceptual", "sharpness", "kid", "iou", "consistency")
NOT_IN_README = ("coarse_frames", "prior_frames", "coarse_true_body", "refined_true_body")
TARGETS = (
    "psnr_gain_db",
    "perceptual_change_percent",
    "kid_change_percent",
    "sharpness",
    "iou",
    "front_psnr_gain_db",
    "psnr_gain_kept_percent",
)
FLOOR = {"psnr": 0.6, "perceptual": -15.0}  # dB more than coarse; change in percent
OFFSETS = (  # of the misalignment: what is shown
    "texture_offset_px",
    "photo_iou",
    "photo_psnr",
    "psnr_front",
    "psnr_side",
    "psnr_back",
    "iou_all",
)


def measure(folder: Path | None) -> dict:
    """Evaluate unless a folder is named; the numbers of its reports."""
    if folder is None:
        folder = FOLDER
        evaluate("--split", "test", "--num", "64", "--variants", ",".join(VARIANTS), out=folder)
    shutil.copyfile(folder / "evaluation.md", NUMBERS / "gain.md")
    details = read_json(folder / "details.json")
    table = read_json(folder / "evaluation.json")
    return {"table": table, **{name: details[name] for name in KEPT}}


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
        if name in MEANING and name not in NOT_IN_README and "side_back" in sectors
    }
    shown = [m for m in SHOWN if any(m in row for row in rows.values())]
    cells = [
        [MEANING[name], *(cell(row.get(m), COLUMNS[m][1]) for m in shown)]
        for name, row in rows.items()
    ]
    lines = [intro + ":", "", *table_lines(["", *(COLUMNS[m][0] for m in shown)], cells), ""]
    if numbers["targets"]:
        floor = {True: "reached", False: "missed", None: "not decided"}[numbers["success"]]
        lines += [
            f"Refined against coarse; the floor for a success is **{floor}**:",
            "",
            *table_lines(["", "reached", "goal", "met"], target_rows(numbers["targets"], TARGETS)),
            "",
        ]
    return "\n".join(lines)


def target_rows(targets: dict, names: Iterable[str]) -> list[list[str]]:
    """One row per target."""
    rows = []
    for name in names:
        if name in targets:
            words, digits = words_of(name)
            value = targets[name]
            met = "yes" if value["met"] else "no"
            rows.append([words, with_p(value, digits), value["goal"], met])
    return rows


def tables(numbers: dict) -> dict[str, str]:
    """The page's tables: targets, the true body, every variant, and the misalignment."""
    order = [name for name in MEANING if name in numbers["table"]]
    variants = [[MEANING[name], *means(numbers["table"][name]["side_back"])] for name in order]
    targets = [*TARGETS, *(name for name in numbers["targets"] if name not in TARGETS)]
    floor = "reached" if numbers["success"] else "**missed**"
    heads = ["", "reached", "goal", "met"]
    return {
        "targets": f"{len(numbers['people'])} {numbers['source']} people, photo alone, side and "
        "back, with 95 % bootstrap interval. The floor of +0.6 dB and -15 % perceptual distance at "
        f"p < 0.01, better than the refit controls: {floor}.\n\n"
        + markdown_table(heads, target_rows(numbers["targets"], targets)),
        "true body": on_true_body(numbers),
        "variants": markdown_table(["", *(COLUMNS[m][0] for m in SHOWN)], variants),
        "misalignment": misalignment(numbers["misalignment"]["coarse"]),
        "photo view": photo_view(numbers["misalignment"]),
    }


def means(row: dict) -> list[str]:
    """The shown measures of one row, without intervals."""
    return [number(row[m]["mean"] if m in row else None, COLUMNS[m][1]) for m in SHOWN]


def on_true_body(numbers: dict) -> str:
    """The same comparison with the body and camera that the photo was made with."""
    test = numbers["tests"]["refined_true_body"]["side_back"]
    before, after = (
        numbers["table"][name]["side_back"] for name in ("coarse_true_body", "refined_true_body")
    )
    percent = {m: 100 * (after[m]["mean"] / before[m]["mean"] - 1) for m in ("perceptual", "kid")}
    gain = test["psnr"]["mean"]
    met = {
        "psnr": "yes" if gain >= FLOOR["psnr"] else "**no**",
        "perceptual": "yes" if percent["perceptual"] <= FLOOR["perceptual"] else "**no**",
    }
    rows = [
        ["PSNR, dB more than coarse", with_p(test["psnr"], 2), f">= {FLOOR['psnr']}", met["psnr"]],
        [
            "perceptual distance, change in %",
            f"{percent['perceptual']:.1f}, p={test['perceptual']['p']:.3g}",
            f"<= {FLOOR['perceptual']:.0f}",
            met["perceptual"],
        ],
        ["KID, change in %", f"{percent['kid']:.1f}", "", ""],
        ["sharpness over the truth's", number(after["sharpness"]["mean"], 2), "", ""],
        ["silhouette IoU", number(after["iou"]["mean"], 3), "", ""],
    ]
    return markdown_table(["on the true body", "reached", "floor", "met"], rows)


def misalignment(measures: dict) -> str:
    """The coarse avatar on the estimated and on the true body."""
    rows = []
    for name in OFFSETS:
        words, digits = SPLIT[name]
        value = measures[name]
        rows.append(
            [
                words,
                *(number(value[k]["mean"], digits) for k in ("estimated", "true")),
                with_p(value["from_body"], digits),
            ]
        )
    return markdown_table(["coarse avatar", "estimated body", "true body", "difference"], rows)


def photo_view(measures: dict) -> str:
    """What the refit does in the photo's own view, estimated body."""
    rows = [
        [
            SPLIT[name][0],
            *(number(measures[v][name]["estimated"]["mean"], SPLIT[name][1]) for v in measures),
        ]
        for name in ("texture_offset_px", "photo_iou", "photo_psnr")
    ]
    return markdown_table(["in the photo's view", *(MEANING[v] for v in measures)], rows)


def with_results(readme: str, block: str) -> str:
    """The README with what stands between the marks replaced."""
    before, rest = readme.split(START)
    return f"{before}{START}\n{block}{END}{rest.split(END)[1]}"


def main(
    folder: Annotated[
        Path | None, typer.Argument(help="of `python -m toolkit evaluate`; else it runs now")
    ] = None,
    table_only: TableOnly = False,
) -> None:
    """Write the JSON, the page's tables and the README's."""
    publish("gain", lambda: measure(folder), tables, table_only=table_only)
    block = results(read_numbers("gain"))
    with atomic_path(README) as tmp:
        tmp.write_text(with_results(README.read_text(encoding="utf-8"), block), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(run(main))
