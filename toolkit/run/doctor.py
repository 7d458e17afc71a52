"""What this machine can run: packages, GPU, memory, disk, weights, and every stage of a profile.

Looks only at this machine: nothing is downloaded and no connection is opened.
"""

import hashlib
import os
import platform
import re
import shutil
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path

from toolkit.run.files import DATA_DIR
from toolkit.weights.sets import SETS, is_stand_in
from toolkit.weights.table import WEIGHTS, hub_cache, locate, readable, weights_dir

SCHEMA = 1  # of the JSON report; a key is added, never renamed, without a new number
READY, MISSING, FALLBACK = "ready", "missing", "falls back to embedded"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stage:
    """What a stage needs in each profile.

    Attributes:
        name: of the stage.
        embedded: files of `data/models` that it reads.
        module: holds the full profile's implementation.
        weights: alternatives; a set of rows of `WEIGHTS` that do together.
        packages: that the full implementation imports.
        gpu_gb: memory of the GPU that the smallest alternative wants; 0 does without a GPU.
        falls_back: the full profile runs with the embedded implementation of this stage too.
    """

    name: str
    embedded: tuple[str, ...]
    module: str
    weights: tuple[tuple[str, ...], ...] = ((),)
    packages: tuple[str, ...] = ()
    gpu_gb: float = 0
    falls_back: bool = False


# GPU memory as the authors and diffusers' documentation give it, not measured here.
STAGES = (
    Stage("body", ("body.npz", "rest_space.npz", "motions.npz"), "toolkit.body.npz", SETS["body"]),
    Stage(
        "pose",
        (
            "pose_detection.tflite",
            "pose_landmark_full.tflite",
            "selfie_segmentation.tflite",
            "lift.safetensors",
        ),
        "toolkit.photo.multihmr.model",
        (("multi-hmr", "smplx"),),
        gpu_gb=4,
    ),
    Stage(
        "coarse", ("coarse.safetensors",), "toolkit.coarse.lhm.network", SETS["coarse"], gpu_gb=14
    ),
    Stage(
        "prior",
        ("turntable.safetensors", "turntable_plain.safetensors"),
        "toolkit.prior.wan.model",
        SETS["prior"],
        ("diffusers", "transformers", "accelerate"),
        gpu_gb=9,
    ),
    Stage("rasteriser", (), "toolkit.render.api", packages=("gsplat",), gpu_gb=2, falls_back=True),
    Stage(
        "prompts",
        (),
        "toolkit.dataset.prompts",
        (("llama-3.3-70b",), ("qwen2.5-7b",), ("smollm2-1.7b",)),
        ("transformers",),
        falls_back=True,
    ),
    Stage(
        "images",
        (),
        "toolkit.dataset.images",
        (("flux.1-dev",), ("flux.1-schnell",), ("flux.2-klein-4b",), ("z-image-turbo",)),
        ("diffusers", "transformers", "accelerate", "sentencepiece"),
        gpu_gb=13,
        falls_back=True,
    ),
)


def examine() -> dict:
    """The whole report, ready for JSON: schema, machine, packages, embedded, weights, stages."""
    machine, packages = examine_machine(), examine_packages()
    shipped, weights = examine_shipped(), examine_weights()
    stages = [judge(stage, machine, shipped, weights) for stage in STAGES]
    runs = {
        profile: all(stage[profile]["status"] != MISSING for stage in stages)
        for profile in ("embedded", "full")
    }
    runs["embedded"] &= not any(p["status"] == MISSING and p["needed"] for p in packages)
    return {
        "schema": SCHEMA,
        "machine": machine,
        "packages": packages,
        "embedded": shipped,
        "weights": weights,
        "stages": stages,
        "can_run": runs,
    }


