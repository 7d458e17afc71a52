"""The constants and the Gaussian window of SSIM, for both of its implementations."""

import numpy as np
from jaxtyping import Float

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
