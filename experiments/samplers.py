"""Which sampler, and where to spend the refit's steps? Validation people, from the photo alone.

    python -m experiments.samplers                        # 2 people, 2 CPU minutes each
    python -m experiments.samplers --people 1 --out runs/samplers.json --sheet runs/samplers.jpg

Both priors under each sampler of the one SDEdit loop, scored as frames. Then what Gaussians make of
the clip, always with the same number of refit steps: a refit at the end, in several passes, inside
the loop, and iterative data set update. Every row is listed in docs/results/samplers.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from jaxtyping import Float, UInt8
from torch import Tensor

from experiments.clip_people import ClipSettings, load_priors, scorers
from experiments.document import markdown_table, mean_of, number, publish
from experiments.sampler_rows import FIT_STEPS, clip_rows, refit_rows
from toolkit.body.rig import Avatar
from toolkit.evaluate.clip_scores import ClipScorer, summarise, timed
from toolkit.evaluate.variants import unsharp_mask
from toolkit.prior.sdedit import start_sigma
from toolkit.run.files import atomic_path
from toolkit.run.progress import Progress, silent
from toolkit.show.export import write_image
from toolkit.show.pictures import contact_sheet
from tools.command import run_with

COLUMNS = {  # measure: head, digits
    "psnr": ("PSNR, dB", 2),
    "perceptual": ("perceptual", 3),
    "kid": ("KID x1000", 1),
    "sharpness": ("sharpness", 2),
    **{f"sharpness_octave_{k}": (f"octave {k}", 2) for k in (1, 2, 3, 4)},
    "seen_psnr": ("PSNR where seen, dB", 2),
    "seconds": ("CPU s", 1),
}
IN_PAGE = ("psnr", "perceptual", "kid", "sharpness", "seen_psnr")
SHOWN_DEG = (0, 90, 180)  # on the sheet


@dataclass(frozen=True)
class Settings(ClipSettings):
    """The options of this command."""

    people: Annotated[int, typer.Option(help="number of people")] = 2
    strength: Annotated[float, typer.Option(help="of all rows that have one")] = 0.6
    steps: Annotated[int, typer.Option(help="evaluations of the prior")] = 6
    guidance: Annotated[float, typer.Option(help="of the self-guided rows")] = 0.5
    refit_with: Annotated[
        Literal["repairer", "plain"], typer.Option(help="prior of the refit rows")
    ] = "repairer"
    rows: Annotated[
        list[str] | None, typer.Option(help="only rows with this in their name; repeat")
    ] = None
    sheet: Annotated[Path | None, typer.Option(help="picture of the last person")] = None


def main(settings: Settings) -> None:
    """Measure; write docs/results/samplers.json and the tables."""
    publish(
        "samplers",
        lambda: measure(settings),
        tables,
        table_only=settings.table_only,
        out=settings.out,
        report=report,
    )


def measure(settings: Settings) -> dict:
    """Score every row on every person."""
    torch.set_num_threads(settings.threads)
    rows = all_rows(settings)
    scores: dict[str, list[dict]] = {name: [] for name in rows}
    for scorer in scorers(settings):
        views = {"truth": scorer.reference.scene.views.rgb}
        with Progress("samplers", len(rows)) as tick, silent():
            for name, row in rows.items():
                score, views[name] = score_row(scorer, row)
                scores[name].append(score)
                tick()
        if settings.sheet:
            with atomic_path(settings.sheet) as path:
                write_image(path, sheet(scorer, views))
    return {
        "people": settings.people,
        "split": settings.split,
        "strength": settings.strength,
        "start_sigma": start_sigma(settings.strength, 20),
        "shift": 1.0,
        "steps": settings.steps,
        "fit_steps": FIT_STEPS,
        "order": list(rows),
        "rows": summarise(scores, baseline="coarse"),
    }


def all_rows(settings: Settings) -> dict[str, Callable[[ClipScorer], Tensor | Avatar]]:
    """Functions from a person to a clip or an avatar, by the row's name."""
    priors = load_priors(settings)
    rows = {
        "coarse": lambda scorer: scorer.bench.turntable.rgb,
        "unsharp mask": lambda scorer: unsharp_mask(scorer.bench.turntable.rgb),
    }
    for name, velocity in priors.items():
        rows |= clip_rows(name, velocity, settings.strength, settings.steps, settings.guidance)
    prior = settings.refit_with
    rows |= refit_rows(prior, priors[prior], settings.strength, settings.steps)
    wanted = settings.rows or [""]
    return {n: r for n, r in rows.items() if n == "coarse" or any(part in n for part in wanted)}


def score_row(scorer: ClipScorer, row: Callable) -> tuple[dict, Float[Tensor, "T H W 3"]]:
    """Scores and pictures of one row, a clip or an avatar."""
    made, seconds = timed(partial(row, scorer))
    if isinstance(made, Avatar):
        drawn = scorer.reference.scene.draw(made)
        return scorer.score(drawn) | {"seconds": seconds}, drawn.rgb
    return scorer.score_clip(made) | {"seconds": seconds}, made


def sheet(scorer: ClipScorer, views: dict[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
    """Front, side and back of one person under every sampler."""
    azimuths = scorer.reference.scene.views.azimuths_deg
    chosen = [int(abs((azimuths - a + 180) % 360 - 180).argmin()) for a in SHOWN_DEG]
    tiles = [torch.cat([clip[i] for i in chosen], dim=1) for clip in views.values()]
    return contact_sheet(tiles, columns=5, labels=list(views))


def tables(numbers: dict) -> dict[str, str]:
    """Every row with the measures that decide."""
    return {"": caption(numbers) + table(numbers, IN_PAGE)}


def report(numbers: dict) -> str:
    """Every row with every measure."""
    return "# Samplers\n\n" + caption(numbers) + table(numbers, tuple(COLUMNS))


def caption(numbers: dict) -> str:
    """What the rows have in common."""
    return (
        f"{numbers['people']} {numbers['split']} people only, photo alone, A-pose, side and back; "
        f"strength {numbers['strength']:g} (start sigma {numbers['start_sigma']:.2f}, shift 1), "
        f"{numbers['steps']} steps unless the row says otherwise; {numbers['fit_steps']} refit "
        "steps in all:\n\n"
    )


def table(numbers: dict, measures: tuple[str, ...]) -> str:
    """Means of all rows."""
    lines = []
    for name in numbers["order"]:
        row = numbers["rows"][name]
        cells = [number(mean_of(row, m), COLUMNS[m][1]) for m in measures]
        lines.append([name, *cells])
    return markdown_table(["", *(COLUMNS[m][0] for m in measures)], lines)


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
