"""How much GPU memory Wan2.1 needs, and the fastest way to run it on the GPU that is there.

Three phases never overlap: the text encoder (embeds once, is freed), the transformer, the VAE. The
estimates of activations are formulas whose constants were measured with `fake_tensors.peak_bytes`
on models of the real size; `tests/test_wan.py` measures them again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from toolkit.errors import MissingCapabilityError, fail
from toolkit.prior.wan.encoders import TEXT_TOKENS
from toolkit.prior.wan.grid import latent_shape

GB = 1e9
PRESETS_GB = (8, 16, 24, 48, 80)  # usual cards
RESERVED_GB = 0.8  # CUDA context and kernels
SLACK = 1.2  # fragmentation and workspaces of cuDNN; a guess on the safe side
VAE_PARAMETERS = 0.127e9
TEXT_PARAMETERS = 5.68e9
TILE_PX = 256  # side of a VAE tile, diffusers' default
DECODE_BYTES_PER_PIXEL = 19_800  # float32, for any number of frames: the VAE decodes them in groups


@dataclass(frozen=True)
class Plan:
    """How a checkpoint runs on a GPU.

    Attributes:
        transformer: "resident" (stays on the GPU), "swapped" (leaves while the VAE works) or
            "streamed" (one block at a time is fetched from main memory).
        tiled_vae: the VAE works on 256-pixel tiles; seams are blended, values change slightly.
        text_on_gpu: whether UMT5 embeds there or on the CPU (a minute, once).
        memory_gb: of the GPU (10^9 bytes).
        peak_gb: estimate for the phase that needs most.
        phases_gb: estimates for text encoder (0 on the CPU), transformer and VAE.
    """

    transformer: str
    tiled_vae: bool
    text_on_gpu: bool
    memory_gb: float
    peak_gb: float
    phases_gb: tuple[float, float, float]

    def __str__(self) -> str:
        text, denoise, decode = self.phases_gb
        how = f"transformer {self.transformer}, VAE {'tiled' if self.tiled_vae else 'whole'}"
        if self.memory_gb == float("inf"):
            return how
        return (
            f"{how}, text encoder on the {'GPU' if self.text_on_gpu else 'CPU'}; "
            f"estimated peak {self.peak_gb:.1f} of {self.memory_gb:.1f} GB (text {text:.1f}, "
            f"denoise {denoise:.1f}, VAE {decode:.1f})"
        )


# (transformer, tiled_vae) of every plan, the fastest first; the first one that fits is taken.
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
        transformer: its configuration, as in `published.MODELS` or a config.json.
        clip: frames (4k + 1), height and width in pixels (multiples of 16).
        dtype: of transformer and text encoder.

    Raises:
        MissingCapabilityError: even the leanest plan does not fit.
    """
    # The text encoder has no plan of its own: it fits, or it runs on the CPU. 5 % for activations.
    text_gb = TEXT_PARAMETERS * dtype.itemsize / GB * 1.05 + RESERVED_GB
    text_on_gpu = text_gb <= memory_gb
    for where, tiled in LADDER:
        denoise, vae = phase_gb(transformer, clip, where=where, tiled=tiled, dtype=dtype)
        if max(denoise, vae) <= memory_gb:
            phases = (text_gb if text_on_gpu else 0.0, denoise, vae)
            return Plan(where, tiled, text_on_gpu, memory_gb, max(phases), phases)
    fail(
        "GPU memory",
        got=f"{memory_gb:.1f} GB for a clip of {clip}",
        wanted=f"{least_gb(transformer, clip, dtype=dtype):.1f} GB or more",
        kind=MissingCapabilityError,
        fix="Use t2v-1.3b, fewer views or smaller pictures.",
    )


def least_gb(
    transformer: Mapping, clip: tuple[int, int, int], *, dtype: torch.dtype = torch.bfloat16
) -> float:
    """GPU memory (10^9 bytes) of the leanest plan; with less, `choose_plan` refuses.

    Args:
        transformer: its configuration.
        clip: frames, height and width in pixels.
        dtype: of the transformer.
    """
    return min(
        max(phase_gb(transformer, clip, where=where, tiled=tiled, dtype=dtype))
        for where, tiled in LADDER
    )


