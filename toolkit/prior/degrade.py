"""A stand-in for coarse clips: truth smeared where one front photo does not see.

It imitates what a regressor does (sharp in front, averaged behind, soft outline, small shifts) so
that the repairer can be trained before, and beside, clips of the real coarse model.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from toolkit.cameras import Cameras


def seen_by_first(cameras: Cameras, depth: Float[Tensor, "T H W"], alpha: Float[Tensor, "T H W"],
                  normals: Float[Tensor, "T H W 3"], *, tolerance_m: float = 0.03,
                  ) -> tuple[Float[Tensor, "T H W"], Float[Tensor, "T H W 2"]]:
    """How well camera 0 sees each pixel's surface (0 to 1), and where (`grid_sample` places).

    A surface counts when it is not behind another one and faces the camera by more than a graze.
    """
    points = unproject(cameras, depth)
    places, z = cameras[0].project(points.reshape(-1, 3))
    size = torch.tensor([cameras.width, cameras.height], dtype=points.dtype)
    grid = (2 * places.reshape(points.shape[:3] + (2,)) / size - 1)
    nearest = F.grid_sample(depth[:1, None].expand(len(depth), -1, -1, -1), grid, mode="nearest",
                            align_corners=False)[:, 0]
    facing = (F.normalize(cameras.centers[0] - points, dim=-1) * normals).sum(dim=-1)
    free = (z.reshape(depth.shape) < nearest + tolerance_m).float()
    return ((facing - 0.15) / 0.35).clamp(0, 1) * free * (alpha > 0.5), grid


def unproject(cameras: Cameras, depth: Float[Tensor, "C H W"]) -> Float[Tensor, "C H W 3"]:
    """World points of the pixel centres at depth z."""
    rows = torch.arange(cameras.height) + 0.5
    columns = torch.arange(cameras.width) + 0.5
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)], dim=-1).to(depth)
    rays = pixels[None] @ torch.linalg.inv(cameras.Ks).mT[:, None]
    in_camera = rays * depth[..., None] - cameras.viewmats[:, None, None, :3, 3]
    return in_camera @ cameras.viewmats[:, None, :3, :3]


def gaussian_blur(images: Float[Tensor, "N C H W"], sigma_px: float) -> Float[Tensor, "N C H W"]:
    """Separable Gaussian blur with clamped borders."""
    reach = max(1, round(2.5 * sigma_px))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma_px) ** 2).to(images)
    kernel = (taps / taps.sum()).expand(images.shape[1], 1, -1)
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel[..., None], groups=images.shape[1])
    return F.conv2d(rows, kernel[:, :, None], groups=images.shape[1])


def masked_blur(images: Float[Tensor, "N C H W"], weight: Float[Tensor, "N 1 H W"],
                sigma_px: float) -> Float[Tensor, "N C H W"]:
    """Blur that takes colour only from where `weight` is high."""
    total = gaussian_blur(weight, sigma_px)
    return gaussian_blur(images * weight, sigma_px) / total.clamp_min(1e-3)


def degrade(rgb: Float[Tensor, "T H W 3"], alpha: Float[Tensor, "T H W"],
            seen: Float[Tensor, "T H W"], grid: Float[Tensor, "T H W 2"], *,
            generator: torch.Generator) -> Float[Tensor, "T H W 3"]:
    """A coarse-looking clip on white; view 0 is the photo's.

    Args:
        rgb: true clip composited on white.
        alpha: its coverage.
        seen, grid: from `seen_by_first`.
        generator: draws smear width, mirrored-front share and shifts, once a clip.
    """
    draw = torch.rand(4, generator=generator)
    smear_px, front_share = 3 + 6 * float(draw[0]), float(0.15 + 0.5 * draw[1])
    inside = (alpha > 0.5).float()[:, None]
    colour = rgb.permute(0, 3, 1, 2)
    front = masked_blur(colour[:1], inside[:1], 2.0).expand(len(colour), -1, -1, -1)
    through = F.grid_sample(front, grid, padding_mode="border", align_corners=False)
    guess = torch.lerp(masked_blur(colour, inside, smear_px), through, front_share)
    sharp = masked_blur(colour, inside, 0.4 + 0.4 * float(draw[2]))
    share = gaussian_blur(seen[:, None], 1.0) * inside
    surface = masked_blur(torch.lerp(guess, sharp, share), inside, 0.5)
    soft = gaussian_blur(alpha[:, None], 0.5 + float(draw[3]))
    clip = surface * soft + (1 - soft)
    return torch.cat([clip[:1], _wobble(clip[1:], generator)]).permute(0, 2, 3, 1).clamp(0, 1)


def _wobble(clip: Float[Tensor, "T 3 H W"], generator: torch.Generator) -> Float[Tensor, "T 3 H W"]:
    """Shift each view by a smooth random field of about one pixel."""
    t, _, height, width = clip.shape
    coarse = torch.randn(t, 2, 5, 3, generator=generator) * 1.2
    field = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    field = field * torch.tensor([2 / width, 2 / height])[:, None, None]
    grid = F.affine_grid(torch.eye(2, 3).expand(t, -1, -1), clip.shape, align_corners=False)
    return F.grid_sample(clip, grid + field.permute(0, 2, 3, 1), padding_mode="border",
                         align_corners=False)
