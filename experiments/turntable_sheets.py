"""Pictures of the turntable prior: edited clips beside the truth, and people drawn from noise."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from toolkit.prior.sdedit import SDEditConfig, sdedit
from toolkit.prior.turntable.clips import ClipPair, to_pictures
from toolkit.prior.turntable.model import TurntablePrior

SHOWN_DEG = (90, 180)  # a row of side views and one of back views per person
# A prior whose clean estimates were trained as pictures wants few steps that renoise fully.
FROM_NOISE = SDEditConfig(strength=1.0, num_inference_steps=4, shift=3.0, sampler="full")
MARGIN_PX = (6, 8)  # white rows and columns that are cut off each picture


def comparison_sheet(
    pairs: list[ClipPair], clips: dict[str, list[Float[Tensor, "1 3 T H W"]]]
) -> UInt8[np.ndarray, "h w 3"]:
    """Truth, then every kind of clip; side and back of each person."""
    rows = []
    for index, pair in enumerate(pairs):
        for wanted in SHOWN_DEG:
            view = int((pair.azimuths_deg[0] - wanted).abs().argmin())
            row = [pair.truth] + [of_people[index] for of_people in clips.values()]
            rows.append(torch.cat([to_pictures(c[0])[view] for c in row], dim=1))
    return as_bytes(torch.cat(rows))


def sample_sheet(model: TurntablePrior, pairs: list[ClipPair]) -> UInt8[np.ndarray, "h w 3"]:
    """People drawn from pure noise given the front picture: that picture, then every other view.

    Two people per row.
    """
    rows, (top, left) = [], MARGIN_PX
    for pair in pairs:
        clip = sdedit(
            model.velocity,
            pair.coarse,
            pair.condition(repair=False),
            config=FROM_NOISE,
            generator=torch.Generator().manual_seed(1),
        )
        frames = torch.cat([to_pictures(pair.truth[0])[:1], to_pictures(clip[0])[::2]])
        rows.append(torch.cat(list(frames[:, top:-top, left:-left]), dim=1))
    if len(rows) % 2:
        rows.append(torch.ones_like(rows[0]))
    return as_bytes(torch.cat([torch.cat(rows[i : i + 2], 1) for i in range(0, len(rows), 2)]))


def as_bytes(picture: Float[Tensor, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """A picture in [0, 1] as 0..255."""
    return (picture.numpy() * 255).astype(np.uint8)