def phase_gb(
    transformer: Mapping,
    clip: tuple[int, int, int],
    *,
    where: str,
    tiled: bool,
    dtype: torch.dtype = torch.bfloat16,
) -> tuple[float, float]:
    """GPU memory (10^9 bytes) while the transformer denoises, and while the VAE works.

    Args:
        transformer: its configuration.
        clip: frames, height and width in pixels.
        where: `Plan.transformer`.
        tiled: `Plan.tiled_vae`.
        dtype: of the transformer; the VAE always is float32, 4 bytes per value.
    """
    t, h, w = latent_shape(*clip)
    num_tokens = t * h * w // 4  # one token per 2 x 2 latents
    parameters, blocks = transformer_parameters(transformer), transformer["num_layers"]
    weights = parameters * dtype.itemsize / GB
    on_gpu = {
        "resident": weights,
        "swapped": weights,
        "streamed": 3 * weights / blocks,  # one block at work, one arriving, one leaving
    }[where]
    active = SLACK * activation_bytes(transformer, num_tokens, dtype) / GB
    vae_weights = 4 * VAE_PARAMETERS / GB
    pixels = clip[1] * clip[2]
    pixels_at_once = min(pixels, TILE_PX**2) if tiled else pixels
    frames = 2 * clip[0] * pixels * 3 * 4  # the clip, and once more while it is put together
    vae = vae_weights + (SLACK * DECODE_BYTES_PER_PIXEL * pixels_at_once + frames) / GB
    # What lies on the GPU beside the part that works:
    idle_vae = vae_weights if where != "swapped" else 0.0
    idle_transformer = {"resident": weights, "swapped": 0.0, "streamed": 0.0}[where]
    return on_gpu + active + idle_vae + RESERVED_GB, vae + idle_transformer + RESERVED_GB


def activation_bytes(transformer: Mapping, num_tokens: int, dtype: torch.dtype) -> int:
    """Peak of the transformer's activations without gradients.

    Per token, two vectors of the feed-forward layer (before and after its activation function) and
    six of the model's width are alive at once. Attention's matrix of tokens by tokens is never held
    as a whole: torch's kernels work through it in blocks.

    Args:
        transformer: its configuration.
        num_tokens: of the clip.
        dtype: of the activations.
    """
    dim = transformer["num_attention_heads"] * transformer["attention_head_dim"]
    return (num_tokens + TEXT_TOKENS) * dtype.itemsize * (2 * transformer["ffn_dim"] + 6 * dim)


def transformer_parameters(transformer: Mapping) -> int:
    """Number of weights of a WanTransformer3DModel, by formula; the tests count the real class.

    Args:
        transformer: its configuration.
    """
    c = transformer
    d = c["num_attention_heads"] * c["attention_head_dim"]
    image = c.get("added_kv_proj_dim")  # I2V only: keys and values of the picture's tokens

    def linear(n: int, m: int) -> int:
        return n * m + m  # matrix and bias

    attention = 4 * linear(d, d) + 2 * d  # query, key, value, output; norms of query and key
    block = (
        2 * attention  # among the tokens, and from the tokens to the text
        + (2 * linear(image, d) + d if image else 0)
        + linear(d, c["ffn_dim"])
        + linear(c["ffn_dim"], d)
        + 2 * d  # norm before the attention to the text
        + 6 * d  # shift, scale and gate, once for attention and once for the feed-forward layer
    )
    embed = (
        linear(c["in_channels"] * 4, d)  # a patch of 2 x 2 latents
        + linear(c["freq_dim"], d)  # time: two layers, then six modulation vectors
        + linear(d, d)
        + linear(d, 6 * d)
        + linear(c["text_dim"], d)  # text: two layers
        + linear(d, d)
    )
    if e := c.get("image_dim"):
        embed += 2 * e + linear(e, e) + linear(e, d) + 2 * d
    return c["num_layers"] * block + embed + linear(d, c["out_channels"] * 4) + 2 * d


def gpu_memory_gb(device: str) -> float:
    """Free memory (10^9 bytes) of a CUDA device; infinite elsewhere, where we do not plan."""
    if not device.startswith("cuda"):
        return float("inf")
    return torch.cuda.mem_get_info(torch.device(device))[0] / GB
