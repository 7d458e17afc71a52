"""How far two pictures are apart inside a mask: PSNR and SSIM, for every report.

scikit-image has both, but without masks and for one numpy picture at a time.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from toolkit.errors import fail
from toolkit.measure.ssim import ssim_map


def _weights(
    mask: Shaped[Tensor, "C H W *one"] | None, like: Float[Tensor, "C H W D"]
) -> Float[Tensor, "C H W"]:
    """The mask as one weight per pixel of `like`; ones if there is no mask."""
    if mask is None:
        return torch.ones(like.shape[:3]).to(like)
    mask = mask[..., 0] if mask.ndim == like.ndim else mask
    if mask.shape != like.shape[:3]:
        fail(
            "mask",
            got=tuple(mask.shape),
            wanted=tuple(like.shape[:3]),
            fix="Give one mask value per pixel.",
        )
    return mask.to(like)


def masked_psnr(
    first: Float[Tensor, "C H W D"],
    second: Float[Tensor, "C H W D"],
    mask: Shaped[Tensor, "C H W *one"] | None = None,
) -> Float[Tensor, " C"]:
    """Peak signal-to-noise ratio of each picture inside a mask, dB: 10 log10(1 / MSE), at most 100.

    Args:
        first, second: in [0, 1].
        mask: weight of each pixel; left out: all pixels count.
    """
    weights = _weights(mask, first)
    error = (first - second).square().mean(-1)
    mse = (weights * error).sum((1, 2)) / weights.sum((1, 2)).clamp_min(1e-8)
    return -10 * mse.clamp_min(1e-10).log10()


def masked_ssim(
    first: Float[Tensor, "C H W D"],
    second: Float[Tensor, "C H W D"],
    mask: Shaped[Tensor, "C H W *one"] | None = None,
) -> Float[Tensor, " C"]:
    """Mean SSIM of each picture over the pixels of a mask; 1 for equal pictures.

    The window around a pixel near the mask's edge also looks at pixels outside.

    Args:
        first, second: in [0, 1].
        mask: weight of each pixel; left out: all pixels count.
    """
    weights = _weights(mask, first)
    similarity = ssim_map(first, second)
    return (weights * similarity).sum((1, 2)) / weights.sum((1, 2)).clamp_min(1e-8)
