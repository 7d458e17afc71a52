"""What Wan2.1 takes of a GPU, and the fastest way to run it on the GPU that is there.

Three stages never overlap: the text encoder (embedded once, freed), the transformer, the VAE. The
estimates of activations are formulas whose constants were measured with `peak_bytes` on fake
tensors of the real sizes; `tests/test_wan.py` measures them again.
"""

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from toolkit.errors import MissingCapabilityError, fail
from toolkit.prior.wan.encoders import TEXT_TOKENS
from toolkit.prior.wan.files import UMT5_XXL
from toolkit.prior.wan.grid import latent_shape

GB = 1e9
PRESETS_GB = (8, 16, 24, 48, 80)  # usual cards
RESERVED_GB = 0.8  # CUDA context and kernels
SLACK = 1.2  # fragmentation and workspaces of cuDNN; a guess on the safe side
VAE_PARAMETERS = 0.127e9
TEXT_PARAMETERS = 5.68e9
TILE_PX = 256  # side of a VAE tile, diffusers' default
DECODE_BYTES_A_PIXEL = 19_800  # float32, whatever the number of frames: the VAE works in groups


@dataclass(frozen=True)
class Plan:
    """How a checkpoint runs on a GPU.

    Attributes:
        transformer: "resident" (stays on the GPU), "swapped" (leaves while the VAE works) or
            "streamed" (one block at a time is fetched from main memory).
        tiled_vae: the VAE works on 256-pixel tiles; seams are blended, values change slightly.
        text_on_gpu: whether UMT5 embeds there or on the CPU (a minute, once).
        memory_gb: of the GPU (10^9 bytes).
        peak_gb: estimate of the largest stage.
        stages_gb: estimate of each stage.
    """

    transformer: str
    tiled_vae: bool
    text_on_gpu: bool
    memory_gb: float
    peak_gb: float
    stages_gb: tuple[float, float, float]

    def __str__(self) -> str:
        text, denoise, decode = self.stages_gb
        how = f"transformer {self.transformer}, VAE {'tiled' if self.tiled_vae else 'whole'}"
        if self.memory_gb == float("inf"):
            return how
        return (
            f"{how}, text encoder on the {'GPU' if self.text_on_gpu else 'CPU'}; "
            f"estimated peak {self.peak_gb:.1f} of {self.memory_gb:.1f} GB (text {text:.1f}, "
            f"denoise {denoise:.1f}, VAE {decode:.1f})"
        )


# Fastest first; the first one that fits is taken.
LADDER = [
    ("resident", False),
    ("resident", True),
    ("swapped", False),
    ("swapped", True),
    ("streamed", True),
]


def choose_plan(
    memory_gb: float,
    transformer: Mapping,
    clip: tuple[int, int, int],
    *,
    dtype: torch.dtype = torch.bfloat16,
) -> Plan:
    """The fastest plan whose estimate fits.

    Args:
        memory_gb: of the GPU that is free, 10^9 bytes.
        transformer: its configuration, as in `wan_files.MODELS` or a config.json.
        clip: frames (4k + 1), height and width in pixels (multiples of 16).
        dtype: of transformer and text encoder.

    Raises:
        MissingCapabilityError: even the leanest plan does not fit.
    """
    text_gb = TEXT_PARAMETERS * dtype.itemsize / GB * 1.05 + RESERVED_GB
    text_on_gpu = text_gb <= memory_gb
    for where, tiled in LADDER:
        denoise, vae = stage_gb(transformer, clip, where=where, tiled=tiled, dtype=dtype)
        if max(denoise, vae) <= memory_gb:
            stages = (text_gb if text_on_gpu else 0.0, denoise, vae)
            return Plan(where, tiled, text_on_gpu, memory_gb, max(stages), stages)
    fail(
        "GPU memory",
        got=f"{memory_gb:.1f} GB for a clip of {clip}",
        wanted=f"{max(denoise, vae):.1f} GB or more",
        kind=MissingCapabilityError,
        fix="Use t2v-1.3b, fewer views or smaller pictures.",
    )


