"""From a prompt to a picture: any text-to-image pipeline of diffusers, or a procedural person.

Both draw the same `PromptRecord` and give the same `Drawing`; only the procedural one knows the
truth behind its picture. A preset holds what a published model wants to be called with.
"""

import inspect
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import UInt8

from toolkit.dataset.person_of_record import cast, keeps_top_color, make_person
from toolkit.dataset.prompts import PromptRecord
from toolkit.errors import InputError, MissingCapabilityError, fail
from toolkit.people.draw.photo import photo_camera, photo_of
from toolkit.people.draw.render import PersonViews
from toolkit.people.person import Person
from toolkit.run.files import atomic_path
from toolkit.run.folder import write_json
from toolkit.show.export import write_image
from toolkit.weights.table import WEIGHTS, require


@dataclass(frozen=True)
class Preset:
    """How a text-to-image model is called.

    Attributes:
        weight: its row in `toolkit.weights.table`.
        steps: of denoising.
        guidance_scale: in the pipeline's own sense.
        max_sequence_length: tokens of the prompt.
        size: (height, width) in pixels, multiples of 16; upright, for a whole body.
    """

    weight: str
    steps: int
    guidance_scale: float
    max_sequence_length: int = 512
    size: tuple[int, int] = (1280, 768)


# Source: defaults and documentation of diffusers 0.42, the models' README files.
PRESETS = {
    preset.weight: preset
    for preset in (
        Preset("flux.1-dev", 50, 3.5),  # the paper's; its licence restricts training on its outputs
        Preset("flux.1-schnell", 4, 0.0, 256),  # Apache-2.0, as are the two below
        Preset("flux.2-klein-4b", 4, 1.0),
        Preset("z-image-turbo", 9, 0.0),
    )
}


@dataclass(frozen=True)
class ImageRecord:
    """Where a picture comes from.

    Attributes:
        prompt: the prompt's own record, attributes included.
        model: hub id, or "procedural people".
        revision: of the model's weights.
        licence: of the weights; it may bind what the picture is used for.
        image_seed: of the noise, or of what the attributes leave open.
        size: (height, width) in pixels.
        options: steps, guidance and the like.
        ignored: attributes that this way of drawing cannot show.
    """

    prompt: PromptRecord
    model: str
    revision: str
    licence: str
    image_seed: int
    size: tuple[int, int]
    options: dict
    ignored: tuple[str, ...] = ()

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> "ImageRecord":
        """Read back `to_json`."""
        return cls(
            **data
            | {
                "prompt": PromptRecord.from_json(data["prompt"]),
                "size": tuple(data["size"]),
                "ignored": tuple(data["ignored"]),
            }
        )


@dataclass(frozen=True)
class Truth:
    """What is exactly known of a procedural picture: the person, and its alpha, depth, normals."""

    person: Person
    views: PersonViews


@dataclass(frozen=True)
class Drawing:
    """A picture, its record, and the truth behind it where there is one."""

    image: UInt8[np.ndarray, "H W 3"]
    record: ImageRecord
    truth: Truth | None = None

    def save(self, folder: str | Path, name: str) -> Path:
        """Write `name`.png, .json and, with a truth, .npz; the .json last, when all is there."""
        folder = Path(folder)
        write_image(folder / f"{name}.png", self.image)
        if self.truth is not None:
            with atomic_path(folder / f"{name}.npz") as tmp, open(tmp, "wb") as file:
                np.savez_compressed(file, **truth_arrays(self.truth))
        write_json(folder / f"{name}.json", self.record.to_json())
        return folder / f"{name}.png"


def truth_arrays(truth: Truth) -> dict[str, np.ndarray]:
    """Body, camera and exact maps of a procedural picture, units as in docs/conventions.md."""
    person, views = truth.person, truth.views
    height, width = views.alpha.shape[1:3]
    camera = photo_camera(person.photo_camera, (height, width))
    tensors = {
        "betas": person.betas,
        "pose": person.pose,
        "transl": person.transl,
        "expression": person.expression,
        "viewmat": camera.viewmats[0],
        "K": camera.Ks[0],
        "rgb": views.rgb[0],
        "alpha": views.alpha[0],
        "depth": views.depth[0],
        "normals": views.normals[0],
    }
    arrays = {name: t.numpy().astype(np.float32) for name, t in tensors.items() if t is not None}
    for name in ("rgb", "alpha"):
        arrays[name] = np.round(arrays[name] * 255).astype(np.uint8)
    return arrays | {"person_seed": np.int64(person.seed)}


class ImageMaker(Protocol):
    """Whatever draws a prompt; the same prompt and seed give the same picture."""

    def draw(self, prompt: PromptRecord, *, seed: int) -> Drawing: ...


