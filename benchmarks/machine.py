"""What the machine can do, and where a rasteriser's time goes."""

import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numba import njit

from toolkit.render.cpu import threads
from toolkit.render.cpu.simd import lanes, load, store

ROOT = Path(__file__).resolve().parents[1]

# The least number of floating-point operations for one pixel-Gaussian pair with three channels. A
# fused multiply-add counts as two. What does not change along a column of pixels is left out.
FORWARD = {
    "dy": 1,
    "exponent, two multiply-adds": 4,
    "exp, degree 5 and its scaling": 12,
    "alpha and its weight": 2,
    "light that still passes": 1,
    "three channels": 6,
}
BACKWARD = {
    "alpha again": 18,
    "weight, and light that still passes": 2,
    "colour times gradient": 7,
    "gradient of three channels": 6,
    "part of the loss that lies behind": 1,
    "gradient of alpha": 5,
    "three sums down the column": 6,
}
FLOPS = {"forward": sum(FORWARD.values()), "both": sum(FORWARD.values()) + sum(BACKWARD.values())}

# Function that `threads.run` is given to the stage that it belongs to.
STAGES = {
    "_forward_task": "projection",
    "_plan_images": "sort and bin",
    "composite_forward": "compositing",
    "Projection.backward": "projection, backward",
    "composite_backward": "compositing, backward",
    "sum_slots": "sums, backward",
}


@njit(nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")
def _multiply_adds(values: Float[np.ndarray, " 96"], rounds: int) -> None:
    """Twelve chains of eight-lane multiply-adds: enough to hide their latency."""
    at = values.ctypes.data
    scale, step = lanes(0.999), lanes(1e-3)
    a, b, c, d = load(at, 0), load(at, 8), load(at, 16), load(at, 24)
    e, f, g, h = load(at, 32), load(at, 40), load(at, 48), load(at, 56)
    i, j, k, m = load(at, 64), load(at, 72), load(at, 80), load(at, 88)
    for _ in range(rounds):
        a, b, c, d = a * scale + step, b * scale + step, c * scale + step, d * scale + step
        e, f, g, h = e * scale + step, f * scale + step, g * scale + step, h * scale + step
        i, j, k, m = i * scale + step, j * scale + step, k * scale + step, m * scale + step
    store(at, 0, a + b + c + d + e + f + g + h + i + j + k + m)


def peak_flops(rounds: int = 1_000_000, tries: int = 60) -> float:
    """Float32 operations per second on the allowed threads, at the kernels' eight lanes.

    The best of many short runs, so that a moment of quiet is enough.
    """
    calls = [(np.zeros(96, np.float32), rounds) for _ in range(threads.num_threads())]
    _multiply_adds(calls[0][0], 1)
    best = min(_wall(lambda: threads.run(_multiply_adds, calls)) for _ in range(tries))
    return 2 * 12 * 8 * rounds * len(calls) / best


def clocks() -> Float[np.ndarray, " 2"]:
    """Now, on the clock and in CPU time of all threads, seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def _wall(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@contextmanager
def stage_times() -> Iterator[dict[str, Float[np.ndarray, " 2"]]]:
    """Seconds on the clock and of the CPU in each stage of our rasteriser, while the block runs.

    All stages start their kernels through `threads.run`, which is replaced by one that reads the
    clocks.
    """
    seconds, run = defaultdict(lambda: np.zeros(2)), threads.run

    def timed(kernel: Callable, calls: list[tuple]) -> None:
        name = getattr(kernel, "py_func", kernel).__qualname__.split(".<locals>")[0]
        start = clocks()
        run(kernel, calls)
        seconds[STAGES.get(name, name)] += clocks() - start

    threads.run = timed
    try:
        yield seconds
    finally:
        threads.run = run


CHILD = """
import json, time, torch
from benchmarks.standing_person import portrait_camera
from toolkit.render.rasterizer import rasterization
def run(n, px):
    g = torch.Generator().manual_seed(0)
    scene = [torch.tensor([0.25, 0.8, 0.12]) * torch.randn(n, 3, generator=g).clamp(-1, 1),
             torch.randn(n, 4, generator=g), 0.002 + 0.003 * torch.rand(n, 3, generator=g),
             torch.rand(n, generator=g), torch.rand(n, 3, generator=g)]
    scene, camera = [t.requires_grad_() for t in scene], portrait_camera(px)
    picture, _, _ = rasterization(*scene, camera.viewmats, camera.Ks, px, px)
    picture.sum().backward()
start = time.perf_counter(), time.process_time()
run(1000, 64)
first = time.perf_counter() - start[0], time.process_time() - start[1]
def kilobytes(name):  # not ru_maxrss, which a child takes over from its parent
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0])
before = kilobytes("VmRSS")
run(160_000, 1024)
inputs = 2 * 160_000 * 14 * 4  # values and gradients
kb = kilobytes("VmHWM") - before
print(json.dumps({"first_call_s": first[0], "first_call_cpu_s": first[1],
                  "process_cpu_s": time.process_time(), "memory_mb": (1024 * kb - inputs) / 1e6}))
"""


def fresh_process() -> dict[str, float]:
    """First forward and backward of a new process, and its peak memory above the inputs."""
    command = [sys.executable, "-c", CHILD]
    child = subprocess.run(command, check=True, text=True, capture_output=True, cwd=ROOT)
    return json.loads(child.stdout)


def describe() -> dict[str, object]:
    """Enough to judge the numbers by, nothing that names the machine's owner."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            models = [x.split(":")[1].strip() for x in lines if x.startswith("model name")]
            name = models[0] if models else name
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "threads": threads.num_threads(),
        "load_before": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
