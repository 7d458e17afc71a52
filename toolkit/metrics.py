"""How far two pictures are apart: masked L1, PSNR and SSIM, for the loss and for every report."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, pad

from toolkit.errors import fail

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # of Wang et al. 2004, for values in [0, 1]


def _gaussian_window(size: int, sigma_px: float) -> Float[Tensor, " S"]:
    x = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    window = torch.exp(-0.5 * (x / sigma_px) ** 2)
    return window / window.sum()


def _smooth(images: Float[Tensor, "B 1 H W"], window: Float[Tensor, " S"]) -> Tensor:
    """Separable filter; the border is continued by its own values so that the size stays."""
    radius = len(window) // 2
    images = pad(images, (radius,) * 4, mode="replicate")
    return conv2d(conv2d(images, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))


def ssim_map(first: Float[Tensor, "C H W D"], second: Float[Tensor, "C H W D"], *,
             window_size: int = 11, sigma_px: float = 1.5) -> Float[Tensor, "C H W"]:
    """Structural similarity at every pixel, mean over the channels, in [-1, 1]; 1 is equal.

    Source: Wang et al. 2004, eq. 13, Gaussian window.
    """
    if first.shape != second.shape:
        fail("SSIM", got=f"{tuple(first.shape)} and {tuple(second.shape)}",
             wanted="two stacks of one size", fix="Resize one of them.")
    c, h, w, d = first.shape
    x, y = (image.permute(0, 3, 1, 2).reshape(c * d, 1, h, w) for image in (first, second))
    window = _gaussian_window(window_size, sigma_px).to(x)
    stacked = _smooth(torch.cat([x, y, x * x, y * y, x * y]), window)
    mx, my, mxx, myy, mxy = stacked.split(c * d)
    covariance = mxy - mx * my
    variances = mxx - mx * mx + myy - my * my
    ssim = ((2 * mx * my + SSIM_C1) * (2 * covariance + SSIM_C2)
            / ((mx * mx + my * my + SSIM_C1) * (variances + SSIM_C2)))
    return ssim.view(c, d, h, w).mean(1)


def _weights(mask, like: Tensor) -> Float[Tensor, "C H W"]:
    if mask is None:
        return torch.ones(like.shape[:3]).to(like)
    mask = mask[..., 0] if mask.ndim == like.ndim else mask
    if mask.shape != like.shape[:3]:
        fail("mask", got=tuple(mask.shape), wanted=tuple(like.shape[:3]),
             fix="Give one mask value a pixel.")
    return mask.to(like)


def masked_l1(first: Float[Tensor, "C H W D"], second: Float[Tensor, "C H W D"],
              mask: Tensor | None = None) -> Float[Tensor, " C"]:
    """Mean absolute difference of each picture, weighted by `mask` ((C,H,W) or (C,H,W,1))."""
    weights = _weights(mask, first)
    error = (first - second).abs().mean(-1)
    return (weights * error).sum((1, 2)) / weights.sum((1, 2)).clamp_min(1e-8)


def masked_psnr(first: Float[Tensor, "C H W D"], second: Float[Tensor, "C H W D"],
                mask: Tensor | None = None) -> Float[Tensor, " C"]:
    """Peak signal-to-noise ratio of each picture inside `mask`, dB; capped at 100."""
    weights = _weights(mask, first)
    error = (first - second).square().mean(-1)
    mse = (weights * error).sum((1, 2)) / weights.sum((1, 2)).clamp_min(1e-8)
    return -10 * mse.clamp_min(1e-10).log10()


def masked_ssim(first: Float[Tensor, "C H W D"], second: Float[Tensor, "C H W D"],
                mask: Tensor | None = None) -> Float[Tensor, " C"]:
    """Mean SSIM of each picture over the pixels of `mask` (their windows may look outside it)."""
    weights = _weights(mask, first)
    similarity = ssim_map(first, second)
    return (weights * similarity).sum((1, 2)) / weights.sum((1, 2)).clamp_min(1e-8)
