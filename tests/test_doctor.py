"""The doctor tells the truth about this machine, whatever is on it, without a connection."""

import json
import re
import socket
from contextlib import nullcontext

import pytest

from toolkit.cli import main
from toolkit.dataset import text_command
from toolkit.errors import InputError, MissingFileError
from toolkit.render import gsplat_kernels
from toolkit.render.gsplat_kernels import Kernels
from toolkit.run.doctor import diagnosis, files, gpu, machine
from toolkit.run.doctor.diagnosis import examine
from toolkit.run.doctor.requirements import Requirement
from toolkit.run.doctor.text import as_text
from toolkit.weights.sets import SETS, choose, pick
from toolkit.weights.table import WEIGHTS

GPU = {"name": "a GPU", "memory_gb": 24.0, "capability": "8.9"}
BUILD = {"version": "2.13.0", "cuda": "13.0", "archs": ["sm_75", "sm_80", "sm_90"]}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the doctor opened a connection")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    """A machine without weights and without a GPU."""
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for variable in ("TOOLKIT_DEVICE", "TOOLKIT_LHM", "TOOLKIT_WAN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(gpu, "cuda_gpus", list)
    return tmp_path


@pytest.fixture
def with_gpu(monkeypatch):
    """Puts cards into the machine, and main memory for every model."""

    def put(*cards, build=BUILD, driver="580.65.06"):
        monkeypatch.setattr(gpu, "cuda_gpus", lambda: [GPU | card for card in cards])
        monkeypatch.setattr(gpu, "torch_build", lambda: build)
        monkeypatch.setattr(gpu, "nvidia_driver", lambda: driver)
        monkeypatch.setattr(machine, "_memory_gb", lambda: 512.0)

    return put


@pytest.fixture
def all_packages(monkeypatch):
    """Every package is here, in a version that is wanted."""
    version = machine.installed_version
    monkeypatch.setattr(machine, "installed_version", lambda name: version(name) or "99")


def fill(folder, *names):
    for name in names:
        for pattern in WEIGHTS[name].files:
            path = folder / "weights" / name / pattern.replace("**/", "").replace("*", "x")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")


def stage(report, name):
    return next(s for s in report["stages"] if s["name"] == name)


def test_bare_machine():
    report = examine()
    assert report["can_run"] == {"embedded": True, "full": False}
    assert {w["status"] for w in report["weights"]} == {"missing"}
    assert {s["embedded"]["status"] for s in report["stages"]} == {"ready"}
    coarse = stage(report, "coarse")["full"]
    assert coarse["status"] == "missing" and "a CUDA GPU with 6.5 GB" in coarse["missing"]
    assert stage(report, "images")["full"]["status"] == "falls back to embedded"
    assert stage(report, "body")["full"]["missing"] == ["weight smplx"]


def test_weights_are_found(empty, with_gpu):
    with_gpu({})
    fill(empty, "smplx", "qwen2.5-7b", "lhm-mini", "lhm-points-20k", "sapiens-1b")
    report = examine()
    assert stage(report, "body")["full"]["status"] == "ready"
    prompts = stage(report, "prompts")["full"]
    assert (prompts["status"], prompts["weights"]) == ("ready", ["qwen2.5-7b"])
    coarse = stage(report, "coarse")["full"]  # the alternative that lacks least is the one judged
    assert coarse["weights"] == ["lhm-mini", "lhm-points-20k", "sapiens-1b"]
    assert coarse["status"] == "ready"


def test_half_a_weight_is_incomplete(empty):
    fill(empty, "qwen2.5-7b")
    (empty / "weights" / "qwen2.5-7b" / "tokenizer.json").unlink()
    report = examine()
    row = next(w for w in report["weights"] if w["name"] == "qwen2.5-7b")
    assert row["status"] == "incomplete" and row["missing"] == ["tokenizer.json"]
    assert stage(report, "prompts")["full"]["status"] == "falls back to embedded"


def test_full_profile_runs_where_everything_is(empty, with_gpu, all_packages):
    fill(empty, *WEIGHTS)
    with_gpu({})
    report = examine()
    assert report["can_run"]["full"], [s["full"] for s in report["stages"]]
    with_gpu({"memory_gb": 1.5})  # too little for the rasteriser, which falls back, and for Wan
    report = examine()
    assert not report["can_run"]["full"]
    assert "GB of GPU memory, not 1.5" in stage(report, "prior")["full"]["missing"][0]


@pytest.mark.parametrize(
    "variable, stage_name", [("TOOLKIT_LHM", "coarse"), ("TOOLKIT_WAN", "prior")]
)
def test_it_judges_the_weights_that_the_run_takes(
    empty, with_gpu, monkeypatch, variable, stage_name
):
    """It said "ready" for the 1.3B when the run was told to take the 14B."""
    first = SETS[stage_name][0]
    fill(empty, *first)
    with_gpu({})
    assert stage(examine(), stage_name)["full"]["status"] == "ready"
    for names in SETS[stage_name]:
        monkeypatch.setenv(variable, names[0])
        judged = stage(examine(), stage_name)["full"]
        assert judged["weights"] == list(names) == list(pick(stage_name))
        with pytest.raises(MissingFileError) if names != first else nullcontext():
            assert list(choose(stage_name)) == judged["weights"]
        assert (judged["status"] == "ready") == (names == first)
    monkeypatch.setenv(variable, "nothing-known")
    judged = stage(examine(), stage_name)["full"]
    assert judged["status"] == "missing" and variable in judged["missing"][0]
    with pytest.raises(InputError, match=variable):
        choose(stage_name)


def test_it_judges_the_card_that_the_run_takes(empty, with_gpu, monkeypatch):
    """The largest card is not the one in use."""
    fill(empty, "multi-hmr", "smplx")
    with_gpu({"memory_gb": 0.5}, {"memory_gb": 80.0})
    assert stage(examine(), "pose")["full"]["missing"] == ["1.0 GB of GPU memory, not 0.5"]
    monkeypatch.setenv("TOOLKIT_DEVICE", "cuda:1")
    assert stage(examine(), "pose")["full"]["status"] == "ready"
    monkeypatch.setenv("TOOLKIT_DEVICE", "cuda:2")
    report = examine()
    assert stage(report, "pose")["full"]["missing"] == ["a CUDA GPU with 1.0 GB"]
    assert "there are 2" in report["machine"]["gpu_problem"]
    monkeypatch.setenv("TOOLKIT_DEVICE", "cpu")
    assert stage(examine(), "pose")["full"]["status"] == "ready"
    assert "dry runs" in as_text(examine())


@pytest.mark.parametrize(
    "cards, build, driver, words",
    [
        ([], BUILD | {"version": "2.13.0+cpu", "cuda": None}, None, "no NVIDIA driver"),
        ([], BUILD | {"version": "2.13.0+cpu", "cuda": None}, "580.65.06", "without CUDA"),
        ([], BUILD, "550.54.14", "too old for a torch of CUDA 13.0, which wants 580"),
        ([], BUILD | {"cuda": "12.8"}, "470.1", "which wants 525"),
        ([], BUILD, "580.65.06", "CUDA_VISIBLE_DEVICES"),
        ([{"capability": "6.1"}], BUILD, "580.65.06", "capability 6.1.*sm_75, sm_80, sm_90 only"),
        ([], {"version": None, "cuda": None, "archs": []}, None, "torch is missing"),
    ],
)
def test_why_torch_cannot_use_the_gpu(with_gpu, cards, build, driver, words):
    with_gpu(*cards, build=build, driver=driver)
    report = examine()
    assert re.search(words, report["machine"]["gpu_problem"])
    assert f"no GPU for the full profile: {report['machine']['gpu_problem']}" in as_text(report)
    missing = stage(report, "coarse")["full"]["missing"]
    assert any(lack.startswith("a CUDA GPU with") for lack in missing)


@pytest.mark.parametrize(
    "capability, archs, runs",
    [
        ("8.6", ["sm_80"], True),  # code for 8.0 runs on 8.6,
        ("8.0", ["sm_86"], False),  # but not the other way,
        ("9.0", ["sm_80", "sm_86"], False),  # nor on the next generation,
        ("12.0", ["sm_90", "compute_90"], True),  # unless the driver can translate it
        ("9.0", ["sm_90a"], True),
        ("10.0", ["sm_100", "sm_120"], True),
        ("7.0", ["sm_75", "sm_80"], False),
        ("7.0", [], True),
    ],
)
def test_which_code_runs_on_which_card(capability, archs, runs):
    assert gpu.can_run(capability, archs) == runs


@pytest.mark.parametrize(
    "text, version",
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12\n", "535.183.01"),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n",
            "580.65.06",
        ),
        ("something else", None),
    ],
)
def test_version_of_the_driver(monkeypatch, tmp_path, text, version):
    (tmp_path / "version").write_text(text)
    monkeypatch.setattr(gpu, "KERNEL_MODULE", tmp_path / "version")
    assert gpu.nvidia_driver() == version


@pytest.mark.parametrize(
    "answer, version",
    [("echo 535.54.03; echo 535.54.03", "535.54.03"), ("echo failed; exit 9", None)],
)
def test_version_of_the_driver_where_linux_does_not_list_it(monkeypatch, tmp_path, answer, version):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{answer}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(gpu, "KERNEL_MODULE", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.nvidia_driver() == version
    tool.unlink()
    assert gpu.nvidia_driver() is None


def test_text2avatar_takes_the_models_that_the_doctor_judges(empty, with_gpu, monkeypatch):
    """It took Llama and FLUX by name, where the doctor called whatever was there ready."""
    fill(empty, "qwen2.5-7b", "flux.2-klein-4b")
    with_gpu({})
    report, taken = examine(), []

    class Seen(Exception):
        pass

    def load_models(chat, images):
        taken.extend([chat, images])
        raise Seen

    monkeypatch.setattr(text_command, "load_models", load_models)
    with pytest.raises(Seen):
        text_command.text2avatar("a woman in a green hoodie", empty / "out", profile="full")
    judged = [stage(report, name)["full"]["weights"] for name in ("prompts", "images")]
    assert judged == [["qwen2.5-7b"], ["flux.2-klein-4b"]] == [[name] for name in taken]


def test_a_version_out_of_bounds_is_no_ready_package(empty, with_gpu, all_packages, monkeypatch):
    fill(empty, "wan2.1-t2v-1.3b")
    with_gpu({})
    assert stage(examine(), "prior")["full"]["status"] == "ready"
    version = machine.installed_version
    monkeypatch.setattr(
        machine, "installed_version", lambda n: "5.2.0" if n == "transformers" else version(n)
    )
    missing = stage(examine(), "prior")["full"]["missing"]
    assert missing == ["package transformers (5.2.0 is here, <6,>=5.3 is wanted)"]


def test_without_gsplats_kernels_it_says_how_to_get_them(with_gpu, all_packages, monkeypatch):
    with_gpu({})
    kernels = Kernels(False, False, "there is no CUDA toolkit (nvcc)", "Install the toolkit 13.0.")
    monkeypatch.setattr(gsplat_kernels, "examine", lambda: kernels)
    judged = stage(examine(), "rasteriser")["full"]
    assert (judged["status"], judged["missing"]) == ("falls back to embedded", [kernels.reason])
    assert kernels.fix in as_text(examine(), "full")
    kernels = Kernels(True, False, "gsplat compiles its kernels when first used, 1 to 15 minutes")
    monkeypatch.setattr(gsplat_kernels, "examine", lambda: kernels)
    judged = stage(examine(), "rasteriser")["full"]
    assert judged["status"] == "ready" and kernels.reason in judged["notes"]


def test_every_required_module_exists():
    lacks = [lack for s in examine()["stages"] for lack in s["full"]["missing"]]
    assert not [lack for lack in lacks if "in this version" in lack]


def test_a_module_that_is_not_here_is_said(monkeypatch):
    ghost = Requirement("ghost", (), "toolkit.coarse.ghost")
    monkeypatch.setattr(diagnosis, "REQUIREMENTS", [ghost])
    judged = examine()["stages"][0]["full"]
    assert judged["status"] == "missing" and judged["weights"] == []
    assert judged["missing"] == ["toolkit.coarse.ghost in this version"]


def test_changed_and_lost_files_are_seen(tmp_path, monkeypatch):
    for name in ("models", "samples"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / "models" / "body.npz").write_bytes(b"not the body")
    monkeypatch.setattr(files, "DATA_DIR", tmp_path / "data")
    report = examine()
    states = {row["name"]: row["status"] for row in report["embedded"]}
    assert states["models/body.npz"] == "differs from THIRD_PARTY.md"
    assert states["models/coarse.safetensors"] == "missing"
    assert stage(report, "coarse")["embedded"] == {
        "status": "missing",
        "missing": ["data/models/coarse.safetensors"],
    }
    assert not report["can_run"]["embedded"] and diagnosis.exit_code(report, "embedded") == 2


def test_files_of_this_repository_are_whole():
    assert {row["status"] for row in files.examine_shipped_files()} == {"ready"}


def test_a_needed_package_that_is_gone_stops_the_embedded_profile(monkeypatch):
    version = machine.installed_version
    monkeypatch.setattr(
        machine, "installed_version", lambda n: None if n == "numba" else version(n)
    )
    report = examine()
    assert not report["can_run"]["embedded"] and "numba (needed): missing" in as_text(report)


def test_json_keys_are_stable():
    """Programs read these; add keys at will, but a renamed one needs a new schema number."""
    report = json.loads(json.dumps(examine()))
    assert report["schema"] == 1
    assert set(report) >= {
        "schema",
        "machine",
        "packages",
        "embedded",
        "weights",
        "stages",
        "can_run",
    }
    assert set(report["machine"]) >= {
        "python",
        "platform",
        "cpus",
        "memory_gb",
        "gpus",
        "device",
        "torch",
        "driver",
        "gpu_problem",
        "weights_dir",
        "hub_cache",
    }
    assert set(report["weights"][0]) >= {
        "name",
        "stage",
        "source",
        "revision",
        "files",
        "bytes",
        "licence",
        "gated",
        "note",
        "size",
        "command",
        "status",
        "missing",
        "folder",
        "looked",
    }
    assert set(report["stages"][0]) >= {"name", "embedded", "full"}
    assert set(report["packages"][0]) >= {"name", "wanted", "installed", "needed", "status"}
    assert set(report["embedded"][0]) >= {"name", "path", "licence", "status"}


def test_text_shows_licences_and_commands():
    text = as_text(examine())
    assert "not to train a model" in text and "SMPL-X" in text and "Built with Llama" in text
    assert f"hf download {WEIGHTS['flux.1-dev'].source}" in text
    assert "main (unpinned)" in text
    assert "hf download" not in as_text(examine(), "embedded")


@pytest.mark.parametrize(
    "arguments, code",
    [
        ([], 0),
        (["--json"], 0),
        (["--profile", "embedded"], 0),
        (["--profile", "full"], 2),
        (["--profile", "cloud"], 2),
    ],
)
def test_exit_codes(arguments, code, capsys):
    """A report is a report; who names a profile asks whether it runs here."""
    assert main(["doctor", *arguments]) == code
    out = capsys.readouterr().out
    if arguments == ["--json"]:
        assert json.loads(out)["can_run"]["embedded"]
