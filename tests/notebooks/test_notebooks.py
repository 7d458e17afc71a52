"""Notebooks: what is committed was run, in order, from the source beside it; and it still runs.

Every notebook is executed once, in the fast profile, by papermill. nbval would execute it a second
time and say the same. It runs every cell as a test, which fails if the cell raises; papermill runs
the same cells with the same parameters in the same order, and stops at the first that raises. For a
cell tagged `nbval-check-output`, nbval also compares the text with the stored text;
`test_tagged_outputs_are_the_stored_ones` does this with the outputs of papermill's run. What nbval
itself makes of these tags is still tested, on one notebook (`BY_NBVAL`).
"""

import ast
import inspect
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
import yaml

from toolkit import PipelineConfig, cli
from toolkit.profiles.evidence import FullRun
from tools.upkeep import notebooks
from tools.upkeep.notebook_outputs import printed
from tools.upkeep.notebook_variants import declared, objection
from tools.upkeep.tiny_weights import write_body

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FAST = ROOT / "notebooks" / "profiles" / "fast.yaml"
BY_NBVAL = "02_gaussian_splatting"  # the quickest one
# Run here with profile=full, dry: a CPU in the GPU's place, our body in SMPL-X's. Nothing else
# changes in them, and test_knobs runs each twice more in the embedded profile.
DRY = {"01_body", "04_misalignment", "05_blur"}
CHECKED = "nbval-check-output"  # nbval's tag: the text does not depend on the parameters
NOT_TEXT = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}
MAX_WORDS = 120  # of a markdown cell

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


def num_words(markdown):
    """Words of prose: a formula counts as one, code does not count."""
    prose = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
    prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "formula", prose, flags=re.DOTALL)
    return len(prose.split())


@every_notebook
def test_markdown_cells_are_short(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"]
    assert not [c.source[:60] for c in cells if num_words(c.source) > MAX_WORDS]


@every_notebook
def test_imports_hide_no_names(path):
    """A reader finds every name where it is defined: `import numpy as np`, but no other alias."""
    aliases = {
        f"{alias.name} as {alias.asname}"
        for cell in code_cells(path)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert aliases <= {"numpy as np", "torch.nn.functional as F"}


def test_quickstart_is_short():
    notebook = nbformat.read(ROOT / "notebooks" / "00_quickstart.ipynb", as_version=4)
    assert len(notebook.cells) <= 15


def test_quickstart_does_what_the_command_does():
    """Its parameters have the defaults of the command line and of the toolkit."""
    names = papermill.inspect_notebook(str(ROOT / "notebooks" / "00_quickstart.ipynb"))
    defaults = {name: ast.literal_eval(facts["default"]) for name, facts in names.items()}
    options = inspect.signature(cli.avatar).parameters
    for name in ("profile", "seed", "strength"):
        assert defaults[name] == options[name].default, name
    assert defaults["profile"] == PipelineConfig().profile
    assert defaults["seed"] == PipelineConfig().seed
    # strength: None leaves SDEdit's settings open, so that they are those of the profile
    assert defaults["strength"] is None and PipelineConfig().edit is None


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


@pytest.fixture(scope="module")
def run_fast(tmp_path_factory):
    """Execute a notebook in the fast profile, once; gives the path of the executed copy."""

    @lru_cache
    def run(name):
        folder = tmp_path_factory.mktemp(name)
        parameters = notebooks.read_profile(FAST) | {"out_dir": str(folder / "run")}
        with pytest.MonkeyPatch.context() as patch:
            if name in DRY:
                write_body(folder)
                patch.setenv("TOOLKIT_WEIGHTS", str(folder))
                patch.setenv("TOOLKIT_DEVICE", "cpu")
                parameters |= {"profile": "full"}
            return notebooks.execute(name, parameters=parameters, folder=folder, timeout_s=300)

    return run


@pytest.mark.slow
@every_notebook
def test_runs_in_the_fast_profile(path, run_fast):
    """papermill gives the verdict: it stops at the first bad cell, the Check cell's asserts too."""
    cells = code_cells(run_fast(path.stem))
    assert len(cells) == len(code_cells(path)) + 1  # and the cell that sets the parameters
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]


def texts(outputs):
    """What nbval compares: streams, and results by type, without pictures and widgets."""
    found = {}
    for output in outputs:
        if output.output_type == "stream":
            found[output.name] = found.get(output.name, "") + output.text
        pictures = NOT_TEXT & set(output.get("data", {}))
        for kind in set(output.get("data", {})) - NOT_TEXT:
            # beside a picture, text/plain only names the class and the size of the picture
            if not (pictures and kind == "text/plain"):
                found.setdefault(kind, []).append(output.data[kind])
    return found


def changed_outputs(stored, executed):
    """Source of every tagged cell whose text differs between two copies of a notebook."""
    tagged = [
        [c for c in cells if CHECKED in c.metadata.get("tags", [])] for cells in (stored, executed)
    ]
    return [
        new.source
        for old, new in zip(*tagged, strict=True)
        if old.source != new.source or texts(old.outputs) != texts(new.outputs)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DRY))
def test_a_dry_full_variant_names_its_stand_ins(name, run_fast):
    executed, variant = run_fast(name), declared(ROOT / "notebooks" / f"{name}.ipynb")
    ran = FullRun.read(printed(executed))
    assert ran.stand_ins == ran.models and ran.device == "cpu"
    assert not objection(variant, ran, on_gpu=False)
    assert objection(variant, ran, on_gpu=True).startswith("stand-ins ran")


@pytest.mark.slow
@every_notebook
def test_tagged_outputs_are_the_stored_ones(path, run_fast):
    assert not changed_outputs(code_cells(path), code_cells(run_fast(path.stem)))


def test_some_outputs_are_compared():
    tagged = {
        path.stem
        for path in NOTEBOOKS
        for cell in code_cells(path)
        if CHECKED in cell.metadata.get("tags", [])
    }
    assert BY_NBVAL in tagged and len(tagged) >= 3


def test_a_changed_output_is_noticed():
    cells, others = (code_cells(ROOT / "notebooks" / f"{BY_NBVAL}.ipynb") for _ in range(2))
    assert not changed_outputs(cells, others)
    one = next(c for c in others if CHECKED in c.metadata.get("tags", []))
    one.outputs[0].text += "more"
    assert changed_outputs(cells, others) == [one.source]


@pytest.mark.slow
def test_nbval_runs_every_cell(tmp_path):
    """nbval itself, on one notebook: each cell is a test, tagged cells are compared as well."""
    path = ROOT / "notebooks" / f"{BY_NBVAL}.ipynb"
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
