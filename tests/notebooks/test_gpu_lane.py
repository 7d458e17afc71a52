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

from toolkit.errors import InputError, MissingCapabilityError
from toolkit.profiles.evidence import FullRun, check_full_run
from tools.upkeep import notebooks
from tools.upkeep.notebook_variants import declared

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "gpu-notebooks.yml"

PARAMETERS = '# %% tags=["parameters"]\nprofile = "embedded"  # {}\n'
FULL = PARAMETERS.format('"full": LHM makes the avatar, on a GPU')
REAL = FullRun(("lhm-1b", "gsplat"), "cuda:0", 3.25)


def slow(ran, parameters=FULL):
    """A notebook that takes a second and says which models it ran."""
    return f'{parameters}\n# %%\nimport time\n\ntime.sleep(1.2)\nprint(profile)\nprint("{ran}")\n'


SLOW = slow(REAL)
needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.fixture
def lane(tmp_path, monkeypatch):
    """Run the lane over given notebooks on a machine that pretends to have a GPU."""
    (tmp_path / "py").mkdir()
    (tmp_path / "full.yaml").write_text("profile: full\n")
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(notebooks, "require_gpu", lambda: "a GPU")

    def run(*words, gpu=True, **sources):
        for name, source in sources.items():
            (tmp_path / "py" / f"{name}.py").write_text(source)
        where = ["--profile", str(tmp_path / "full.yaml"), "--keep", str(tmp_path / "kept")]
        code = notebooks.main([*words, *where, *(["--require-gpu"] if gpu else [])])
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
        out.get("text", "").startswith("full\n")
        for cell in executed.cells
        if cell.cell_type == "code"
        for out in cell.outputs
    )


def test_red_when_nothing_ran(lane, capsys):
    code, summary = lane()
    assert code == 1 and summary["notebooks"] == {} and "no notebook ran" in capsys.readouterr().err


def test_red_when_it_was_too_quick(lane):
    code, summary = lane(quick=FULL + "\n# %%\nprint(profile)\n", good=SLOW)
    assert code == 1 and "did not do its work" in summary["notebooks"]["quick"]["status"]
    assert summary["notebooks"]["good"]["status"] == "ran"


def test_red_without_code_cells(lane, monkeypatch):
    monkeypatch.setattr(notebooks, "check_names", lambda *_: None)
    monkeypatch.setattr(notebooks, "declared", lambda _: None)
    with pytest.raises(SystemExit, match="there is none"):
        lane(empty="# %% [markdown]\n# Nothing to run.\n")


def test_a_failure_is_red_and_leaves_its_notebook(lane, tmp_path):
    code, summary = lane(bad=FULL + "\n# %%\nassert profile == 'embedded'\n")
    assert code == 1
    assert summary["notebooks"]["bad"]["status"] == "FAILED in cell 3"  # cell 2 sets profile
    kept = (tmp_path / "kept" / "bad.executed.ipynb").read_text()
    assert "AssertionError" in kept


def test_a_parameter_that_one_notebook_lacks_stops_all(lane, tmp_path):
    with pytest.raises(SystemExit, match="b_without.ipynb: unknown parameters \\['profile'\\]"):
        lane(a_good=SLOW, b_without='# %% tags=["parameters"]\nseed = 0  # of nothing\n')
    assert not (tmp_path / "kept").exists(), "a notebook ran before all were checked"


@pytest.mark.parametrize(
    "ran, reason",
    [
        (FullRun(("lhm-mini (stand-in)", "gsplat"), "cuda", 0.1), "stand-ins ran: lhm-mini"),
        (FullRun(("lhm-1b",), "cpu"), "its models ran on cpu"),
        ("all checks passed", "does not say which models ran"),
    ],
)
def test_red_without_published_models_on_a_gpu(lane, ran, reason):
    code, summary = lane(green=SLOW, other=slow(ran))
    assert code == 1 and summary["notebooks"]["green"]["status"] == "ran"
    assert reason in summary["notebooks"]["other"]["status"]


def test_a_dry_run_may_have_stand_ins_but_must_name_them(lane):
    dry = FullRun(("lhm-mini (stand-in)",), "cpu")
    code, summary = lane(gpu=False, dry=slow(dry))
    assert code == 0 and summary["notebooks"]["dry"]["models"] == list(dry.models)
    assert lane(gpu=False, dry=slow("all checks passed"))[0] == 1


def test_what_needs_no_gpu_says_so(lane):
    parameters = PARAMETERS.format('"full" (no GPU): another body')
    code, summary = lane(body=slow(FullRun(("smplx",), "cpu"), parameters))
    assert code == 0 and summary["notebooks"]["body"]["device"] == "cpu"


def test_notebooks_without_a_full_variant_are_listed_and_not_run(lane, tmp_path, capsys):
    none = PARAMETERS.format("no full variant: our own priors") + "\n# %%\nraise RuntimeError\n"
    code, summary = lane("--skip", "left", good=SLOW, none=none, left=SLOW)
    assert code == 0 and list(summary["notebooks"]) == ["good"]
    assert summary["no_full_variant"] == {"none": "our own priors"}
    assert summary["skipped"] == ["left"]
    said = capsys.readouterr().out
    assert "none: no full variant, our own priors" in said and "left: skipped" in said
    assert lane("none")[0] == 1, "green although nothing ran"
    with pytest.raises(SystemExit, match="--skip: no notebook 'lest'"):
        lane("--skip", "lest")


def test_an_undeclared_notebook_stops_all(lane, tmp_path):
    with pytest.raises(SystemExit, match="unsaid.ipynb: the comment of its parameter profile"):
        lane(good=SLOW, unsaid=PARAMETERS.format('or "full"') + "\n# %%\nprint(profile)\n")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_every_notebook_declares_its_full_variant_and_checks_it(path):
    """A full variant ends by naming what ran; the others refuse the word."""
    source = (path.parent / "py" / f"{path.stem}.py").read_text()
    if declared(path).full:
        assert "print(check_full_run(" in source[source.index("# Check: ") :]
    else:
        assert 'assert profile == "embedded", "no full variant"' in source


def test_what_ran_is_read_back_as_it_was_printed():
    for ran in (REAL, FullRun(("smplx", "wan2.1-t2v-1.3b (stand-in)"), "cpu")):
        assert FullRun.read(f"before\n{ran}\nall checks passed\n") == ran
    assert FullRun.read("full profile on cuda: smplx") is None


def test_a_gpu_without_memory_in_use_did_nothing(monkeypatch):
    held = {"cuda:1": 0}
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", held.__getitem__)
    with pytest.raises(MissingCapabilityError, match="no memory in use"):
        check_full_run("cuda:1", "lhm-1b")
    held["cuda:1"] = 2_500_000_000
    assert check_full_run("cuda:1", "lhm-1b") == FullRun(("lhm-1b",), "cuda:1", 2.5)
    for models in ([], ["our coarse model"], ["lhm-1b", "plain"]):
        with pytest.raises(InputError, match="Models of the full profile"):
            check_full_run("cpu", *models)
    dry = check_full_run("cpu", "lhm-mini (stand-in)")
    assert dry.stand_ins == ("lhm-mini (stand-in)",) and dry.peak_gb is None


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
