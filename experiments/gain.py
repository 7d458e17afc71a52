"""What does the refinement gain? The evaluation of 64 test people, for README and docs/results.md.

    python -m experiments.gain                        # evaluates (40 minutes on two cores), tables
    python -m experiments.gain runs/evaluation_test   # tables from an evaluation that has run
    python -m experiments.gain --table-only           # tables from docs/results/gain.json

The evaluation's own report is kept beside the JSON as docs/results/gain.md. Every table is made
from the JSON alone; a test checks that README and page are what it says.
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from experiments.document import (
    NUMBERS,
    TableOnly,
    markdown_table,
    mean_of,
    number,
    publish,
    read_numbers,
)
from experiments.evaluation import evaluate
from experiments.readme import (
    FLOOR_TRUE_BODY,
    SHOWN,
    TARGETS,
    percent_on_true_body,
    target_rows,
    write_readme,
)
from toolkit.evaluate.sections import SPLIT, with_p
from toolkit.evaluate.text import COLUMNS
from toolkit.evaluate.variants import MEANING
from toolkit.run.folder import read_json
from tools.command import run

FOLDER = Path("runs/evaluation_test")
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
    "upper_bound_true_body",
)
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
    return [number(mean_of(row, m), COLUMNS[m][1]) for m in SHOWN]


def on_true_body(numbers: dict) -> str:
    """The same comparison with the body and camera that the photo was made with."""
    test = numbers["tests"]["refined_true_body"]["side_back"]
    after = numbers["table"]["refined_true_body"]["side_back"]
    percent = {m: percent_on_true_body(numbers, m) for m in ("perceptual", "kid")}
    gain = test["psnr"]["mean"]
    met = {
        "psnr": "yes" if gain >= FLOOR_TRUE_BODY["psnr"] else "**no**",
        "perceptual": "yes" if percent["perceptual"] <= FLOOR_TRUE_BODY["perceptual"] else "**no**",
    }
    rows = [
        [
            "PSNR, dB more than coarse",
            with_p(test["psnr"], 2),
            f">= {FLOOR_TRUE_BODY['psnr']}",
            met["psnr"],
        ],
        [
            "perceptual distance, change in %",
            f"{percent['perceptual']:.1f}, p={test['perceptual']['p']:.3g}",
            f"<= {FLOOR_TRUE_BODY['perceptual']:.0f}",
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


def main(
    folder: Annotated[
        Path | None, typer.Argument(help="of `python -m toolkit evaluate`; else it runs now")
    ] = None,
    table_only: TableOnly = False,
) -> None:
    """Write the JSON, the page's tables and the README's."""
    publish("gain", lambda: measure(folder), tables, table_only=table_only)
    write_readme(read_numbers("gain"))


if __name__ == "__main__":
    raise SystemExit(run(main))
