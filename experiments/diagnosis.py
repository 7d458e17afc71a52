"""Where is the refinement's room, and where is its gain lost? Three tables, validation people only.

    python -m experiments.diagnosis                        # all three, 20 minutes on one core
    python -m experiments.diagnosis --parts chain,error    # these two; the third keeps its numbers
    python -m experiments.diagnosis --people 2 --out runs/diagnosis.json

    error   what is wrong with the coarse avatar: by region, by what the photo saw, by cause
    chain   from the prior's frames to the gain from the photo alone: which step loses how much
    bound   how near the refit comes to the truth if its target is the truth

Every finished person lies in runs/diagnosis, so a killed run goes on. A record is made anew when
the weights or the settings that it depends on have changed. After a change of code, remove the
folder first.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Annotated

import torch
import typer

from experiments import diagnosis_bound, diagnosis_chain, diagnosis_error
from experiments.document import UNMEASURED, Out, TableOnly, json_path, publish, read_numbers
from toolkit.errors import fail
from tools.command import run_with


@dataclass(frozen=True)
class Part:
    """One table: the module that measures it, and on how many people."""

    module: ModuleType
    people: int


PARTS = {
    "error": Part(diagnosis_error, 24),
    "chain": Part(diagnosis_chain, 12),
    "bound": Part(diagnosis_bound, 4),
}


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    parts: Annotated[str, typer.Option(help="which tables are measured")] = ",".join(PARTS)
    people: Annotated[int | None, typer.Option(help="of every table; else each its own")] = None
    table_only: TableOnly = False
    out: Out = None


def chosen_parts(names: str) -> list[str]:
    """The parts that were named, in the order in which they are measured.

    Raises:
        InputError: a name that no part has.
    """
    asked = names.split(",")
    unknown = sorted(set(asked) - set(PARTS))
    if unknown:
        fail("parts", got=unknown, wanted=", ".join(PARTS), fix="Separate names by commas only.")
    return [name for name in PARTS if name in asked]


def measure(settings: Settings) -> dict:
    """The chosen parts anew, the others as they were committed."""
    torch.set_num_threads(1)
    numbers = read_numbers("diagnosis") if json_path("diagnosis").is_file() else {}
    for name in chosen_parts(settings.parts):
        part = PARTS[name]
        numbers[name] = part.module.measure(settings.people or part.people)
    return numbers


def tables(numbers: dict) -> dict[str, str]:
    """The table of each part; one that has not been measured says so."""
    return {
        name: part.module.table(numbers[name]) if name in numbers else UNMEASURED
        for name, part in PARTS.items()
    }


def main(settings: Settings) -> None:
    """Measure and write docs/results/diagnosis.json with its tables."""
    publish(
        "diagnosis",
        lambda: measure(settings),
        tables,
        table_only=settings.table_only,
        out=settings.out,
    )


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
