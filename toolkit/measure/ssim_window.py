"""The constants and the Gaussian window of SSIM, shared by its two implementations."""

import numpy as np
from jaxtyping import Float

# They keep the fractions finite where a window is black or flat; from Wang et al. 2004, for [0, 1].
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


def window_weights(num: int, sigma_px: float, stride: int) -> Float[np.ndarray, "K l"]:
    """Weights of the Gaussian window around every `stride`-th pixel of a line.

    Args:
        num: pixels in the line.
        sigma_px: standard deviation; the window reaches 3.5 of them to either side, which makes
            K = 11 pixels for the usual 1.5.
        stride: 1 puts a window around each pixel, 2 around every second one.

    Returns:
        One column per window; columns sum to 1. Pixels beyond the border have weight 0, and the
        other weights of the window are larger instead.
    """
    reach = int(3.5 * sigma_px)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma_px) ** 2)
    # (l,K): number of the pixel under each weight of each window
    pixels = np.arange(0, num, stride)[:, None] + offsets
    weights = kernel * ((pixels >= 0) & (pixels < num))
    return np.ascontiguousarray((weights / weights.sum(1, keepdims=True)).T, np.float32)
