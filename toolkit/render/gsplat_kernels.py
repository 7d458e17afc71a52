"""Whether this machine can have gsplat's CUDA kernels: they are compiled when first used.

The wheel on PyPI holds source text, no binary. gsplat looks for nvcc when it is first called, and
where there is none, every call dies with "'NoneType' object has no attribute 'CameraModelType'".
So we look first: `examine` without compiling anything, `load` with.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch

from toolkit.errors import MissingCapabilityError, fail

MINUTES = "1 to 15 minutes"  # of the first compilation, as users' public logs say; by CPU cores


@dataclass(frozen=True)
class Kernels:
    """What `examine` or `load` found.

    Attributes:
        possible: whether gsplat can render here.
        compiled: whether it can do so at once; else it compiles when it is first used.
        reason: why so, half a sentence.
        fix: how to get the kernels; empty where they are there.
    """

    possible: bool
    compiled: bool
    reason: str
    fix: str = ""


def examine() -> Kernels:
    """What gsplat would find; nothing is compiled, and gsplat is not imported."""
    spec = find_spec("gsplat")
    if spec is None:
        return Kernels(False, False, "the package gsplat is missing", "pip install gsplat==1.5.3")
    if any(Path(spec.submodule_search_locations[0]).glob("csrc.*")):
        return Kernels(True, True, "a gsplat with a compiled binary is installed")
    lacking = missing_tool()
    if lacking is not None:
        return Kernels(False, False, *lacking)
    if compiled_before().is_file():
        return Kernels(True, True, f"compiled before, in {compiled_before().parent}")
    return Kernels(True, False, f"gsplat compiles its kernels when first used, {MINUTES}")


@functools.cache
def load() -> Kernels:
    """Load the kernels, and compile them if that was never done; what gsplat prints goes to stderr.

    Returns:
        The kernels, or why there are none; this never raises.
    """
    found = examine()
    if not found.possible:
        return found
    # ninja lies beside Python, where torch does not look unless the environment was activated
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}{os.pathsep}{Path(sys.executable).parent}"
    try:
        with redirect_stdout(sys.stderr):
            backend = import_module("gsplat.cuda._backend")._C
        why = "" if hasattr(backend, "CameraModelType") else "gsplat has disabled itself"
    except Exception as error:  # noqa: BLE001  whatever compilers, linkers and loaders raise
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    if not why:
        return Kernels(True, True, "compiled")
    return Kernels(
        False,
        False,
        f"gsplat's kernels did not compile or load ({why})",
        "`python -c 'from gsplat.cuda._backend import _C'` shows the compiler's messages.",
    )


def rendering_device(device: str) -> str:
    """Where Gaussians are rendered: with gsplat on the GPU, else with our own rasteriser.

    Says in one line on stderr if it is the CPU although the networks run on a GPU.

    Args:
        device: of the networks, "cpu", "cuda" or "cuda:N".
    """
    if torch.device(device).type == "cpu":
        return "cpu"
    kernels = load()
    if kernels.possible:
        return device
    print(f"rendering and refit on the CPU: {kernels.reason}. {kernels.fix}", file=sys.stderr)
    return "cpu"


def require() -> None:
    """Make sure that tensors on a GPU can be rendered.

    Raises:
        MissingCapabilityError: no kernels.
    """
    kernels = load()
    if not kernels.possible:
        fail(
            "rasterization on a GPU",
            got=kernels.reason,
            wanted="gsplat with its CUDA kernels",
            fix=f"{kernels.fix} Or move Gaussians and cameras to the CPU, where ours renders.",
            kind=MissingCapabilityError,
        )


def missing_tool() -> tuple[str, str] | None:
    """What a compilation lacks and how to get it; None if nothing is missing."""
    built = torch.version.cuda
    if built is None:
        return "this torch was built without CUDA", "Install a CUDA build of torch, see README.md."
    wanted = f"Install the CUDA toolkit {built} (nvcc), and set CUDA_HOME to its folder."
    nvcc = find_nvcc()
    if nvcc is None:
        return "there is no CUDA toolkit (nvcc) to compile gsplat", wanted
    version = nvcc_version(nvcc)
    if version is None or version.split(".")[0] != built.split(".")[0]:
        return f"nvcc is of CUDA {version or 'unknown'}, torch of CUDA {built}", wanted
    compiler = os.environ.get("CXX", "cl" if os.name == "nt" else "c++")
    if shutil.which(compiler) is None:
        return f"there is no C++ compiler ({compiler})", "Install g++."
    places = [None, str(Path(sys.executable).parent)]
    if not any(shutil.which("ninja", path=place) for place in places):
        return "there is no ninja to run the compilers", "pip install ninja"
    return None


def find_nvcc() -> Path | None:
    """The compiler that torch, and so gsplat, would take: CUDA_HOME, PATH, /usr/local/cuda."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    if not home and (on_path := shutil.which("nvcc")):
        return Path(on_path)
    nvcc = Path(home or "/usr/local/cuda") / "bin" / ("nvcc.exe" if os.name == "nt" else "nvcc")
    return nvcc if nvcc.is_file() else None


def nvcc_version(nvcc: Path) -> str | None:
    """CUDA version of a compiler, e.g. "13.0"; None if it does not answer."""
    try:
        run = subprocess.run([nvcc, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"release (\d+\.\d+)", run.stdout)
    return found[1] if found else None


def compiled_before() -> Path:
    """Where torch keeps the binary of an earlier compilation."""
    root = os.environ.get("TORCH_EXTENSIONS_DIR")
    if root is None:
        from torch.utils.cpp_extension import get_default_build_root

        cuda = f"cu{(torch.version.cuda or '').replace('.', '')}"
        python = f"py{sys.version_info.major}{sys.version_info.minor}{getattr(sys, 'abiflags', '')}"
        root = Path(get_default_build_root()) / f"{python}_{cuda}"
    return Path(root) / "gsplat_cuda" / f"gsplat_cuda{'.pyd' if os.name == 'nt' else '.so'}"
