"""Try on a GPU what no other machine can: kernels, real sizes, memory; planned for 8 minutes.

    python -m tools.upkeep.gpu_check                          # on a GPU, writes runs/gpu_check
    python -m tools.upkeep.gpu_check --device cpu             # a rehearsal with tiny sizes
    python -m tools.upkeep.gpu_page runs/gpu_check/gpu.json   # the table of docs/gpu.md

Weights are random, so neither weights nor a network connection are needed; see docs/gpu.md for the
packages. Each step prints one line, and a step that fails does not stop the next one. The exit code
is 1 if a step failed.
"""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import torch
import typer

from toolkit.errors import ToolkitError
from toolkit.run.device import check_device
from toolkit.run.doctor import gpu
from toolkit.run.doctor.machine import examine_machine, installed_version
from toolkit.run.files import atomic_path
from tools.command import run_with
from tools.upkeep import gpu_check_gsplat, gpu_check_job, gpu_check_nets, gpu_check_wan
from tools.upkeep.gpu_check_bench import UNSOUND, Bench, Values
from tools.upkeep.gpu_check_sizes import REAL, TINY

PACKAGES = ("torch", "gsplat", "diffusers", "transformers", "numpy", "numba")
OK, FAILED, LEFT_OUT = "ok", "FAILED", "left out"


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    out: Annotated[Path, typer.Option(help="folder for gpu.json and the logs")] = Path(
        "runs/gpu_check"
    )
    device: Annotated[str, typer.Option(help='"cuda", "cuda:1"; "cpu" rehearses, tiny')] = "cuda"
    minutes: Annotated[float, typer.Option(help="no step starts after this time")] = 8.0
    only: Annotated[list[str] | None, typer.Option(help="names of the steps to run")] = None


def machine(bench: Bench) -> Values:
    """Versions, driver, card and its compute capability."""
    found = examine_machine()
    values = {"python": found["python"], "cpus": found["cpus"], "driver": found["driver"] or "none"}
    values |= {name: installed_version(name) or "missing" for name in PACKAGES}
    values["CUDA of torch"] = torch.version.cuda or "none"
    if bench.on_gpu:
        card = gpu.cuda_gpus()[gpu.device_index(bench.device)]
        values |= {"card": card["name"], "card GB": card["memory_gb"]}
        values["capability"] = card["capability"]
        problem = gpu.gpu_problem(gpu.cuda_gpus(), found["torch"], found["driver"], bench.device)
        values["torch and card"] = problem or "fit each other"
    return values


