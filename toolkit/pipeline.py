"""One photo to a refined avatar: the whole method, in the order of the data.

photo -> mask, keypoints, body -> coarse Gaussians -> turntable -> SDEdit -> refit -> pictures.
"""

import os
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.rig import Avatar, Rig
from toolkit.coarse.observe import observe
from toolkit.photo.crop import crop_photo
from toolkit.photo.detection.keypoints import Detection, detect
from toolkit.photo.load import Photo, read_photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.orbit import OrbitConfig, orbit
from toolkit.prior.sdedit import start_sigma
from toolkit.profiles.base import PipelineConfig, Profile, load_profile
from toolkit.refine.edit import refine_clip
from toolkit.refine.refit import FitConfig, fit
from toolkit.refine.target import FitTarget, clip_target, photo_target
from toolkit.refine.turntable import Turntable, render_turntable
from toolkit.run import report
from toolkit.run.folder import RunFolder, digest, read_json, save_array, write_json
from toolkit.run.progress import Progress


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


def build_avatar(
    photo: str | os.PathLike,
    out_dir: str | os.PathLike,
    config: PipelineConfig | None = None,
    *,
    resume: bool = False,
) -> AvatarResult:
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


def open_job(
    photo: str | os.PathLike,
    out_dir: str | os.PathLike,
    config: PipelineConfig | None = None,
    *,
    resume: bool = False,
) -> "Job":
    """Read the photo, find the person and open the run's folder: all stages are still to come."""
    config = config or PipelineConfig()
    profile, picture = load_profile(config.profile), read_photo(photo)
    config = config.resolved(profile)
    with Progress("person"):
        person = detect(picture.rgb, picture.alpha)
    key = digest(Path(photo).read_bytes(), repr(config), profile.fingerprint)
    return Job(config, profile, picture, person, RunFolder(out_dir, key=key, resume=resume))


class Job:
    """The stages of one run; each is computed, saved whole and read back by `RunFolder.stage`."""

    def __init__(
        self,
        config: PipelineConfig,
        profile: Profile,
        photo: Photo,
        person: Detection,
        folder: RunFolder,
    ):
        self.config, self.profile, self.photo, self.person = config, profile, photo, person
        self.folder = folder
        self.body_model = profile.body_model
        self.image = torch.from_numpy(photo.rgb)

    @cached_property
    def anchors(self) -> Anchors:
        """Where the Gaussians hang; the full profile has to load LHM for it."""
        return self.profile.make_anchors(self.config.num_gaussians)

    def fit_body(self) -> PhotoBody:
        """Betas, pose and camera of the person."""
        path = self.folder.file("body.json")

        def compute() -> PhotoBody:
            with Progress("body", 1):
                return self.profile.fit_body(self.photo, self.person)

        return self.folder.stage(
            "body", compute, lambda b: b.save(path), lambda: PhotoBody.load(path)
        )

    def predict_coarse(self, body: PhotoBody) -> Avatar:
        """One Gaussian an anchor, by the regressor."""

        def compute() -> Avatar:
            with Progress("coarse"):
                gaussians = self.profile.predict_coarse(
                    self.image, torch.as_tensor(body.mask), body, self.anchors
                )
            return Avatar(gaussians, Rig.build(self.body_model, self.anchors, body.betas))

        return self._avatar_stage("coarse", compute, body, self.folder.state / "coarse.npz")

    def render_turntable(self, body: PhotoBody, coarse: Avatar) -> Turntable:
        """The clip that is to be refined, and where it shows what the photo saw."""
        path = orbit(OrbitConfig(num_views=self.config.num_views, seed=self.config.seed))
        with torch.no_grad():
            return render_turntable(
                coarse,
                path,
                self.visible(body),
                size=self.config.clip_size,
                device=self.profile.device,
            )

    def visible(self, body: PhotoBody) -> Bool[Tensor, " N"]:
        """Anchors that the photo's camera saw."""
        crop = crop_photo(self.image, torch.as_tensor(body.mask), body.camera)
        return observe(crop, body, self.body_model, self.anchors).visible

    def refine(self, turntable: Turntable) -> Tensor:
        """SDEdit under the video prior."""
        path = self.folder.state / "clip.npy"
        return torch.from_numpy(
            self.folder.stage(
                "sdedit",
                lambda: self.edit(turntable).numpy(),
                lambda clip: save_array(path, clip),
                lambda: np.load(path),
            )
        )

    def edit(self, turntable: Turntable) -> Float[Tensor, "T H W 3"]:
        """`refine` for any turntable, without the folder."""
        edit, prior = self.config.sdedit(), self.profile.load_prior(*turntable.rgb.shape[:3])
        with Progress("sdedit", edit.max_steps or edit.num_inference_steps) as tick:
            return refine_clip(
                prior,
                turntable,
                edit,
                callback=tick,
                generator=torch.Generator().manual_seed(self.config.seed),
            )

    def refit(self, body: PhotoBody, coarse: Avatar, turntable: Turntable, clip: Tensor) -> Avatar:
        """The Gaussians, one to one, fitted to the refined clip and the photo."""
        targets = [clip_target(turntable, clip, -coarse.rig.joints[0]), self.photo_target(body)]
        return self._avatar_stage(
            "refined", lambda: self.fit_to(coarse, targets), body, self.folder.file("avatar.npz")
        )

    def photo_target(self, body: PhotoBody) -> FitTarget:
        """The photo itself, in its own pose."""
        return photo_target(self.image, torch.as_tensor(body.mask), body)

    def fit_to(self, coarse: Avatar, targets: list[FitTarget], steps: int | None = None) -> Avatar:
        """`refit` to any targets, without the folder; `steps` of the configuration if None."""
        steps = self.config.fit_steps if steps is None else steps
        config, device = FitConfig(steps=steps, seed=self.config.seed), self.profile.device
        with Progress("refit", config.steps) as tick:
            gaussians, _ = fit(
                coarse.gaussians.to(device),
                coarse.rig.to(device),
                [target.to(device) for target in targets],
                config,
                callback=tick,
            )
        return Avatar(gaussians.to("cpu"), coarse.rig)

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
                exams = [
                    report.Examination(name, avatar, self.photo.rgb, body)
                    for name, avatar in (("coarse", coarse), ("refined", refined))
                ]
                tick()
                report.draw_comparison(file("compare.png"), self.photo.rgb, body, exams)
            return report.numbers(*exams)

        measured = self.folder.stage(
            "numbers", compute, lambda n: write_json(path, n), lambda: read_json(path)
        )
        summary = self._summary(measured)
        write_json(path, summary)
        return summary

    def _summary(self, measured: dict) -> dict:
        edit = self.config.sdedit()
        sigma = start_sigma(edit.strength, edit.num_inference_steps, edit.shift)
        names = {
            "profile": self.profile.name,
            "body_model": self.profile.body_name,
            "pose_model": self.profile.pose_name,
            "coarse_model": self.profile.coarse_name,
            "video_prior": self.profile.prior_name,
        }
        return (
            measured
            | names
            | {
                "config": asdict(self.config),
                "sdedit": asdict(edit),
                "start_sigma": sigma,
                "versions": report.versions(),
                "stages": self.folder.stages,
            }
        )

    def _avatar_stage(self, name: str, compute, body: PhotoBody, path: Path) -> Avatar:
        """Save an avatar for re-posing, and its Gaussians in the photo's pose as a standard PLY."""

        def save(avatar: Avatar) -> None:
            avatar.posed(body.pose, body.transl).save_ply(self.folder.file(f"{name}.ply"))
            avatar.save(path)

        return self.folder.stage(name, compute, save, lambda: Avatar.load(path))
