"""Pinhole cameras in gsplat's convention, and the few ways this project makes them.

World: metres, y up, right-handed; a person at rest faces +z with the pelvis at the origin.
Camera: OpenCV axes, x right, y down, z forward.

        y |          azimuth 0   = camera on +z, looks at the face
          |          azimuth 90  = camera on +x, sees the person's left side
          +---- x    azimuth 180 = camera on -z, sees the back
         /           elevation > 0 = camera above, looks down
        z
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail


@dataclass(frozen=True)
class Cameras:
    """C pinhole cameras of one picture size.

    Attributes:
        viewmats: world to camera, OpenCV axes.
        Ks: intrinsics in pixels; pixel centres lie at +0.5.
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
                fix="Stack one matrix a camera.",
            )

    def __len__(self) -> int:
        return self.viewmats.shape[0]

    def __getitem__(self, index) -> "Cameras":
        """Pick cameras; an integer keeps the camera axis."""
        index = slice(index, index + 1 or None) if isinstance(index, int) else index
        return Cameras(self.viewmats[index], self.Ks[index], self.width, self.height)

    def to(self, device) -> "Cameras":
        return Cameras(self.viewmats.to(device), self.Ks.to(device), self.width, self.height)

    def resized(self, width: int, height: int) -> "Cameras":
        """The same views at another picture size (a new aspect makes pixels non-square)."""
        scale = torch.tensor([width / self.width, height / self.height, 1.0]).to(self.Ks)
        return Cameras(self.viewmats, self.Ks * scale[None, :, None], width, height)

    def project(self, points: Float[Tensor, "N 3"]) -> tuple[Tensor, Tensor]:
        """Pixels (C,N,2) and depths (C,N) of world points."""
        cam = points @ self.viewmats[:, :3, :3].mT + self.viewmats[:, None, :3, 3]
        homogeneous = cam @ self.Ks.mT
        depth = homogeneous[..., 2]
        return homogeneous[..., :2] / depth.clamp_min(1e-6)[..., None], depth

    @property
    def centers(self) -> Float[Tensor, "C 3"]:
        """Camera positions in the world."""
        return -(self.viewmats[:, :3, :3].mT @ self.viewmats[:, :3, 3:])[..., 0]


def intrinsics(
    fov_y_deg: float, width: int, height: int, *, num: int = 1
) -> Float[Tensor, "C 3 3"]:
    """Square-pixel intrinsics with a centred principal point, from the vertical field of view."""
    focal = 0.5 * height / torch.tan(torch.deg2rad(torch.tensor(float(fov_y_deg))) / 2)
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    return K.repeat(num, 1, 1)


def look_at(eyes: Float[Tensor, "C 3"], targets: Float[Tensor, "C 3"]) -> Float[Tensor, "C 4 4"]:
    """World-to-camera matrices with the world's y axis up in the picture."""
    forward = torch.nn.functional.normalize(targets - eyes, dim=-1)
    up = torch.tensor([0.0, 1.0, 0.0]).to(eyes).expand_as(eyes)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=1)
    viewmats = torch.eye(4).to(eyes).repeat(len(eyes), 1, 1)
    viewmats[:, :3, :3] = rotation
    viewmats[:, :3, 3] = -(rotation @ eyes[..., None])[..., 0]
    return viewmats


def orbit_cameras(
    azimuths_deg,
    elevations_deg,
    *,
    radius_m: float,
    fov_y_deg: float = 25.0,
    size: tuple[int, int] = (192, 96),
    target=(0.0, 0.0, 0.0),
) -> Cameras:
    """Cameras on a sphere around `target`; `size` is (height, width) in pixels."""
    az = torch.deg2rad(torch.as_tensor(azimuths_deg, dtype=torch.float32))
    el = torch.deg2rad(torch.as_tensor(elevations_deg, dtype=torch.float32)).expand_as(az)
    direction = torch.stack([az.sin() * el.cos(), el.sin(), az.cos() * el.cos()], dim=-1)
    targets = torch.as_tensor(target, dtype=torch.float32).expand_as(direction)
    viewmats = look_at(targets + radius_m * direction, targets)
    height, width = size
    return Cameras(viewmats, intrinsics(fov_y_deg, width, height, num=len(az)), width, height)
