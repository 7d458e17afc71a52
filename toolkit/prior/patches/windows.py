"""Sums over windows of body maps, for every pixel at once."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def shifted(padded: Float[Tensor, "*c Hp Wp"], radius: int, offset: tuple[int, int]) -> Tensor:
    """The values `offset` away from each pixel, of maps that were padded by `radius`."""
    (y, x), (height, width) = offset, padded.shape[-2:]
    return padded[..., radius + y : height - radius + y, radius + x : width - radius + x]


def window_sum(values: Float[Tensor, "*c H W"], side: int) -> Float[Tensor, "*c H W"]:
    """Sum over a square of `side` pixels, odd, around each; beyond the border there is nothing."""
    reach, (height, width) = side // 2, values.shape[-2:]
    padded = F.pad(values, (reach,) * 4)
    rows = sum(padded[..., i : i + height, :] for i in range(side))  # a square is a sum of sums
    return sum(rows[..., i : i + width] for i in range(side))


def masked_blur(
    values: Float[Tensor, "C 2 H W"], mask: Float[Tensor, "2 H W"], width: int = 9
) -> Float[Tensor, "C 2 H W"]:
    """Mean over a square, twice (nearly a Gaussian); pixels outside of the mask do not count."""
    for _ in range(2):
        share = window_sum(mask, width).clamp_min(1)  # inside, a pixel counts itself
        values = window_sum(values * mask, width) / share
    return values
