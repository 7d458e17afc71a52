"""How far two pictures are apart inside a mask: PSNR and SSIM, for every report."""

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail
from toolkit.measure.ssim import ssim_map


def _weights(mask, like: Tensor) -> Float[Tensor, "C H W"]:
    if mask is None:
        return torch.ones(like.shape[:3]).to(like)
    mask = mask[..., 0] if mask.ndim == like.ndim else mask
    if mask.shape != like.shape[:3]:
        fail(
            "mask",
            got=tuple(mask.shape),
            wanted=tuple(like.shape[:3]),
            fix="Give one mask value a pixel.",
        )
    return mask.to(like)


def masked_psnr(
    first: Float[Tensor, "C H W D"], second: Float[Tensor, "C H W D"], mask: Tensor | None = None
) -> Float[Tensor, " C"]:
    """Peak signal-to-noise ratio of each picture inside `mask`, dB; capped at 100."""
    weights = _weights(mask, first)
    error = (first - second).square().mean(-1)
    mse = (weights * error).sum((1, 2)) / weights.sum((1, 2)).clamp_min(1e-8)
    return -10 * mse.clamp_min(1e-10).log10()


def masked_ssim(
    first: Float[Tensor, "C H W D"], second: Float[Tensor, "C H W D"], mask: Tensor | None = None
) -> Float[Tensor, " C"]:
    """Mean SSIM of each picture over the pixels of `mask` (their windows may look outside it)."""
    weights = _weights(mask, first)
    similarity = ssim_map(first, second)
    return (weights * similarity).sum((1, 2)) / weights.sum((1, 2)).clamp_min(1e-8)