@dataclass(frozen=True)
class PeopleImages:
    """Procedural people in front of procedural places; no prompt is read, only its attributes.

    Attributes:
        size: (height, width) in pixels.
        split: whose seeds and prints are used.
        supersample: samples a pixel along each axis, 1..4.
    """

    size: tuple[int, int] = (512, 512)
    split: str = "train"
    supersample: int = 3

    def draw(self, prompt: PromptRecord, *, seed: int) -> Drawing:
        """Draw the person; the truth comes with it."""
        person = make_person(prompt.attributes, seed, split=self.split)
        image, views = photo_of(person, self.size, supersample=self.supersample)
        ignored = cast(prompt.attributes).ignored
        ignored += () if keeps_top_color(person) else ("upper body",)
        record = ImageRecord(
            prompt,
            "procedural people",
            "this repository",
            "CC0-1.0",
            seed,
            self.size,
            {"split": self.split, "supersample": self.supersample},
            ignored,
        )
        return Drawing(image, record, Truth(person, views))


class DiffusionImages:
    """A text-to-image pipeline of diffusers with a preset."""

    def __init__(
        self,
        pipeline,
        preset: Preset,
        *,
        name: str,
        revision: str = "local",
        licence: str = "unknown",
    ):
        """Wrap a loaded pipeline.

        Args:
            pipeline: a `DiffusionPipeline` called with a prompt that returns `.images`.
            preset: how to call it.
            name, revision, licence: of the model, for records.

        Raises:
            InputError: the pipeline makes no pictures from text alone.
        """
        accepted = inspect.signature(pipeline.__call__).parameters
        lacking = {"prompt", "height", "width", "num_inference_steps"} - set(accepted)
        demanded = {
            n
            for n in ("image", "video", "mask_image")
            if n in accepted and accepted[n].default is inspect.Parameter.empty
        }
        if lacking or demanded:
            fail(
                f"Pipeline {type(pipeline).__name__}",
                wanted="a text-to-image pipeline",
                got=f"no argument {sorted(lacking)}, needs {sorted(demanded)}",
                fix="Use FluxPipeline, Flux2KleinPipeline, ZImagePipeline or the like.",
            )
        if any(side % 16 for side in preset.size):
            fail(
                "Picture size",
                got=preset.size,
                wanted="multiples of 16",
                fix="The pipeline would round it silently.",
            )
        self.pipeline, self.preset = pipeline, preset
        self.name, self.revision, self.licence = name, revision, licence
        self.options = {
            "num_inference_steps": preset.steps,
            "guidance_scale": preset.guidance_scale,
            "max_sequence_length": preset.max_sequence_length,
        }
        self.options = {k: v for k, v in self.options.items() if k in accepted}
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def load(
        cls, preset: str = "flux.1-schnell", *, device: str = "cuda", dtype: str = "bfloat16"
    ) -> "DiffusionImages":
        """Load a preset's weights from this machine; parts wait in memory while they are idle.

        Args:
            preset: a key of `PRESETS`.
            device: "cuda", or "cpu" for a patient person.
            dtype: of the weights.

        Raises:
            MissingFileError: the weights are not here; the message says how to get them.
            MissingCapabilityError: no such device.
        """
        if preset not in PRESETS:
            fail(
                "preset",
                got=repr(preset),
                wanted=f"one of {', '.join(PRESETS)}",
                fix="Wrap any other pipeline with DiffusionImages(pipeline, Preset(...)).",
            )
        if device == "cuda" and not torch.cuda.is_available():
            fail(
                f"Preset {preset}",
                got="no GPU that torch can use",
                wanted="a CUDA GPU",
                fix='Use PeopleImages, or device="cpu".',
                kind=MissingCapabilityError,
            )
        folder, weight = require(PRESETS[preset].weight), WEIGHTS[PRESETS[preset].weight]
        pipeline = load_pipeline(folder, dtype)
        if device == "cuda":
            pipeline.enable_model_cpu_offload()
        return cls(
            pipeline,
            PRESETS[preset],
            name=weight.source,
            revision=weight.pin,
            licence=weight.licence,
        )

    def draw(self, prompt: PromptRecord, *, seed: int) -> Drawing:
        """Draw the prompt.

        Raises:
            InputError: the picture came out blank (a half-precision overflow, a safety filter).
        """
        height, width = self.preset.size
        output = self.pipeline(
            prompt=prompt.text,
            height=height,
            width=width,
            output_type="np",
            generator=torch.Generator("cpu").manual_seed(seed),
            **self.options,
        )
        image = np.asarray(output.images[0], np.float32)
        if not np.isfinite(image).all() or image.std() == 0:
            fail(
                f"Picture {prompt.index} by {self.name}",
                got="NaN or one flat colour",
                wanted="a picture",
                fix="Try dtype float32, or another seed.",
                kind=InputError,
            )
        record = ImageRecord(
            prompt,
            self.name,
            self.revision,
            self.licence,
            seed,
            (height, width),
            dict(self.options),
        )
        return Drawing((image.clip(0, 1) * 255).round().astype(np.uint8), record)


def load_pipeline(folder: Path, dtype: str):
    """A diffusers pipeline from a local folder; safetensors only, no code from the folder."""
    from diffusers import DiffusionPipeline

    return DiffusionPipeline.from_pretrained(
        folder, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True
    )
