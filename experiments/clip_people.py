"""What the experiments on turntable clips share: their people, their priors, their options."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from experiments.document import Out, TableOnly
from toolkit.evaluate.clip_scores import ClipScorer
from toolkit.people.sample import FIRST_SEED
from toolkit.prior.sdedit import Velocity
from toolkit.prior.turntable.shipped import load_turntable
from toolkit.run.progress import silent


@dataclass(frozen=True)
class ClipSettings:
    """Options of every experiment on clips. Test people are left to the evaluation."""

    people: Annotated[int, typer.Option(help="number of people")] = 6
    first: Annotated[int, typer.Option(help="number of the first person in the split")] = 0
    split: Annotated[Literal["val", "train"], typer.Option(help="which people")] = "val"
    repairer: Annotated[Path | None, typer.Option(help="weights; else those that ship")] = None
    plain: Annotated[Path | None, typer.Option(help="weights; else those that ship")] = None
    folder: Annotated[
        Path, typer.Option(help="keeps photos, bodies and coarse avatars for the next run")
    ] = Path("runs/sampler_people")
    threads: Annotated[int, typer.Option(help="of torch")] = 1
    table_only: TableOnly = False
    out: Out = None


def load_priors(settings: ClipSettings) -> dict[str, Velocity]:
    """Velocities by the prior's name."""
    return {
        "repairer": load_turntable("repairer", settings.repairer).velocity,
        "plain": load_turntable("plain", settings.plain).velocity,
    }


def scorers(settings: ClipSettings) -> Iterator[ClipScorer]:
    """The people, each brought from its photo to its coarse clip."""
    for number in range(settings.first, settings.first + settings.people):
        name = f"{settings.split}_{number:05d}"
        with silent():
            scorer = ClipScorer.from_seed(
                FIRST_SEED[settings.split] + number, settings.split, settings.folder / name
            )
            scorer.prepare()
        yield scorer
