"""The GPUs, their driver and the build of torch: do they fit each other, and if not, why not."""

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

# Oldest driver for each major version of CUDA.
# Source: NVIDIA, CUDA Compatibility, table of minor version compatibility.
OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
KERNEL_MODULE = Path("/proc/driver/nvidia/version")  # of the driver, on Linux
CUDA_BUILD = "see README.md for the command that installs a CUDA build of torch"


def cuda_gpus() -> list[dict]:
    """CUDA devices that torch can use; none if torch is missing or built without CUDA."""
    try:
        cuda = import_module("torch").cuda
        count = cuda.device_count() if cuda.is_available() else 0
        devices = [cuda.get_device_properties(index) for index in range(count)]
    except (ImportError, OSError, RuntimeError):
        return []
    return [
        {
            "name": gpu.name,
            "memory_gb": round(gpu.total_memory / 1e9, 1),
            "capability": f"{gpu.major}.{gpu.minor}",
        }
        for gpu in devices
    ]


def torch_build() -> dict:
    """Version of torch, of the CUDA it was built for, and the GPU code inside, e.g. "sm_90"."""
    try:
        torch = import_module("torch")
        archs = torch.cuda.get_arch_list()
    except (ImportError, OSError, RuntimeError):
        return {"version": None, "cuda": None, "archs": []}
    return {"version": torch.__version__, "cuda": torch.version.cuda, "archs": archs}


def nvidia_driver() -> str | None:
    """Version of the NVIDIA driver, e.g. "580.65.06"; None where there is none."""
    if KERNEL_MODULE.is_file():
        found = re.search(r"\s(\d{3,}\.\d+(\.\d+)?)\s", KERNEL_MODULE.read_text())
        return found[1] if found else None
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    first = run.stdout.strip().splitlines()[:1]
    return first[0].strip() if first and re.match(r"\d+\.\d", first[0]) else None


def device_index(device: str) -> int:
    """Number of the GPU that a name means: "cuda" is the first."""
    return int(device.partition(":")[2] or 0)


def gpu_problem(gpus: list[dict], build: dict, driver: str | None, device: str) -> str | None:
    """Why torch cannot use the GPU that the full profile would take; None if it can.

    Args:
        gpus: as `cuda_gpus` lists them.
        build: of torch, as `torch_build` describes it.
        driver: version of the driver.
        device: "cuda" or "cuda:N".
    """
    if build["version"] is None:
        return "the package torch is missing"
    if not gpus:
        return _why_none(build, driver)
    if device_index(device) >= len(gpus):
        return f"TOOLKIT_DEVICE says {device}, but there are {len(gpus)}; the first is cuda:0"
    gpu = gpus[device_index(device)]
    if not can_run(gpu["capability"], build["archs"]):
        return (
            f"{gpu['name']} has compute capability {gpu['capability']}, and this torch holds code "
            f"for {', '.join(build['archs'])} only; {CUDA_BUILD}"
        )
    return None


def _why_none(build: dict, driver: str | None) -> str:
    """Why torch sees no GPU at all."""
    if driver is None:
        return "no NVIDIA driver on this machine"
    if build["cuda"] is None:
        return f"torch {build['version']} was built without CUDA; {CUDA_BUILD}"
    oldest = OLDEST_DRIVER.get(int(build["cuda"].split(".")[0]), 0)
    if int(driver.split(".")[0]) < oldest:
        return (
            f"the driver {driver} is too old for a torch of CUDA {build['cuda']}, which wants "
            f"{oldest} or newer; update it, or {CUDA_BUILD}"
        )
    return "torch sees no GPU, although there is a driver; is CUDA_VISIBLE_DEVICES empty?"


def can_run(capability: str, archs: list[str]) -> bool:
    """Whether torch's GPU code runs on a card.

    Code for sm_XY runs on cards of the same X with a minor number of at least Y; compute_XY is
    translated by the driver for every newer card.

    Args:
        capability: of the card, e.g. "8.6".
        archs: as `torch.cuda.get_arch_list` gives them; an empty list is not judged.
    """
    major, minor = (int(part) for part in capability.split("."))
    for arch in archs:
        kind, _, digits = arch.partition("_")
        x, y = int(re.match(r"\d+", digits)[0][:-1]), int(re.match(r"\d+", digits)[0][-1])
        if (kind == "sm" and x == major and y <= minor) or (
            kind == "compute" and (x, y) <= (major, minor)
        ):
            return True
    return not archs
