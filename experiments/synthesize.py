"""What does a bulk run make, how fast, how large, and how far would a cluster carry it?

    python -m experiments.synthesize                       # makes 48 people, then measures scaling
    python -m experiments.synthesize --count 500 --workers 2 --keep runs/people_500

A kept folder is gone on with, as always. Times mean little on a busy machine, so the table gives
the seconds of the processors, which other programs do not make longer, and the load.
"""

import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from experiments.document import DATASET_PAGE, Out, TableOnly, markdown_table, number, publish
from toolkit.dataset.bulk.config import BulkConfig
from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.index import read_index
from toolkit.dataset.bulk.log import SUMMARY
from toolkit.dataset.bulk.manifest import unseal
from toolkit.dataset.bulk.people import PeopleRecipe
from toolkit.dataset.bulk.simulate import Costs, Troubles, simulate
from toolkit.dataset.bulk.synthesize import synthesize
from toolkit.dataset.bulk.verify import verify
from toolkit.errors import fail
from tools.command import run

GOAL_PER_MINUTE, GOAL_DB, GOAL_MB = 6, 45, 1.5
SCALING_PEOPLE, LOADING_SECONDS = 6, 20.0
CLUSTERS = (1, 2, 8, 32, 128, 512, 1000)
SAMPLES_PER_CLUSTER = 100_000  # the paper's set
TROUBLES = Troubles(deaths_per_hour=0.05, slow_share=0.05, slowness=3.0)
STAGES = {
    "prompt": "prompt",
    "picture": "picture and its check",
    "body": "photo to body",
    "coarse": "coarse avatar",
    "refined": "SDEdit and refit",
    "gates": "measures and gates",
    "pack": "storing, with its loss",
}


