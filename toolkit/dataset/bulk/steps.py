"""The stages of a person, each a plain function: record, prompt, picture, body, avatars, gates.

They are the steps of `toolkit.pipeline` without its films; see there for what they do.
"""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from toolkit.body.anchors import Anchors
from toolkit.body.rig import Avatar
from toolkit.dataset.bulk.config import BulkConfig
from toolkit.dataset.bulk.measures import failing_gate, measure
from toolkit.dataset.bulk.pictures import thumbnail, unwebp, webp
from toolkit.dataset.bulk.recipe import Rejected
from toolkit.dataset.image_check import check_image, image_hash
from toolkit.dataset.images import Drawing, ImageMaker
from toolkit.dataset.prompts import PromptRecord, Writer
from toolkit.dataset.records import AttributeRecord
from toolkit.errors import InputError
from toolkit.photo.detection.keypoints import Detection, detect
from toolkit.photo.load import Photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.pipeline import (
    edit_turntable,
    make_targets,
    make_turntable,
    predict_coarse,
    refit,
    seen_anchors,
)
from toolkit.profiles.base import PipelineConfig, Profile

PICTURES = 3  # drawn of one prompt, until one passes the checks
THUMB_PX = 128


@dataclass(frozen=True)
class Draft:
    """What is known of a person so far; a stage fills in some more.

    Attributes:
        record: who is to be drawn.
        prompt: in words.
        photo: the picture as WebP; everything after it is made from these bytes.
        image: `ImageRecord` of the picture, as JSON has it.
        image_hash: by which near-duplicates are found, see `near`.
        truth: body, camera and mask behind a procedural picture.
        body: shape, pose and camera as the photo shows them.
        coarse, refined: avatars.
        metrics: name -> number.
    """

    record: AttributeRecord
    prompt: PromptRecord | None = None
    photo: bytes = b""
    image: dict = field(default_factory=dict)
    image_hash: str = ""
    truth: dict | None = None
    body: PhotoBody | None = None
    coarse: Avatar | None = None
    refined: Avatar | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)

    @property
    def picture(self) -> Photo:
        """The photo, decoded."""
        return Photo(unwebp(self.photo).astype(np.float32) / 255)


@dataclass(frozen=True)
class ImageModels:
    """What draws pictures, and how they are stored."""

    maker: ImageMaker
    config: BulkConfig


@dataclass(frozen=True)
class AvatarModels:
    """What makes avatars, and with which settings."""

    profile: Profile
    pipeline: PipelineConfig
    anchors: Anchors
    config: BulkConfig


def write_prompt(writer: Writer, draft: Draft) -> Draft:
    """The record in words."""
    try:
        return replace(draft, prompt=writer.write(draft.record))
    except InputError as error:
        raise Rejected("no prompt", str(error)) from None


def draw_picture(models: ImageModels, draft: Draft) -> Draft:
    """A picture of the prompt: one whole, sharp person; drawn again if it is not, twice at most."""
    for attempt in range(PICTURES):
        drawing = models.maker.draw(draft.prompt, seed=image_seed(draft.record, attempt))
        photo = webp(drawing.image, models.config.photo_quality)
        pixels = unwebp(photo)
        fault = check_image(pixels)
        if fault is None:
            image = drawing.record.to_json()
            del image["prompt"]  # the sample holds it already
            truth = truth_of(drawing)
            return replace(
                draft, photo=photo, image=image, truth=truth, image_hash=image_hash(pixels)
            )
    raise Rejected(fault.reason, fault.detail, thumbnail(drawing.image, THUMB_PX))


def image_seed(record: AttributeRecord, attempt: int) -> int:
    """Seed of a picture, 0 .. 999999: of the record alone, so that no order of work matters."""
    text = f"{record.seed} {record.index} {attempt}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") % 1_000_000


def truth_of(drawing: Drawing) -> dict | None:
    """Body and camera behind a procedural picture, as lists of numbers."""
    if drawing.truth is None:
        return None
    person = drawing.truth.person
    tensors = {"betas": person.betas, "pose": person.pose, "transl": person.transl}
    if person.expression is not None:
        tensors["expression"] = person.expression
    return numbers(tensors) | {"person_seed": int(person.seed), "split": person.split}


def numbers(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Tensors as nested lists with six significant digits."""

    def short(value: object) -> object:
        return [short(v) for v in value] if isinstance(value, list) else float(f"{value:.6g}")

    return {name: short(tensor.tolist()) for name, tensor in tensors.items()}


def fit_body(models: AvatarModels, draft: Draft) -> Draft:
    """Shape, pose and camera from the photo."""
    photo = draft.picture
    person: Detection = detect(photo.rgb)
    return replace(draft, body=models.profile.fit_body(photo, person))


def make_coarse(models: AvatarModels, draft: Draft) -> Draft:
    """One Gaussian per anchor, by the regressor."""
    coarse = predict_coarse(models.profile, draft.picture, draft.body, models.anchors)
    return replace(draft, coarse=coarse)


def make_refined(models: AvatarModels, draft: Draft) -> Draft:
    """Turntable, SDEdit, refit."""
    profile, config = models.profile, models.pipeline
    photo, body, coarse = draft.picture, draft.body, draft.coarse
    visible = seen_anchors(photo, body, profile, models.anchors)
    turntable = make_turntable(coarse, visible, config, profile)
    clip = edit_turntable(turntable, config, profile)
    targets = make_targets(photo, body, coarse, turntable, clip)
    return replace(draft, refined=refit(coarse, targets, config.fit, config.seed, profile.device))


def check_avatar(models: AvatarModels, draft: Draft) -> Draft:
    """Measure the avatars; refuse one that the gates stop."""
    metrics = measure(draft.picture, draft.body, draft.coarse, draft.refined)
    if fault := failing_gate(metrics, models.config.gates):
        raise Rejected(*fault, thumbnail(draft.picture.rgb, THUMB_PX))
    return replace(draft, metrics=metrics)
