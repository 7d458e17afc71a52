"""Which Wan2.1 runs, with which prompt and where, and the conditions of its transformer."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.prior.sdedit import SDEditConfig

PROMPT = (
    "A full-body video of one person standing still in a relaxed pose while the camera "
    "circles around, plain white background, even studio light, sharp photographic detail."
)
NEGATIVE_PROMPT = (
    "blurry, low detail, cartoon, deformed hands, extra limbs, several people, "
    "walking, text, watermark, coloured background"
)


# The paper's strength and solver; 50 steps are the default of Wan's code for text to video. The
# shift is replaced by the one that suits the network, see `advice`.
OPERATING_POINT = SDEditConfig(strength=0.8, num_inference_steps=50, shift=3.0)


@dataclass(frozen=True)
class WanConfig:
    """Which Wan2.1 runs, with which prompts, where."""

    source: str | Path = "t2v-1.3b"  # a folder, a key of published.MODELS, or a hub id
    revision: str | None = None  # commit on the hub; None: the one this code was written against
    prompt: str = PROMPT  # ours; the paper does not print its own
    negative_prompt: str = NEGATIVE_PROMPT
    guidance_scale: float | None = None  # None: as `advice` says; 1 switches it off, half the time
    device: str = "cuda"
    dtype: torch.dtype = torch.bfloat16  # of transformer and text encoder; the VAE stays float32
    memory_gb: float | None = None  # of the GPU; None: what is free now
    clip: tuple[int, int, int] = (21, 832, 480)  # largest frames, height, width to plan for
    close_loop: bool = True  # end every clip on its first view again


@dataclass(frozen=True)
class WanCondition:
    """What the transformer is given at every step.

    Attributes:
        text: embedded prompt, zeros after its last token.
        negative: embedded negative prompt; None switches guidance off.
        guidance_scale: v = v_negative + g (v_text - v_negative).
        first_frame: I2V only: 4 mask channels and the 16 latents of a clip that is grey (zero)
            after its first frame.
        image: I2V only: CLIP's tokens of the first frame.
    """

    text: Float[Tensor, "1 L D"]
    negative: Float[Tensor, "1 L D"] | None = None
    guidance_scale: float = 5.0
    first_frame: Float[Tensor, "1 20 t h w"] | None = None
    image: Float[Tensor, "1 P E"] | None = None
