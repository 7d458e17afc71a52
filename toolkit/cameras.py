"""Pinhole cameras in gsplat's convention, and the few ways this project makes them.

World: metres, y up, right-handed; a person at rest faces +z with the pelvis at the origin.
Camera: OpenCV axes, x right, y down, z forward.

        y |          azimuth 0   = camera on +z, looks at the face
          |          azimuth 90  = camera on +x, sees the person's left side
          +---- x    azimuth 180 = camera on -z, sees the back
         /           elevation > 0 = camera above, looks down
        z
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail

Values = Tensor | np.ndarray | Sequence | float | int  # whatever torch.as_tensor takes


@dataclass(frozen=True)
class Cameras:
    """C pinhole cameras of one picture size.

    Attributes:
        viewmats: from the world to the camera, OpenCV axes (x right, y down, z forward).
        Ks: intrinsic matrices, pixels. Pixel centres lie at +0.5, so the picture's corner is (0, 0)
            and the centre of its first pixel (0.5, 0.5).
        width: picture width in pixels.
        height: picture height in pixels.
    """

    viewmats: Float[Tensor, "C 4 4"]
    Ks: Float[Tensor, "C 3 3"]
    width: int
    height: int

    def __post_init__(self):
        c = self.viewmats.shape[0]
        if self.viewmats.shape != (c, 4, 4) or self.Ks.shape != (c, 3, 3):
            fail(
                "Cameras",
                got=f"viewmats {tuple(self.viewmats.shape)}, Ks {tuple(self.Ks.shape)}",
                wanted="(C,4,4) and (C,3,3)",
                fix="Stack one matrix per camera.",
            )

    def __len__(self) -> int:
        return self.viewmats.shape[0]

    def __getitem__(self, index: int | slice | list | Tensor | np.ndarray) -> "Cameras":
        """Pick cameras; an integer gives one camera and keeps the axis C."""
        # `or None`: for index -1 the slice is [-1:None], because [-1:0] would be empty
        index = slice(index, index + 1 or None) if isinstance(index, int) else index
        return Cameras(self.viewmats[index], self.Ks[index], self.width, self.height)

    def to(self, device: torch.device | str) -> "Cameras":
        return Cameras(self.viewmats.to(device), self.Ks.to(device), self.width, self.height)

    def resized(self, width: int, height: int) -> "Cameras":
        """The same views at another picture size; another aspect ratio makes pixels non-square."""
        # the rows of K give u and v: the first is scaled by the widths, the second by the heights
        scale = torch.tensor([width / self.width, height / self.height, 1.0]).to(self.Ks)
        return Cameras(self.viewmats, self.Ks * scale[None, :, None], width, height)

    def project(self, points: Float[Tensor, "N 3"]) -> tuple[Tensor, Tensor]:
        """Where world points land: pixels (C,N,2) and depths (C,N), metres along the camera's z."""
        # Points are rows, so x_cam = R x + t reads x @ R^T + t: (N,3) @ (C,3,3) -> (C,N,3).
        cam = points @ self.viewmats[:, :3, :3].mT + self.viewmats[:, None, :3, 3]
        homogeneous = cam @ self.Ks.mT
        depth = homogeneous[..., 2]  # the last row of K is 0 0 1
        return homogeneous[..., :2] / depth.clamp_min(1e-6)[..., None], depth

    @property
    def centers(self) -> Float[Tensor, "C 3"]:
        """Camera positions in the world: x_cam = R x + t is zero at x = -R^T t."""
        return -(self.viewmats[:, :3, :3].mT @ self.viewmats[:, :3, 3:])[..., 0]


def intrinsics(
    fov_y_deg: float, width: int, height: int, *, num: int = 1
) -> Float[Tensor, "C 3 3"]:
    """Intrinsic matrices with square pixels and the principal point in the middle of the picture.

    Args:
        fov_y_deg: vertical field of view, degrees.
        width, height: of the picture, pixels.
        num: of equal matrices to return.
    """
    # half the picture's height is seen under half the angle: height / 2 = focal tan(fov / 2)
    focal = 0.5 * height / torch.tan(torch.deg2rad(torch.tensor(float(fov_y_deg))) / 2)
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    return K.repeat(num, 1, 1)


def look_at(eyes: Float[Tensor, "C 3"], targets: Float[Tensor, "C 3"]) -> Float[Tensor, "C 4 4"]:
    """World-to-camera matrices of cameras at `eyes` that look at `targets`, metres.

    The world's y axis points up in the picture, so no camera may look straight up or down.
    """
    forward = torch.nn.functional.normalize(targets - eyes, dim=-1)
    up = torch.tensor([0.0, 1.0, 0.0]).to(eyes).expand_as(eyes)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    # rows of the rotation: the camera's x (right), y (down) and z (forward) in the world
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=1)
    viewmats = torch.eye(4).to(eyes).repeat(len(eyes), 1, 1)
    viewmats[:, :3, :3] = rotation
    viewmats[:, :3, 3] = -(rotation @ eyes[..., None])[..., 0]
    return viewmats


def orbit_cameras(
    azimuths_deg: Values,
    elevations_deg: Values,
    *,
    radius_m: float,
    fov_y_deg: float = 25.0,
    size: tuple[int, int] = (192, 96),
    target: Tensor | Sequence = (0.0, 0.0, 0.0),
) -> Cameras:
    """Cameras on a sphere that look at its centre.

    Args:
        azimuths_deg: one per camera; 0 is in front of the person, 90 at the person's left.
        elevations_deg: one per camera, or one for all; positive is above.
        radius_m: of the sphere.
        fov_y_deg: vertical field of view.
        size: height and width of the pictures, pixels.
        target: centre of the sphere, metres.
    """
    az = torch.deg2rad(torch.as_tensor(azimuths_deg, dtype=torch.float32))
    el = torch.deg2rad(torch.as_tensor(elevations_deg, dtype=torch.float32)).expand_as(az)
    direction = torch.stack([az.sin() * el.cos(), el.sin(), az.cos() * el.cos()], dim=-1)
    targets = torch.as_tensor(target, dtype=torch.float32).expand_as(direction)
    viewmats = look_at(targets + radius_m * direction, targets)
    height, width = size
    return Cameras(viewmats, intrinsics(fov_y_deg, width, height, num=len(az)), width, height)
