"""Shift and guidance that Wan2.1's authors advise for each network: one table, with its source.

The scheduler's file in diffusers' folders says shift 3 for every size, which is diffusers' default
and not advice: the authors' code and README ask for more, and for more guidance with the small one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.prior.wan.published import MODELS


@dataclass(frozen=True)
class Advice:
    """How a network wants to be sampled at 480p.

    Attributes:
        shift: of the noise levels, see `prior.sdedit.shift_sigma`.
        guidance_scale: of classifier-free guidance.
        source: who says so.
    """

    shift: float
    guidance_scale: float
    source: str

    def __str__(self) -> str:
        return f"shift {self.shift:g}, guidance {self.guidance_scale:g} ({self.source})"


CODE = "defaults of generate.py in github.com/Wan-Video/Wan2.1"
ADVICE = {
    "t2v-1.3b": Advice(
        8.0, 6.0, "README of github.com/Wan-Video/Wan2.1: guidance 6, shift 8 to 12 for T2V-1.3B"
    ),
    "t2v-14b": Advice(5.0, 5.0, CODE),
    "i2v-14b-480p": Advice(3.0, 5.0, f"{CODE} for I2V at 832 x 480"),
}
SIZES = ("num_layers", "num_attention_heads", "in_channels")  # tell the published networks apart


def advice_for(transformer: Mapping, file_shift: float) -> Advice:
    """The authors' advice for a network of this size, fine-tuned or not.

    Args:
        transformer: its configuration.
        file_shift: what the scheduler's file says; taken for a network of no published size.
    """
    for name, model in MODELS.items():
        if all(transformer.get(key) == model.transformer[key] for key in SIZES):
            return ADVICE[name]
    return Advice(file_shift, 5.0, "scheduler_config.json; not a published size of Wan2.1")
