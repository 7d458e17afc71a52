"""One rasterizer at work, and how long it takes."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.machine import clocks
from benchmarks.standing_person import portrait_camera
from toolkit.gaussians import Gaussians

WARM_UPS = 3  # the first calls compile kernels, start threads and fill caches
MOST_S = 60.0  # a slow rival stops after this long, but not before three runs

Rasterize = Callable[..., tuple[Tensor, Tensor, dict]]  # gsplat's arguments and results


def job(
    rasterize: Rasterize, gaussians: Gaussians, size_px: int, kind: str, device: str = "cpu"
) -> Callable[[], tuple[Tensor, Tensor, dict]]:
    """A function without arguments that renders once, and returns what `rasterize` returns.

    Args:
        rasterize: what is measured.
        gaussians: the scene.
        size_px: side of the square picture.
        kind: "forward", or "both" to compute gradients as well.
        device: where the tensors lie.
    """
    g, camera = gaussians.to(device), portrait_camera(size_px).to(device)
    leaves = [
        t.clone().requires_grad_(kind == "both")
        for t in (g.means, g.quats, g.scales, g.opacities, g.colors)
    ]

    def once() -> tuple[Tensor, Tensor, dict]:
        with torch.set_grad_enabled(kind == "both"):
            out = rasterize(*leaves, camera.viewmats, camera.Ks, size_px, size_px)
        if kind == "both":
            torch.autograd.grad(out[0].sum() + out[1].sum(), leaves)
        return out

    return once


def measure(function: Callable[[], object], repeats: int) -> dict[str, float]:
    """Median seconds on the clock and of the CPU (all threads), after warm-up.

    The median, because other programs can only make a run slower: the mean would count them.
    """
    start = clocks()
    slow = _timed(function)[0] > 1
    for _ in range(0 if slow else WARM_UPS - 1):
        function()
    runs = []
    while len(runs) < repeats and (len(runs) < 3 or (clocks() - start)[0] < MOST_S):
        runs.append(_timed(function))
    wall, cpu = np.median(runs, axis=0).tolist()
    return {"wall_s": wall, "cpu_s": cpu, "runs": len(runs)}


def _timed(function: Callable[[], object]) -> Float[np.ndarray, " 2"]:
    start = clocks()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # a GPU call returns before its work is done
    return clocks() - start
