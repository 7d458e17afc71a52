"""How far two pictures are apart: masked L1, PSNR and SSIM, for the loss and for every report."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # of Wang et al. 2004, for values in [0, 1]


def window_weights(num: int, sigma_px: float, stride: int) -> Float[np.ndarray, "K l"]:
    """Gaussian window around every `stride`-th of `num` pixels; at the border it is renormalised.

    Its K pixels reach 3.5 sigma to either side: 11 of them for a sigma of 1.5.
    """
    reach = int(3.5 * sigma_px)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma_px) ** 2)
    pixels = np.arange(0, num, stride)[:, None] + offsets
    weights = kernel * ((pixels >= 0) & (pixels < num))
    return np.ascontiguousarray((weights / weights.sum(1, keepdims=True)).T, np.float32)


def _smoothing(num: int, sigma_px: float, stride: int, like: Tensor) -> Float[Tensor, "l L"]:
    """`window_weights` as a banded matrix."""
    weights = window_weights(num, sigma_px, stride).T
    reach = weights.shape[1] // 2
    matrix = np.zeros((len(weights), num + 2 * reach), np.float32)
    for row, window in enumerate(weights):
        matrix[row, row * stride:row * stride + 2 * reach + 1] = window
    return torch.from_numpy(matrix[:, reach:reach + num]).to(like)


def ssim_map(first: Float[Tensor, "C H W D"], second: Float[Tensor, "C H W D"], *,
             sigma_px: float = 1.5, stride: int = 1) -> Float[Tensor, "C h w"]:
    """Structural similarity at every pixel, mean over the channels, in [-1, 1]; 1 is equal.

    With `stride` 2 only every second row and column is looked at, at a third of the cost.
    Source: Wang et al. 2004, eq. 13, Gaussian window of 11 px.
    """
    if first.shape != second.shape:
        fail("SSIM", got=f"{tuple(first.shape)} and {tuple(second.shape)}",
             wanted="two stacks of one size", fix="Resize one of them.")
    if first.device.type == "cpu" and first.dtype == second.dtype == torch.float32 \
            and not second.requires_grad:
        from toolkit.windowed import WindowedSsim  # numba takes half a second to load

        return WindowedSsim.apply(first, second, sigma_px, stride).mean(-1)
    return _ssim_by_matrices(first, second, sigma_px, stride)


def _ssim_by_matrices(first: Float[Tensor, "C H W D"], second: Float[Tensor, "C H W D"],
                      sigma_px: float, stride: int) -> Float[Tensor, "C h w"]:
    """Anywhere torch runs: matrix products filter faster than one-channel convolutions."""
    c, h, w, d = first.shape
    x, y = (image.permute(0, 3, 1, 2).reshape(c * d, h, w) for image in (first, second))
    down, across = (_smoothing(num, sigma_px, stride, x) for num in (h, w))
    stacked = down @ (torch.cat([x, y, x * x, y * y, x * y]) @ across.mT)
    mx, my, mxx, myy, mxy = stacked.split(c * d)
    covariance = mxy - mx * my
    variances = mxx - mx * mx + myy - my * my
    ssim = ((2 * mx * my + SSIM_C1) * (2 * covariance + SSIM_C2)
            / ((mx * mx + my * my + SSIM_C1) * (variances + SSIM_C2)))
    return ssim.view(c, d, *ssim.shape[1:]).mean(1)


def _weights(mask, like: Tensor) -> Float[Tensor, "C H W"]:
    if mask is None:
        return torch.ones(like.shape[:3]).to(like)
    mask = mask[..., 0] if mask.ndim == like.ndim else mask
    if mask.shape != like.shape[:3]:
        fail("mask", got=tuple(mask.shape), wanted=tuple(like.shape[:3]),
             fix="Give one mask value a pixel.")
    return mask.to(like)


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
