"""Carried detail: the fine detail of the front, carried through the body to what nobody saw.

Checks, stripes and quilting run on around the body; a logo, a neckline and a zip do not. What
tells them apart is whether a patch *recurs*: a pattern looks the same some centimetres away, and it
does so in every direction. An edge, such as that of an open coat, looks the same only along itself.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.prior.patches.denoiser import PATCH, offsets
from toolkit.prior.patches.detail import DetailMaps, Seen
from toolkit.prior.patches.windows import shifted, window_sum

NEAREST_PX, FURTHEST_PX = 6, 14  # where a patch is looked for again: 4 to 9 cm away
SECTORS = 4  # directions, 45 degrees each; one and its opposite are the same
GAIN = 1.3
SAME_CLOTH = 0.3  # log colour: patches whose surroundings differ by more are of another garment


def recurrence(seen: Seen) -> Float[Tensor, "H W"]:
    """How far each seen patch is part of a pattern, in [0, 1].

    In each of four directions the patch most like it is looked for, at least 6 px away. The share
    of its energy that this patch explains is high for a pattern. The second worst direction counts,
    so that a single edge, which recurs in one direction, or two at most, scores low.

    Source: ours.
    """
    reach = FURTHEST_PX
    detail, limb = (F.pad(v, (reach,) * 4, value=n) for v, n in ((seen.detail, 0), (seen.limb, -1)))
    nearest = torch.full((SECTORS, *seen.limb.shape), torch.inf)
    for y, x in offsets(reach).tolist():
        if y * y + x * x < NEAREST_PX**2:
            continue
        sector = round(math.atan2(y, x) / math.pi * SECTORS) % SECTORS
        same = shifted(limb, reach, (y, x)) == seen.limb
        other = shifted(detail, reach, (y, x))
        distance = window_sum((seen.detail - other).square().sum(0), PATCH).masked_fill(
            ~same, torch.inf
        )
        nearest[sector] = torch.minimum(nearest[sector], distance)
    energy = window_sum(seen.detail.square().sum(0), PATCH) + 1
    explained = 1 - nearest.sort(0).values[-2] / energy
    return (GAIN * explained).clamp(0, 1) * (seen.limb >= 0)


def carried_detail(maps: DetailMaps) -> Float[Tensor, "3 2 H W"]:
    """Detail of the body maps, that of hidden pixels taken from what was seen at the same place.

    Where nothing was seen there, the mirror image is tried: the other sleeve. A pixel takes so much
    of it as recurs and as the cloth is the same; the rest is its own.
    """
    detail, missing = maps.detail, ~maps.seen
    recurs = recurrence(maps.source)
    for source, gate in ((maps.source, recurs), (maps.source.mirrored(), recurs.flip(-1))):
        differ = (maps.cloth - source.cloth[:, None]).square().sum(0)
        share = gate * torch.exp(-differ / (2 * SAME_CLOTH**2))
        there = (source.limb == maps.maps.limb) & missing
        detail = torch.where(there, torch.lerp(detail, source.detail[:, None], share), detail)
        missing = missing & ~there
    return detail
