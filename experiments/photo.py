"""How well is the body read from a photo? Rendered people whose true body is known.

    python -m experiments.photo                                   # 64 test people, the table
    python -m experiments.photo --num 4 --out runs/photo.json --sheet runs/photo.png   # a trial

Lengths in the picture are shares of the person's height there (of the true body, with the parts
that the picture cuts off). "PA-MPJPE" is the mean distance of COCO's 17 joints in 3D after the best
similarity transform; "MPJPE" the same with only the hips moved onto each other.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import UInt8
from PIL import Image
from tqdm import tqdm

from experiments.document import Out, TableOnly, markdown_table, number, publish
from experiments.photo_scores import overlay, rim_error, score
from toolkit.body.npz import load_body
from toolkit.errors import ToolkitError
from toolkit.people.draw.photo import photo_of
from toolkit.people.sample import sample_person
from toolkit.photo.detection.keypoints import detect
from toolkit.photo.smplify.fit import fit_body
from toolkit.run.files import atomic_path
from tools.command import run

ROWS = {  # measure: words, digits, goal
    "pck": ("joints nearer than 5 % of the height (PCK@0.05)", 3, 0.95),
    "keypoint_error": ("mean joint error, share of the height", 3, None),
    "detector_pck": ("the net's 33 points before the fit, PCK@0.05", 3, None),
    "mask_iou": ("person mask, IoU with the true dressed person", 3, 0.90),
    "rim_error": ("colour error of the cut-out within 5 px of its contour, of 255", 1, None),
    "body_iou": ("fitted body, IoU with the true body", 3, 0.90),
    "dressed_iou": ("fitted body, IoU with the dressed person", 3, None),
    "naked_truth_iou": ("*the true body itself, IoU with the dressed person*", 3, None),
    "pa_mpjpe_mm": ("17 joints after the best similarity, PA-MPJPE, mm", 1, None),
    "pa_across_mm": ("of it across the picture, mm", 1, None),
    "pa_depth_mm": ("of it along the view, mm", 1, None),
}


def measure(split: str, num: int, sheet: Path | None, without_lifter: bool) -> dict:
    """Fit a body to every photo and average the scores."""
    torch.set_num_threads(1)
    body, scores, refused, pictures = load_body(), [], {}, []
    for seed in tqdm(range(num), desc="people"):
        person = sample_person(seed, split)
        photo, views = photo_of(person, supersample=2)
        start = time.perf_counter()
        try:
            detection = detect(photo / np.float32(255))
        except ToolkitError as error:
            refused[str(seed)] = str(error)
            continue
        fitted = fit_body(detection, photo.shape[:2], body, use_lifter=not without_lifter)
        seconds = time.perf_counter() - start
        rim = rim_error(photo, detection.mask, views)
        scores.append(
            score(body, person, views, detection, fitted) | {"seconds": seconds, "rim_error": rim}
        )
        pictures.append(overlay(photo, body, fitted))
    if sheet:
        write_sheet(pictures, sheet)
    return {"split": split, "refused": refused, "means": average(scores)}


def average(scores: list[dict]) -> dict[str, dict]:
    """Means over all people, over full-body and over upper-body photos."""
    groups = {"all": scores}
    groups |= {name: [s for s in scores if s["framing"] == name] for name in ("full", "upper")}
    return {
        name: {"people": len(group)}
        | {k: float(np.mean([s[k] for s in group])) for k in group[0] if k not in SKIPPED}
        for name, group in groups.items()
        if group
    }


SKIPPED = ("seed", "framing")  # not numbers to average


def write_sheet(pictures: list[UInt8[np.ndarray, "H W 3"]], path: Path, columns: int = 8) -> None:
    """Photos with the fitted body's outline, so many side by side."""
    blank = np.full_like(pictures[0], 255)
    pictures = pictures + [blank] * (-len(pictures) % columns)
    rows = [
        np.concatenate(pictures[i : i + columns], axis=1) for i in range(0, len(pictures), columns)
    ]
    with atomic_path(path) as file:
        Image.fromarray(np.concatenate(rows)).resize((320 * columns, 320 * len(rows))).save(file)


def tables(numbers: dict) -> dict[str, str]:
    """The page's table: a row per measure, a column per kind of photo."""
    means = numbers["means"]
    count = {name: group["people"] for name, group in means.items()}
    heads = {"all": "all", "full": "full body", "upper": "upper body"}
    rows = [
        [words, *(number(group[key], digits) for group in means.values()), number(goal, 2)]
        for key, (words, digits, goal) in ROWS.items()
        if key in means["all"]
    ]
    caption = (
        f"{count['all']} {numbers['split']} people "
        f"({', '.join(f'{count[name]} {heads[name]}' for name in count if name != 'all')}), photos "
        f"of 512 px. Photos refused: {len(numbers['refused'])}. Seconds per photo on one core of a "
        f"shared machine: {number(means['all']['seconds'], 1)}.\n\n"
    )
    return {"": caption + markdown_table(["", *(heads[name] for name in means), "goal"], rows)}


def main(  # noqa: PLR0913 - one argument per option
    num: Annotated[int, typer.Option(help="number of people")] = 64,
    split: Annotated[str, typer.Option(help="train, val or test")] = "test",
    sheet: Annotated[Path | None, typer.Option(help="picture of every fit")] = None,
    without_lifter: Annotated[
        bool, typer.Option("--without-lifter", help="leave out the net that estimates depth")
    ] = False,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Measure and write docs/results/photo.json with its table."""
    publish(
        "photo",
        lambda: measure(split, num, sheet, without_lifter),
        tables,
        table_only=table_only,
        out=out,
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
