"""How fast is the rasteriser? The table of `python -m benchmarks.rasterizer`, for docs/results.md.

    python -m experiments.rasterizer                        # two minutes; on an idle machine
    python -m experiments.rasterizer runs/rasterizer.json   # from a report that exists

Times and ratios mean little on a busy machine: a slow rival loses more to other processes than we
do. The caption gives the load before the run.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from experiments.document import ROOT, Out, TableOnly, markdown_table, number, publish
from toolkit.run.folder import read_json
from tools.command import run

PASSES = {"forward": "forward", "both": "forward and backward"}
GOAL_FIRST_S, GOAL_MB = 3, 300
BUSY = 0.5  # load above which times mean little


def measure(report: Path | None) -> dict:
    """Run the benchmark unless a report is named; what the tables need of it."""
    with tempfile.TemporaryDirectory() as folder:
        if report is None:
            report = Path(folder) / "rasterizer.json"
            command = [sys.executable, "-m", "benchmarks.rasterizer", "--out", str(report)]
            subprocess.run(command, check=True, cwd=ROOT)
        numbers = read_json(report)
    cases = [
        {
            **{k: case[k] for k in ("gaussians", "pixels", "kind", "target_per_s", "covered")},
            "bound_s": case["bound_s"],
            "seconds": {name: result["wall_s"] for name, result in case["results"].items()},
        }
        for case in numbers["cases"]
    ]
    kept = ("cpu", "cores", "threads", "load_before", "fresh_process")
    return {"cases": cases} | {k: numbers[k] for k in kept}


def tables(numbers: dict) -> dict[str, str]:
    """A row per case, ours against plain torch and the goal."""
    rows = []
    for case in numbers["cases"]:
        ours, plain = case["seconds"]["ours"], case["seconds"].get("plain torch")
        rows.append(
            [
                f"{case['gaussians'] // 1000}k Gaussians, {case['pixels']} px, "
                + PASSES[case["kind"]],
                number(1 / ours, 0),
                str(case["target_per_s"]),
                number(1e3 * ours, 1),
                number(plain / ours if plain else None, 0),
                number(100 * case["bound_s"] / ours, 0),
            ]
        )
    fresh = numbers["fresh_process"]
    busy = numbers["load_before"] > BUSY
    caption = "**The machine was busy, so these times mean little.** " if busy else ""
    caption += (
        f"{numbers['cpu']}, {numbers['threads']} threads, load before the run "
        f"{numbers['load_before']:.1f}; a standing person that covers "
        f"{100 * numbers['cases'][0]['covered']:.0f} % of the pixels, median after warm-up. First "
        f"call in a fresh process: {fresh['first_call_s']:.1f} s (goal {GOAL_FIRST_S}). Memory "
        f"above inputs and gradients at 160k and 1024 px: {fresh['memory_mb']:.0f} MB "
        f"(goal {GOAL_MB}).\n\n"
    )
    heads = [
        "",
        "per second",
        "goal",
        "ms",
        "times faster than plain torch",
        "arithmetic alone, % of the time",
    ]
    return {"": caption + markdown_table(heads, rows)}


def main(
    report: Annotated[
        Path | None, typer.Argument(help="of `python -m benchmarks.rasterizer`; else it runs now")
    ] = None,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Write docs/results/rasterizer.json and its table."""
    publish("rasterizer", lambda: measure(report), tables, table_only=table_only, out=out)


if __name__ == "__main__":
    raise SystemExit(run(main))
