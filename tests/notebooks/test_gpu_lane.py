"""The GPU lane is green only if every notebook ran, on a GPU, to its end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
import yaml

from tools.upkeep import notebooks

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "gpu-notebooks.yml"

PARAMETERS = '# %% tags=["parameters"]\nprofile = "embedded"  # or "full"\n'
SLOW = PARAMETERS + "\n# %%\nimport time\n\ntime.sleep(1.2)\nprint(profile)\n"
needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.fixture
def lane(tmp_path, monkeypatch):
    """Run the lane over given notebooks on a machine that pretends to have a GPU."""
    (tmp_path / "py").mkdir()
    (tmp_path / "full.yaml").write_text("profile: full\n")
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(notebooks, "require_gpu", lambda: "a GPU")

    def run(*names, **sources):
        for name, source in sources.items():
            (tmp_path / "py" / f"{name}.py").write_text(source)
        code = notebooks.main(
            [
                *names,
                "--profile",
                str(tmp_path / "full.yaml"),
                "--require-gpu",
                "--keep",
                str(tmp_path / "kept"),
            ]
        )
        return code, json.loads((tmp_path / "kept" / "summary.json").read_text())

    return run


@needs_no_gpu
def test_here_it_fails_for_want_of_cuda(tmp_path):
    command = [
        sys.executable,
        "-m",
        "tools.upkeep.notebooks",
        "--require-gpu",
        "--profile",
        str(ROOT / "notebooks" / "profiles" / "full.yaml"),
        "--keep",
        str(tmp_path / "kept"),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TOOLKIT_DEVICE": "cpu"},
    )
    assert done.returncode != 0 and "no CUDA" in done.stderr
    assert not (tmp_path / "kept").exists(), "a notebook ran all the same"


def test_a_gpu_that_is_not_used_does_not_count(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("TOOLKIT_DEVICE", "cpu")
    with pytest.raises(SystemExit, match="TOOLKIT_DEVICE=cpu"):
        notebooks.main(["--require-gpu"])


def test_green_when_everything_ran(lane, tmp_path):
    code, summary = lane(good=SLOW)
    assert code == 0 and summary["gpu"] == "a GPU"
    assert summary["notebooks"]["good"]["status"] == "ran"
    assert summary["notebooks"]["good"]["seconds"] >= 1
    executed = nbformat.read(tmp_path / "kept" / "good.executed.ipynb", as_version=4)
    assert any(
        out.get("text") == "full\n"
        for cell in executed.cells
        if cell.cell_type == "code"
        for out in cell.outputs
    )


def test_red_when_nothing_ran(lane, capsys):
    code, summary = lane()
    assert code == 1 and summary["notebooks"] == {} and "no notebook ran" in capsys.readouterr().err


def test_red_when_it_was_too_quick(lane):
    code, summary = lane(quick=PARAMETERS + "\n# %%\nprint(profile)\n", good=SLOW)
    assert code == 1 and "did not do its work" in summary["notebooks"]["quick"]["status"]
    assert summary["notebooks"]["good"]["status"] == "ran"


def test_red_without_code_cells(lane, monkeypatch):
    monkeypatch.setattr(notebooks, "check_names", lambda *_: None)
    with pytest.raises(SystemExit, match="there is none"):
        lane(empty="# %% [markdown]\n# Nothing to run.\n")


def test_a_failure_is_red_and_leaves_its_notebook(lane, tmp_path):
    code, summary = lane(bad=PARAMETERS + "\n# %%\nassert profile == 'embedded'\n")
    assert code == 1
    assert summary["notebooks"]["bad"]["status"] == "FAILED in cell 3"  # cell 2 sets profile
    kept = (tmp_path / "kept" / "bad.executed.ipynb").read_text()
    assert "AssertionError" in kept


def test_a_parameter_that_one_notebook_lacks_stops_all(lane, tmp_path):
    with pytest.raises(SystemExit, match="b_without.ipynb: unknown parameters \\['profile'\\]"):
        lane(a_good=SLOW, b_without='# %% tags=["parameters"]\nseed = 0  # of nothing\n')
    assert not (tmp_path / "kept").exists(), "a notebook ran before all were checked"


def test_workflow_asks_for_a_gpu_first_and_hides_nothing():
    text = WORKFLOW.read_text()
    (job,) = yaml.safe_load(text)["jobs"].values()
    assert {"self-hosted", "gpu"} <= set(job["runs-on"])
    steps = job["steps"]
    assert "nvidia-smi" in steps[0]["run"]
    runs = [step.get("run", "") for step in steps]
    lane = next(i for i, run in enumerate(runs) if run == "make notebooks-gpu")
    assert any("torch.cuda.is_available()" in run for run in runs[:lane])
    assert "continue-on-error" not in text and "|| true" not in text
    upload = next(step for step in steps if "upload-artifact" in step.get("uses", ""))
    assert upload["if"] == "always()" and upload["with"]["if-no-files-found"] == "error"
    recipe = (ROOT / "Makefile").read_text().split("notebooks-gpu:")[1].split("\n\n")[0]
    assert "--require-gpu" in recipe and f"--keep {upload['with']['path']}" in recipe
    assert "--profile notebooks/profiles/full.yaml" in recipe
