"""Notebooks: what is committed was run, in order, from the source beside it; and it still runs."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
import yaml

from tools.upkeep import notebooks

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FAST = ROOT / "notebooks" / "profiles" / "fast.yaml"

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def essence(notebook):
    return [(c.cell_type, c.source.strip(), c.metadata.get("tags", [])) for c in notebook.cells]


def test_every_source_has_its_notebook():
    sources = {p.stem for p in (ROOT / "notebooks" / "py").glob("*.py")}
    assert sources and sources == {p.stem for p in NOTEBOOKS}


@every_notebook
def test_pair_is_in_sync(path):
    script = jupytext.read(path.parent / "py" / f"{path.stem}.py")
    assert essence(script) == essence(nbformat.read(path, as_version=4)), "run: make notebooks"


@every_notebook
def test_stored_outputs_come_from_one_run_in_order(path):
    cells = code_cells(path)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for c in cells for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert sum(any("image" in kind for kind in o.get("data", {})) for o in outputs) >= 3
    assert path.stat().st_size < 1.5e6


@every_notebook
def test_cells_are_short_and_parameters_are_literals(path):
    cells = code_cells(path)
    assert max(len(c.source.splitlines()) for c in cells) <= 30
    assert [i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", [])] == [0]
    names = papermill.inspect_notebook(str(path))
    assert {"fast", "seed", "out_dir"} <= set(names)
    assert all(p["help"] for p in names.values()), "a parameter without a comment"


def test_quickstart_is_short():
    notebook = nbformat.read(ROOT / "notebooks" / "00_quickstart.ipynb", as_version=4)
    assert len(notebook.cells) <= 15


def test_quickstart_does_what_the_command_does():
    """Its parameters have the defaults of the command line."""
    from toolkit.profiles.base import PipelineConfig

    given = papermill.inspect_notebook(str(ROOT / "notebooks" / "00_quickstart.ipynb"))
    for name in ("profile", "seed", "strength"):
        assert ast.literal_eval(given[name]["default"]) == getattr(PipelineConfig(), name), name


@pytest.mark.parametrize("profile", sorted(FAST.parent.glob("*.yaml")), ids=lambda p: p.stem)
@every_notebook
def test_profiles_use_known_names(path, profile):
    notebooks.check_names(path, yaml.safe_load(profile.read_text()))


def test_unknown_parameter_is_refused():
    with pytest.raises(SystemExit, match="unknown parameters \\['stength'\\]"):
        notebooks.check_names(NOTEBOOKS[0], {"stength": 0.5})


def test_fast_figures_are_never_stored():
    with pytest.raises(SystemExit, match="own parameters only"):
        notebooks.main(["--write", "--profile", str(FAST)])


@pytest.mark.slow
@every_notebook
def test_runs_in_the_fast_profile(path, tmp_path):
    """papermill gives the verdict: it stops at the first bad cell, the Check cell's asserts too."""
    parameters = notebooks.read_profile(FAST) | {"out_dir": str(tmp_path / "run")}
    executed = notebooks.execute(path.stem, parameters=parameters, folder=tmp_path, timeout_s=300)
    assert all(c.execution_count for c in code_cells(executed))


@pytest.mark.slow
@every_notebook
def test_nbval_runs_every_cell(path, tmp_path):
    """nbval runs each cell as a test; cells tagged nbval-check-output are compared as well."""
    parameters = notebooks.read_profile(FAST) | {"out_dir": str(tmp_path / "run")}
    prepared = tmp_path / path.name
    papermill.execute_notebook(str(path), str(prepared), parameters=parameters, prepare_only=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-cell-timeout",
        "300",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(prepared),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"TQDM_DISABLE": "1"},
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(code_cells(prepared))} passed" in done.stdout


def test_a_failing_cell_fails_the_runner(tmp_path, monkeypatch, capsys):
    """The Check cell means something only if a false assert makes the runner exit with 1."""
    (tmp_path / "py").mkdir()
    (tmp_path / "py" / "bad.py").write_text(
        '# %% tags=["parameters"]\nfast = False  # short run\n\n# %%\nassert fast\n'
    )
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    assert notebooks.main(["bad"]) == 1
    assert "FAILED in cell 2" in capsys.readouterr().err
    (tmp_path / "fast.yaml").write_text("fast: true\n")
    assert notebooks.main(["bad", "--profile", str(tmp_path / "fast.yaml")]) == 0
