"""The doctor tells the truth about this machine, whatever is on it, without a connection."""

import json
import socket
from dataclasses import replace

import pytest

from toolkit.cli import main
from toolkit.run.doctor import diagnosis, files, machine
from toolkit.run.doctor.diagnosis import examine
from toolkit.run.doctor.requirements import REQUIREMENTS, Requirement
from toolkit.run.doctor.text import as_text
from toolkit.weights.table import WEIGHTS

GPU = [{"name": "a GPU", "memory_gb": 24.0}]


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
    monkeypatch.setattr(machine, "cuda_gpus", list)
    return tmp_path


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
    assert coarse["status"] == "missing" and "a CUDA GPU with 14 GB" in coarse["missing"]
    assert stage(report, "images")["full"]["status"] == "falls back to embedded"
    assert stage(report, "body")["full"]["missing"] == ["weight smplx"]


def test_weights_are_found(empty):
    fill(empty, "smplx", "qwen2.5-7b", "lhm-mini", "lhm-points-20k", "sapiens-1b")
    report = examine()
    assert stage(report, "body")["full"]["status"] == "ready"
    assert stage(report, "prompts")["full"] == {
        "status": "ready",
        "missing": [],
        "weights": ["qwen2.5-7b"],
    }
    coarse = stage(report, "coarse")["full"]  # the alternative that lacks least is the one judged
    assert coarse["weights"] == ["lhm-mini", "lhm-points-20k", "sapiens-1b"]
    assert not [lack for lack in coarse["missing"] if lack.startswith("weight")]


def test_half_a_weight_is_incomplete(empty):
    fill(empty, "qwen2.5-7b")
    (empty / "weights" / "qwen2.5-7b" / "tokenizer.json").unlink()
    report = examine()
    row = next(w for w in report["weights"] if w["name"] == "qwen2.5-7b")
    assert row["status"] == "incomplete" and row["missing"] == ["tokenizer.json"]
    assert stage(report, "prompts")["full"]["status"] == "falls back to embedded"


def test_full_profile_runs_where_everything_is(empty, monkeypatch):
    fill(empty, *WEIGHTS)
    monkeypatch.setattr(machine, "cuda_gpus", lambda: GPU)
    monkeypatch.setattr(machine, "installed_version", lambda name: "1.0")
    written = [replace(r, module="toolkit.weights.table") for r in REQUIREMENTS]
    monkeypatch.setattr(diagnosis, "REQUIREMENTS", written)
    report = examine()
    assert report["can_run"]["full"], [s["full"] for s in report["stages"]]
    monkeypatch.setattr(machine, "cuda_gpus", lambda: [{"name": "small", "memory_gb": 8.0}])
    assert not examine()["can_run"]["full"]


def test_every_required_module_exists():
    lacks = [lack for s in examine()["stages"] for lack in s["full"]["missing"]]
    assert not [lack for lack in lacks if "in this version" in lack]


def test_a_module_that_is_not_here_is_said(monkeypatch):
    ghost = Requirement("ghost", (), "toolkit.coarse.ghost")
    monkeypatch.setattr(diagnosis, "REQUIREMENTS", [ghost])
    judged = examine()["stages"][0]["full"]
    assert judged == {
        "status": "missing",
        "weights": [],
        "missing": ["toolkit.coarse.ghost in this version"],
    }


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