def stage_gb(
    transformer: Mapping,
    clip: tuple[int, int, int],
    *,
    where: str,
    tiled: bool,
    dtype: torch.dtype = torch.bfloat16,
) -> tuple[float, float]:
    """GPU memory (10^9 bytes) while the transformer denoises, and while the VAE works."""
    t, h, w = latent_shape(*clip)
    parameters, blocks = transformer_parameters(transformer), transformer["num_layers"]
    weights = parameters * dtype.itemsize / GB
    on_gpu = {"resident": weights, "swapped": weights, "streamed": 3 * weights / blocks}[
        where
    ]  # at work, arriving, leaving
    active = SLACK * activation_bytes(transformer, t * h * w // 4, dtype) / GB
    vae_weights = 4 * VAE_PARAMETERS / GB
    pixels = clip[1] * clip[2]
    at_work = min(pixels, TILE_PX**2) if tiled else pixels
    frames = 2 * clip[0] * pixels * 3 * 4  # the clip, and once more while it is put together
    vae = vae_weights + (SLACK * DECODE_BYTES_A_PIXEL * at_work + frames) / GB
    beside = vae_weights if where != "swapped" else 0.0
    waiting = {"resident": weights, "swapped": 0.0, "streamed": 0.0}[where]
    return on_gpu + active + beside + RESERVED_GB, vae + waiting + RESERVED_GB


def activation_bytes(transformer: Mapping, num_tokens: int, dtype: torch.dtype) -> int:
    """Peak of the transformer's activations without gradients; attention's square is never held."""
    dim = transformer["num_attention_heads"] * transformer["attention_head_dim"]
    return (num_tokens + TEXT_TOKENS) * dtype.itemsize * (2 * transformer["ffn_dim"] + 6 * dim)


def transformer_parameters(transformer: Mapping) -> int:
    """Number of weights of a WanTransformer3DModel, by hand; the tests count the real class."""
    c = transformer
    d = c["num_attention_heads"] * c["attention_head_dim"]
    linear = lambda n, m: n * m + m  # noqa: E731
    attention = 4 * linear(d, d) + 2 * d
    image = c.get("added_kv_proj_dim")
    block = (
        2 * attention
        + (2 * linear(image, d) + d if image else 0)
        + linear(d, c["ffn_dim"])
        + linear(c["ffn_dim"], d)
        + 2 * d
        + 6 * d
    )
    embed = (
        linear(c["in_channels"] * 4, d)
        + linear(c["freq_dim"], d)
        + linear(d, d)
        + linear(d, 6 * d)
        + linear(c["text_dim"], d)
        + linear(d, d)
    )
    if e := c.get("image_dim"):
        embed += 2 * e + linear(e, e) + linear(e, d) + 2 * d
    return c["num_layers"] * block + embed + linear(d, c["out_channels"] * 4) + 2 * d


def gpu_memory_gb(device: str) -> float:
    """Free memory (10^9 bytes) of a CUDA device; elsewhere nothing is short of it."""
    if not device.startswith("cuda"):
        return float("inf")
    return torch.cuda.mem_get_info(torch.device(device))[0] / GB


def meta_models(transformer: Mapping, *, layers: int | None = None) -> dict[str, nn.Module]:
    """The real classes at published size on the meta device: shapes without memory or weights.

    Args:
        transformer: a configuration of `wan_files.MODELS`.
        layers: fewer transformer blocks than published.
    """
    from diffusers import AutoencoderKLWan, WanTransformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel

    config = dict(transformer) | ({"num_layers": layers} if layers else {})
    with torch.device("meta"):
        return {
            "transformer": WanTransformer3DModel(**config).eval(),
            "VAE": AutoencoderKLWan().eval(),
            "text encoder": UMT5EncoderModel(UMT5Config(**UMT5_XXL)).eval(),
        }


class _Ledger(TorchDispatchMode):
    """Adds up the storages that operators make, and takes off those that are freed."""

    def __init__(self, known: nn.Module):
        super().__init__()
        self.live = self.peak = 0
        weights = [*known.parameters(), *known.buffers()]
        self.sizes = {t.untyped_storage()._cdata: 0 for t in weights}  # not counted

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.sizes:
                    self.sizes[storage._cdata] = storage.nbytes()
                    self.live += storage.nbytes()
                    self.peak = max(self.peak, self.live)
                    weakref.finalize(storage, self._free, storage._cdata)
        return out

    def _free(self, key: int) -> None:
        self.live -= self.sizes.pop(key)


def peak_bytes(
    make: Callable[[], nn.Module],
    call: Callable[[nn.Module], Any],
    dtype: torch.dtype = torch.float32,
) -> int:
    """Most bytes of activations alive at once while `call(make())` runs, on fake tensors.

    Costs neither memory nor arithmetic, so it also works at the real size. Kernels' own workspaces
    are not seen.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    before = torch.get_default_dtype()
    with FakeTensorMode(), torch.no_grad():
        try:
            torch.set_default_dtype(dtype)
            model = make().eval()
        finally:
            torch.set_default_dtype(before)
        with _Ledger(model) as ledger:
            call(model)
    return ledger.peak
