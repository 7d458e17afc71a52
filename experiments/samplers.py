"""Every sampler on validation people, photo alone: JSON, a table and a picture sheet.

    python -m experiments.samplers --out runs/samplers

Rows: both priors under each sampler of the one loop, scored as frames; then what Gaussians make of
it, all with the same number of refit steps: refit at the end, in rounds, inside the loop, and
iterative data set update. A person takes two CPU minutes.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.strength import add_people_and_priors, exams, load_priors
from toolkit.body.rig import Avatar
from toolkit.evaluate.clip_scores import ClipScorer, markdown, measure, summarise
from toolkit.evaluate.variants import unsharp_mask
from toolkit.prior.samplers import h_transform, held, self_ensemble, start_levels
from toolkit.prior.sdedit import SDEditConfig, Velocity, start_sigma
from toolkit.refine.edit import refine_clip
from toolkit.refine.iterate import RefitInLoop, progressive_refit, update_dataset
from toolkit.refine.target import FitTarget, clip_target
from toolkit.refine.turntable import Turntable
from toolkit.run.files import atomic_path
from toolkit.run.folder import write_json
from toolkit.run.progress import Progress, silent
from toolkit.show.export import write_image
from toolkit.show.pictures import contact_sheet

COLUMNS = {
    "psnr": ("PSNR, dB", ".2f"),
    "perceptual": ("perceptual", ".3f"),
    "kid": ("KID x1000", ".1f"),
    "sharpness": ("sharpness", ".2f"),
    **{f"sharpness_octave_{k}": (f"octave {k}", ".2f") for k in (1, 2, 3, 4)},
    "seen_psnr": ("PSNR where seen, dB", ".2f"),
    "seconds": ("CPU s", ".1f"),
}
FIT_STEPS = 120  # of each refit row, in sum
SHOWN_DEG = (0, 90, 180)  # on the sheet


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    priors = load_priors(args)
    rows = {
        "coarse": lambda exam: exam.bench.turntable.rgb,
        "unsharp mask": lambda exam: unsharp_mask(exam.bench.turntable.rgb),
    }
    for name, velocity in priors.items():
        rows |= clip_rows(name, velocity, args)
    rows |= refit_rows(args.refit_with, priors[args.refit_with], args)
    if args.rows:
        rows = {
            n: row
            for n, row in rows.items()
            if n == "coarse" or any(part in n for part in args.rows)
        }
    scores = {name: [] for name in rows}
    for exam in exams(args):
        views = {"truth": exam.reference.scene.views.rgb}
        with Progress("samplers", len(rows)) as tick, silent():
            for name, row in rows.items():
                score, views[name] = examine(exam, row)
                scores[name].append(score)
                tick()
        save(args, scores, sheet(exam, views))  # a kill costs one person


def examine(exam: ClipScorer, row: Callable) -> tuple[dict, Tensor]:
    """Score and pictures of one row, a clip or an avatar."""
    made, seconds = measure(partial(row, exam))
    if isinstance(made, Avatar):
        drawn = exam.reference.scene.draw(made)
        return exam.score(drawn) | {"seconds": seconds}, drawn.rgb
    return exam.score_clip(made) | {"seconds": seconds}, made


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_people_and_priors(parser, people=6)
    parser.add_argument("--strength", type=float, default=0.6, help="of all rows that have one")
    parser.add_argument("--steps", type=int, default=6, help="evaluations of the prior")
    parser.add_argument("--guidance", type=float, default=0.5, help="of the self-guided rows")
    parser.add_argument("--refit-with", default="repairer", choices=["repairer", "plain"])
    parser.add_argument("--rows", nargs="*", help="only rows with one of these in their name")
    parser.add_argument("--out", type=Path, default=Path("runs/samplers"))
    return parser.parse_args()


def clip_rows(prior: str, velocity: Velocity, args) -> dict[str, Callable[[ClipScorer], Tensor]]:
    """The samplers: each makes a clip of a person."""
    base = SDEditConfig(args.strength, 20, 1.0, max_steps=args.steps)
    whole = replace(base, strength=1.0)
    repair = prior == "repairer"

    def run(config: SDEditConfig, change=None, guided: bool = False):
        def make(exam: ClipScorer) -> Tensor:
            inner = velocity if change is None else change(exam)
            return exam.edit(inner, config, repair=repair, keep=exam.keep if guided else None)

        return make

    def visible(exam: ClipScorer) -> Velocity:
        alpha = exam.bench.turntable.alpha.permute(3, 0, 1, 2)[None]
        return held(velocity, exam.x0, start_levels(exam.keep, alpha, 1.0))

    found = {
        "ODE (paper's solver)": run(base),
        "ODE from pure noise": run(whole),
        "one step from pure noise": run(replace(whole, max_steps=1)),
        "the same, self-ensemble": run(
            replace(whole, max_steps=1), lambda e: self_ensemble(velocity)
        ),
        "ancestral": run(replace(base, sampler="ancestral")),
        "renoise by sigma (Ani3DHuman)": run(replace(base, sampler="sigma")),
        "full renoise (diffusers)": run(replace(base, sampler="full")),
        "self-guided, by sigma": run(
            replace(base, sampler="sigma", guidance=args.guidance), guided=True
        ),
        "h-transform, alpha 4": run(whole, lambda e: h_transform(velocity, e.x0, 4.0)),
        "h-transform, 2 seen, 8 unseen": run(
            whole, lambda e: h_transform(velocity, e.x0, 8.0 - 6.0 * e.keep)
        ),
        "visibility-aware start": run(whole, visible),
    }
    return {f"{prior}: {name}": row for name, row in found.items()}


def refit_rows(prior: str, velocity: Velocity, args) -> dict[str, Callable[[ClipScorer], Avatar]]:
    """Avatars: the same steps of refit, spent in different places.

    The repairer's outer rounds edit in one step from pure noise, its operating point.
    """
    config = SDEditConfig(args.strength, 20, 1.0, max_steps=args.steps)
    short = SDEditConfig(1.0, 20, 1.0, max_steps=1)
    repair = prior == "repairer"
    inside = (args.steps // 2 - 1, args.steps - 2)  # not at once, and not at the very end

    def refit(exam: ClipScorer, steps: int) -> Callable[[Avatar, FitTarget], Avatar]:
        return lambda avatar, target: exam.bench.job.fit_to(avatar, [target], steps)

    def once(
        exam: ClipScorer, clip: Tensor, avatar: Avatar | None = None, steps=FIT_STEPS
    ) -> Avatar:
        target = clip_target(exam.bench.turntable, clip, -exam.bench.coarse.rig.joints[0])
        return refit(exam, steps)(avatar or exam.bench.coarse, target)

    def in_loop(exam: ClipScorer) -> Avatar:
        share = FIT_STEPS // (len(inside) + 1)
        hook = RefitInLoop(exam.bench.coarse, exam.bench.turntable, refit(exam, share), inside)
        clip = exam.edit(velocity, config, repair=repair, project=hook)
        return once(exam, clip, hook.avatar, share)

    def edit(turntable: Turntable) -> Tensor:
        return refine_clip(velocity, turntable, short, generator=torch.Generator().manual_seed(0))

    def rounds(exam: ClipScorer, way, num: int, **more) -> Avatar:
        bench = exam.bench
        return way(
            bench.coarse,
            bench.turntable.orbit,
            bench.job.visible(bench.body),
            edit,
            refit(exam, FIT_STEPS // num),
            **more,
        )

    found = {
        f"refit once: {prior}": lambda e: once(e, e.edit(velocity, config, repair=repair)),
        f"refit inside the loop: {prior}": in_loop,
    }
    if repair:  # `refine_clip` tells the prior of the current avatar's renders
        found |= {
            f"refit once, one step: {prior}": lambda e: once(
                e, e.edit(velocity, short, repair=True)
            ),
            f"progressive refit, one step: {prior}": lambda e: rounds(e, progressive_refit, 3),
            f"data set update, one step: {prior}": lambda e: rounds(
                e, update_dataset, 6, generator=torch.Generator().manual_seed(0)
            ),
        }
    return {
        "refit to its own renders": lambda e: once(e, e.bench.turntable.rgb),
        "refit to the unsharp mask": lambda e: once(e, unsharp_mask(e.bench.turntable.rgb)),
        **found,
    }


def sheet(exam: ClipScorer, views: dict[str, Tensor]) -> np.ndarray:
    """Front, side and back of one person under every sampler."""
    azimuths = exam.reference.scene.views.azimuths_deg
    chosen = [int(abs((azimuths - a + 180) % 360 - 180).argmin()) for a in SHOWN_DEG]
    tiles = [torch.cat([clip[i] for i in chosen], dim=1) for clip in views.values()]
    return contact_sheet(tiles, columns=5, labels=list(views))


def save(args, scores: dict[str, list[dict]], picture: np.ndarray) -> None:
    """`samplers.json`, `samplers.md` of the people so far, and a sheet of each."""
    rows, people = summarise(scores, baseline="coarse"), len(scores["coarse"])
    sigma = start_sigma(args.strength, 20)
    write_json(
        args.out / "samplers.json",
        {
            "people": people,
            "split": args.split,
            "strength": args.strength,
            "start_sigma": sigma,
            "shift": 1.0,
            "steps": args.steps,
            "fit_steps": FIT_STEPS,
            "rows": rows,
            "weights": {"repairer": args.repairer.name, "plain": args.plain.name},
        },
    )
    table = markdown(rows, COLUMNS)
    with atomic_path(args.out / "samplers.md") as tmp:
        tmp.write_text(
            f"{people} {args.split} people, side and back unless said otherwise; "
            f"strength {args.strength:g} (start sigma {sigma:.2f}, shift 1), "
            f"{args.steps} steps.\n\n{table}",
            encoding="utf-8",
        )
    write_image(args.out / f"samplers_{people - 1}.png", picture)
    print(table, f"{people} people", sep="\n", flush=True)


if __name__ == "__main__":
    main()
