"""What the fit knows about one photo: points, mask and camera, and how much each point counts."""

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

ASSUMED_FOV_DEG = 30.0  # vertical field of view of the photo padded to a square


@dataclass(frozen=True)
class Evidence:
    """The photo as the energy terms need it; pixels are those of the photo.

    Attributes:
        keypoints: x, y of the 33 detected points, in pixels.
        weights: how much each point counts, in [0, 1].
        world: the points in 3D, of which only directions are used: the landmark net's, in metres,
            or the lifter's, in pixels.
        silhouette: the mask.
        K: the camera's intrinsics.
        scale_px: height in pixels that the whole person would have standing.
        lifted: the lifter's answer, if it is used.
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
    """Intrinsics of a photo whose optical axis meets its middle.

    Args:
        image_size: height and width in pixels.
        focal_px: focal length in pixels; None takes it from `fov_deg`.
        fov_deg: field of view over the longer side.
    """
    K = intrinsics(fov_deg, max(image_size), max(image_size))[0]
    K[:2, 2] = torch.tensor([image_size[1] / 2, image_size[0] / 2])
    if focal_px is not None:
        K[0, 0] = K[1, 1] = focal_px
    return K


def gather_evidence(detection: Detection, K: Tensor) -> Evidence:
    """Collect points, mask and camera of a photo; weigh the points and measure the person."""
    keypoints = torch.tensor(np.asarray(detection.keypoints, np.float32))
    weights = confidence(keypoints[:, 2]) * reliability()
    x0, y0, x1, y1 = detection.box
    # The box is too small where the photo cuts the person off; then the ratio of pixels to the
    # net's metres gives the size.
    world = torch.tensor(np.asarray(detection.world, np.float32))
    scale = max(float(np.hypot(x1 - x0, y1 - y0)), _person_px(keypoints, world))
    silhouette = Silhouette(detection.mask, scale)
    return Evidence(keypoints[:, :2], weights, world, silhouette, K, scale)


def _person_px(keypoints: Tensor, world: Tensor, height_m: float = 1.7) -> float:
    """Height in pixels that the whole person would have standing, from the spread of the points.

    The points that the photo shows spread over so many pixels and, says the net, so many metres.
    """
    weights = keypoints[:, 2:3] + 1e-6
    spreads = [
        ((p - (weights * p).sum(0) / weights.sum()) ** 2 * weights).sum().sqrt()
        for p in (keypoints[:, :2], world[:, :2])
    ]
    return float(spreads[0] / spreads[1].clamp_min(1e-3) * height_m)
