"""A sharp guess at what the photo did not see: the front's colours, carried through the body."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.face import face_anchors
from toolkit.body.rig import Avatar


def carried_colors(
    avatar: Avatar,
    visible: Bool[Tensor, " N"],
    *,
    mirror_m: float = 0.01,
    reach_m: tuple[float, float] = (0.03, 0.08),
    num: int = 4,
) -> Float[Tensor, "N 3"]:
    """Colours of the Gaussians, those that the photo did not see guessed from the front.

    In the T pose the back of a sleeve lies behind its front, and a hem lies behind the same hem. So
    a hidden Gaussian takes the colours of the seen Gaussians nearest to it in x and y. The guess is
    as sharp as the front, where a regressor blurs. It is wrong in places, so a prior has to learn
    where to use it. Two kinds of places are left out because it is always wrong there: a face is
    carried nowhere, and what lies far from all that was seen (legs below the frame) keeps the
    avatar's own colour.

    Args:
        avatar: whose colours are completed.
        visible: Gaussians that the photo saw; their colours stay.
        mirror_m: the seen Gaussians are also tried mirrored left to right, so that a hidden arm can
            take the colours of the other one. This is added to their distance, metres, so that a
            true neighbour is preferred.
        reach_m: up to the first distance from the nearest seen Gaussian, metres, the guess counts
            in full; at the second it has faded into the avatar's own colour.
        num: how many seen Gaussians are averaged.

    Source: ours.
    """
    colors, visible = avatar.gaussians.colors.cpu().clamp(0, 1), visible.cpu()
    source = visible & ~face_anchors(avatar.rig)
    if not source.any() or visible.all():
        return colors
    places = avatar.rig.anchors_rest.cpu().numpy()[:, :2]  # x and y in the T pose; depth is dropped
    seen, hidden = places[source.numpy()], places[~visible.numpy()]
    # a third coordinate holds the handicap of the mirrored copies
    sources = np.concatenate(
        [np.c_[seen, np.zeros(len(seen))], np.c_[seen * [-1, 1], np.full(len(seen), mirror_m)]]
    )
    num = min(num, len(sources))
    queries = np.c_[hidden, np.zeros(len(hidden))]
    distances, nearest = cKDTree(sources).query(queries, k=list(range(1, num + 1)))
    # inverse square distance; 3 mm, half the gap between Gaussians, keeps a hit from taking all
    weights = torch.from_numpy(1 / (distances**2 + 0.003**2)).float()
    weights = weights / weights.sum(1, keepdim=True)
    nearest = torch.from_numpy(nearest % len(seen))  # a mirrored copy has its original's colour
    guessed = (weights[..., None] * colors[source][nearest]).sum(1)
    trust = torch.from_numpy(np.interp(distances[:, :1], reach_m, (1, 0))).float()
    return colors.masked_scatter(~visible[:, None], torch.lerp(colors[~visible], guessed, trust))