def examine_machine() -> dict:
    """Python, processor, memory, GPU, free disk."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": here,
        "memory_gb": _memory_gb(),
        "gpus": _gpus(),
        "weights_dir": _place(weights_dir()),
        "hub_cache": _place(hub_cache()),
    }


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):  # Windows
        return None


def _gpus() -> list[dict]:
    """CUDA devices torch can use; none if torch is missing or built without CUDA."""
    try:
        cuda = import_module("torch").cuda
        count = cuda.device_count() if cuda.is_available() else 0
        found = [cuda.get_device_properties(index) for index in range(count)]
    except (ImportError, OSError, RuntimeError):
        return []
    return [{"name": gpu.name, "memory_gb": round(gpu.total_memory / 1e9, 1)} for gpu in found]


def _place(path: Path) -> dict:
    """A folder, whether it exists, and the free space of its disk."""
    there = next(p for p in (path, *path.parents) if p.exists())
    return {
        "path": str(path),
        "exists": path.is_dir(),
        "free_gb": round(shutil.disk_usage(there).free / 1e9, 1),
    }


def examine_packages() -> list[dict]:
    """Every package that pyproject asks for: version, whether it is needed, whether it is there."""
    try:
        wanted = metadata.requires("toolkit") or []
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        wanted = _from_pyproject()
    rows = []
    for line in wanted:
        requirement, _, extra = line.partition(";")
        name = re.match(r"[\w.-]+", requirement)[0]
        rows.append(
            {
                "name": name,
                "wanted": requirement.strip(),
                "installed": _version(name),
                "needed": not extra,
                "status": READY if _version(name) else MISSING,
            }
        )
    if _version("torchvision"):
        rows.append(
            {
                "name": "torchvision",
                "wanted": "absent",
                "needed": False,
                "installed": _version("torchvision"),
                "status": "if it does not match torch, diffusers cannot be imported",
            }
        )
    return rows


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _from_pyproject() -> list[str]:
    import tomllib

    if not (ROOT / "pyproject.toml").is_file():
        return []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = sum(project["optional-dependencies"].values(), [])
    return project["dependencies"] + [f"{name}; extra" for name in optional]


def examine_shipped() -> list[dict]:
    """Files in `data/` that THIRD_PARTY.md lists: present, and with the checksum it gives."""
    page = ROOT / "THIRD_PARTY.md"
    lines = page.read_text().splitlines() if page.is_file() else []
    rows = [re.match(r"\| `data/([^`]+)` \|.*\| ([^|]+) \| (\w+) \|$", line) for line in lines]
    listed = {row[1]: (row[2], row[3]) for row in rows if row}
    unlisted = {f"models/{n}" for stage in STAGES for n in stage.embedded} - set(listed)
    listed |= {name: ("not listed", None) for name in sorted(unlisted)}
    return [_check(name, licence, digest) for name, (licence, digest) in listed.items()]


def _check(name: str, licence: str, digest: str | None) -> dict:
    path, status = DATA_DIR / name, READY
    if not path.is_file():
        status = MISSING
    elif digest is None:
        status = "no checksum to compare with"
    elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        status = "differs from THIRD_PARTY.md"
    return {"name": name, "path": str(path), "licence": licence, "status": status}


def examine_weights() -> list[dict]:
    """Every row of `WEIGHTS` with what was found of it and how to get it."""
    rows = []
    for weight in WEIGHTS.values():
        found = locate(weight)
        status = READY if found.complete else "incomplete" if found.folder else MISSING
        row = {k: v for k, v in asdict(weight).items() if k not in ("recipe", "about", "exclude")}
        rows.append(
            row
            | {
                "files": list(weight.files),
                "revision": weight.pin,
                "size": readable(weight),
                "command": weight.command,
                "status": status,
                "missing": list(found.missing),
                "folder": str(found.folder) if found.folder else None,
                "stand_in": bool(found.folder and is_stand_in(found.folder)),
                "bytes_found": found.bytes,
                "looked": [str(path) for path in found.looked],
            }
        )
    return rows


def judge(stage: Stage, machine: dict, shipped: list[dict], weights: list[dict]) -> dict:
    """Whether a stage runs in either profile, and what it lacks."""
    there = {Path(row["name"]).name for row in shipped if row["status"] != MISSING}
    lacks = [f"data/models/{name}" for name in stage.embedded if name not in there]
    embedded = {"status": MISSING if lacks else READY, "missing": lacks}
    ready = {row["name"] for row in weights if row["status"] == READY}
    options = [[name for name in option if name not in ready] for option in stage.weights]
    best = min(range(len(options)), key=lambda i: len(options[i]))
    source = ROOT.joinpath(*stage.module.split(".")).with_suffix(".py")
    lacks = [] if source.is_file() else [f"{stage.module} in this version"]
    lacks += [f"package {name}" for name in stage.packages if not _version(name)]
    memory = max((gpu["memory_gb"] for gpu in machine["gpus"]), default=0)
    if memory < stage.gpu_gb:
        lacks.append(f"a CUDA GPU with {stage.gpu_gb:g} GB")
    lacks += [f"weight {name}" for name in options[best]]
    status = READY if not lacks else MISSING
    if lacks and stage.falls_back and embedded["status"] == READY:
        status = FALLBACK
    uses = list(stage.weights[best])
    return {
        "name": stage.name,
        "embedded": embedded,
        "full": {"status": status, "missing": lacks, "weights": uses},
    }


def exit_code(report: dict, profile: str | None) -> int:
    """0 for a report; 2 if a profile was asked for that cannot run here."""
    return 2 if profile and not report["can_run"][profile] else 0
