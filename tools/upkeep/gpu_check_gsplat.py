"""gsplat on this card: compiled in the background, then compared with our own rasteriser."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from toolkit.body.anchors import sample_anchors
from toolkit.body.npz import load_body
from toolkit.errors import MissingCapabilityError, fail
from toolkit.gaussians import Gaussians
from toolkit.prior.orbit import static_orbit, turntable_cameras
from toolkit.render import gsplat_kernels
from toolkit.render.api import render
from tools.upkeep.gpu_check_bench import Bench, Values, cost

# Numbers of colour channels that gsplat is compiled for here. It pads others to the next one; its
# own list goes on to 513, and each takes compiler time. Ours are 3 and 4, those of the tests 7, 8.
CHANNELS = (1, 2, 3, 4, 5, 8)
INSTANCE = re.compile(r"^[ \t]*(?:__INS__|__LAUNCH_KERNEL__)\((\d+)\)[ \t]*\n", re.MULTILINE)
ROOT = Path(__file__).resolve().parents[2]


def pruned_copy(folder: Path) -> Path:
    """A copy of gsplat's package in `folder` that compiles `CHANNELS` only; returns `folder`."""
    source = Path(find_spec("gsplat").submodule_search_locations[0])
    target = folder / "gsplat"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "test", "doc"))
    for file in target.glob("cuda/csrc/*.c*"):
        text = file.read_text()
        kept = INSTANCE.sub(lambda m: m[0] if int(m[1]) in CHANNELS else "", text)
        if kept != text:
            file.write_text(kept)
    return folder


def environment(folder: Path, capability: str) -> dict[str, str]:
    """Variables under which Python finds the copy, and torch compiles for this card only.

    The binary gets a cache of its own: the usual one would keep the pruned gsplat for good.
    """
    paths = [str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in paths if p),
        "TORCH_EXTENSIONS_DIR": str(folder / "extensions"),
        "TORCH_CUDA_ARCH_LIST": capability,
        "MAX_JOBS": str(os.cpu_count() or 4),
        # ninja lies beside Python, where torch does not look by itself
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def start_compiler(folder: Path, log_path: Path, capability: str) -> subprocess.Popen:
    """Compile the copy in a process of its own, which writes to the log."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = environment(pruned_copy(folder), capability)
    code = "from gsplat.cuda._backend import _C; assert _C is not None"
    with log_path.open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-c", code], env=variables, stdout=log, stderr=log, cwd=folder
        )


def wait_for_compiler(compiler: subprocess.Popen, folder: Path, log: Path, seconds: float) -> None:
    """Wait, then make this process use the copy, or none at all.

    Raises:
        MissingCapabilityError: it failed, or needs longer; the message holds its last words.
    """
    try:
        code = compiler.wait(seconds)
    except subprocess.TimeoutExpired:
        code = f"not ready after {seconds:.0f} s more"
    if code != 0:
        absent = gsplat_kernels.Kernels(False, False, "gsplat did not compile here")
        gsplat_kernels.load = lambda: absent  # so that no later step tries it again, for minutes
        lines = [line for line in log.read_text().splitlines() if line.strip()]
        fail(
            "gsplat's kernels",
            got=f"{code}: {' / '.join(lines[-3:])[:300]}",
            wanted="a compiled extension",
            fix=f"See {log.name}.",
            kind=MissingCapabilityError,
        )
    variables = environment(folder, os.environ.get("TORCH_CUDA_ARCH_LIST", ""))
    os.environ["TORCH_EXTENSIONS_DIR"] = variables["TORCH_EXTENSIONS_DIR"]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    gsplat_kernels.require()


def scene(bench: Bench) -> Gaussians:
    """Gaussians all over our body, with colours from a seed."""
    anchors = sample_anchors(load_body(), bench.sizes.num_gaussians)
    num, generator = len(anchors), torch.Generator().manual_seed(0)
    return Gaussians.from_colors(
        anchors.points - anchors.points.mean(0),
        torch.randn(num, 4, generator=generator),
        0.002 + 0.01 * torch.rand(num, 3, generator=generator),
        0.3 + 0.69 * torch.rand(num, generator=generator),
        torch.rand(num, 3, generator=generator),
    )


def compare(bench: Bench) -> Values:
    """The same turntable by gsplat and by our rasteriser: pictures, gradients, milliseconds."""
    gaussians = scene(bench)
    cameras = turntable_cameras(static_orbit(bench.sizes.num_views), size=bench.sizes.size)
    weights = torch.randn(
        len(cameras), *bench.sizes.size, 3, generator=torch.Generator().manual_seed(1)
    )
    values, pictures, gradients = {}, {}, {}
    other = "gsplat" if bench.on_gpu else "ours again"
    for name, device, repeats in (("ours", "cpu", 1), (other, bench.device, 3)):
        leaves = {
            key: value.to(device).detach().clone().requires_grad_()
            for key, value in vars(gaussians).items()
        }
        views, weight, there = cameras.to(device), weights.to(device), Gaussians(**leaves)
        with torch.no_grad():
            picture, seconds, _ = cost(
                device,
                lambda: render(there, views).rgb,  # noqa: B023
                repeats=repeats,
            )
        values[f"{name} forward ms"] = 1000 * seconds

        def backward() -> list[Tensor]:
            loss = (render(there, views).rgb * weight).sum()  # noqa: B023
            return torch.autograd.grad(loss, list(leaves.values()))  # noqa: B023

        slopes, seconds, peak = cost(device, backward, repeats=repeats)
        values |= {f"{name} forward and backward ms": 1000 * seconds, f"{name} GB": peak}
        pictures[name] = picture.cpu()
        gradients[name] = dict(zip(leaves, [slope.cpu() for slope in slopes], strict=True))
    return values | _differences(*pictures.values(), *gradients.values())


def _differences(
    ours: Tensor, other: Tensor, our_slopes: dict[str, Tensor], slopes: dict[str, Tensor]
) -> Values:
    """How far another renderer is from ours: in 8-bit steps, and in % of the largest gradient."""
    error = (other - ours).abs() * 255
    values = {
        "largest difference, 8-bit steps": float(error.max()),
        "pixels off by over 1 step, %": 100 * float((error.amax(-1) > 1).float().mean()),
    }
    for name, want in our_slopes.items():
        got, largest = slopes[name], want.abs().max()
        if largest > 0:
            values[f"gradient of {name} off by, %"] = 100 * float(
                (got - want).abs().max() / largest
            )
    return values


def run_tests(bench: Bench, folder: Path, capability: str, seconds: float) -> Values:
    """The render tests with the mark `gpu`, in a process of their own."""
    tests = sorted(str(path) for path in (ROOT / "tests").glob("test_render*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *tests]
    # without the checker of shapes, one package fewer has to be there
    variables = environment(folder, capability) | {"TOOLKIT_CHECK_SHAPES": "0"}
    done = subprocess.run(
        command, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=seconds
    )
    (bench.logs / "gpu_tests.txt").write_text(done.stdout + done.stderr)
    last = (done.stdout.strip().splitlines() or ["no output"])[-1]
    if done.returncode != 0:
        fail("render tests", got=last, wanted="all of them pass", fix="See gpu_tests.txt.")
    return {"pytest": last}