class Check:
    """The steps, one after the other, and what they found."""

    def __init__(self, settings: Settings):
        on_gpu = check_device(settings.device, what="gpu_check").type == "cuda"
        settings.out.mkdir(parents=True, exist_ok=True)
        self.settings, self.start = settings, time.monotonic()
        self.work = tempfile.TemporaryDirectory(prefix="gpu_check_")
        folder = Path(self.work.name)
        self.bench = Bench(settings.device, REAL if on_gpu else TINY, folder, settings.out)
        self.folder, self.log = folder / "gsplat", settings.out / "gsplat_build.txt"
        self.capability, self.compiler = "", None
        self.results: dict[str, dict] = {}

    def steps(self) -> dict[str, Callable[[Bench], Values]]:
        """Name and function of every step. gsplat's come late: it compiles in the meantime."""
        return {
            "machine": machine,
            "LHM": gpu_check_nets.lhm,
            "Multi-HMR": gpu_check_nets.pose,
            "Wan phases": gpu_check_wan.phases,
            "Wan plans": gpu_check_wan.plans,
            "SDEdit": gpu_check_wan.sdedit,
            "rasteriser": self.rasteriser,
            "job": self.job,
            "gpu tests": self.gpu_tests,
        }

    def run(self) -> int:
        """Run all, and write gpu.json after each; returns the exit code."""
        steps = self.steps()
        if unknown := [name for name in self.settings.only or [] if name not in steps]:
            raise SystemExit(f"--only: no step {unknown[0]!r}; there are {', '.join(steps)}")
        wanted = {n: f for n, f in steps.items() if n in (self.settings.only or steps)}
        try:
            if self.bench.on_gpu and {"rasteriser", "job", "gpu tests"} & set(wanted):
                self.start_compiler()
            for name, step in wanted.items():
                self.results[name] = self.attempt(step)
                print(line(name, self.results[name]), flush=True)
                self.save()
        finally:
            if self.compiler is not None and self.compiler.poll() is None:
                self.compiler.kill()
                self.compiler.wait()
            self.work.cleanup()
        return int(any(result["status"] == FAILED for result in self.results.values()))

    def attempt(self, step: Callable[[Bench], Values]) -> dict:
        """One step: its status, seconds and values; whatever it raises becomes its result."""
        began = time.monotonic()
        if self.left_s() <= 0:
            return {"status": LEFT_OUT, "seconds": 0.0, "values": {"why": "the time is over"}}
        status, values = OK, {}
        try:
            values = step(self.bench)
        except Exception as error:  # noqa: BLE001  the next step shall run whatever this one raised
            status, first = FAILED, (str(error).strip() or "no message").splitlines()[0]
            name = "" if isinstance(error, ToolkitError) else f"{type(error).__name__}: "
            values = {"why": f"{name}{first[:300]}"}
        if any(str(value).startswith(UNSOUND) for value in values.values()):
            status = FAILED
        return {"status": status, "seconds": time.monotonic() - began, "values": values}

    def left_s(self) -> float:
        """Seconds until no step starts any more."""
        return 60 * self.settings.minutes - (time.monotonic() - self.start)

    def start_compiler(self) -> None:
        """Let gsplat compile while the networks are tried."""
        cards = gpu.cuda_gpus()
        self.capability = cards[gpu.device_index(self.settings.device)]["capability"]
        self.compiler = gpu_check_gsplat.start_compiler(self.folder, self.log, self.capability)

    def rasteriser(self, bench: Bench) -> Values:
        """gsplat against ours; in a rehearsal ours against itself."""
        waited = time.monotonic()
        self.wait_for_gsplat()
        values = {"waited for the compiler s": time.monotonic() - waited}
        return values | gpu_check_gsplat.compare(bench)

    def job(self, bench: Bench) -> Values:
        """The whole job; where gsplat did not compile, it renders on the CPU."""
        with contextlib.suppress(ToolkitError):
            self.wait_for_gsplat()
        return gpu_check_job.job(bench)

    def wait_for_gsplat(self) -> None:
        """Wait for the compiler, if it runs at all."""
        if self.compiler is not None:
            gpu_check_gsplat.wait_for_compiler(
                self.compiler, self.folder, self.log, max(1, self.left_s())
            )

    def gpu_tests(self, bench: Bench) -> Values:
        """The render tests that need CUDA."""
        if not bench.on_gpu:
            return {"pytest": "needs a GPU, not rehearsed"}
        return gpu_check_gsplat.run_tests(bench, self.folder, self.capability, self.left_s())

    def save(self) -> None:
        """Write gpu.json, whole."""
        record = {
            "date": date.today().isoformat(),
            "rehearsal": not self.bench.on_gpu,
            "seconds": time.monotonic() - self.start,
            "steps": self.results,
        }
        with atomic_path(self.settings.out / "gpu.json") as tmp:
            tmp.write_text(json.dumps(record, indent=1) + "\n")


def line(name: str, result: dict) -> str:
    """One line on a step."""
    values = ", ".join(f"{key} {shown(value)}" for key, value in result["values"].items())
    return f"{name}: {result['status']}, {result['seconds']:.1f} s: {values}"


def shown(value: float | int | str) -> str:
    """A value with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main(argv: list[str] | None = None) -> int:
    """Run what the command line says."""
    return run_with(Settings, lambda settings: Check(settings).run(), argv)


if __name__ == "__main__":
    sys.exit(main())
