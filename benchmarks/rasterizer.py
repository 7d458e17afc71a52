"""How fast is the rasteriser, against what one would write in torch, gsplat, and any rival?

    python benchmarks/rasterizer.py                        # the table, and runs/rasterizer.json
    python benchmarks/rasterizer.py --curves               # also cost against size, with a picture
    python benchmarks/rasterizer.py --rival some/module.py # its `rasterization`, gsplat's arguments

Scene: `standing_person.py`. Times are medians after warm-up; run on an otherwise idle machine.
"""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import machine
import plain_torch
from standing_person import portrait_camera, standing_person

from toolkit.gaussians import Gaussians
from toolkit.render.api import rasterization
from toolkit.run.files import atomic_path
from toolkit.show import style

# Gaussians, pixels, what is timed, wanted per second on two cores
CASES = [
    (40_000, 512, "forward", 70),
    (40_000, 512, "both", 25),
    (160_000, 512, "forward", 25),
    (20_000, 256, "both", 80),
]
COUNTS = (5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000)
SIZES = (128, 256, 512, 768, 1024)
WARM_UPS = 3
MOST_S = 60.0  # a slow rival stops after this long, but not before three runs


def measure(function, repeats: int) -> dict[str, float]:
    """Median seconds on the clock and of the CPU (all threads)."""
    start = machine.clocks()
    slow = _timed(function)[0] > 1
    for _ in range(0 if slow else WARM_UPS - 1):
        function()
    runs = []
    while len(runs) < repeats and (len(runs) < 3 or (machine.clocks() - start)[0] < MOST_S):
        runs.append(_timed(function))
    wall, cpu = np.median(runs, axis=0).tolist()
    return {"wall_s": wall, "cpu_s": cpu, "runs": len(runs)}


def _timed(function) -> np.ndarray:
    start = machine.clocks()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return machine.clocks() - start


def job(rasterize, gaussians: Gaussians, size_px: int, kind: str, device: str = "cpu"):
    """A function without arguments that renders (and backpropagates) once, and gives all back."""
    g, camera = gaussians.to(device), portrait_camera(size_px).to(device)
    leaves = [
        t.clone().requires_grad_(kind == "both")
        for t in (g.means, g.quats, g.scales, g.opacities, g.colors)
    ]

    def once():
        with torch.set_grad_enabled(kind == "both"):
            out = rasterize(*leaves, camera.viewmats, camera.Ks, size_px, size_px)
        if kind == "both":
            torch.autograd.grad(out[0].sum() + out[1].sum(), leaves)
        return out

    return once


def load_rival(path: str):
    """The function `rasterization` of a Python file."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.rasterization


def contestants(rivals: list[str], plain: bool) -> dict[str, tuple]:
    """Name to (function, device)."""
    found = {"ours": (rasterization, "cpu")}
    if plain:
        found["plain torch"] = plain_torch.rasterization, "cpu"
    if torch.cuda.is_available():
        found["gsplat"] = rasterization, "cuda"  # hands over to gsplat
    return found | {Path(p).stem: (load_rival(p), "cpu") for p in rivals}


def run_case(case: tuple, people: dict, rivals: dict, options) -> dict:
    """All contestants on one case, with pairs a second and the bound."""
    num, size_px, kind, target = case
    want, alpha, _ = job(rasterization, people[num], size_px, "forward")()
    pairs = job(plain_torch.rasterization, people[num], size_px, "forward")()[2]["pairs"]
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
        once = job(function, people[num], size_px, kind, device)
        off = (once()[0].detach().cpu() - want).abs()
        row["results"][name] = measure(once, options.repeats) | {
            "pixels_off_by_1e-4": int((off > 1e-4).any(-1).sum()),
            "largest_error": float(off.max()),
        }
    ours = job(rasterization, people[num], size_px, kind)
    with machine.stage_times() as seconds:
        for _ in range(options.repeats):
            ours()
    row["stages_ms"] = {k: (1e3 * v / options.repeats).tolist() for k, v in seconds.items()}
    row["bound_s"] = pairs * machine.FLOPS[kind] / options.peak
    return row


def print_case(row: dict) -> None:
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


def curves(repeats: int) -> dict[str, list]:
    """Milliseconds of forward + backward against Gaussians (at 512 px) and pixels (at 40k)."""
    table = {"gaussians": [], "pixels": []}
    for num in COUNTS:
        once = job(rasterization, standing_person(num), 512, "both")
        table["gaussians"].append((num, 1e3 * measure(once, repeats)["wall_s"]))
    person = standing_person(40_000)
    for size_px in SIZES:
        once = job(rasterization, person, size_px, "both")
        covered = int((once()[1] > 0.5).sum())
        table["pixels"].append((covered, 1e3 * measure(once, repeats)["wall_s"]))
    return table


def draw_curves(table: dict[str, list], path: Path) -> None:
    """Both curves beside a line fitted to them: cost is a constant and a price a piece."""
    fig = style.figure(1000, 400)
    for k, (name, label) in enumerate(
        {
            "gaussians": "thousand Gaussians at 512 px",
            "pixels": "thousand covered pixels, 40k Gaussians",
        }.items()
    ):
        x, y = np.array(table[name], float).T * [[1e-3], [1]]
        slope, start = np.polyfit(x, y, 1, w=1 / y)
        ax = fig.add_subplot(1, 2, k + 1)
        ax.plot(x, y, "o", color=style.STAGE_COLORS[1])
        ax.plot(x, start + slope * x, color=style.INK, lw=1)
        ax.set_xlabel(label, color=style.INK)
        ax.set_title(f"{start:.1f} ms + {slope:.2f} ms per thousand", color=style.INK, fontsize=11)
        ax.set_ylabel("ms, forward + backward")
        style.quiet_axes(ax)
    fig.tight_layout()
    style.save_figure(fig, path)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--rival", action="append", default=[], metavar="FILE.py")
    parser.add_argument("--skip-plain", action="store_true", help="the torch tiles take minutes")
    parser.add_argument("--curves", action="store_true", help="5k..320k and 128..1024 px")
    parser.add_argument("--out", type=Path, default=Path("runs/rasterizer.json"))
    return parser.parse_args()


def main() -> None:
    """Print the table, write the JSON."""
    options = parse()
    torch.set_num_threads(options.threads)
    about = machine.describe()
    print(*(f"{k} {v}" for k, v in about.items()), sep=", ")
    if about["load_before"] > 0.5:
        print("The machine is busy: clock times below mean little.")
    options.peak = machine.peak_flops()
    print(
        f"peak {options.peak / 1e9:.0f} GFlop/s; a pair costs at least "
        f"{machine.FLOPS['forward']} flops forward, {machine.FLOPS['both']} with backward"
    )
    people = {num: standing_person(num) for num in sorted({case[0] for case in CASES})}
    rivals = contestants(options.rival, not options.skip_plain)
    report = about | {"peak_flops": options.peak, "flops_per_pair": machine.FLOPS, "cases": []}
    for case in CASES:
        report["cases"].append(run_case(case, people, rivals, options))
        print_case(report["cases"][-1])
    report["fresh_process"] = machine.fresh_process()
    print(
        "\nfresh process: first call {first_call_s:.2f} s ({first_call_cpu_s:.2f} s CPU), "
        "160k at 1024 px with backward {memory_mb:.0f} MB".format(**report["fresh_process"])
    )
    if options.curves:
        report["curves"] = curves(options.repeats)
        draw_curves(report["curves"], options.out.with_suffix(".png"))
    with atomic_path(options.out) as path:
        path.write_text(json.dumps(report, indent=1))
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
