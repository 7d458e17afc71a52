"""How long does the whole job take, and what does it do to the sample photo?

    python -m experiments.job                  # runs `python -m toolkit avatar` on the sample photo
    python -m experiments.job runs/demo        # from the report of a run, e.g. of `make demo`

Times mean little on a busy machine: the caption gives the load before the run if it is
known, and the goal is for an idle machine of two cores.
"""

import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from experiments.document import Out, TableOnly, markdown_table, number, publish
from toolkit import cli
from toolkit.errors import ToolkitError
from toolkit.run.files import sample_path
from toolkit.run.folder import read_json
from tools.command import run

GOAL_S, GOAL_MB = 180, 5000
STAGES = {  # of the report: words
    "body": "photo to body",
    "coarse": "coarse avatar",
    "sdedit": "SDEdit of the turntable",
    "refit": "refit",
    "pictures": "films, pictures and diagnoses",
}
IN_PHOTO = {  # measure of the report: words, digits
    "iou": ("silhouette IoU", 3),
    "psnr_db": ("PSNR, dB", 1),
    "shift_px": ("texture offset, px", 1),
}


def measure(folder: Path | None) -> dict:
    """Run the job unless a folder is named; stages and misalignment of its report."""
    load = None if folder else os.getloadavg()[0]  # of an earlier run we do not know it
    with tempfile.TemporaryDirectory() as temporary:
        if folder is None:
            folder, photo = Path(temporary), sample_path("person.jpg")
            if code := cli.main(["avatar", str(photo), "--out", str(folder)]):
                raise ToolkitError(f"python -m toolkit avatar ended with exit code {code}")
        report = read_json(folder / "report.json")
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_before": load,
        "stages": report["stages"],
        "misalignment": report["misalignment"],
    }


def tables(numbers: dict) -> dict[str, str]:
    """Seconds and memory per stage; the photo's own view before and after."""
    stages = numbers["stages"]
    seconds = sum(stage["seconds"] for stage in stages.values())
    memory = max(stage["peak_memory_mb"] for stage in stages.values())
    rows = [
        [words, number(stages[name]["seconds"], 1), str(stages[name]["peak_memory_mb"])]
        for name, words in STAGES.items()
    ]
    rows.append(["**all**", number(seconds, 1), str(memory)])
    rows.append(["goal", str(GOAL_S), str(GOAL_MB)])
    load = numbers["load_before"]
    machine = "a shared machine" if load is None else f"load before the run {load:.1f}"
    caption = f"{numbers['cores']} cores ({numbers['machine']}), {machine}:\n\n"
    before, after = (numbers["misalignment"][name] for name in ("coarse", "refined"))
    view = [
        [words, number(before[key], digits), number(after[key], digits)]
        for key, (words, digits) in IN_PHOTO.items()
    ]
    return {
        "times": caption + markdown_table(["stage", "seconds", "peak memory so far, MB"], rows),
        "sample photo": markdown_table(["in the photo's view", "coarse", "refined"], view),
    }


def main(
    folder: Annotated[
        Path | None, typer.Argument(help="of `python -m toolkit avatar`; else it runs now")
    ] = None,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Write docs/results/job.json and its tables."""
    publish("job", lambda: measure(folder), tables, table_only=table_only, out=out)


if __name__ == "__main__":
    raise SystemExit(run(main))
