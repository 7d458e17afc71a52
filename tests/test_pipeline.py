"""The main job from photo to folder, shortened: complete, repeatable, resumable after any kill."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from toolkit import pipeline
from toolkit.body.rig import Avatar
from toolkit.errors import InputError
from toolkit.gaussians import Gaussians
from toolkit.photo.photo_body import PhotoBody
from toolkit.pipeline import build_avatar
from toolkit.prior.prior import Encoded, PixelPrior
from toolkit.prior.turntable.shipped import OPERATING_POINT
from toolkit.profiles.base import PipelineConfig
from toolkit.profiles.choose import load_profile, with_prior
from toolkit.refine.edit import refine_clip
from toolkit.refine.refit import FitConfig
from toolkit.run import report
from toolkit.run.files import sample_path
from toolkit.run.folder import RunFolder, write_json
from toolkit.show.film import AnimationConfig

SHORT = PipelineConfig(
    num_views=5,
    num_gaussians=10_000,
    edit=replace(OPERATING_POINT, num_inference_steps=4),
    fit=FitConfig(steps=2),
)
FILES = {
    "animation.mp4",
    "avatar.npz",
    "body.json",
    "coarse.ply",
    "compare.png",
    "refined.ply",
    "report.json",
    "turntable_coarse.mp4",
    "turntable_refined.mp4",
}
STAGES = ("body", "coarse", "sdedit", "refit", "pictures")


class Killed(BaseException):
    """Stands for a kill: nothing in the pipeline may catch it."""


class SavesAndKills:
    """An artefact whose run is killed right after the file was written."""

    def __init__(self, artefact, name):
        self.artefact, self.name = artefact, name

    def save(self, path):
        self.artefact.save(path)
        raise Killed(self.name)


@pytest.fixture(scope="module", autouse=True)
def short_films():
    """Films of a few frames: their length is not what these tests are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "FILM_FRAMES", 2)
        patch.setattr(
            report,
            "animate",
            lambda avatar, clip: ANIMATE(avatar, clip, AnimationConfig(seconds=0.2)),
        )
        yield


ANIMATE = report.animate


@pytest.fixture(scope="module")
def photo():
    return sample_path("person.jpg")


@pytest.fixture(scope="module")
def done(photo, tmp_path_factory):
    """One uninterrupted run."""
    return build_avatar(photo, tmp_path_factory.mktemp("run") / "out", SHORT)


def contents(folder):
    """Every file's bytes; of the report, all but the times and memory of the stages."""
    files = {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.endswith(".done.json")
    }
    summary = json.loads(files.pop("report.json"))
    summary.pop("stages")
    return files | {"report": summary}


def test_the_folder_holds_what_the_readme_promises(done):
    assert FILES <= {p.name for p in done.out_dir.iterdir()}
    summary = json.loads((done.out_dir / "report.json").read_text())
    assert {
        "profile",
        "config",
        "versions",
        "misalignment",
        "sharpness",
        "drift",
        "start_sigma",
    } <= summary.keys()
    assert set(summary["stages"]) == set(STAGES)  # the file is sorted by name
    body = PhotoBody.load(done.out_dir / "body.json")
    assert body.pose.shape == (55, 3) and body.mask.max() > 0.5


def test_coarse_and_refined_are_one_to_one_and_re_posable(done):
    coarse, refined = (Gaussians.load_ply(done.out_dir / f"{n}.ply") for n in ("coarse", "refined"))
    assert len(coarse) == len(refined) == SHORT.num_gaussians
    assert 0 < float((coarse.means - refined.means).norm(dim=-1).mean()) < 0.05
    avatar = Avatar.load(done.out_dir / "avatar.npz")
    body = PhotoBody.load(done.out_dir / "body.json")
    posed = avatar.posed(body.pose, body.transl)
    np.testing.assert_allclose(posed.means.numpy(), refined.means.numpy(), atol=1e-5)


def test_killed_in_every_stage_and_resumed_gives_the_same_files(done, photo, tmp_path, monkeypatch):
    profile = load_profile("embedded")  # loaded once, and the person found once: six runs need them
    found = pipeline.read_person(photo)
    monkeypatch.setattr(pipeline, "read_person", lambda photo, choice: found)
    keep = RunFolder.keep
    for victim in STAGES:

        def keep_and_die(self, name, kind, compute, *, victim=victim, **options):
            def compute_one_that_kills(tick):
                artefact = compute(tick)
                if name == victim:
                    return SavesAndKills(artefact, name)
                return artefact

            return keep(self, name, kind, compute_one_that_kills, **options)

        monkeypatch.setattr(RunFolder, "keep", keep_and_die)
        with pytest.raises(Killed, match=victim):
            build_avatar(photo, tmp_path, SHORT, profile=profile, resume=True)
    monkeypatch.setattr(RunFolder, "keep", keep)
    build_avatar(photo, tmp_path, SHORT, profile=profile, resume=True)
    again, once = contents(tmp_path), contents(done.out_dir)
    assert [name for name in once if again.get(name) != once[name]] == []
    assert again == once


