"""One person's stages, as `pipeline.build_avatar` runs them, each computed when first needed.

All variants of a person start from the same body, coarse avatar, turntable and clip. Finished
stages lie in a run folder, so that a killed evaluation goes on where it stopped.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.rig import Avatar
from toolkit.evaluate.cases import Case
from toolkit.evaluate.scenes import Scene, photo_scene, turntable_scene
from toolkit.measure.sectors import azimuths_deg
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.load import Photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.pipeline import (
    edit_turntable,
    make_turntable,
    open_run,
    predict_coarse,
    read_person,
    refit,
    seen_anchors,
)
from toolkit.profiles.base import PipelineConfig, Profile
from toolkit.profiles.choose import load_profile
from toolkit.refine.edit import Clip
from toolkit.refine.target import FitTarget, clip_target, photo_target
from toolkit.refine.turntable import Turntable
from toolkit.run.folder import RunFolder


@lru_cache(maxsize=1)  # a run has one profile
def shared_anchors(profile: str, num: int) -> Anchors:
    """The anchors of a profile. They are the same for everybody, so they are made only once."""
    return load_profile(profile).make_anchors(num)


@dataclass
class Bench:
    """One person on whom variants are tried.

    Attributes:
        case: photo and truth.
        config: settings with the profile's defaults filled in.
        profile: models.
        picture: the photo as read.
        person: keypoints and mask of the person in it.
        anchors: points on the body, one per Gaussian.
        run: folder of the finished stages.
        true_body: takes the place of the body that is estimated from the photo; None: estimate.
    """

    case: Case
    config: PipelineConfig
    profile: Profile
    picture: Photo
    person: Detection
    anchors: Anchors
    run: RunFolder
    true_body: PhotoBody | None = None

    @classmethod
    def open(cls, case: Case, folder: Path, config: PipelineConfig | None = None) -> "Bench":
        """Read the photo and find the person; no stage is computed yet.

        Args:
            case: photo and truth.
            folder: for the finished stages; those of a killed run are read back.
            config: of the pipeline.

        Raises:
            ToolkitError: the photo cannot be used.
        """
        config = config or PipelineConfig()
        profile = load_profile(config.profile)
        config = config.resolved(profile)
        picture, person = read_person(case.photo)
        anchors = shared_anchors(config.profile, config.num_gaussians)
        # an evaluation always resumes; the key keeps stages of other inputs from being reused
        run = open_run(case.photo, folder, config, profile, resume=True)
        return cls(case, config, profile, picture, person, anchors, run)

    def on_true_body(self) -> "Bench":
        """The same person with the true shape, pose and camera; stages in a folder of their own.

        The mask and the keypoints are still those that the pipeline detected.
        """
        person = self.case.person
        body = replace(
            self.body,
            betas=person.betas,
            pose=person.pose,
            transl=person.transl,
            camera=self.case.photo_camera,
        )
        # `replace` makes a new bench, so no stage that was cached on the estimated body is shared
        folder = self.run.path.with_name(f"{self.run.path.name}_true_body")
        run = RunFolder(folder, key=self.run.key, resume=True)
        return replace(self, run=run, true_body=body)

    @cached_property
    def body(self) -> PhotoBody:
        """Shape, pose and camera: estimated from the photo, or the true ones."""
        if self.true_body is not None:
            return self.true_body
        return self.run.keep(
            "body",
            PhotoBody,
            lambda tick: self.profile.fit_body(self.picture, self.person),
            file="body.json",
        )

    @cached_property
    def coarse(self) -> Avatar:
        """The avatar that the regressor predicts: one Gaussian per anchor."""
        return self.run.keep(
            "coarse",
            Avatar,
            lambda tick: predict_coarse(self.profile, self.picture, self.body, self.anchors),
            file="state/coarse.npz",
        )

    @cached_property
    def visible(self) -> Bool[Tensor, " N"]:
        """Anchors that the photo's camera saw."""
        return seen_anchors(self.picture, self.body, self.profile, self.anchors)

    @cached_property
    def turntable(self) -> Turntable:
        """The coarse avatar, rendered from all around: the clip that SDEdit starts from."""
        return make_turntable(self.coarse, self.visible, self.config, self.profile)

    @cached_property
    def clip(self) -> Float[Tensor, "T H W 3"]:
        """The clip after SDEdit, as `avatar` makes it."""
        return self.run.keep(
            "sdedit", Clip, lambda tick: Clip(self.edit(self.turntable)), file="state/clip.npy"
        ).frames

    @cached_property
    def scene(self) -> Scene:
        """The photo's own pose, with the true views."""
        return photo_scene(self.case, self.body)

    @cached_property
    def turntable_scene(self) -> Scene:
        """The turntable's A pose, with the true views."""
        cameras = self.turntable.cameras
        return turntable_scene(self.case, self.body, cameras, azimuths_deg(cameras))

    @cached_property
    def photo_target(self) -> FitTarget:
        """The photo as a target of the refit."""
        image, mask = torch.from_numpy(self.picture.rgb), torch.as_tensor(self.body.mask)
        return photo_target(image, mask, self.body)

    def edit(self, turntable: Turntable) -> Float[Tensor, "T H W 3"]:
        """SDEdit of any turntable, with the run's settings."""
        return edit_turntable(turntable, self.config, self.profile).frames

    def fit_to(self, avatar: Avatar, targets: list[FitTarget], steps: int | None = None) -> Avatar:
        """The refit of any avatar to any targets.

        Args:
            avatar: where the refit starts.
            targets: pictures and their cameras.
            steps: of the optimiser; as the run's settings say if None.
        """
        config = self.config.fit if steps is None else replace(self.config.fit, steps=steps)
        return refit(avatar, targets, config, self.config.seed, self.profile.device)

    def refit(self, clip: Float[Tensor, "T H W 3"]) -> Avatar:
        """What the pipeline does with the prior's clip, done with any clip."""
        # joint 0 is the pelvis: the turntable has it at the origin
        target = clip_target(self.turntable, clip, -self.coarse.rig.joints[0])
        return self.fit_to(self.coarse, [target, self.photo_target])
