"""The check for a GPU, rehearsed on the CPU: every step runs, and what fails is told."""

import inspect
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pretend_gpu import DEVICE, pretend_gpu

from toolkit.errors import InputError, MissingCapabilityError
from toolkit.photo.detection.keypoints import detect
from toolkit.photo.load import read_photo
from toolkit.prior.wan.files import read_part
from toolkit.prior.wan.tiny import TINY_TRANSFORMER, write_tiny_wan
from toolkit.render import api, gsplat_kernels
from toolkit.run.files import sample_path
from tools.upkeep import (
    gpu_check,
    gpu_check_gsplat,
    gpu_check_nets,
    gpu_check_wan,
    gpu_packages,
    gpu_page,
)
from tools.upkeep.gpu_check_bench import Bench
from tools.upkeep.gpu_check_job import saved_person
from tools.upkeep.gpu_check_sizes import TINY
from tools.upkeep.gpu_check_wan import _cast

ROOT = Path(__file__).resolve().parents[1]
ABSENT = ("ai_edge_litert", "imageio_ffmpeg", "gaussforge", "imagehash", "smplx", "beartype")
INSTANCE = re.compile(r"^ *__(?:INS|LAUNCH_KERNEL)__\((\d+)\)\n", re.MULTILINE)
STEPS = ["machine", "LHM", "Multi-HMR", "Wan phases", "Wan plans", "SDEdit", "rasteriser", "job"]


@pytest.mark.slow
def test_the_rehearsal_runs_every_step_without_the_packages_that_a_gpu_machine_lacks(tmp_path):
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({ABSENT}))\n"
        "from tools.upkeep.gpu_check import main\n"
        f"sys.exit(main(['--device', 'cpu', '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [*STEPS, "gpu tests"]
    assert [path.name for path in tmp_path.iterdir()] == ["gpu.json"], "files were left behind"
    record = json.loads((tmp_path / "gpu.json").read_text())
    assert record["rehearsal"] and {r["status"] for r in record["steps"].values()} == {"ok"}
    values = {name: result["values"] for name, result in record["steps"].items()}
    assert 0 < values["LHM"]["LHM autocast error %"] < values["LHM"]["LHM bfloat16 error %"] < 10
    assert values["Multi-HMR"]["people"] == 1
    assert values["Wan plans"]["swapped off by %"] == values["Wan plans"]["streamed off by %"] == 0
    assert values["SDEdit"]["mean change"] > 0.01
    assert values["rasteriser"]["largest difference, 8-bit steps"] == 0  # ours against itself
    with pytest.raises(InputError, match="a rehearsal on a CPU"):
        gpu_page.block(record)


@pytest.fixture
def check(tmp_path):
    """Run chosen steps of a rehearsal; gives the exit code and their results."""

    def run(*only, minutes=8.0):
        words = [word for name in only for word in ("--only", name)]
        where = ["--device", "cpu", "--out", str(tmp_path), "--minutes", str(minutes)]
        code = gpu_check.main([*where, *words])
        return code, json.loads((tmp_path / "gpu.json").read_text())["steps"]

    return run


def test_a_step_that_fails_is_told_and_the_next_one_runs(check, monkeypatch, capsys):
    def broken(bench):
        raise RuntimeError("CUDA error: out of memory\nmore")

    monkeypatch.setattr(gpu_check_nets, "lhm", broken)
    monkeypatch.setattr(gpu_check_nets, "pose", lambda bench: {"finite": "NO: not finite"})
    code, steps = check("LHM", "Multi-HMR", "machine")
    assert code == 1 and steps["machine"]["status"] == "ok"
    assert steps["LHM"]["status"] == steps["Multi-HMR"]["status"] == "FAILED"
    assert steps["LHM"]["values"] == {"why": "RuntimeError: CUDA error: out of memory"}
    assert "LHM: FAILED" in capsys.readouterr().out


def test_no_step_starts_when_the_time_is_over(check):
    code, steps = check("machine", minutes=0)
    assert code == 0 and steps["machine"]["status"] == "left out"
    with pytest.raises(SystemExit, match="no step 'lhm'"):
        check("lhm")


@pytest.fixture
def away(tmp_path):
    """A bench on the pretended GPU, on which a tensor that stayed behind is an error."""
    import diffusers  # noqa: F401  imported within the block, it would find a strange torch

    return Bench(DEVICE, TINY, tmp_path, tmp_path)


@pytest.mark.parametrize(
    "step",
    [
        gpu_check_nets.lhm,
        gpu_check_nets.pose,
        gpu_check_wan.phases,
        gpu_check_wan.plans,
        gpu_check_wan.sdedit,
    ],
    ids=lambda step: step.__name__,
)
def test_all_tensors_of_a_step_are_on_the_device(step, away, monkeypatch):
    # "streamed" wants a device that diffusers knows
    monkeypatch.setattr(gpu_check_wan, "LADDER", gpu_check_wan.LADDER[:-1])
    with pretend_gpu():
        values = step(away)
    assert values and not [v for v in values.values() if str(v).startswith("NO")]


