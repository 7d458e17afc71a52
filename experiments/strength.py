"""Sweep of SDEdit's strength on validation people, photo alone: JSON, a table and a figure.

    python -m experiments.strength --out runs/sweep

Both priors, strengths on a linear grid, in one step and in six (the plain prior also with full
renoising between them), and the paper's 0.8 at shift 3 and 5. The operating point is picked by
`toolkit.evaluate.sweep.RULE`. A person takes two CPU minutes.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from toolkit.evaluate.clip_scores import ClipScorer, markdown
from toolkit.evaluate.sweep import (
    MOST_LOST_DB,
    RULE,
    choose,
    grid,
    score_settings,
    sweep_figure,
    sweep_rows,
)
from toolkit.people.sample import FIRST_SEED
from toolkit.prior.turntable.model import TurntablePrior
from toolkit.run.files import atomic_path
from toolkit.run.folder import write_json
from toolkit.run.progress import Progress, silent
from toolkit.show.style import save_figure

COLUMNS = {
    "sigma": ("start sigma", ".2f"),
    "psnr": ("PSNR, dB", ".2f"),
    "perceptual": ("perceptual", ".3f"),
    "kid": ("KID x1000", ".1f"),
    "sharpness": ("sharpness", ".2f"),
    "seen_psnr": ("PSNR where seen, dB", ".2f"),
    "kept_psnr": ("PSNR to coarse where seen, dB", ".2f"),
    "kept_perceptual": ("perceptual to coarse where seen", ".3f"),
    "seconds": ("CPU s", ".1f"),
}


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    priors = load_priors(args)
    strengths = np.linspace(1 / args.points, 1, args.points)
    settings = [s for prior in priors for s in grid(prior, strengths, steps=args.steps)]
    settings += grid("plain", strengths, steps=args.steps[-1:], sampler="full", paper=False)
    scores = []
    for exam in exams(args):
        with Progress("settings", len(settings)) as tick:
            scores.append(score_settings(exam, priors, settings, tick=tick))
        save(args, len(scores), sweep_rows(scores, settings))  # a kill costs one person


def save(args: argparse.Namespace, people: int, rows: dict[str, dict]) -> None:
    """`sweep.json`, `sweep.md` and `sweep.png` of the people so far."""
    chosen = choose(rows)
    best = {
        prior: choose(
            {n: row for n, row in rows.items() if n == "coarse" or row["setting"]["prior"] == prior}
        )
        for prior in ("repairer", "plain")
    }
    write_json(
        args.out / "sweep.json",
        {
            "people": people,
            "split": args.split,
            "rule": RULE,
            "most_lost_db": MOST_LOST_DB,
            "weights": {"repairer": args.repairer.name, "plain": args.plain.name},
            "chosen": chosen,
            "best": best,
            "rows": rows,
        },
    )
    told = {
        name: {"sigma": {"mean": row["setting"]["start_sigma"]}}
        for name, row in rows.items()
        if "setting" in row
    }
    table = markdown({name: row | told.get(name, {}) for name, row in rows.items()}, COLUMNS)
    with atomic_path(args.out / "sweep.md") as tmp:
        tmp.write_text(
            f"{people} {args.split} people. Side and back unless said otherwise. "
            f"Rule: {RULE}.\nChosen: **{chosen}**.\n\n{table}",
            encoding="utf-8",
        )
    save_figure(sweep_figure(rows, chosen), args.out / "sweep.png")
    print(table, f"{people} people; chosen: {chosen}; of each prior: {best}", sep="\n", flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_people_and_priors(parser, people=8)
    parser.add_argument("--points", type=int, default=10, help="strengths of the grid")
    parser.add_argument("--steps", type=int, nargs="*", default=[1, 6])
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"))
    return parser.parse_args()


def add_people_and_priors(parser: argparse.ArgumentParser, *, people: int) -> None:
    """Arguments that this tool shares with `compare_samplers.py`."""
    parser.add_argument("--repairer", type=Path, default=Path("data/models/turntable.safetensors"))
    parser.add_argument(
        "--plain",
        type=Path,
        help="default: data/models/turntable_plain."
        "safetensors, or the repairer's file where both are in one",
    )
    parser.add_argument("--people", type=int, default=people)
    parser.add_argument("--first", type=int, default=0, help="first person of the split")
    parser.add_argument("--split", default="val", choices=["val", "train"])  # test: evaluate alone
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("runs/sampler_people"),
        help="keeps photos, bodies and coarse avatars for the next run",
    )
    parser.add_argument("--threads", type=int, default=1)


def load_priors(args: argparse.Namespace) -> dict:
    """Velocities by name; says which file each came from."""
    if args.plain is None:
        own = args.repairer.with_name("turntable_plain.safetensors")
        args.plain = own if own.is_file() else args.repairer
    for name in ("repairer", "plain"):
        print(f"{name}: {getattr(args, name)}")
    return {
        name: TurntablePrior.load(getattr(args, name)).velocity for name in ("repairer", "plain")
    }


def exams(args: argparse.Namespace) -> Iterator[ClipScorer]:
    """The people, each from its photo to its coarse clip."""
    for number in range(args.first, args.first + args.people):
        with silent():
            exam = ClipScorer.from_seed(
                FIRST_SEED[args.split] + number,
                args.split,
                args.folder / f"{args.split}_{number:05d}",
            )
            exam.prepare()
        yield exam


if __name__ == "__main__":
    main()
