"""What does the refit keep of the prior's frames, at what cost? Adam against a linear start.

    python -m experiments.refit                  # 12 validation people, 15 minutes on one core
    python -m experiments.refit --people 2 --out trial.json

Every person is fitted on the body that was estimated from the photo and on the true one, to the
same clip of the repairer. Times are ratios to the first row's, measured one after the other on the
same person, so they hold for a busy machine, too.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from experiments.document import Out, TableOnly, markdown_table, number, publish
from toolkit.body.rig import Avatar
from toolkit.evaluate.bench import Bench
from toolkit.evaluate.cases import procedural_case
from toolkit.evaluate.reference import Reference
from toolkit.evaluate.scores import score_views
from toolkit.evaluate.stats import mean_interval, paired_change, person_values
from toolkit.measure.debris import count_debris
from toolkit.measure.metrics import masked_psnr
from toolkit.refine.refit import FitConfig, LearningRates, fit
from toolkit.refine.target import clip_target
from toolkit.render.api import render
from toolkit.run.folder import read_json, write_json
from toolkit.run.progress import Progress
from tools.command import run

FOLDER = Path("runs/refit_ways")
DEBRIS_PX = 640  # height of the render in which pieces are counted


@dataclass(frozen=True)
class Way:
    """One way of fitting."""

    words: str
    config: FitConfig
    with_photo: bool = True


SLOW = LearningRates(3e-4, 2e-2, 3e-2, 3e-3, 4e-2, 1e-3)  # of 100 steps from the coarse colours

WAYS = {
    "adam_100": Way("100 Adam steps, slower rates", FitConfig(100, 0, learning_rates=SLOW)),
    "solve_2_0": Way("2 linear passes alone", FitConfig(0, 2)),
    "solve_2_30": Way("2 linear passes, 30 Adam steps", FitConfig(30, 2)),
    "solve_2_60": Way("2 linear passes, 60 Adam steps", FitConfig(60, 2)),
    "no_photo": Way("the same without the photo", FitConfig(60, 2), with_photo=False),
}
BODIES = {"photo": "estimated body", "true": "true body"}
SHOWN = {"psnr": ("PSNR, dB", 2), "perceptual": ("perceptual", 3), "sharpness": ("sharpness", 2)}
SHOWN |= {"front_psnr": ("PSNR in front, dB", 2), "photo_psnr": ("PSNR of the photo, dB", 2)}
SHOWN |= {"iou": ("IoU", 3), "debris": ("pieces", 1)}


def fit_way(bench: Bench, way: Way) -> tuple[Avatar, float]:
    """The refitted avatar, and the CPU seconds it took."""
    coarse = bench.coarse
    targets = [clip_target(bench.turntable, bench.clip, -coarse.rig.joints[0])]
    if way.with_photo:
        targets.append(bench.photo_target)
    start = time.process_time()
    generator = torch.Generator().manual_seed(bench.config.seed)
    gaussians, _ = fit(coarse.gaussians, coarse.rig, targets, way.config, generator=generator)
    return Avatar(gaussians, coarse.rig), time.process_time() - start


def score(bench: Bench, reference: Reference, avatar: Avatar) -> dict[str, float]:
    """Side and back, the front, and pieces that hang in the air in the photo's own view."""
    views = score_views(reference.scene.draw(avatar), reference)
    side_back, front = (person_values(views, sector) for sector in ("side_back", "front"))
    camera = bench.body.camera
    width = round(camera.width * DEBRIS_PX / camera.height)
    with torch.no_grad():
        posed = avatar.posed(bench.body.pose, bench.body.transl)
        alpha = render(posed, camera.resized(width, DEBRIS_PX)).alpha[0, ..., 0]
    values = {name: side_back[name] for name in ("psnr", "perceptual", "sharpness", "iou")}
    return values | {
        "front_psnr": front["psnr"],
        "photo_psnr": photo_psnr(bench, avatar),
        "debris": count_debris(alpha.numpy()),
    }


def photo_psnr(bench: Bench, avatar: Avatar) -> float:
    """PSNR against the photo itself at its own size, where it surely shows the person."""
    with torch.no_grad():
        drawn = render(avatar.posed(bench.body.pose, bench.body.transl), bench.body.camera).rgb
    person = torch.as_tensor(bench.body.mask)[None, ..., None] > 0.9
    return float(masked_psnr(drawn, torch.from_numpy(bench.picture.rgb)[None], person)[0])


def measure_person(seed: int, folder: Path) -> dict:
    """body -> way -> numbers."""
    case = procedural_case(seed, "val", folder)
    estimated = Bench.open(case, folder / "job")
    rows = {}
    for body, bench in (("photo", estimated), ("true", estimated.on_true_body())):
        reference = Reference.of(bench.scene)
        rows[body] = {"coarse": score(bench, reference, bench.coarse)}
        for name, way in WAYS.items():
            avatar, seconds = fit_way(bench, way)
            rows[body][name] = score(bench, reference, avatar) | {"cpu_seconds": seconds}
    return rows


def measure(people: int) -> dict:
    """Everybody; what a killed run has finished is read back."""
    persons = []
    with Progress("people", people) as tick:
        for seed in range(people):
            path = FOLDER / f"val_{seed:07d}" / "refit.json"
            if not path.is_file():
                write_json(path, measure_person(seed, path.parent))
            persons.append(read_json(path))
            tick()
    return {"people": people, "rows": {body: summary(persons, body) for body in BODIES}}


def summary(persons: list[dict], body: str) -> dict:
    """way -> measure -> interval; `change` from coarse, and the time as a share of the first's."""
    table = {}
    for way in ("coarse", *WAYS):
        columns = {m: [p[body][way][m] for p in persons] for m in persons[0][body][way]}
        generator = np.random.default_rng(0)
        row = {m: mean_interval(values, generator) for m, values in columns.items()}
        row["change"] = {
            m: paired_change(
                {str(i): p[body]["coarse"][m] for i, p in enumerate(persons)},
                {str(i): p[body][way][m] for i, p in enumerate(persons)},
                np.random.default_rng(0),
            )
            for m in ("psnr", "perceptual")
        }
        table[way] = row
    return table


def tables(numbers: dict) -> dict[str, str]:
    """One table per body."""
    return {w: body_table(numbers["rows"][b], numbers["people"]) for b, w in BODIES.items()}


def body_table(rows: dict, people: int) -> str:
    """Means, with the change of the perceptual distance and the time."""
    heads = ["", *(title for title, _ in SHOWN.values()), "perceptual, change in %", "time"]
    first = rows["adam_100"]["cpu_seconds"]["mean"]
    lines = []
    for name in ("coarse", *WAYS):
        row = rows[name]
        words = "coarse avatar" if name == "coarse" else WAYS[name].words
        change = 100 * (row["perceptual"]["mean"] / rows["coarse"]["perceptual"]["mean"] - 1)
        seconds = row.get("cpu_seconds", {}).get("mean")
        lines.append(
            [
                words,
                *(number(row[m]["mean"], digits) for m, (_, digits) in SHOWN.items()),
                "" if name == "coarse" else f"{change:+.1f}",
                "" if seconds is None else number(seconds / first, 2),
            ]
        )
    caption = (
        f"{people} validation people, side and back unless said; time relative to the first way:"
    )
    return f"{caption}\n\n{markdown_table(heads, lines)}"


def main(
    people: Annotated[int, typer.Option(help="number of validation people")] = 12,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Write docs/results/refit.json and its tables."""
    publish("refit", lambda: measure(people), tables, table_only=table_only, out=out)


if __name__ == "__main__":
    raise SystemExit(run(main))
