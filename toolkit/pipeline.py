"""One photo to a refined avatar: the whole method in one function, in the order of the data.

photo -> person, body -> coarse Gaussians -> turntable -> SDEdit -> refit -> pictures and numbers
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.rig import Avatar, Rig
from toolkit.coarse.observation import observe
from toolkit.errors import fail
from toolkit.photo.crop import crop_photo
from toolkit.photo.detection.choice import Choice
from toolkit.photo.detection.keypoints import Detection, detect
from toolkit.photo.load import Photo, read_photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.orbit import OrbitConfig, orbit
from toolkit.profiles.base import PipelineConfig, Profile
from toolkit.profiles.choose import load_profile
from toolkit.refine.edit import Clip, refine_clip
from toolkit.refine.refit import FitConfig, fit
from toolkit.refine.target import FitTarget, clip_target, photo_target
from toolkit.refine.turntable import Turntable, render_turntable
from toolkit.run.folder import Record, RunFolder, digest
from toolkit.run.options import check_out_folder
from toolkit.run.progress import Progress
from toolkit.run.report import DRAWINGS, describe_run, draw_report

Tick = Callable[..., None]  # called after each step of a stage: draws its progress bar


@dataclass(frozen=True)
class AvatarResult:
    """What `build_avatar` made; the clips are on white, in [0, 1]."""

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
    profile: Profile | None = None,
    resume: bool = False,
) -> AvatarResult:
    """The main job: one photo in, a folder of avatars, films and numbers out.

    Nothing is written before the photo has been read and a person found in it; every file appears
    whole or not at all.

    Args:
        photo: a picture with one person, or with several if `config.person` chooses.
        out_dir: folder for the results.
        config: settings; None takes the profile's defaults.
        profile: models of your own, in place of those that `config.profile` names.
        resume: go on after a kill: reuse stages of the same photo, settings and weights.

    Raises:
        ToolkitError: whatever a user can fix, in one sentence.
    """
    config, profile = _settle(out_dir, config or PipelineConfig(), profile)
    picture, person = read_person(photo, config.person)
    run = open_run(photo, out_dir, config, profile, resume=resume)

    # 1. Shape, pose and camera of the person.
    body = run.keep(
        "body", PhotoBody, lambda tick: profile.fit_body(picture, person), file="body.json"
    )
    # 2. One Gaussian per anchor, by a regressor: sharp where the photo sees, else an average.
    anchors = profile.make_anchors(config.num_gaussians)
    coarse = run.keep(
        "coarse",
        Avatar,
        lambda tick: predict_coarse(profile, picture, body, anchors),
        file="state/coarse.npz",
    )
    # 3. The coarse avatar from all sides, and where these pictures show what the photo saw.
    visible = seen_anchors(picture, body, profile, anchors)
    turntable = make_turntable(coarse, visible, config, profile)
    # 4. The lifting step of the paper: noise the clip, denoise it under a video prior.
    clip = run.keep(
        "sdedit",
        Clip,
        lambda tick: edit_turntable(turntable, config, profile, tick),
        file="state/clip.npy",
        steps=config.edit.num_steps,
    )
    # 5. The Gaussians, one to one, fitted to the refined clip and to the photo.
    targets = make_targets(picture, body, coarse, turntable, clip)
    refined = run.keep(
        "refit",
        Avatar,
        lambda tick: refit(coarse, targets, config.fit, config.seed, profile.device, tick),
        file="avatar.npz",
        steps=config.fit.steps,
    )
    # 6. What a user looks at. A PLY cannot be re-posed: it shows the photo's pose.
    coarse.posed(body.pose, body.transl).save_ply(run.file("coarse.ply"))
    refined.posed(body.pose, body.transl).save_ply(run.file("refined.ply"))
    numbers = run.keep(
        "pictures",
        Record,
        lambda tick: draw_report(run.path, picture, body, coarse, refined, tick, visible),
        file="state/numbers.json",
        steps=DRAWINGS,
    )
    report = write_report(run, numbers, config, profile)
    return AvatarResult(run.path, body, coarse, refined, turntable.rgb, clip.frames, report)


def write_report(
    run: RunFolder, numbers: Record, config: PipelineConfig, profile: Profile
) -> Record:
    """`report.json`: the numbers, what made them, and how long each stage took."""
    report = Record(numbers | describe_run(config, profile) | {"stages": run.stages})
    report.save(run.file("report.json"))
    return report


def _settle(
    out_dir: str | os.PathLike, config: PipelineConfig, profile: Profile | None
) -> tuple[PipelineConfig, Profile]:
    """Models, and settings with nothing left open; refuses early what would fail minutes later."""
    check_out_folder(out_dir)
    if not isinstance(config, PipelineConfig):
        fail("config", got=repr(config), wanted="a PipelineConfig", fix="Try PipelineConfig().")
    if profile is not None and not isinstance(profile, Profile):
        fail(
            "profile",
            got=repr(profile),
            wanted="a profile object",
            fix='For a name use PipelineConfig(profile="embedded").',
        )
    profile = profile or load_profile(config.profile)
    return config.resolved(profile), profile


def read_person(photo: str | os.PathLike, choice: Choice | None = None) -> tuple[Photo, Detection]:
    """The photo, and the person in it that is meant; left out: the only or by far largest one."""
    picture = read_photo(photo)
    with Progress("person"):
        return picture, detect(picture.rgb, picture.alpha, choice, pixel=picture.pixel)


def open_run(
    photo: str | os.PathLike,
    out_dir: str | os.PathLike,
    config: PipelineConfig,
    profile: Profile,
    *,
    resume: bool,
) -> RunFolder:
    """The run's folder; stages of another photo, configuration or weights are not reused."""
    key = digest(Path(photo).read_bytes(), repr(config), profile.fingerprint)
    return RunFolder(out_dir, key=key, resume=resume)


