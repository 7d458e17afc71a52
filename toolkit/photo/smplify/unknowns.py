"""What the fit solves for, and where these numbers place the body in the picture."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.photo.smplify.lifter import HIPS

VIEW = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # world to camera axes


@dataclass(frozen=True)
class Unknowns:
    """What Adam moves: pose, shape, and the camera as picture shift and log depth."""

    pose: Tensor
    betas: Tensor
    camera: Tensor

    @property
    def translation(self) -> Float[Tensor, " 3"]:
        """Pelvis in camera coordinates, m."""
        depth = self.camera[2].exp()
        return torch.stack([self.camera[0] * depth, self.camera[1] * depth, depth])


def project(points: Float[Tensor, "N 3"], unknowns: Unknowns, K: Tensor) -> Float[Tensor, "N 2"]:
    """World points to pixels."""
    cam = points @ VIEW + unknowns.translation
    return cam[:, :2] / cam[:, 2:].clamp_min(0.1) * K[0, 0] + K[:2, 2]


def depths_px(points: Float[Tensor, "33 3"], unknowns: Unknowns, K: Tensor) -> Float[Tensor, " 33"]:
    """How far points lie in front of the hips' middle, in pixels at the hips' distance."""
    hips = points[HIPS, 2].mean()
    return (points[:, 2] - hips) * K[0, 0] / (unknowns.translation[2] - hips)