def test_a_real_kill_leaves_whole_files_only(photo, tmp_path):
    command = [
        sys.executable,
        "-m",
        "toolkit",
        "avatar",
        str(photo),
        "--out",
        str(tmp_path),
        "--gaussians",
        "10000",
        "--views",
        "5",
    ]
    process = subprocess.Popen(command, env=os.environ | {"TQDM_DISABLE": "1"})
    marker = tmp_path / "state" / "body.done.json"
    deadline = time.monotonic() + 240
    while not marker.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert marker.exists()
    RunFolder(tmp_path, key="any", resume=True)
    assert not list(tmp_path.rglob(".partial-*"))
    assert PhotoBody.load(tmp_path / "body.json").betas.isfinite().all()


def test_strength_zero_keeps_the_coarse_clip(done):
    still = replace(SHORT.edit, strength=0.0)
    never_asked = PixelPrior(lambda x, sigma, condition: 1 / 0)
    clip = refine_clip(never_asked, _turntable(done), still)
    np.testing.assert_allclose(clip.numpy(), done.coarse_clip.numpy(), atol=1e-6)


class Grey:
    """A third prior: SDEdit under it replaces every clip by grey."""

    def encode(self, known):
        return Encoded(known.coarse, known.seen, None)

    def velocity(self, x, sigma, condition):
        return x / sigma  # the straight line that ends at 0

    def decode(self, latents, known):
        return latents


def test_a_prior_of_ones_own_runs_through_the_whole_job(done, photo, tmp_path):
    profile = with_prior(load_profile("embedded"), Grey(), "grey")
    result = build_avatar(photo, tmp_path / "out", SHORT, profile=profile)
    assert (result.refined_clip - 0.5).abs().max() < 1e-3
    assert result.report["video_prior"] == "grey"
    assert done.report["video_prior"] == "turntable prior"


@pytest.mark.parametrize(
    "fault,words",
    [
        (lambda clip: clip[:, :, :3], "as the coarse clip"),
        (lambda clip: clip.double(), "float64"),
        (lambda clip: clip * float("nan"), "NaN"),
        (lambda clip: clip.clone().requires_grad_(), "no gradient"),
    ],
)
def test_a_prior_that_returns_no_clip_is_named(done, fault, words):
    prior = Grey()
    prior.decode = lambda latents, known: fault(latents)
    with pytest.raises(InputError, match=f"prior Grey.*{words}"):
        refine_clip(prior, _turntable(done), SHORT.edit)


def test_resume_does_not_mix_two_priors_and_says_so(photo, tmp_path, capsys):
    profile = load_profile("embedded")
    first, second = (with_prior(profile, Grey(), name) for name in ("grey", "blue"))
    assert len({p.fingerprint for p in (profile, first, second)}) == 3
    write_json(tmp_path / "state" / "sdedit.done.json", {"key": "of another run"})
    RunFolder(tmp_path, key="of this run", resume=True)
    assert "another photo, other settings" in capsys.readouterr().err


def test_wrong_arguments_are_named_at_once(photo, tmp_path):
    (tmp_path / "file").touch()
    for arguments, words in (
        ({"out_dir": tmp_path / "file"}, "the file"),
        ({"out_dir": ""}, "an empty name"),
        ({"config": {"seed": 1}}, "a PipelineConfig"),
        ({"profile": "embedded"}, "a profile object"),
    ):
        with pytest.raises(InputError, match=words):
            build_avatar(photo, **({"out_dir": tmp_path / "out"} | arguments))
    assert not (tmp_path / "out").exists()


def _turntable(done):
    from toolkit.prior.orbit import static_orbit, turntable_cameras
    from toolkit.refine.turntable import Turntable

    orbit = static_orbit(SHORT.num_views)
    alpha = (done.coarse_clip < 0.99).any(-1, keepdim=True).float()
    return Turntable(orbit, turntable_cameras(orbit), done.coarse_clip, alpha, alpha)


def test_what_is_left_out_suits_the_profile():
    config = PipelineConfig().resolved(load_profile("embedded"))
    assert config.num_gaussians == 20_000 and config.clip_size == (192, 96)
    assert config.edit == OPERATING_POINT
    every_step = replace(OPERATING_POINT, max_steps=None)
    asked = replace(PipelineConfig(), edit=every_step).resolved(load_profile("embedded"))
    assert asked.edit.max_steps is None


@pytest.mark.parametrize(
    "change",
    [{"num_views": 6}, {"num_gaussians": 9}, {"clip_size": (64, 40)}, {"clip_size": (0, 32)}],
)
def test_a_config_that_makes_no_sense_is_refused(change):
    with pytest.raises(InputError, match="wanted"):
        replace(SHORT, **change)
