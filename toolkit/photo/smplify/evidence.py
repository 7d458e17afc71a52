"""What one photo gives the body fit: points, mask, camera, and how much each counts."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import intrinsics
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.smplify.confidence import confidence, reliability
from toolkit.photo.smplify.lifter import Lifted
from toolkit.photo.smplify.silhouette import Silhouette

ASSUMED_FOV_DEG = 30.0  # of the picture padded to a square


@dataclass(frozen=True)
class Evidence:
    """The photo as the energies need it; lengths in pixels are those of the photo.

    `world` is used for directions only; with `lifted` it holds the lifted points.
    """

    keypoints: Float[Tensor, "33 2"]
    weights: Float[Tensor, " 33"]
    world: Float[Tensor, "33 3"]
    silhouette: Silhouette
    K: Float[Tensor, "3 3"]
    scale_px: float
    lifted: Lifted | None = None


def photo_intrinsics(
    image_size: tuple[int, int], focal_px: float | None = None, *, fov_deg: float = ASSUMED_FOV_DEG
) -> Float[Tensor, "3 3"]:
    """Of a photo with its axis in the middle; without a focal length `fov_deg` is assumed."""
    K = intrinsics(fov_deg, max(image_size), max(image_size))[0]
    K[:2, 2] = torch.tensor([image_size[1] / 2, image_size[0] / 2])
    if focal_px is not None:
        K[0, 0] = K[1, 1] = focal_px
    return K


def gather_evidence(detection: Detection, K: Tensor) -> Evidence:
    """Points, mask and camera of a photo, with weights and the person's size."""
    keypoints = torch.tensor(np.asarray(detection.keypoints, np.float32))
    weights = confidence(keypoints[:, 2]) * reliability()
    x0, y0, x1, y1 = detection.box
    # A cropped person's box is too small a ruler; the trunk in metres against pixels is not.
    world = torch.tensor(np.asarray(detection.world, np.float32))
    scale = max(float(np.hypot(x1 - x0, y1 - y0)), _person_px(keypoints, world))
    silhouette = Silhouette(detection.mask, scale)
    return Evidence(keypoints[:, :2], weights, world, silhouette, K, scale)


def _person_px(keypoints: Tensor, world: Tensor, height_m: float = 1.7) -> float:
    """Height in pixels that a whole standing person would have, from the seen points' spread."""
    weights = keypoints[:, 2:3] + 1e-6
    spreads = [
        ((p - (weights * p).sum(0) / weights.sum()) ** 2 * weights).sum().sqrt()
        for p in (keypoints[:, :2], world[:, :2])
    ]
    return float(spreads[0] / spreads[1].clamp_min(1e-3) * height_m)
