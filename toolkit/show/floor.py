"""What an animated avatar stands on: a tiled floor in perspective, and a soft shadow."""

import numpy as np
import torch
from jaxtyping import Float

from toolkit.cameras import Cameras
from toolkit.gaussians import Gaussians
from toolkit.render.api import render

FLOOR_COLOR, LINE_COLOR = (0.955, 0.95, 0.935), (0.80, 0.80, 0.785)
TILE_M, LINE_M = 0.5, 0.012  # floor tiles and the lines between them
SHADOW_GAUSSIANS = 2500  # enough for a blurred shape
LIGHT_X, LIGHT_Z = 0.12, 0.06  # metres that the shadow of a point moves aside per metre of height


def draw_floor(camera: Cameras, floor_m: float) -> Float[np.ndarray, "H W 3"]:
    """The empty stage: white above the horizon, and a tiled floor that fades into white.

    Args:
        camera: one camera, above the floor.
        floor_m: height of the floor in the world.

    Returns:
        Colours in [0, 1].
    """
    K, viewmat = camera.Ks[0].numpy(), camera.viewmats[0].numpy()
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5  # pixel centres
    # Through each pixel goes a ray; K's inverse gives its direction in the camera's axes, and the
    # transposed rotation turns it into the world's. (H,W,3), with depth 1 along the view axis.
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    rays = rays @ viewmat[:3, :3]
    eye = camera.centers[0].numpy()
    down = np.minimum(rays[..., 1], -1e-4)  # rays that rise never meet the floor: masked below
    distance = (floor_m - eye[1]) / down  # in units of the ray
    spot = eye[[0, 2]] + distance[..., None] * rays[..., [0, 2]]  # x and z on the floor
    # Length of floor that one pixel covers, in x and z. Lines thinner than it are widened and made
    # paler by the same factor, so that distant lines fade instead of flickering (antialiasing).
    pixel_m = np.abs(distance)[..., None] / K[0, 0] * np.stack([np.ones_like(u), -1 / down], -1)
    away = np.abs((spot / TILE_M + 0.5) % 1 - 0.5) * TILE_M  # metres to the nearest line
    blur = np.maximum(LINE_M, pixel_m.max(-1, keepdims=True))
    line = (LINE_M / blur * np.clip(1.5 - away / blur, 0, 1)).max(-1)
    # The floor fades out between 4.8 m and 12.8 m from the camera, and is cut at the horizon.
    near = np.clip(1.6 - np.hypot(*(spot - eye[[0, 2]]).transpose(2, 0, 1)) / 8, 0, 1)
    near = np.where(rays[..., 1] < -1e-3, near, 0)[..., None]
    color = np.array(FLOOR_COLOR) + line[..., None] * (np.array(LINE_COLOR) - FLOOR_COLOR)
    return (1 + near * (color - 1)).astype(np.float32)


def floor_shadow(gaussians: Gaussians, camera: Cameras, floor_m: float) -> Float[np.ndarray, "H W"]:
    """How dark the floor is, 0 to 1: a sample of the avatar's Gaussians, pressed flat.

    No light is simulated. Each Gaussian becomes a disc on the floor, the wider and fainter the
    higher it was, so the shadow is sharp under the soles and soft elsewhere.

    Args:
        gaussians: of the posed avatar.
        camera: one camera.
        floor_m: height of the floor in the world.
    """
    thin = slice(None, None, max(1, len(gaussians) // SHADOW_GAUSSIANS))
    means = gaussians.means[thin].detach()
    height = (means[:, 1] - floor_m).clamp_min(0)
    flat = torch.stack(
        [
            means[:, 0] - LIGHT_X * height,
            torch.full_like(height, floor_m),
            means[:, 2] - LIGHT_Z * height,
        ],
        dim=-1,
    )
    spread = 0.025 + 0.035 * height
    scales = torch.stack([spread, torch.full_like(spread, 1e-3), spread], dim=-1)
    n = len(means)
    discs = Gaussians.from_colors(
        flat,
        torch.eye(4)[:1].repeat(n, 1),  # no rotation: (1, 0, 0, 0)
        scales,
        (0.10 / (1 + 2 * height)).clamp(0, 0.99),
        torch.zeros(n, 3),
    )
    return render(discs, camera).alpha[0, ..., 0].numpy()
