"""The terms that compare the body with the detected points: in the picture, by direction, in depth.

Lengths in pixels are divided by the person's height in pixels first ("in body heights"), so that
one set of weights suits every photo. Every term is an average. Distances are robust, because a
point that is far off is more likely a wrong detection than a strange body.
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
    """Robust loss in [0, 1) of squared residuals: quadratic below `sigma`, flat far above it.

    Source: Geman and McClure 1987, as in Bogo et al. 2016 (SMPLify), eq 2.
    """
    return squared / (squared + sigma**2)


def keypoint_term(
    projected: Float[Tensor, "33 2"],
    target: Float[Tensor, "33 2"],
    weights: Float[Tensor, " 33"],
    sigma: float,
) -> Tensor:
    """Weighted robust distance of the projected points to the detected ones.

    Args:
        projected: points of the body in the picture, in body heights.
        target: the detected points, in body heights.
        weights: at least 0.
        sigma: residual beyond which the loss flattens, in body heights.
    """
    squared = ((projected - target) ** 2).sum(dim=1)
    return (weights * geman_mcclure(squared, sigma)).sum() / weights.sum().clamp_min(1e-6)


def bone_term(
    points: Float[Tensor, "33 3"], world: Float[Tensor, "33 3"], weights: Float[Tensor, " 33"]
) -> Tensor:
    """Mean of 1 - cos(angle) between the bones of the body and those of the estimated 3D points.

    Only directions are compared: the estimate knows poorly how large and how far away a person is.
    """
    # Unit vectors along each bone, (B, 3).
    ours, theirs = (
        functional.normalize(p[BONES[:, 1]] - p[BONES[:, 0]], dim=1) for p in (points, world)
    )
    bone_weights = weights[BONES].amin(dim=1)  # a bone is as reliable as its worse end
    cosines = (ours * theirs).sum(dim=1)
    return (bone_weights * (1 - cosines)).sum() / bone_weights.sum().clamp_min(1e-6)


def depth_term(depths_px: Float[Tensor, " 33"], lifted: Lifted) -> Tensor:
    """Robust distance to the lifted depths, in units of their own spreads.

    It uses depth alone: across the view the detected points themselves are more accurate.
    """
    # Beyond 3 spreads the loss flattens; the factor 9 = sigma^2 makes it equal to off^2 near 0.
    off = (depths_px - lifted.points_px[:, 2]) / lifted.spread_px[:, 2]
    return 9.0 * geman_mcclure(off**2, sigma=3.0).mean()
