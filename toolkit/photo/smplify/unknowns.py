"""What the fit solves for, and how it places the body in the picture."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.photo.smplify.lifter import HIPS

# From the world's axes (x right, y up, z towards the camera) to the camera's (x right, y down, z
# forward). It is its own transpose, so `points @ VIEW` works for row vectors.
VIEW = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


@dataclass(frozen=True)
class Unknowns:
    """What Adam moves.

    Attributes:
        pose: axis-angle rotations in radians; row 0 turns the whole body.
        betas: shape.
        camera: pelvis in the camera's axes as (x / z, y / z, log z). In these coordinates a step
            moves the picture by about as much whether the person is near or far.
    """

    pose: Float[Tensor, "22 3"]
    betas: Float[Tensor, " S"]
    camera: Float[Tensor, " 3"]

    @property
    def translation(self) -> Float[Tensor, " 3"]:
        """The pelvis in the camera's axes, in metres."""
        depth = self.camera[2].exp()
        return torch.stack([self.camera[0] * depth, self.camera[1] * depth, depth])


def project(points: Float[Tensor, "N 3"], unknowns: Unknowns, K: Tensor) -> Float[Tensor, "N 2"]:
    """Project points of the world (pelvis at the origin) to pixels.

    `Cameras.project` does the same for fixed cameras; here Adam moves the translation.
    """
    cam = points @ VIEW + unknowns.translation  # (N, 3)
    return cam[:, :2] / cam[:, 2:].clamp_min(0.1) * K[0, 0] + K[:2, 2]


def depths_px(points: Float[Tensor, "33 3"], unknowns: Unknowns, K: Tensor) -> Float[Tensor, " 33"]:
    """How far points lie in front of the middle of the hips, in pixels at the hips' distance."""
    hips = points[HIPS, 2].mean()
    return (points[:, 2] - hips) * K[0, 0] / (unknowns.translation[2] - hips)
