"""Pictures by a text-to-image pipeline of diffusers; a preset says how a model is called."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from toolkit.dataset.images import Drawing, ImageRecord
from toolkit.dataset.prompts import PromptRecord
from toolkit.errors import InputError, fail
from toolkit.run.device import check_device, wanted_device
from toolkit.weights.search import require
from toolkit.weights.table import WEIGHTS

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


@dataclass(frozen=True)
class Preset:
    """How a text-to-image model is called.

    Attributes:
        weight: the model's row in `toolkit.weights.table`.
        steps: of denoising.
        guidance_scale: in the pipeline's own sense. FLUX.1-dev takes it as an input of its network;
            the other models here were distilled to need no guidance (0 or 1 switches it off).
        max_sequence_length: tokens of the prompt; later ones are cut off.
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


class DiffusionImages:
    """A text-to-image pipeline of diffusers, called as its preset says."""

    def __init__(
        self,
        pipeline: "DiffusionPipeline",
        preset: Preset,
        *,
        name: str,
        revision: str = "local",
        licence: str = "unknown",
    ):
        """Wrap a loaded pipeline.

        Args:
            pipeline: takes a prompt and returns an object with `.images`.
            preset: how to call it.
            name: of the model, for the records.
            revision: of the model's weights, for the records.
            licence: of the model's weights, for the records.

        Raises:
            InputError: the pipeline does not make pictures from text alone, or the preset's size
                does not fit.
        """
        accepted = inspect.signature(pipeline.__call__).parameters
        _check_text_to_image(type(pipeline).__name__, accepted)
        if any(side % 16 for side in preset.size):
            fail(
                "Picture size",
                got=preset.size,
                wanted="multiples of 16",
                fix="The pipeline would round it silently.",
            )
        self.pipeline, self.preset = pipeline, preset
        self.name, self.revision, self.licence = name, revision, licence
        options = {
            "num_inference_steps": preset.steps,
            "guidance_scale": preset.guidance_scale,
            "max_sequence_length": preset.max_sequence_length,
        }
        # pipelines differ in their arguments, and an unknown one would be an error
        self.options = {name: value for name, value in options.items() if name in accepted}
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def load(
        cls, preset: str = "flux.1-schnell", *, device: str | None = None, dtype: str = "bfloat16"
    ) -> "DiffusionImages":
        """Load a preset's weights from this machine; nothing is downloaded.

        On a GPU, each part of the pipeline (text encoder, transformer, VAE) is there only while it
        works; in between it waits in main memory.

        Args:
            preset: a key of `PRESETS`.
            device: "cuda", "cuda:N", or "cpu", which takes minutes per picture; None takes what
                `TOOLKIT_DEVICE` says, else "cuda".
            dtype: of the weights.

        Raises:
            InputError: no such preset, or a name that is no device.
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
        chosen = check_device(
            device or wanted_device(),
            what=f"Preset {preset}",
            fix='Use ProceduralImages, or device="cpu".',
        )
        folder, weight = require(PRESETS[preset].weight), WEIGHTS[PRESETS[preset].weight]
        pipeline = load_pipeline(folder, dtype)
        if chosen.type == "cuda":
            pipeline.enable_model_cpu_offload(device=chosen)
        return cls(
            pipeline,
            PRESETS[preset],
            name=weight.source,
            revision=weight.pin,
            licence=weight.licence,
        )

    def draw(self, prompt: PromptRecord, *, seed: int) -> Drawing:
        """Draw the prompt.

        Args:
            prompt: its text is drawn.
            seed: of the first noise, which is drawn on the CPU: the same on every device.

        Returns:
            The picture and its record; there is no truth behind it.

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
        image = np.asarray(output.images[0], np.float32)  # (H, W, 3) in [0, 1]
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


def _check_text_to_image(pipeline: str, accepted: dict[str, inspect.Parameter]) -> None:
    """Refuse a pipeline that lacks an argument of ours, or that also needs a picture or a film."""
    lacking = {"prompt", "height", "width", "num_inference_steps"} - set(accepted)
    demanded = {
        name
        for name in ("image", "video", "mask_image")
        if name in accepted and accepted[name].default is inspect.Parameter.empty
    }
    if lacking or demanded:
        fail(
            f"Pipeline {pipeline}",
            wanted="a text-to-image pipeline",
            got=f"no argument {sorted(lacking)}, needs {sorted(demanded)}",
            fix="Use FluxPipeline, Flux2KleinPipeline, ZImagePipeline or the like.",
        )


def load_pipeline(folder: Path, dtype: str) -> "DiffusionPipeline":
    """A diffusers pipeline from a local folder; safetensors only, and no code from the folder.

    Args:
        folder: with a `model_index.json`, as `save_pretrained` writes it.
        dtype: of the weights, e.g. "bfloat16".

    Raises:
        OSError: a file is missing, or the weights are pickled.
    """
    from diffusers import DiffusionPipeline

    return DiffusionPipeline.from_pretrained(
        folder, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True
    )
