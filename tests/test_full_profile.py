"""The full profile, dry: every real class with tiny random weights, from photo to refined.ply."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
import torch

from toolkit.body.rig import Avatar
from toolkit.cli import main
from toolkit.coarse.lhm.points import read_points, save_points
from toolkit.errors import InputError, MissingCapabilityError, MissingFileError
from toolkit.gaussians import Gaussians
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.prior import Prior
from toolkit.prior.sdedit import SDEditConfig
from toolkit.prior.wan.published import MODELS
from toolkit.profiles import full as full_profile
from toolkit.profiles.base import PipelineConfig
from toolkit.profiles.choose import load_profile
from toolkit.render import gsplat_kernels
from toolkit.render.gsplat_kernels import Kernels
from toolkit.run import report
from toolkit.run.doctor import machine
from toolkit.run.files import sample_path
from toolkit.show.film import AnimationConfig
from toolkit.weights import sets as weight_sets
from toolkit.weights.commands import fetch_command
from toolkit.weights.table import WEIGHTS
from tools.upkeep import tiny_weights as make_tiny_weights

ANIMATE = report.animate
PHOTO = str(sample_path("person.jpg"))
SHORT = ["--profile", "full", "--views", "5", "--size", "64x32", "--steps", "3", "--fit-steps", "2"]
USED = ["smplx", "multi-hmr", "lhm-mini", "lhm-points-20k", "sapiens-1b", "wan2.1-t2v-1.3b"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder that `TOOLKIT_WEIGHTS` names."""
    return make_tiny_weights.write_all(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module", autouse=True)
def dry(tiny, tmp_path_factory):
    """A machine that is told to try it without a GPU; films of a few frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOOLKIT_WEIGHTS", str(tiny))
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("TOOLKIT_DEVICE", "cpu")
        for variable in weight_sets.CHOSEN_BY.values():
            patch.delenv(variable, raising=False)
        patch.setattr(report, "FILM_FRAMES", 2)
        patch.setattr(
            report,
            "animate",
            lambda avatar, clip: ANIMATE(avatar, clip, AnimationConfig(seconds=0.2)),
        )
        yield


@pytest.fixture(scope="module")
def run(dry, tmp_path_factory):
    """Folder of one run of the command line, and what it said on stderr."""
    out, said = tmp_path_factory.mktemp("run") / "out", io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(["avatar", PHOTO, "--out", str(out), *SHORT]) == 0
    return out, said.getvalue()


@pytest.fixture(scope="module")
def out(run):
    return run[0]


def test_photo_to_refined_ply(run):
    out, said = run
    told = [line for line in said.splitlines() if line.startswith("full profile")]
    assert len(told) == 1 and "lhm-mini (stand-in)" in told[0]
    assert {
        "animation.mp4",
        "avatar.npz",
        "body.json",
        "coarse.ply",
        "compare.png",
        "refined.ply",
        "report.json",
        "turntable_coarse.mp4",
        "turntable_refined.mp4",
    } <= {path.name for path in out.iterdir()}


def test_gaussians_are_lhms_points_one_to_one(out):
    coarse, refined = (Gaussians.load_ply(out / f"{name}.ply") for name in ("coarse", "refined"))
    assert len(coarse) == len(refined) == make_tiny_weights.NUM_POINTS
    assert 0 < float((coarse.means - refined.means).norm(dim=1).mean()) < 0.05
    body = PhotoBody.load(out / "body.json")
    posed = Avatar.load(out / "avatar.npz").posed(body.pose, body.transl)
    np.testing.assert_allclose(posed.means.numpy(), refined.means.numpy(), atol=1e-5)


def test_wan_changed_the_clip_at_its_own_operating_point(out):
    clip = np.load(out / "state" / "clip.npy")
    assert clip.shape == (5, 64, 32, 3) and np.isfinite(clip).all() and clip.std() > 0.01
    summary = json.loads((out / "report.json").read_text())
    edit = summary["config"]["edit"]
    assert edit["shift"] == 3.0 and edit["strength"] == 0.8
    assert edit["max_steps"] is None and summary["start_sigma"] > 0.7


def test_the_report_names_stand_ins_as_such(out):
    summary = json.loads((out / "report.json").read_text())
    names = [summary[f"{key}_model"] for key in ("body", "pose", "coarse")]
    assert [*names, summary["video_prior"]] == [
        f"{name} (stand-in)" for name in ("smplx", "multi-hmr", "lhm-mini", "wan2.1-t2v-1.3b")
    ]
    assert summary["profile"] == "full"


def test_the_report_says_how_wan_was_sampled_and_what_rendered(out, run):
    """The tiny transformer has no published size; for those that have, see test_wan."""
    summary = json.loads((out / "report.json").read_text())
    settings = "shift 3, guidance 5 (scheduler_config.json; not a published size of Wan2.1)"
    assert summary["video_prior_settings"] == settings and summary["rasteriser"] == "CPU"
    assert settings in next(line for line in run[1].splitlines() if line.startswith("Wan2.1:"))


def test_a_clip_too_large_for_the_gpu_is_refused_before_anything_runs(monkeypatch):
    published = MODELS["t2v-14b"].transformer
    profile = load_profile("full")
    monkeypatch.setattr(full_profile, "wan_config", lambda name: published)
    config = PipelineConfig(profile="full", num_views=121, clip_size=(1280, 720))
    assert config.resolved(profile).num_views == 121  # on a CPU nothing is planned
    profile.net_device = "cuda"
    monkeypatch.setattr(full_profile, "card_gb", lambda device: 24.0)
    assert PipelineConfig(profile="full").resolved(profile).clip_size == full_profile.CLIP_SIZE
    monkeypatch.setattr(full_profile, "card_gb", lambda device: 8.0)
    with pytest.raises(MissingCapabilityError, match="8.0 GB for a clip of"):
        config.resolved(profile)


def test_without_gsplats_kernels_the_cpu_renders_from_the_start(monkeypatch, capsys):
    """Said when the profile is loaded, not after Multi-HMR and LHM have run."""
    kernels = Kernels(False, False, "there is no CUDA toolkit (nvcc)", "Install it.")
    monkeypatch.setattr(gsplat_kernels, "load", lambda: kernels)
    monkeypatch.setattr(full_profile, "find_device", lambda: "cuda:1")
    monkeypatch.setattr(full_profile, "check_memory", lambda chosen, device: None)
    profile = load_profile("full")
    assert (profile.net_device, profile.device) == ("cuda:1", "cpu")
    assert profile.notes["rasteriser"] == "CPU"
    said = [line for line in capsys.readouterr().err.splitlines() if "nvcc" in line]
    assert len(said) == 1 and said[0].endswith("Install it.")
    monkeypatch.setattr(gsplat_kernels, "load", lambda: Kernels(True, True, "compiled"))
    assert load_profile("full").device == "cuda:1"


def test_computed_query_points_are_named_in_the_report(tiny, tmp_path, monkeypatch):
    """Points drawn from the checkpoint stand in for LHM's own; nobody shall confuse the two."""
    assert "query_points" not in load_profile("full").notes
    copied = shutil.copytree(tiny, tmp_path / "weights")
    (ply,) = (copied / "lhm-points-20k").rglob("1_20000.ply")
    save_points(ply, read_points(ply), computed=True)
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(copied))
    assert "not those of LHM's release" in load_profile("full").notes["query_points"]


