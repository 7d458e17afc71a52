"""The posterior mean under a data set of patches, written as the formula is: loops over exemplars.

    E[x0 | x] = sum_j w_j e_j,     w = softmax_j( log p_j - |x - (1-s) e_j|^2 / (2 v) )

Compiled by numba. Plain PyTorch would have to compare every pixel with every exemplar in full; here
a comparison ends as soon as the exemplar cannot count any more.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numba import njit
from torch import Tensor

from toolkit.prior.patches.detail import DetailMaps, Seen

PATCH = 7  # pixels along a side; 4.5 cm of the body
NO_MATTER = 25.0  # an exemplar whose weight is below exp(-25) of the best one's is passed over


@dataclass(frozen=True)
class PatchConfig:
    """Which patches are the data of a pixel, and how they are weighted."""

    radius: int = 10  # px; exemplars lie so near the pixel, or its mirror image
    distance: float = 4.0  # px; standard deviation of the prior on this distance
    cloth: float = 0.15  # log colour; the same for the difference of the cloths
    spread: float = 0.05  # each exemplar stands for a small Gaussian around it; 0: itself only


def coarseness(sigma: float) -> int:
    """Spacing of a patch's pixels, and of the exemplars: first the layout, then the threads."""
    return 3 if sigma > 0.8 else 2 if sigma > 0.5 else 1


def offsets(radius: int, step: int = 1) -> Int[np.ndarray, "K 2"]:
    """All (rows, columns) within a disc, or every `step`-th of both; the nearest first."""
    reach = np.arange(-(radius // step) * step, radius + 1, step)
    every = np.stack(np.meshgrid(reach, reach, indexing="ij"), -1).reshape(-1, 2)
    length = (every**2).sum(1)
    return every[np.argsort(length, kind="stable")][: (length <= radius**2).sum()]


def ideal_denoiser(
    x: Float[Tensor, "B 3 S H W"],
    sigma: float,
    maps: DetailMaps,
    sources: tuple[Seen, ...],
    config: PatchConfig,
) -> Float[Tensor, "B 3 S H W"]:
    """The formula above for every hidden pixel of the body; NaN elsewhere.

    Only the pixels of the body count in |x - (1-s) e|^2. With `spread` tau each exemplar is a
    Gaussian N(e, tau^2). Then v = (1-s)^2 tau^2 + s^2, and the mean moves from e towards x, as it
    does under `GaussianPrior`, by (1-s) tau^2 / v of x - (1-s) e.

    Args:
        x: noisy detail.
        sigma: noise level, in [0, 1].
        maps: of the person.
        sources: whose patches are the data.
        config: of the data set.

    Returns:
        Posterior means; NaN also where a pixel has no exemplar.

    Source: Niedoba et al. 2025 (2411.19339), patch posteriors; Kamb & Ganguli 2025 (2412.20292),
    the local score machine.
    """
    keep, step = 1 - sigma, coarseness(sigma)
    variance = max((keep * config.spread) ** 2 + sigma**2, 1e-8)
    pad = config.radius + step * (PATCH // 2)  # no index leaves the padded maps
    places = (maps.maps.inside & ~maps.seen).nonzero()
    data = [(_framed(s.detail, pad), _framed(s.cloth, pad), _labels(s.limb, pad)) for s in sources]
    mean = torch.full_like(x, torch.nan)
    for noisy, result in zip(x, mean, strict=True):
        found = _posterior_means(
            _framed(noisy, pad),
            _labels(maps.maps.limb, pad),
            _framed(maps.cloth, pad),
            (places + torch.tensor([0, pad, pad])).numpy(),
            *(np.stack(parts) for parts in zip(*data, strict=True)),
            offsets(config.radius, step),
            (step, np.float32(keep), 1 / (2 * variance), config.distance**-2, config.cloth**-2),
        )
        result[:, *places.T] = torch.from_numpy(found).T
    return mean + keep * config.spread**2 / variance * (x - keep * mean)


def _framed(maps: Float[Tensor, "3 *s H W"], pad: int) -> Float[np.ndarray, "*s Hp Wp 3"]:
    """Maps in a frame of zeros, channels last."""
    return F.pad(maps, (pad,) * 4).movedim(0, -1).contiguous().numpy()


def _labels(limb: Int[Tensor, "*s H W"], pad: int) -> Int[np.ndarray, "*s Hp Wp"]:
    """Limbs in a frame that belongs to none."""
    return F.pad(limb.to(torch.int8), (pad,) * 4, value=-1).numpy()


@njit(cache=True, fastmath={"contract", "reassoc"})
def _posterior_means(  # noqa: C901, PLR0913 - loops in loops, as the formula
    noisy: np.ndarray,  # (S,H,W,3)
    limb: np.ndarray,  # (S,H,W)
    cloth: np.ndarray,  # (S,H,W,3)
    places: np.ndarray,  # (P,3) side, row, column
    exemplars: np.ndarray,  # (M,H,W,3) of M sources, and their cloths and limbs
    their_cloth: np.ndarray,
    their_limb: np.ndarray,
    offsets: np.ndarray,  # (K,2)
    numbers: tuple,
) -> np.ndarray:
    step, keep, sharpness, by_distance, by_cloth = numbers
    means = np.full((len(places), 3), np.nan, np.float32)
    reach = PATCH // 2
    for p in range(len(places)):
        side, y, x = places[p]
        peak, total, summed = -np.inf, 0.0, np.zeros(3)
        for m in range(len(exemplars)):
            for o in range(len(offsets)):
                v, u = y + offsets[o, 0], x + offsets[o, 1]  # centre of the exemplar
                if their_limb[m, v, u] != limb[side, y, x]:
                    continue
                differ = np.float32(0)
                for c in range(3):
                    differ += (cloth[side, y, x, c] - their_cloth[m, v, u, c]) ** 2
                length = offsets[o, 0] ** 2 + offsets[o, 1] ** 2
                logit = -(length * by_distance + differ * by_cloth) / 2
                for a in range(-reach * step, reach * step + 1, step):
                    if logit < peak - NO_MATTER:
                        break
                    error = np.float32(0)
                    for b in range(-reach * step, reach * step + 1, step):
                        if limb[side, y + a, x + b] >= 0:
                            for c in range(3):
                                clean = keep * exemplars[m, v + a, u + b, c]
                                error += (noisy[side, y + a, x + b, c] - clean) ** 2
                    logit -= error * sharpness
                if logit < peak - NO_MATTER:
                    continue
                if logit > peak:  # a softmax in one pass: scale the sums down under a new peak
                    total *= np.exp(peak - logit)
                    summed *= np.exp(peak - logit)
                    peak = logit
                weight = np.exp(logit - peak)
                total += weight
                for c in range(3):
                    summed[c] += weight * exemplars[m, v, u, c]
        if total > 0:
            means[p] = summed / total
    return means
