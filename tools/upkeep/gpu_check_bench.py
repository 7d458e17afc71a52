"""What every step of `gpu_check` is given, and how a step's time and memory are measured."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from toolkit.prior.wan.memory import GB
from tools.upkeep.gpu_check_sizes import Sizes

Values = dict[str, float | int | str]  # what a step found out; a number's unit is in its name
UNSOUND = "NO"  # begins a value that makes its step fail


@dataclass(frozen=True)
class Bench:
    """What every step is given.

    Attributes:
        device: of the networks, "cuda", "cuda:N" or "cpu" (a rehearsal).
        sizes: real or tiny.
        folder: for files that no one needs afterwards.
        logs: for what compilers and tests say.
    """

    device: str
    sizes: Sizes
    folder: Path
    logs: Path

    @property
    def on_gpu(self) -> bool:
        """Whether this is the real thing."""
        return torch.device(self.device).type == "cuda"


def cost(device: str, call: Callable[[], Any], *, repeats: int = 1) -> tuple[Any, float, float]:
    """Result, seconds and the most GB of GPU memory of a call; 0 GB on a CPU.

    Args:
        device: on which it works; what was queued there before is waited for.
        repeats: calls; the quickest one counts, so that a first one may warm up.
    """
    on_gpu, times, result = torch.device(device).type == "cuda", [], None
    gc.collect()
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(repeats):
        _wait(device)
        start = time.perf_counter()
        result = call()
        _wait(device)
        times.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated(device) / GB if on_gpu else 0.0
    return result, min(times), peak


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def sound(*values: torch.Tensor) -> str:
    """Whether all values are finite, as a value of a step."""
    return "yes" if all(value.isfinite().all() for value in values) else f"{UNSOUND}: not finite"


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """torch's global random numbers from a seed; the caller's are put back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def relative_error(got: torch.Tensor, want: torch.Tensor) -> float:
    """Norm of the difference over the norm of what is wanted."""
    want = want.float().cpu()
    return float((got.float().cpu() - want).norm() / want.norm())
