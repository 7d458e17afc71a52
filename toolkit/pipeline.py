"""One photo to a refined avatar: the whole method, in the order of the data.

photo -> mask, keypoints, body -> coarse Gaussians -> turntable -> SDEdit -> refit -> pictures.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toolkit import report
from toolkit.body.anchors import Anchors, sample_anchors
from toolkit.body.model import BodyModel
from toolkit.body.rig import Avatar, Rig
from toolkit.coarse.pixel_aligned import crop_photo, observe
from toolkit.errors import fail
from toolkit.fit import FitConfig, FitTarget, fit
from toolkit.photo.fit import PhotoBody, fit_body
from toolkit.photo.keypoints import Detection, detect
from toolkit.photo.load import Photo, read_photo
from toolkit.prior.orbit import OrbitConfig, orbit
from toolkit.prior.sdedit import SDEditConfig, start_sigma
from toolkit.prior.turntable import OPERATING_POINT
from toolkit.profiles import Profile, load_profile
from toolkit.progress import Progress
from toolkit.refine import Turntable, clip_target, photo_target, refine_clip, render_turntable
from toolkit.runfolder import RunFolder, digest, read_json, save_array, write_json


@dataclass(frozen=True)
class PipelineConfig:
    """What a run depends on besides the photo.

    Attributes:
        profile: "embedded" (our small models, on a CPU) or "full" (LHM, Wan; a GPU).
        seed: of the orbit, the noise and the fit.
        strength: SDEdit editing strength in [0, 1]; 0 returns the coarse avatar; None is the
            strength at which the profile's prior did best on validation people.
        num_views: frames of the turntable, 4k + 1 (a video VAE's grid).
        num_gaussians: anchors on the body, 10k to 80k.
        num_inference_steps: length of the full noise schedule.
        max_steps: spend at most so many of its steps; 0 all, None as the prior did best.
        shift: of the noise schedule; start sigma = shift s / (1 + (shift - 1) s).
        sampler: "ode" (paper) or a stochastic one, see `prior.sdedit.RENOISE`.
        guidance: pull of the clean estimate towards the coarse clip where the photo saw, [0, 1].
        fit_steps: Adam steps of the refit.
    """

    profile: str = "embedded"
    seed: int = 0
    strength: float | None = None
    num_views: int = 13
    num_gaussians: int = 20_000
    num_inference_steps: int = 20
    max_steps: int | None = None
    shift: float = 1.0
    sampler: str = "ode"
    guidance: float = 0.0
    fit_steps: int = 200

    def __post_init__(self):
        if self.strength is not None and not 0 <= self.strength <= 1:
            fail("strength", got=self.strength, wanted="0 to 1", fix="Try 0.5.")
        if self.num_views < 5 or self.num_views % 4 != 1:
            fail("views", got=self.num_views, wanted="4k + 1 of at least 5 (5, 9, 13, 17, 21, ...)",
                 fix="Try 13.")
        if not 10_000 <= self.num_gaussians <= 80_000:
            fail("gaussians", got=self.num_gaussians, wanted="10000 to 80000", fix="Try 20000.")

    def sdedit(self) -> SDEditConfig:
        """The part of it that SDEdit wants."""
        best = OPERATING_POINT
        return SDEditConfig(
            strength=best.strength if self.strength is None else self.strength,
            max_steps=best.max_steps if self.max_steps is None else self.max_steps or None,
            num_inference_steps=self.num_inference_steps, shift=self.shift, sampler=self.sampler,
            guidance=self.guidance)


@dataclass(frozen=True)
class AvatarResult:
    """What `build_avatar` made; the clips are (T,H,W,3) in [0,1] on white."""

    out_dir: Path
    body: PhotoBody
    coarse: Avatar
    refined: Avatar
    coarse_clip: Float[Tensor, "T H W 3"]
    refined_clip: Float[Tensor, "T H W 3"]
    report: dict


def build_avatar(photo: str | os.PathLike, out_dir: str | os.PathLike,
                 config: PipelineConfig | None = None, *, resume: bool = False) -> AvatarResult:
    """The main job: one photo in, a folder of avatars, films and numbers out.

    Nothing is written before the photo has been read and a person found in it; every file appears
    whole or not at all.

    Raises:
        ToolkitError: whatever a user can mend, in one sentence.
    """
    job = open_job(photo, out_dir, config, resume=resume)
    body = job.fit_body()
    coarse = job.predict_coarse(body)
    turntable = job.render_turntable(body, coarse)
    clip = job.refine(turntable)
    refined = job.refit(body, coarse, turntable, clip)
    summary = job.examine(body, coarse, refined)
    return AvatarResult(job.folder.path, body, coarse, refined, turntable.rgb, clip, summary)


def open_job(photo: str | os.PathLike, out_dir: str | os.PathLike,
             config: PipelineConfig | None = None, *, resume: bool = False) -> "Job":
    """Read the photo, find the person and open the run's folder: all stages are still to come."""
    config = config or PipelineConfig()
    profile, picture = load_profile(config.profile), read_photo(photo)
    with Progress("person"):
        person = detect(picture.rgb, picture.alpha)
    key = digest(Path(photo).read_bytes(), repr(config), profile.fingerprint)
    return Job(config, profile, picture, person, RunFolder(out_dir, key=key, resume=resume))


class Job:
    """The stages of one run; each is computed, saved whole and read back by `RunFolder.stage`."""

    def __init__(self, config: PipelineConfig, profile: Profile, photo: Photo, person: Detection,
                 folder: RunFolder):
        self.config, self.profile, self.photo, self.person = config, profile, photo, person
        self.folder = folder
        self.body_model = BodyModel.load()
        self.anchors: Anchors = sample_anchors(self.body_model, config.num_gaussians)
        self.image = torch.from_numpy(photo.rgb)

    def fit_body(self) -> PhotoBody:
        """Betas, pose and camera: SMPLify on keypoints and silhouette."""
        path = self.folder.file("body.json")

        def compute() -> PhotoBody:
            with Progress("body", 1):
                return fit_body(self.person, self.photo.rgb.shape[:2], self.body_model,
                                focal_px=self.photo.focal_px)

        return self.folder.stage("body", compute, lambda b: b.save_json(path),
                                 lambda: PhotoBody.load_json(path))

    def predict_coarse(self, body: PhotoBody) -> Avatar:
        """One Gaussian an anchor, by the regressor."""
        def compute() -> Avatar:
            with Progress("coarse"):
                gaussians = self.profile.predict_coarse(
                    self.image, torch.as_tensor(body.mask), body, self.body_model, self.anchors)
            return Avatar(gaussians, Rig.build(self.body_model, self.anchors, body.betas))

        return self._avatar_stage("coarse", compute, body, self.folder.state / "coarse.npz")

    def render_turntable(self, body: PhotoBody, coarse: Avatar) -> Turntable:
        """The clip that is to be refined, and where it shows what the photo saw."""
        path = orbit(OrbitConfig(num_views=self.config.num_views, seed=self.config.seed))
        with torch.no_grad():
            return render_turntable(coarse, path, self.visible(body))

    def visible(self, body: PhotoBody) -> Bool[Tensor, " N"]:
        """Anchors that the photo's camera saw."""
        crop = crop_photo(self.image, torch.as_tensor(body.mask), body.camera)
        return observe(crop, body, self.body_model, self.anchors).visible

    def refine(self, turntable: Turntable) -> Tensor:
        """SDEdit under the video prior."""
        path = self.folder.state / "clip.npy"
        return torch.from_numpy(self.folder.stage(
            "sdedit", lambda: self.edit(turntable).numpy(), lambda clip: save_array(path, clip),
            lambda: np.load(path)))

    def edit(self, turntable: Turntable) -> Float[Tensor, "T H W 3"]:
        """`refine` for any turntable, without the folder."""
        edit = self.config.sdedit()
        with Progress("sdedit", edit.max_steps or edit.num_inference_steps) as tick:
            return refine_clip(self.profile.velocity, turntable, edit, callback=tick,
                               generator=torch.Generator().manual_seed(self.config.seed))

    def refit(self, body: PhotoBody, coarse: Avatar, turntable: Turntable, clip: Tensor) -> Avatar:
        """The Gaussians, one to one, fitted to the refined clip and the photo."""
        targets = [clip_target(turntable, clip, -coarse.rig.joints[0]), self.photo_target(body)]
        return self._avatar_stage("refined", lambda: self.fit_to(coarse, targets), body,
                                  self.folder.file("avatar.npz"))

    def photo_target(self, body: PhotoBody) -> FitTarget:
        """The photo itself, in its own pose."""
        return photo_target(self.image, torch.as_tensor(body.mask), body)

    def fit_to(self, coarse: Avatar, targets: list[FitTarget], steps: int | None = None) -> Avatar:
        """`refit` to any targets, without the folder; `steps` of the configuration if None."""
        steps = self.config.fit_steps if steps is None else steps
        config = FitConfig(steps=steps, seed=self.config.seed)
        with Progress("refit", config.steps) as tick:
            gaussians, _ = fit(coarse.gaussians, coarse.rig, targets, config, callback=tick)
        return Avatar(gaussians, coarse.rig)

    def examine(self, body: PhotoBody, coarse: Avatar, refined: Avatar) -> dict:
        """Pictures, films and `report.json`."""
        path = self.folder.file("report.json")
        file = self.folder.file

        def compute() -> dict:
            with Progress("pictures", 5) as tick:
                for avatar, name in ((coarse, "coarse"), (refined, "refined")):
                    report.film_turntable(avatar, file(f"turntable_{name}.mp4"))
                    tick()
                report.film_motions(refined, file("animation.mp4"))
                tick()
                exams = [report.Examination(name, avatar, self.photo.rgb, body)
                         for name, avatar in (("coarse", coarse), ("refined", refined))]
                tick()
                report.draw_comparison(file("compare.png"), self.photo.rgb, body, exams)
            return report.numbers(*exams)

        measured = self.folder.stage("numbers", compute, lambda n: write_json(path, n),
                                     lambda: read_json(path))
        summary = self._summary(measured)
        write_json(path, summary)
        return summary

    def _summary(self, measured: dict) -> dict:
        edit = self.config.sdedit()
        sigma = start_sigma(edit.strength, edit.num_inference_steps, edit.shift)
        return measured | {"profile": self.profile.name, "coarse_model": self.profile.coarse_name,
                           "video_prior": self.profile.prior_name, "config": asdict(self.config),
                           "start_sigma": sigma, "sdedit": asdict(edit),
                           "versions": report.versions(), "stages": self.folder.stages}

    def _avatar_stage(self, name: str, compute, body: PhotoBody, path: Path) -> Avatar:
        """Save an avatar for re-posing, and its Gaussians in the photo's pose as a standard PLY."""
        def save(avatar: Avatar) -> None:
            avatar.posed(body.pose, body.transl).save_ply(self.folder.file(f"{name}.ply"))
            avatar.save(path)

        return self.folder.stage(name, compute, save, lambda: Avatar.load(path))
