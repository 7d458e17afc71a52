"""How much memory a stage of the full profile needs with the weights that it uses.

Weights: counted in their files, see `weights.counting`. Activations: measured with
`prior.wan.fake_tensors.peak_bytes` on the real classes at the real size, which needs no GPU; the
tests measure them again. Nothing here was measured on a GPU. All sizes are in GB of 10^9 bytes.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import torch

from toolkit.coarse.lhm.checkpoint import NOT_OURS
from toolkit.prior.wan.grid import LatentGrid
from toolkit.prior.wan.memory import (
    GB,
    RESERVED_GB,
    SLACK,
    TEXT_PARAMETERS,
    choose_plan,
    least_gb,
    transformer_parameters,
)
from toolkit.prior.wan.published import MODELS
from toolkit.weights.counting import count, count_parts
from toolkit.weights.search import locate
from toolkit.weights.table import WEIGHTS

CLIP_SIZE = (832, 480)  # height and width, the portrait of Wan2.1's 480p
NUM_VIEWS = 21  # as SV3D's clips; with the first view again at the end Wan sees 25 frames

# Peaks of activations, measured on fake tensors in float32; bfloat16 takes half.
POSE_GB = 0.20  # Multi-HMR's encoder, one picture of 896 x 896
LHM_BYTES_PER_POINT = 62_000  # LHM's transformer; its encoders take a tenth and run before it
# FLUX.1's transformer in bfloat16, one picture of 1280 x 768; its VAE takes 1.5 GB when the
# transformer has left the GPU again.
IMAGE_GB = 0.5
# Numbers in the largest part of each image pipeline, and in all parts: counted in the real classes
# of diffusers and transformers (FLUX.2 klein: its Qwen3-4B, and its download). Used where the
# weights are not on this machine; their files mix float32 and 16 bits.
IMAGE_NUMBERS = {
    "flux.1-dev": (11.90e9, 16.87e9),
    "flux.1-schnell": (11.90e9, 16.87e9),
    "flux.2-klein-4b": (4.02e9, 8.0e9),
    "z-image-turbo": (6.15e9, 10.3e9),
}
RASTERISER_GB = 2.0  # an estimate: 40 000 Gaussians, 21 views of 832 x 480, forward and backward
LHM_UNUSED = re.compile(rf"(?!encoder\.)(?:{NOT_OURS.pattern})")  # tensors that are never read


@dataclass(frozen=True)
class Need:
    """What a stage needs.

    Attributes:
        gpu_gb: the least that one GPU must have; 0 if the stage can do without.
        main_gb: main memory, while the weights are read; for prompts, GPU and main memory together.
        says: where `gpu_gb` comes from.
        runs: how the stage runs on a GPU with so many GB.
    """

    gpu_gb: float
    main_gb: float
    says: str
    runs: Callable[[float], str] = lambda memory_gb: ""


def pose_need(name: str) -> Need:
    """Multi-HMR, in float32."""
    weights = 4 * count(name) / GB
    return _network(weights, POSE_GB, main_gb=2 * weights)  # the file, and the net it goes into


def coarse_need(*names: str) -> Need:
    """LHM with its two encoders, all on the GPU at once: bfloat16 where float32 does not fit.

    Args:
        names: of the set; the first one is LHM itself.
    """
    least, full = (_lhm(names, bytes_each=size) for size in (2, 4))

    def runs(memory_gb: float) -> str:
        if memory_gb >= full.gpu_gb:
            return f"in float32, {full.gpu_gb:.1f} GB"
        return f"in bfloat16; float32 needs {full.gpu_gb:.1f} GB"

    return replace(least, runs=runs)


def lhm_dtype(names: Iterable[str], memory_gb: float) -> torch.dtype:
    """float32, as LHM's authors run it, where it fits; else bfloat16.

    Args:
        names: of the set; the first one is LHM itself.
        memory_gb: of the GPU that is free.
    """
    fits = memory_gb >= _lhm(tuple(names), bytes_each=4).gpu_gb
    return torch.float32 if fits else torch.bfloat16


def _lhm(names: tuple[str, ...], *, bytes_each: int) -> Need:
    numbers = count(names[0], skip=LHM_UNUSED) + count("sapiens-1b")
    num_points = 20_000 if names[0] == "lhm-mini" else 40_000
    activations = num_points * LHM_BYTES_PER_POINT * bytes_each / 4 / GB
    # the files are read in their own float32 and stay in main memory until the last one is moved
    return _network(bytes_each * numbers / GB, activations, main_gb=4 * numbers / GB)


def prior_need(name: str) -> Need:
    """Wan2.1 for the default clip, as `prior.wan.memory` plans it."""
    transformer, clip = wan_config(name), LatentGrid(NUM_VIEWS, *CLIP_SIZE, close_loop=True).padded
    weights = 2 * max(TEXT_PARAMETERS, transformer_parameters(transformer)) / GB
    says = f"leanest plan for {NUM_VIEWS} views of {CLIP_SIZE[0]} x {CLIP_SIZE[1]}"

    def runs(memory_gb: float) -> str:
        return str(choose_plan(memory_gb, transformer, clip))

    return Need(least_gb(transformer, clip), weights, says, runs)


def wan_config(name: str) -> Mapping:
    """Configuration of a Wan transformer: of its folder, else of the published network."""
    located = locate(WEIGHTS[name])
    path = located.folder / "transformer/config.json" if located.complete else None
    if path and path.is_file():
        return json.loads(path.read_text())
    return next(model.transformer for model in MODELS.values() if model.weight.name == name)


def image_need(name: str) -> Need:
    """A text-to-image pipeline in bfloat16, of which one part at a time is on the GPU."""
    parts = count_parts(name)
    published = IMAGE_NUMBERS[name]
    largest, everything = (max(parts.values()), sum(parts.values())) if parts else published
    return _network(2 * largest / GB, IMAGE_GB, main_gb=2 * everything / GB)


def prompt_need(name: str) -> Need:
    """A chat model in bfloat16; its layers are spread over GPU and main memory."""
    weights = 2 * count(name) / GB
    return Need(0, weights, f"weights {weights:.1f} GB, on GPU and in main memory together")


def _network(weights_gb: float, activations_gb: float, *, main_gb: float) -> Need:
    """Weights and activations that are on the GPU together."""
    gpu_gb = weights_gb + SLACK * activations_gb + RESERVED_GB
    says = f"weights {weights_gb:.1f}, activations {SLACK * activations_gb:.1f}, CUDA {RESERVED_GB}"
    return Need(gpu_gb, main_gb, says)


def stage_need(stage: str, names: tuple[str, ...]) -> Need | None:
    """What a stage needs with a set of weights; None for a stage without a network.

    Args:
        stage: pose, coarse, prior, rasteriser, prompts or images.
        names: of its weights, as `weights.sets.pick` returns them.
    """
    rules = {
        "pose": pose_need,
        "coarse": coarse_need,
        "prior": prior_need,
        "prompts": prompt_need,
        "images": image_need,
        "rasteriser": lambda: Need(RASTERISER_GB, 0, "estimate"),
    }
    return rules[stage](*names) if stage in rules else None