def test_gsplat_is_given_tensors_on_the_device_only(away, monkeypatch):
    """In gsplat's place our own rasteriser, so that both agree."""
    ours, calls = api.rasterization, []

    def rasterization(*args, **kwargs):
        given = inspect.signature(ours).bind(*args, **kwargs).arguments
        tensors = {name: x for name, x in given.items() if isinstance(x, torch.Tensor)}
        assert len({x.is_meta for x in tensors.values()}) == 1, "a tensor that stayed behind"
        calls.append(given["means"].is_meta)
        if not calls[-1]:
            return ours(**given)
        picture, alpha, meta = ours(**given | {name: x.cpu() for name, x in tensors.items()})
        return picture.to(DEVICE), alpha.to(DEVICE), meta

    monkeypatch.setattr(api, "rasterization", rasterization)
    with pretend_gpu():
        values = gpu_check_gsplat.compare(away)
    assert set(calls) == {True, False} and values["largest difference, 8-bit steps"] < 1e-3
    slopes = [value for name, value in values.items() if name.startswith("gradient")]
    assert len(slopes) >= 4 and max(slopes) < 0.1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_written(tmp_path, capsys):
    assert gpu_check.main(["--out", str(tmp_path / "out")]) == 2
    assert "no CUDA GPU" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_random_weights_have_the_types_of_loaded_ones(tmp_path):
    """diffusers keeps norms and time embedding in float32; random weights must cost the same."""
    from diffusers import WanTransformer3DModel

    loaded = read_part(
        WanTransformer3DModel, write_tiny_wan(tmp_path) / "transformer", torch.bfloat16
    )
    cast = _cast(WanTransformer3DModel(**TINY_TRANSFORMER), torch.bfloat16)
    types = [{name: p.dtype for name, p in net.named_parameters()} for net in (loaded, cast)]
    assert types[0] == types[1] and set(types[0].values()) == {torch.float32, torch.bfloat16}


def test_the_stored_person_is_the_detected_one():
    found, stored = detect(read_photo(sample_path("person.jpg")).rgb), saved_person()
    for name in ("keypoints", "world", "box"):
        np.testing.assert_allclose(getattr(stored, name), getattr(found, name), atol=1e-3)
    np.testing.assert_allclose(stored.mask, found.mask, atol=0.5 / 255 + 1e-6)


def test_a_pruned_gsplat_holds_our_channels_only_and_is_else_the_same(tmp_path):
    source = Path(gpu_check_gsplat.find_spec("gsplat").submodule_search_locations[0])
    copy = gpu_check_gsplat.pruned_copy(tmp_path) / "gsplat"
    pruned, kept = 0, {str(n) for n in gpu_check_gsplat.CHANNELS}
    for file in source.glob("cuda/csrc/*.c*"):
        before, after = file.read_text(), (copy / file.relative_to(source)).read_text()
        instances = [INSTANCE.findall(text) for text in (before, after)]
        assert instances[1] == [n for n in instances[0] if n in kept]
        assert INSTANCE.sub("", before) == INSTANCE.sub("", after)
        pruned += len(instances[0]) > len(instances[1]) > 0
    assert pruned >= 5
    assert (copy / "cuda" / "_backend.py").read_bytes() == (
        source / "cuda/_backend.py"
    ).read_bytes()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_compiler_that_fails_is_quoted_and_not_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check_gsplat, "pruned_copy", lambda folder: folder)
    monkeypatch.setattr(gsplat_kernels, "load", gsplat_kernels.load)  # put back afterwards
    log = tmp_path / "log.txt"
    compiler = gpu_check_gsplat.start_compiler(tmp_path, log, "9.0")
    with pytest.raises(MissingCapabilityError, match="gsplat's kernels: got 1: .*Error"):
        gpu_check_gsplat.wait_for_compiler(compiler, tmp_path, log, 300)
    assert not gsplat_kernels.load().possible
    assert "Traceback" in log.read_text()


def test_packages_are_packed_without_what_no_import_needs(tmp_path):
    wheel = tmp_path / "gsplat-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as files:
        for name in ("__init__.py", "cuda/csrc/third_party/glm/glm/vec3.hpp"):
            files.writestr(f"gsplat/{name}", "x")
        files.writestr("gsplat/cuda/csrc/third_party/glm/test/core.cpp", "x")
    gpu_packages.pack([wheel], tmp_path / "out.tar.xz")
    subprocess.run(["tar", "xf", "out.tar.xz"], cwd=tmp_path, check=True)
    names = {path.name for path in (tmp_path / "gsplat").rglob("*") if path.is_file()}
    assert names == {"__init__.py", "vec3.hpp"}
    with pytest.raises(InputError, match="a compiled wheel"):
        gpu_packages.pack([tmp_path / "x-1-cp311-cp311-linux_x86_64.whl"], tmp_path / "b.tar.xz")
    assert not (tmp_path / "b.tar.xz").exists()
    assert "gsplat==1.5.3" in gpu_packages.requirements()


def test_the_page_says_what_was_measured_or_that_nothing_was():
    text = gpu_page.PAGE.read_text(encoding="utf-8")
    assert gpu_page.page(text, gpu_page.committed()) == text
    step = {"status": "ok", "seconds": 1.25, "values": {"card": "X", "peak GB": 3.14159}}
    record = {"date": "2027-01-02", "rehearsal": False, "seconds": 90.0, "steps": {"LHM": step}}
    changed = gpu_page.page(text, record)
    assert "| LHM | ok | 1.2 | card X; peak GB 3.14 |" in changed and "2027-01-02" in changed
    assert "not been run" not in changed and gpu_page.page(changed, None).count("not been run") == 1
