"""Which parts of an avatar are invented: the photo shows nothing near them."""

import numpy as np
import torch
from jaxtyping import Bool
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.rig import Rig

LEGS, HEAD = (1, 2, 4, 5, 7, 8, 10, 11), (12, 15, 22, 23, 24)  # joints
ARMS = (*range(16, 22), *range(25, 55))
PARTS = {
    "head": HEAD,
    "trunk": tuple(j for j in range(55) if j not in {*LEGS, *ARMS, *HEAD}),
    "arms": ARMS,
    "legs": LEGS,
}


def invented_anchors(
    rig: Rig, visible: Bool[Tensor, " N"], *, beyond_m: float = 0.08
) -> Bool[Tensor, " N"]:
    """Anchors with nothing that the photo saw near them.

    "Near" is meant in the T pose across the body: the back of a sleeve lies near its front, and a
    hidden arm near the other arm, because that one shows what the hidden one wears. What is left
    are, for example, legs below the photo's frame.

    Args:
        rig: of the avatar.
        visible: anchors that the photo saw.
        beyond_m: distance in x and y from which nothing is near, metres.
    """
    visible = visible.cpu()
    if not visible.any():
        return torch.ones_like(visible)
    places = rig.anchors_rest.cpu().numpy()[:, :2]
    seen = places[visible.numpy()]
    distance, _ = cKDTree(np.concatenate([seen, seen * [-1, 1]])).query(places)
    return torch.from_numpy(distance > beyond_m)


def invented_shares(rig: Rig, invented: Bool[Tensor, " N"]) -> dict[str, float]:
    """Share of invented anchors in the whole body (`all`) and in each of its parts."""
    joint = rig.lbs_weights.argmax(1).cpu()
    masks = {name: torch.isin(joint, torch.tensor(joints)) for name, joints in PARTS.items()}
    masks = {"all": torch.ones_like(invented)} | masks
    return {
        name: round(float(invented[mask].float().mean()), 3) if mask.any() else 0.0
        for name, mask in masks.items()
    }
