"""What `doctor --profile full` says on four machines that we do not have, word for word.

After a change that is meant: `TOOLKIT_UPDATE_SNAPSHOTS=1 pytest tests/test_doctor_machines.py`, and
read the difference.
"""

import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from toolkit.errors import MissingCapabilityError
from toolkit.profiles import full, memory
from toolkit.render import gsplat_kernels
from toolkit.run.doctor import gpu, machine
from toolkit.run.doctor.diagnosis import examine, exit_code
from toolkit.run.doctor.text import as_text
from toolkit.weights.sets import choose
from toolkit.weights.table import WEIGHTS

SNAPSHOTS = Path(__file__).parent / "fixtures" / "doctor"
ARCHS = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
CUDA_BUILD = {"version": "2.13.0", "cuda": "13.0", "archs": ARCHS}
CPU_BUILD = {"version": "2.13.0+cpu", "cuda": None, "archs": []}
# Numbers in the parts of the weights that lie on every machine but the first, as published.
BILLIONS = {
    "multi-hmr": {"multiHMR_896_L.pt": 0.32},
    "lhm-1b-hf": {"model.safetensors": 1.43},
    "sapiens-1b": {"sapiens_1b_epoch_173_torchscript.pt2": 1.17},
    "wan2.1-t2v-1.3b": {"transformer/x.safetensors": 1.42, "text_encoder/x.safetensors": 5.68},
    "wan2.1-t2v-14b": {"transformer/x.safetensors": 14.3, "text_encoder/x.safetensors": 5.68},
    "qwen2.5-7b": {"model.safetensors": 7.6},
    "flux.1-dev": {"transformer/x.safetensors": 11.9, "text_encoder/x.safetensors": 4.9},
}
TINY = ("smplx", "lhm-points-40k")


@dataclass(frozen=True)
class Machine:
    """What the doctor looks at."""

    gpu: tuple[str, float, str] | None
    memory_gb: float
    torch: dict = field(default_factory=lambda: CUDA_BUILD)
    driver: str | None = "580.65.06"
    nvcc: str | None = "13.0"
    compiled: bool = False
    weights: bool = True
    variables: dict = field(default_factory=dict)


MACHINES = {
    "no_gpu": Machine(None, 16.7, CPU_BUILD, driver=None, nvcc=None, weights=False),
    "12gb_without_nvcc": Machine(("NVIDIA GeForce RTX 3060", 12.6, "8.6"), 33.5, nvcc=None),
    "24gb": Machine(("NVIDIA GeForce RTX 4090", 25.4, "8.9"), 67.4),
    "80gb": Machine(
        ("NVIDIA H100 80GB HBM3", 85.0, "9.0"),
        270.0,
        compiled=True,
        variables={"TOOLKIT_WAN": "wan2.1-t2v-14b"},
    ),
}


def write(path: Path, billions: float) -> None:
    """A file of the right size and header that takes no room: beyond the header it is a hole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers, width = int(billions * 1e9), 2 if "flux" in str(path) or "qwen" in str(path) else 4
    header = b""
    if path.suffix == ".safetensors":
        names = {"w": numbers}
        if "lhm" in str(path):  # the grid of skinning weights is in the file, but never loaded
            names["renderer.smplx_model.voxel_grid"] = 210_000_000
        entries = {
            name: {"dtype": "F32", "shape": [n], "data_offsets": [0, 0]}
            for name, n in names.items()
        }
        text = json.dumps(entries).encode()
        header, numbers = struct.pack("<Q", len(text)) + text, sum(names.values())
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + numbers * width)


@pytest.fixture(params=MACHINES)
def faked(request, monkeypatch, tmp_path):
    """Name of a machine, and the machine, with everything the doctor asks for answered by it."""
    here = MACHINES[request.param]
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("TOOLKIT_DEVICE", "TOOLKIT_LHM", "TOOLKIT_WAN", "CUDA_HOME", "CUDA_PATH", "CXX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in here.variables.items():
        monkeypatch.setenv(name, value)
    if here.weights:
        for name in (*BILLIONS, *TINY):
            for pattern in WEIGHTS[name].files:
                path = tmp_path / name / pattern.replace("**/", "").replace("*", "x")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            for part, billions in BILLIONS.get(name, {}).items():
                write(tmp_path / name / part, billions)
    cards = (
        [dict(zip(("name", "memory_gb", "capability"), here.gpu, strict=True))] if here.gpu else []
    )
    monkeypatch.setattr(gpu, "cuda_gpus", lambda: cards)
    monkeypatch.setattr(gpu, "torch_build", lambda: here.torch)
    monkeypatch.setattr(gpu, "nvidia_driver", lambda: here.driver)
    monkeypatch.setattr(torch.version, "cuda", here.torch["cuda"])
    monkeypatch.setattr(gsplat_kernels, "find_nvcc", lambda: here.nvcc)
    monkeypatch.setattr(gsplat_kernels, "nvcc_version", lambda nvcc: nvcc)
    monkeypatch.setattr(gsplat_kernels.shutil, "which", lambda name, path=None: name)
    binary = tmp_path / "gsplat_cuda.so"
    if here.compiled:
        binary.touch()
    monkeypatch.setattr(gsplat_kernels, "compiled_before", lambda: binary)
    monkeypatch.setattr(machine, "_memory_gb", lambda: here.memory_gb)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: range(8), raising=False)
    monkeypatch.setattr(machine.platform, "python_version", lambda: "3.11.9")
    version = machine.installed_version
    monkeypatch.setattr(machine, "installed_version", lambda name: version(name) or "99")
    return request.param, here, tmp_path


def test_the_doctor_tells_the_truth(faked):
    name, _, folder = faked
    sections = as_text(examine(), "full").split("\n\n")
    kept = [s for s in sections if s.startswith(("Python", "profile full"))]
    lines = "\n\n".join(kept).replace(str(folder), "WEIGHTS").splitlines()
    said = "\n".join(line for line in lines if "GB free" not in line) + "\n"
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("TOOLKIT_UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(said)
    assert said == path.read_text(), "see the docstring of this file"


def test_a_run_agrees_with_the_doctor(faked, monkeypatch):
    """The doctor's verdict on the networks against what the profile does when it is loaded."""
    name, here, _ = faked
    report = examine()
    stages = {stage["name"]: stage["full"] for stage in report["stages"]}
    assert exit_code(report, "full") == (0 if name != "no_gpu" else 2)
    if here.gpu is None:
        return
    total = type("Card", (), {"total_memory": here.gpu[1] * 1e9})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: total)
    chosen = {stage: choose(stage) for stage in ("body", "pose", "coarse", "prior")}
    assert {s: list(chosen[s]) for s in chosen} == {s: stages[s]["weights"] for s in chosen}
    full.check_memory(chosen, "cuda")
    dtype = memory.lhm_dtype(chosen["coarse"], here.gpu[1])
    assert f"in {str(dtype).removeprefix('torch.')}" in stages["coarse"]["notes"][0]
    monkeypatch.setattr(total, "total_memory", stages["coarse"]["needs"]["gpu_gb"] * 1e9 - 1e8)
    with pytest.raises(MissingCapabilityError, match="lhm-1b-hf.*TOOLKIT_LHM"):
        full.check_memory(chosen, "cuda")
