"""The recipe of people: which stages there are, with which models, and what their versions are."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

import torch

from toolkit.dataset.balance import balanced_records
from toolkit.dataset.bulk.code_version import code_version
from toolkit.dataset.bulk.config import BulkConfig
from toolkit.dataset.bulk.pack import pack_person
from toolkit.dataset.bulk.recipe import Needs, Stage, Task
from toolkit.dataset.bulk.steps import (
    AvatarModels,
    Draft,
    ImageModels,
    check_avatar,
    draw_picture,
    fit_body,
    make_coarse,
    make_refined,
    write_prompt,
)
from toolkit.dataset.images import ImageMaker
from toolkit.dataset.prompts import Writer
from toolkit.dataset.selection import parse_selection
from toolkit.profiles.base import PipelineConfig
from toolkit.profiles.choose import load_profile
from toolkit.refine.refit import FitConfig
from toolkit.run.folder import digest
from toolkit.run.report import versions as package_versions

COLOR_PASSES = 2  # of the linear solve before the refit; with it, 30 steps do as well as 100
GPU_SHARE = {"prompts": 0.25, "images": 1.0, "avatars": 1.0}  # of one process; full models only


@dataclass(frozen=True)
class PeopleRecipe:
    """Records to people.

    Attributes:
        config: what the bytes depend on.
    """

    config: BulkConfig = field(default_factory=BulkConfig)
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage("prompt", write_prompt, "prompts"),
        Stage("picture", draw_picture, "images"),
        Stage("body", fit_body, "avatars"),
        Stage("coarse", make_coarse, "avatars"),
        Stage("refined", make_refined, "avatars"),
        Stage("gates", check_avatar, "avatars"),
        Stage("pack", pack_person, "avatars"),
    )

    @property
    def needs(self) -> dict[str, Needs]:
        """A core each; models of the full profile a GPU, or a share of one."""
        heavy = {
            "prompts": self.config.prompts != "grammar" and not _is_url(self.config.prompts),
            "images": self.config.images != "procedural",
            "avatars": self.config.profile != "embedded",
        }
        return {group: Needs(1.0, GPU_SHARE[group] * uses) for group, uses in heavy.items()}

    def versions(self) -> dict[str, str]:
        """Stage -> digest of its code, its settings and its weights."""
        config = self.config
        profile = load_profile(config.profile).fingerprint
        picture = [config.images, config.photo_px, config.photo_quality]
        avatar = [profile, config.profile, config.num_gaussians, config.seed]
        matters = {
            "prompt": [config.prompts, config.seed],
            "picture": [*picture, config.seed],
            "body": avatar,
            "coarse": avatar,
            "refined": [*avatar, config.fit_steps],
            "gates": [asdict(config.gates)],
            "pack": [config.steps],
        }
        makers = {"prompt": [make_writer], "picture": [make_images]}
        return {
            stage.name: digest(
                code_version(stage.run, *makers.get(stage.name, [])), repr(matters[stage.name])
            )
            for stage in self.stages
        }

    def settings(self) -> dict:
        """Settings, and the packages that can change a result."""
        models = {}
        if self.config.profile != "embedded":  # their licences bind the set, see its card
            models = {"models": load_profile(self.config.profile).models}
        return self.config.to_json() | models | {"packages": package_versions()}

    def tasks(self, count: int) -> list[Task]:
        """The first `count` people; each key holds the record and every stage's version."""
        fixed, excluded = parse_selection(self.config.selection)
        records = balanced_records(count, self.config.seed, fixed=fixed, excluded=excluded)
        versions = repr(self.versions())
        return [
            Task(record.index, digest(repr(record.to_json()), versions), Draft(record))
            for record in records
        ]

    def load(self, group: str) -> Any:
        """The models of a group, for a process of one thread.

        Results must not depend on how many cores a machine has.
        """
        torch.set_num_threads(1)
        if group == "prompts":
            return make_writer(self.config)
        if group == "images":
            return ImageModels(make_images(self.config), self.config)
        profile = load_profile(self.config.profile)
        pipeline = PipelineConfig(
            profile=self.config.profile,
            seed=self.config.seed,
            num_gaussians=self.config.num_gaussians,
            fit=FitConfig(steps=self.config.fit_steps, color_passes=COLOR_PASSES),
        ).resolved(profile)
        anchors = profile.make_anchors(pipeline.num_gaussians)
        return AvatarModels(profile, pipeline, anchors, self.config)


def _is_url(text: str) -> bool:
    return urlsplit(text).scheme in ("http", "https")


def make_writer(config: BulkConfig) -> Writer:
    """What writes prompts: the grammar, a server, or a chat model on this machine."""
    if config.prompts == "grammar":
        from toolkit.dataset.prompts_templates import TemplateWriter

        return TemplateWriter()
    from toolkit.dataset.prompts_chat import ChatWriter

    if _is_url(config.prompts):
        from toolkit.dataset.chat_server import ServerChat

        url, _, name = config.prompts.partition("#")
        return ChatWriter(ServerChat(url, name), seed=config.seed)
    from toolkit.dataset.chat_transformers import TransformersChat

    return ChatWriter(TransformersChat.load(config.prompts), seed=config.seed)


def make_images(config: BulkConfig) -> ImageMaker:
    """What draws: procedural people, or a text-to-image model on this machine."""
    if config.images == "procedural":
        from toolkit.dataset.images_procedural import ProceduralImages

        return ProceduralImages((config.photo_px, config.photo_px))
    from toolkit.dataset.images_diffusers import DiffusionImages

    return DiffusionImages.load(config.images)
