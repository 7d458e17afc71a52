"""The coarse avatar as a turntable clip: the A pose from all sides, and what of it the photo saw."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.motion import a_pose
from toolkit.body.rig import Avatar
from toolkit.cameras import Cameras
from toolkit.gaussians import Gaussians
from toolkit.prior.orbit import Orbit, turntable_cameras
from toolkit.render.api import render


@dataclass(frozen=True)
class Turntable:
    """The A-posed avatar from all sides.

    Attributes:
        orbit: directions of the views; view 0 is the front.
        cameras: of the views.
        rgb: on white, in [0, 1].
        alpha: coverage, in [0, 1].
        seen: how much of a pixel shows what the photo saw, in [0, 1].
        through: the same avatar painted with `colors_through`, a guess at what the photo did not
            see; for a prior that wants it.
    """

    orbit: Orbit
    cameras: Cameras
    rgb: Float[Tensor, "T H W 3"]
    alpha: Float[Tensor, "T H W 1"]
    seen: Float[Tensor, "T H W 1"]
    through: Float[Tensor, "T H W 3"] | None = None


def render_turntable(
    avatar: Avatar,
    orbit: Orbit,
    visible: Bool[Tensor, " N"],
    *,
    size: tuple[int, int] = (192, 96),
    device: str = "cpu",
) -> Turntable:
    """Render the clip that the video prior is to refine.

    Args:
        avatar: any avatar; it is put into the A pose.
        orbit: view directions.
        visible: Gaussians whose anchor the photo's camera saw.
        size: (height, width) in pixels; a large video prior wants more than ours.
        device: that renders; the result is on the CPU.
    """
    cameras = turntable_cameras(orbit, size=size)
    posed, there = pose_for_turntable(avatar).to(device), cameras.to(device)
    drawn = render(posed, there)
    seen = seen_by_photo(posed, visible.to(device), there)
    painted = posed.recolored(colors_through(avatar, visible).to(device))
    through = render(painted, there).rgb
    return Turntable(orbit, cameras, drawn.rgb.cpu(), drawn.alpha.cpu(), seen.cpu(), through.cpu())


def pose_for_turntable(avatar: Avatar) -> Gaussians:
    """The avatar in the A pose, pelvis joint at the origin."""
    return avatar.posed(a_pose(), -avatar.rig.joints[0])


def seen_by_photo(
    posed: Gaussians, visible: Bool[Tensor, " N"], cameras: Cameras
) -> Float[Tensor, "T H W 1"]:
    """Share of each pixel that is covered by Gaussians the photo saw."""
    flags = visible.float()[:, None].expand(-1, 3)
    painted = posed.recolored(flags)
    return render(painted, cameras, background=(0.0, 0.0, 0.0)).rgb[..., :1].clamp(0, 1)


def colors_through(
    avatar: Avatar, visible: Bool[Tensor, " N"], *, mirror_m: float = 0.01, num: int = 4
) -> Float[Tensor, "N 3"]:
    """What the photo saw, carried straight through the body to what it did not see.

    In the T pose the back of a sleeve lies behind its front and a hem behind the same hem. So a
    hidden Gaussian takes the colours of the seen ones nearest to it in x and y, of either side of
    the body (the other side counts as `mirror_m` farther). The guess is as sharp as the front where
    a regressor blurs; it also puts a face on the back of the head, so a prior has to learn where to
    believe it.
    """
    colors, shown = avatar.gaussians.colors.cpu().clamp(0, 1), visible.cpu()
    if not shown.any() or shown.all():
        return colors
    places = avatar.rig.anchors_rest.cpu().numpy()[:, :2]
    seen = places[shown.numpy()]
    around = np.concatenate(
        [np.c_[seen, np.zeros(len(seen))], np.c_[seen * [-1, 1], np.full(len(seen), mirror_m)]]
    )
    num = min(num, len(around))
    hidden = places[~shown.numpy()]
    asked = np.c_[hidden, np.zeros(len(hidden))]
    far, near = cKDTree(around).query(asked, k=list(range(1, num + 1)))
    weights = torch.from_numpy(1 / (far**2 + 0.003**2)).float()  # 3 mm: about half a Gaussian's gap
    weights = weights / weights.sum(1, keepdim=True)
    carried = (weights[..., None] * colors[shown][torch.from_numpy(near % len(seen))]).sum(1)
    return colors.masked_scatter(~shown[:, None], carried)