def test_resume_goes_on_where_it_was_killed(out, monkeypatch):
    before = {
        name: (out / name).read_bytes() for name in ("refined.ply", "coarse.ply", "state/clip.npy")
    }
    for stage in ("refit", "pictures"):
        (out / "state" / f"{stage}.done.json").unlink()
    (out / "refined.ply").unlink()

    def refuse(*_, **__):
        raise AssertionError("a finished stage was computed again")

    for name in ("fit_body", "predict_coarse", "load_prior"):
        monkeypatch.setattr(full_profile.FullProfile, name, refuse)
    assert main(["avatar", PHOTO, "--out", str(out), *SHORT, "--resume"]) == 0
    assert before == {name: (out / name).read_bytes() for name in before}


def test_doctor_finds_every_stage_ready_but_for_the_gpu(capsys, monkeypatch):
    monkeypatch.setenv("TOOLKIT_DEVICE", "cuda")
    assert main(["doctor", "--profile", "full", "--json"]) in (0, 2)  # 2 without a GPU
    stages = json.loads(capsys.readouterr().out)["stages"]
    lacks = {lack for stage in stages for lack in stage["full"]["missing"]}
    hardware = ("GPU", "package", "built without CUDA", "nvcc")
    assert not [lack for lack in lacks if not any(word in lack for word in hardware)]
    monkeypatch.setenv("TOOLKIT_DEVICE", "cpu")  # the dry run of this file, which needs no GPU
    version = machine.installed_version
    monkeypatch.setattr(machine, "installed_version", lambda name: version(name) or "99")
    assert main(["doctor", "--profile", "full", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    states = {stage["name"]: stage["full"]["status"] for stage in found["stages"]}
    assert states.pop("rasteriser") in ("ready", "falls back to embedded")
    assert set(states.values()) == {"ready"}
    assert {row["name"] for row in found["weights"] if row["stand_in"]} > set(USED)


@pytest.mark.parametrize("name", USED)
def test_a_missing_weight_is_named_before_anything_is_loaded(name, tiny, tmp_path, monkeypatch):
    for folder in tiny.iterdir():
        if folder.name != name:
            (tmp_path / folder.name).symlink_to(folder)
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(full_profile, "FullProfile", None)
    with pytest.raises(MissingFileError) as error:
        load_profile("full")
    assert f"Weight {name}" in str(error.value)
    assert f"Get it with: {fetch_command(WEIGHTS[name])}" in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.delenv("TOOLKIT_DEVICE")
    with pytest.raises(MissingCapabilityError, match="no CUDA GPU.*--profile embedded"):
        load_profile("full")
    monkeypatch.setenv("TOOLKIT_DEVICE", "tpu")
    with pytest.raises(InputError, match="cuda:N"):
        load_profile("full")


def test_the_environment_names_another_set(monkeypatch):
    monkeypatch.setenv("TOOLKIT_LHM", "lhm-1b")
    with pytest.raises(MissingFileError, match="Weight lhm-1b"):
        load_profile("full")
    monkeypatch.setenv("TOOLKIT_LHM", "lhm-2b")
    with pytest.raises(InputError, match="TOOLKIT_LHM.*lhm-500m-hf"):
        load_profile("full")
    monkeypatch.setenv("TOOLKIT_LHM", "lhm-mini")
    monkeypatch.setenv("TOOLKIT_WAN", "wan2.1-t2v-1.3b")
    assert load_profile("full").models["video_prior"] == "wan2.1-t2v-1.3b (stand-in)"


def test_what_suits_the_paper_is_taken_unless_told(monkeypatch):
    profile = load_profile("full")
    config = PipelineConfig(profile="full").resolved(profile)
    assert (config.num_views, config.clip_size, config.num_gaussians) == (21, (832, 480), 20_000)
    assert config.edit == SDEditConfig(strength=0.8, num_inference_steps=50, shift=3.0)
    assert config.edit.max_steps is None and config.resolved(profile) == config
    edit = SDEditConfig(strength=0.5)
    chosen = PipelineConfig(profile="full", edit=edit, num_views=9, clip_size=(64, 32))
    chosen = chosen.resolved(profile)
    assert (chosen.edit, chosen.num_views, chosen.clip_size) == (edit, 9, (64, 32))
    with pytest.raises(InputError, match="20000, the points of lhm-mini"):
        PipelineConfig(num_gaussians=10_000).resolved(profile)


def test_one_large_model_at_a_time():
    profile = load_profile("full")
    prior = profile.load_prior(5, 64, 32)
    assert isinstance(prior, Prior) and profile.loaded.model is prior
    assert profile.load_prior(5, 64, 32) is prior
    profile.make_anchors(profile.defaults.num_gaussians)
    assert profile.loaded.name == "lhm" and profile.loaded.model is not prior


def test_another_weight_is_another_run(tiny, tmp_path, monkeypatch):
    first = load_profile("full").fingerprint
    assert load_profile("full").fingerprint == first
    for folder in tiny.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    (tmp_path / "multi-hmr").unlink()
    make_tiny_weights.save_multihmr(
        make_tiny_weights.tiny_multihmr(1),
        make_tiny_weights.made(tmp_path, "multi-hmr") / "multiHMR_896_L.pt",
    )
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    assert load_profile("full").fingerprint != first
