"""Do the views of an avatar agree? Colours of one view, carried by depth into the next one.

A turntable whose frames contradict each other leaves Gaussians that look different from either
side; a picture by itself cannot show that.
"""

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from toolkit.cameras import Cameras
from toolkit.evaluate.scenes import Scene
from toolkit.render.api import Render

SAME_SURFACE_M, NEIGHBOUR_DEG = 0.02, 60.0  # surfaces so near are one; farther views do not count
MIN_PIXELS = 64  # fewer common pixels give no number


def consistency(drawn: Render, scene: Scene) -> list[float | None]:
    """Mean colour difference (%) between each view and the next one around the person.

    Args:
        drawn: an avatar, or a clip's frames with the coarse avatar's depth.
        scene: cameras in the estimated world and their azimuths.

    Returns:
        One value per view; None where the next view is more than `NEIGHBOUR_DEG` away or shows
        hardly anything of the same surface.
    """
    azimuths = np.asarray(scene.views.azimuths_deg) % 360
    order = np.argsort(azimuths, kind="stable")
    differences: list[float | None] = [None] * len(order)
    for i, j in pairwise([*order, order[0]]):  # around the person, and from the last to the first
        if i != j and (azimuths[j] - azimuths[i]) % 360 <= NEIGHBOUR_DEG:
            differences[i] = reprojection_error(drawn, scene.cameras, int(i), int(j), scene.scale)
    return differences


def reprojection_error(
    drawn: Render, cameras: Cameras, i: int, j: int, scale: float = 1.0
) -> float | None:
    """Mean colour difference (%) of view `i` and what view `j` shows of the same surface.

    Each opaque pixel of view `i` is placed in the world at its expected depth and projected into
    view `j`. It counts where that view shows a surface within 2 cm of it: elsewhere another part of
    the body is in front.

    Args:
        drawn: pictures with depth.
        cameras: their cameras.
        i: the view that is carried over.
        j: the view that it is compared with.
        scale: true metres per metre of the cameras' world.
    """
    opaque = drawn.alpha[i, ..., 0] > 0.9
    y, x = torch.nonzero(opaque, as_tuple=True)
    depth = drawn.depth[i, y, x]  # (P,1), P opaque pixels
    pixels = torch.stack([x + 0.5, y + 0.5, torch.ones(len(x))], -1)  # centres lie at +0.5
    # pixel to camera, K^-1 p depth; then to world, R^T (point - t), written for rows
    points = pixels @ torch.linalg.inv(cameras.Ks[i]).T * depth - cameras.viewmats[i, :3, 3]
    (landed,), (far,) = cameras[j].project(points @ cameras.viewmats[i, :3, :3])
    stack = torch.cat([drawn.rgb[j], drawn.depth[j], drawn.alpha[j]], -1).permute(2, 0, 1)[None]
    grid = landed / torch.tensor([cameras.width, cameras.height]) * 2 - 1  # grid_sample's [-1, 1]
    seen = F.grid_sample(stack, grid[None, None], align_corners=False)[0, :, 0].T  # (P,5)
    same = (seen[:, 4] > 0.9) & ((seen[:, 3] - far).abs() < SAME_SURFACE_M / scale)
    if same.sum() < MIN_PIXELS:
        return None
    return 100 * float((drawn.rgb[i, y, x] - seen[:, :3]).abs().mean(-1)[same].mean())