def measure(count: int, workers: int, keep: Path | None, *, with_scaling: bool = True) -> dict:
    """Make a set, and two small ones for the scaling; simulate a cluster with what they cost."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = SetFolder(keep or Path(temporary) / "set")
        manifest = synthesize(folder.path, count, PeopleRecipe(BulkConfig()), workers=workers)
        if problems := verify(folder):
            fail(f"{folder.path}", got=problems[0], wanted="a whole set", fix="Make it again.")
        summary, rows = unseal(folder.log / SUMMARY), read_index(folder)
        sizes = (1, 2) if with_scaling else ()
        scaling = {str(n): people_per_minute(Path(temporary) / str(n), n) for n in sizes}
    seconds = [summary["stages_cpu"][name] for name in STAGES]
    costs = Costs(
        sum(stage["mean"] for stage in seconds),
        sum(stage["spread"] ** 2 for stage in seconds) ** 0.5,  # as if independent
        summary["driver_seconds_per_sample"],
        LOADING_SECONDS,
    )
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_at_end": summary["load_at_end"],
        "people": manifest.people,
        "records": manifest.count,
        "rejected": manifest.rejected,
        "failed": manifest.failed,
        "workers": workers,
        "per_minute": summary["per_minute"],
        "kb_per_person": sum(row["bytes"] for row in rows) / len(rows) / 1e3,
        "least_round_trip_db": min(row["metrics_round_trip_psnr_db"] for row in rows),
        "stages": summary["stages_cpu"],
        "scaling": scaling,
        "costs": vars(costs) | {"knee": costs.knee},
        "cluster": [simulated(size, costs) for size in CLUSTERS],
    }


def people_per_minute(folder: Path, workers: int) -> float:
    """Of a small set, without the time to load the models."""
    synthesize(folder, SCALING_PEOPLE * workers, PeopleRecipe(BulkConfig()), workers=workers)
    return unseal(folder / "log" / SUMMARY)["per_minute_once_loaded"]


def simulated(workers: int, costs: Costs) -> dict:
    """People per minute of a cluster, without and with slow and dying machines."""
    count = max(500, 20 * workers)  # long enough to see more than the end
    calm = simulate(workers, count, costs)
    rough = simulate(workers, count, costs, TROUBLES)
    return {
        "workers": workers,
        "calm": calm.per_minute,
        "rough": rough.per_minute,
        "efficiency": rough.efficiency,
        "driver_busy": rough.driver_busy,
        "hours": SAMPLES_PER_CLUSTER / rough.per_minute / 60,
    }


def tables(numbers: dict) -> dict[str, str]:
    """The run, its stages, and the simulated cluster."""
    return {
        "run": _run_table(numbers),
        "stages": _stage_table(numbers),
        "cluster": _cluster_table(numbers),
    }


def _run_table(numbers: dict) -> str:
    scaling = numbers["scaling"]
    faster = []
    if scaling:
        times = number(scaling["2"] / scaling["1"], 2)
        faster = [["people per minute of 2 processes, times that of 1", times, ""]]
    cpu = numbers["costs"]["seconds"]
    rows = [
        ["people / records", f"{numbers['people']} / {numbers['records']}", ""],
        *([f"rejected: {why}", str(n), ""] for why, n in numbers["rejected"].items()),
        ["in quarantine", str(numbers["failed"]), ""],
        [
            f"people per minute, {numbers['workers']} processes, loading included",
            number(numbers["per_minute"], 1),
            f">= {GOAL_PER_MINUTE}",
        ],
        ["people per minute that the processor seconds allow on 2 cores", number(120 / cpu, 1), ""],
        *faster,
        ["kB per person", number(numbers["kb_per_person"], 0), f"< {GOAL_MB * 1000:.0f}"],
        ["least PSNR of storing, dB", number(numbers["least_round_trip_db"], 1), f">= {GOAL_DB}"],
    ]
    caption = (
        f"{numbers['cores']} cores ({numbers['machine']}), load at the end of the run "
        f"{numbers['load_at_end']:.1f}:\n\n"
    )
    return caption + markdown_table(["", "measured", "goal"], rows)


def _stage_table(numbers: dict) -> str:
    total = numbers["costs"]["seconds"]
    rows = [
        [
            words,
            number(numbers["stages"][name]["mean"], 2),
            number(numbers["stages"][name]["spread"], 2),
            number(numbers["stages"][name]["largest"], 2),
            number(100 * numbers["stages"][name]["mean"] / total, 0),
        ]
        for name, words in STAGES.items()
    ]
    rows.append(["**all**", number(total, 2), number(numbers["costs"]["spread"], 2), "", "100"])
    return markdown_table(["processor seconds", "mean", "spread", "largest", "%"], rows)


def _cluster_table(numbers: dict) -> str:
    rows = [
        [
            str(size["workers"]),
            number(size["calm"], 0),
            number(size["rough"], 0),
            number(100 * size["efficiency"], 0),
            number(100 * size["driver_busy"], 0),
            number(size["hours"], 1),
        ]
        for size in numbers["cluster"]
    ]
    costs = numbers["costs"]
    caption = (
        f"A sample takes {costs['seconds']:.2f} s in a worker and "
        f"{1e3 * costs['driver_seconds']:.1f} ms in the driver, so {costs['knee']:.0f} workers "
        f"keep the driver busy all the time. With troubles: {100 * TROUBLES.slow_share:.0f} % of "
        f"the machines are {TROUBLES.slowness:.0f} times as slow, and each dies every "
        f"{1 / TROUBLES.deaths_per_hour:.0f} hours on average.\n\n"
    )
    heads = ["workers", "people per minute", "with troubles", "efficiency, %", "driver busy, %"]
    return caption + markdown_table([*heads, "hours for 100,000"], rows)


def main(
    count: Annotated[int, typer.Option(help="people")] = 48,
    workers: Annotated[int, typer.Option(help="processes")] = 2,
    keep: Annotated[
        Path | None, typer.Option(help="folder for the set, else it is deleted")
    ] = None,
    scaling: Annotated[bool, typer.Option(help="measure 1 process against 2, too")] = True,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Write docs/results/synthesize.json and its tables in docs/dataset.md."""
    publish(
        "synthesize",
        lambda: measure(count, workers, keep, with_scaling=scaling),
        tables,
        table_only=table_only,
        out=out,
        page=DATASET_PAGE,
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
