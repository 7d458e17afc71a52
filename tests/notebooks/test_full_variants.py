"""Full variants run dry: the real classes with tiny random weights, on a CPU.

What only renders on a GPU, or only reads another body, is run dry by `test_notebooks`.
"""

import shutil

import papermill
import pytest
from test_notebooks import DRY, NOTEBOOKS

from toolkit.body.npz import load_body
from toolkit.coarse.lhm.tiny import write_tiny
from toolkit.profiles.evidence import FullRun
from tools.upkeep import notebooks
from tools.upkeep.gpu_check_job import write_weights
from tools.upkeep.notebook_outputs import printed
from tools.upkeep.notebook_variants import declared, objection

WHOLE = ("smplx", "multi-hmr", "lhm-mini", "wan2.1-t2v-1.3b")
HERE = {  # the models that each has to run
    "00_quickstart": WHOLE,
    "03_lhm_coarse": ("lhm-mini", "lhm-points-20k", "sapiens-1b"),
    "06_wan_video": ("wan2.1-t2v-1.3b",),
}
# 11 makes its avatar from 21 views of 832 x 480, which takes a CPU many minutes; the stages are
# those of 00. 13 needs a package that is not on PyPI, see below.
NOT_RUN = {"11_dataset", "13_why_not_hunyuan3d"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The folder of a dry run."""
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def run(weights, tmp_path, monkeypatch):
    """Run a full variant, dry; gives the executed copy."""
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(weights))
    monkeypatch.setenv("TOOLKIT_DEVICE", "cpu")
    parameters = {"profile": "full", "fast": True, "out_dir": str(tmp_path / "run")}
    return lambda name: notebooks.execute(
        name, parameters=parameters, folder=tmp_path, timeout_s=300
    )


def with_few_points(weights, folder):
    """The same weights with an LHM of 800 points instead of 20,000, which notebook 03 may take."""
    for one in weights.iterdir():
        shutil.copytree(one, folder / one.name)
    tiny = write_tiny(folder / "made", load_body(), num_points=800)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny / name, folder / "lhm-mini")
    shutil.copy(tiny / "1_800.ply", folder / "lhm-points-20k")
    return folder


def test_every_full_variant_is_run_dry_or_has_a_reason():
    assert {path.stem for path in NOTEBOOKS if declared(path).full} == DRY | set(HERE) | NOT_RUN


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_runs_dry_and_names_its_stand_ins(name, weights, run, tmp_path, monkeypatch):
    if name == "03_lhm_coarse":
        monkeypatch.setenv("TOOLKIT_WEIGHTS", str(with_few_points(weights, tmp_path / "few")))
    ran = FullRun.read(printed(run(name)))
    assert ran == FullRun(tuple(f"{model} (stand-in)" for model in HERE[name]), "cpu")
    variant = declared(notebooks.NOTEBOOKS / f"{name}.ipynb")
    assert not objection(variant, ran, on_gpu=False)
    assert objection(variant, ran, on_gpu=True).startswith("stand-ins ran")


@pytest.mark.slow
def test_without_hy3dgen_notebook_13_does_not_pass(run):
    with pytest.raises(papermill.exceptions.PapermillExecutionError, match="no package hy3dgen"):
        run("13_why_not_hunyuan3d")
