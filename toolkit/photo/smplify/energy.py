"""The terms that the body fit minimises; each is a mean or sum without unit (lengths in bodies).

A residual r of pixels is divided by the person's height in pixels before anything else, so that
weights mean the same for every photo.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES
from toolkit.photo.smplify.lifter import Lifted

_BONES = [
    ("right_shoulder", "left_shoulder"),
    ("right_hip", "left_hip"),
    ("left_hip", "left_shoulder"),
    ("right_hip", "right_shoulder"),
    *(
        (f"{side}_{a}", f"{side}_{b}")
        for side in ("left", "right")
        for a, b in (
            ("shoulder", "elbow"),
            ("elbow", "wrist"),
            ("wrist", "index"),
            ("hip", "knee"),
            ("knee", "ankle"),
            ("heel", "foot_index"),
            ("ear", "shoulder"),
        )
    ),
    ("left_ear", "nose"),
    ("right_ear", "nose"),
    ("right_ear", "left_ear"),
]
BONES = torch.tensor([[KEYPOINT_NAMES.index(name) for name in bone] for bone in _BONES])


def geman_mcclure(squared: Tensor, sigma: float) -> Tensor:
    """Robust loss in [0, 1) of squared residuals: quadratic below `sigma`, flat far above it."""
    return squared / (squared + sigma**2)


def keypoint_term(
    projected: Float[Tensor, "33 2"],
    target: Float[Tensor, "33 2"],
    weights: Float[Tensor, " 33"],
    sigma: float,
) -> Tensor:
    """Distance of the projected points to the detected ones, in bodies, robust."""
    squared = ((projected - target) ** 2).sum(dim=1)
    return (weights * geman_mcclure(squared, sigma)).sum() / weights.sum().clamp_min(1e-6)


def bone_term(
    points: Float[Tensor, "33 3"], world: Float[Tensor, "33 3"], weights: Float[Tensor, " 33"]
) -> Tensor:
    """1 - cos between the body's bones and the net's bones in metres; resolves depth only."""
    ours, theirs = (
        functional.normalize(p[BONES[:, 1]] - p[BONES[:, 0]], dim=1) for p in (points, world)
    )
    sure = weights[BONES].amin(dim=1)
    return (sure * (1 - (ours * theirs).sum(dim=1))).sum() / sure.sum().clamp_min(1e-6)


def depth_term(depths_px: Float[Tensor, " 33"], lifted: Lifted) -> Tensor:
    """Distance from the lifted depths in their own spreads, robust; blind across the view."""
    off = (depths_px - lifted.points_px[:, 2]) / lifted.spread_px[:, 2]
    return 9.0 * geman_mcclure(off**2, sigma=3.0).mean()
