"""How fast is the rasteriser, against what one would write in torch, gsplat, and any rival?

    python -m benchmarks.rasterizer                     # the table, and runs/rasterizer.json
    python -m benchmarks.rasterizer --curves            # also cost against size, with a picture
    python -m benchmarks.rasterizer --rival FILE.py     # its `rasterization`, gsplat's arguments

Scene: `benchmarks/standing_person.py`. Times are medians after warm-up; run it on a machine that
does nothing else.
"""

import importlib.util
import json
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import machine, plain_torch
from benchmarks.curves import curves, draw_curves
from benchmarks.standing_person import standing_person
from benchmarks.timing import Rasterize, job, measure
from toolkit.gaussians import Gaussians
from toolkit.render.rasterizer import rasterization
from toolkit.run.files import atomic_path
from tools.command import run

# Gaussians, pixels, what is timed, wanted per second on two cores
CASES = [
    (40_000, 512, "forward", 70),
    (40_000, 512, "both", 25),
    (160_000, 512, "forward", 25),
    (20_000, 256, "both", 80),
]


def load_rival(path: Path) -> Rasterize:
    """The function `rasterization` of a Python file, which need not be in any package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.rasterization


def contestants(rivals: list[Path], plain: bool) -> dict[str, tuple[Rasterize, str]]:
    """Name to (function, device)."""
    named = {"ours": (rasterization, "cpu")}
    if plain:
        named["plain torch"] = plain_torch.rasterization, "cpu"
    if torch.cuda.is_available():
        named["gsplat"] = rasterization, "cuda"  # hands over to gsplat
    return named | {path.stem: (load_rival(path), "cpu") for path in rivals}


def run_case(
    case: tuple[int, int, str, int],
    person: Gaussians,
    rivals: dict[str, tuple[Rasterize, str]],
    repeats: int,
    peak_flops: float,
) -> dict:
    """All contestants on one case.

    Args:
        case: a row of `CASES`.
        person: the scene with that many Gaussians.
        rivals: name to (function, device), as from `contestants`.
        repeats: runs of each.
        peak_flops: of this machine, for the bound.

    Returns:
        a row of the report: times, errors against ours, pixel-Gaussian pairs, and the bound, the
        seconds that the arithmetic of these pairs would take at the machine's peak.
    """
    num, size_px, kind, target = case
    want, alpha, _ = job(rasterization, person, size_px, "forward")()
    pairs = job(plain_torch.rasterization, person, size_px, "forward")()[2]["pairs"]
    row = {
        "gaussians": num,
        "pixels": size_px,
        "kind": kind,
        "target_per_s": target,
        "covered": float((alpha > 0.5).float().mean()),
        "pairs": pairs,
        "results": {},
    }
    for name, (function, device) in rivals.items():
        once = job(function, person, size_px, kind, device)
        off = (once()[0].detach().cpu() - want).abs()
        row["results"][name] = measure(once, repeats) | {
            "pixels_off_by_1e-4": int((off > 1e-4).any(-1).sum()),
            "largest_error": float(off.max()),
        }
    ours = job(rasterization, person, size_px, kind)
    with machine.stage_times() as seconds:
        for _ in range(repeats):
            ours()
    row["stages_ms"] = {k: (1e3 * v / repeats).tolist() for k, v in seconds.items()}
    row["bound_s"] = pairs * machine.FLOPS[kind] / peak_flops
    return row


def print_case(row: dict) -> None:
    """One line per contestant, and where our time goes."""
    ours = row["results"]["ours"]
    passes = {"forward": "forward", "both": "forward + backward"}[row["kind"]]
    print(
        f"\n{row['gaussians'] // 1000}k Gaussians, {row['pixels']} px, {passes}; "
        f"{row['covered']:.0%} covered, {row['pairs'] / 1e6:.2f} M pairs"
    )
    for name, result in row["results"].items():
        ratio = result["wall_s"] / ours["wall_s"]
        print(
            f"  {name:<14}{1 / result['wall_s']:9.2f} /s {1e3 * result['wall_s']:10.2f} ms "
            f"{1e3 * result['cpu_s']:10.2f} ms CPU  x{ratio:<8.1f}"
            f"{result['pixels_off_by_1e-4']} pixels off by > 1e-4"
        )
    verdict = "reached" if 1 / ours["wall_s"] >= row["target_per_s"] else "MISSED"
    print(
        f"  target {row['target_per_s']} /s {verdict}; "
        f"{row['pairs'] / ours['wall_s'] / 1e6:.0f} M pairs/s; arithmetic alone would take "
        f"{1e3 * row['bound_s']:.2f} ms, {row['bound_s'] / ours['wall_s']:.0%} of the time"
    )
    print(
        "  ms on the clock (of the CPU): "
        + ", ".join(
            f"{name} {wall:.2f} ({cpu:.2f})" for name, (wall, cpu) in row["stages_ms"].items()
        )
    )


def print_machine(about: dict, peak_flops: float) -> None:
    """What the numbers below were measured on."""
    print(*(f"{k} {v}" for k, v in about.items()), sep=", ")
    if about["load_before"] > 0.5:
        print("The machine is busy: clock times below mean little.")
    print(
        f"peak {peak_flops / 1e9:.0f} GFlop/s; a pair costs at least "
        f"{machine.FLOPS['forward']} flops forward, {machine.FLOPS['both']} with backward"
    )


def main(
    threads: Annotated[int | None, typer.Option(help="else as many as torch takes")] = None,
    repeats: Annotated[int, typer.Option(help="runs of each contestant")] = 20,
    rival: Annotated[
        list[Path] | None, typer.Option(metavar="FILE.py", help="may be given several times")
    ] = None,
    skip_plain: Annotated[
        bool, typer.Option("--skip-plain", help="without plain torch, which takes minutes")
    ] = False,
    with_curves: Annotated[
        bool, typer.Option("--curves", help="also 5k to 320k Gaussians, 128 to 1024 px")
    ] = False,
    out: Annotated[Path, typer.Option(help="the report")] = Path("runs/rasterizer.json"),
) -> None:
    """Print the table, write the JSON."""
    if threads is not None:
        torch.set_num_threads(threads)
    about, peak_flops = machine.describe(), machine.peak_flops()
    print_machine(about, peak_flops)
    people = {num: standing_person(num) for num in sorted({case[0] for case in CASES})}
    rivals = contestants(rival or [], not skip_plain)
    report = about | {"peak_flops": peak_flops, "flops_per_pair": machine.FLOPS, "cases": []}
    for case in CASES:
        report["cases"].append(run_case(case, people[case[0]], rivals, repeats, peak_flops))
        print_case(report["cases"][-1])
    report["fresh_process"] = machine.fresh_process()
    print(
        "\nfresh process: first call {first_call_s:.2f} s ({first_call_cpu_s:.2f} s CPU), "
        "160k at 1024 px with backward {memory_mb:.0f} MB".format(**report["fresh_process"])
    )
    if with_curves:
        report["curves"] = curves(repeats)
        draw_curves(report["curves"], out.with_suffix(".png"))
    with atomic_path(out) as path:
        path.write_text(json.dumps(report, indent=1))
    print(f"written: {out}")


if __name__ == "__main__":
    raise SystemExit(run(main))
