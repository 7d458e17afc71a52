"""SSIM as a map over the picture, for the refit's loss and for every report.

Structural similarity compares two pictures x and y in a small window around each pixel. Do they
agree in brightness (the means m), in contrast (the variances v), in structure (the covariance c)?

    SSIM = (2 mx my + C1) (2 cxy + C2) / ((mx^2 + my^2 + C1) (vx + vy + C2))

On the CPU compiled loops compute it (`ssim_kernels`), elsewhere matrix products.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail
from toolkit.measure.ssim_window import SSIM_C1, SSIM_C2, window_weights


def _smoothing(num: int, sigma_px: float, stride: int, like: Tensor) -> Float[Tensor, "l L"]:
    """`window_weights` as a matrix that filters a line of L pixels into l values."""
    weights = window_weights(num, sigma_px, stride).T
    reach = weights.shape[1] // 2
    matrix = np.zeros((len(weights), num + 2 * reach), np.float32)
    for row, window in enumerate(weights):  # each row holds one window at its place: a band
        matrix[row, row * stride : row * stride + 2 * reach + 1] = window
    return torch.from_numpy(matrix[:, reach : reach + num]).to(like)


def ssim_map(
    first: Float[Tensor, "C H W D"],
    second: Float[Tensor, "C H W D"],
    *,
    sigma_px: float = 1.5,
    stride: int = 1,
) -> Float[Tensor, "C h w"]:
    """Structural similarity around each pixel, mean over the channels, in [-1, 1]; 1 is equal.

    Differentiable in both stacks; on the CPU it is faster if only `first` needs a gradient.

    Args:
        first, second: in [0, 1].
        sigma_px: standard deviation of the Gaussian window.
        stride: 2 looks only around every second row and column, at a third of the cost.

    Raises:
        InputError: the sizes differ.

    Source: Wang et al. 2004, Eq. 13, Gaussian window of 11 px.
    """
    if first.shape != second.shape:
        fail(
            "SSIM",
            got=f"{tuple(first.shape)} and {tuple(second.shape)}",
            wanted="two stacks of one size",
            fix="Resize one of them.",
        )
    if (
        first.device.type == "cpu"
        and first.dtype == second.dtype == torch.float32
        and not second.requires_grad
    ):
        from toolkit.measure.ssim_kernels import CompiledSsim  # numba takes half a second to load

        return CompiledSsim.apply(first, second, sigma_px, stride).mean(-1)
    return _ssim_by_matrices(first, second, sigma_px, stride)


def _ssim_by_matrices(
    first: Float[Tensor, "C H W D"], second: Float[Tensor, "C H W D"], sigma_px: float, stride: int
) -> Float[Tensor, "C h w"]:
    """SSIM on any device: two matrix products filter faster than a one-channel convolution."""
    c, h, w, d = first.shape
    x, y = (image.permute(0, 3, 1, 2).reshape(c * d, h, w) for image in (first, second))
    down, across = (_smoothing(num, sigma_px, stride, x) for num in (h, w))
    # the five moments as one stack, 5 C D pictures of (H,W), filtered across and then down
    stacked = down @ (torch.cat([x, y, x * x, y * y, x * y]) @ across.mT)
    mx, my, mxx, myy, mxy = stacked.split(c * d)
    # covariance and variance: mean of products less product of means; the variances enter as a sum
    covariance = mxy - mx * my
    variances = mxx - mx * mx + myy - my * my
    ssim = (
        (2 * mx * my + SSIM_C1)
        * (2 * covariance + SSIM_C2)
        / ((mx * mx + my * my + SSIM_C1) * (variances + SSIM_C2))
    )
    return ssim.view(c, d, *ssim.shape[1:]).mean(1)
