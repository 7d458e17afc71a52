"""What the machine is: Python, processor, memory, GPU, free disk, and the packages installed."""

import os
import platform
import shutil
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from toolkit.run.doctor import gpu
from toolkit.run.doctor.requirements import MISSING, READY
from toolkit.weights.commands import weights_dir
from toolkit.weights.search import hub_cache

ROOT = Path(__file__).resolve().parents[3]  # of the repository


def examine_machine() -> dict:
    """Python, processor, memory, GPUs, and the folders of weights with the space left on them."""
    # In a container or under taskset, fewer processors may be ours than the machine has.
    affinity = getattr(os, "sched_getaffinity", None)
    gpus, build, driver = gpu.cuda_gpus(), gpu.torch_build(), gpu.nvidia_driver()
    device = os.environ.get("TOOLKIT_DEVICE") or "cuda"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": len(affinity(0)) if affinity else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "gpus": gpus,
        "device": device,
        "torch": build,
        "driver": driver,
        "gpu_problem": None if device == "cpu" else gpu.gpu_problem(gpus, build, driver, device),
        "weights_dir": _folder(weights_dir()),
        "hub_cache": _folder(hub_cache()),
    }


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):  # Windows has no sysconf
        return None


def _folder(path: Path) -> dict:
    """A folder, whether it exists, and the free space of its disk."""
    # The folder may not exist yet: the nearest parent that does lies on the same disk.
    existing = next(p for p in (path, *path.parents) if p.exists())
    return {
        "path": str(path),
        "exists": path.is_dir(),
        "free_gb": round(shutil.disk_usage(existing).free / 1e9, 1),
    }


def examine_packages() -> list[dict]:
    """Every package that pyproject.toml asks for: its version, and whether the job needs it."""
    # A checkout may be newer than what pip noted when it was installed.
    requirements = _requirements_of_checkout() or metadata.requires("toolkit") or []
    rows = []
    for line in requirements:
        requirement, _, extra = line.partition(";")  # 'ftfy>=6.3 ; extra == "full"'
        wanted = Requirement(requirement)
        version = installed_version(wanted.name)
        status = READY if version else MISSING
        if version and not wanted.specifier.contains(version, prereleases=True):
            status = f"{version} is here, {wanted.specifier} is wanted"
        rows.append(
            {
                "name": wanted.name,
                "wanted": requirement.strip(),
                "installed": version,
                "needed": not extra,
                "status": status,
            }
        )
    if version := installed_version("torchvision"):
        rows.append(
            {
                "name": "torchvision",
                "wanted": "absent",
                "needed": False,
                "installed": version,
                "status": "if it does not match torch, diffusers cannot be imported",
            }
        )
    return rows


def installed_version(package: str) -> str | None:
    """Version of a package from its metadata, without importing it; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _requirements_of_checkout() -> list[str]:
    if not (ROOT / "pyproject.toml").is_file():
        return []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = sum(project["optional-dependencies"].values(), [])
    return project["dependencies"] + [f"{name}; extra" for name in optional]