def predict_coarse(profile: Profile, photo: Photo, body: PhotoBody, anchors: Anchors) -> Avatar:
    """One Gaussian per anchor, by the regressor, and the rig that moves them."""
    gaussians = profile.predict_coarse(photo, body, anchors)
    return Avatar(gaussians, Rig.build(profile.body_model, anchors, body.betas))


def seen_anchors(
    photo: Photo, body: PhotoBody, profile: Profile, anchors: Anchors
) -> Bool[Tensor, " N"]:
    """Anchors that the photo's camera saw."""
    crop = crop_photo(torch.from_numpy(photo.rgb), torch.as_tensor(body.mask), body.camera)
    return observe(crop, body, profile.body_model, anchors).visible


def make_turntable(
    coarse: Avatar, visible: Bool[Tensor, " N"], config: PipelineConfig, profile: Profile
) -> Turntable:
    """The clip that SDEdit starts from, and where it shows what the photo saw."""
    path = orbit(OrbitConfig(num_views=config.num_views, seed=config.seed))
    with torch.no_grad():
        return render_turntable(coarse, path, visible, size=config.clip_size, device=profile.device)


def edit_turntable(
    turntable: Turntable, config: PipelineConfig, profile: Profile, tick: Tick | None = None
) -> Clip:
    """SDEdit of the turntable under the profile's video prior."""
    prior = profile.load_prior(*turntable.rgb.shape[:3])
    generator = torch.Generator().manual_seed(config.seed)
    return Clip(refine_clip(prior, turntable, config.edit, generator=generator, callback=tick))


def make_targets(
    photo: Photo, body: PhotoBody, coarse: Avatar, turntable: Turntable, clip: Clip
) -> list[FitTarget]:
    """What the refit aims at: the refined clip in the A pose, and the photo in its own pose."""
    pelvis_at_origin = -coarse.rig.joints[0]  # where the turntable's cameras look
    image, mask = torch.from_numpy(photo.rgb), torch.as_tensor(body.mask)
    return [clip_target(turntable, clip.frames, pelvis_at_origin), photo_target(image, mask, body)]


def refit(
    coarse: Avatar,
    targets: list[FitTarget],
    config: FitConfig,
    seed: int,
    device: str = "cpu",
    tick: Tick | None = None,
) -> Avatar:
    """The Gaussians, one to one, fitted to the targets."""
    gaussians, _ = fit(
        coarse.gaussians.to(device),
        coarse.rig.to(device),
        [target.to(device) for target in targets],
        config,
        generator=torch.Generator().manual_seed(seed),
        callback=tick,
    )
    return Avatar(gaussians.to("cpu"), coarse.rig)
