"""The coarse avatar as a turntable clip: in the A pose, from all sides.

Beside the pictures the clip carries two maps that come from the photo: `seen`, which pixels show
what the photo saw, and `carried`, a guess at the colours of the rest.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.anchors import EYE_JOINTS, HEAD_JOINTS
from toolkit.body.motion import a_pose
from toolkit.body.rig import Avatar, Rig
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
        seen: share of each pixel that shows what the photo saw, in [0, 1].
        carried: the same avatar painted with `carried_colors`, on white, in [0, 1]; only a
            repairer looks at it.
    """

    orbit: Orbit
    cameras: Cameras
    rgb: Float[Tensor, "T H W 3"]
    alpha: Float[Tensor, "T H W 1"]
    seen: Float[Tensor, "T H W 1"]
    carried: Float[Tensor, "T H W 3"] | None = None


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
        device: where it is rendered; the result is on the CPU.
    """
    cameras = turntable_cameras(orbit, size=size).to(device)
    posed = pose_for_turntable(avatar).to(device)  # N Gaussians in the A pose
    drawn = render(posed, cameras)
    seen = seen_by_photo(posed, visible.to(device), cameras)
    painted = posed.recolored(carried_colors(avatar, visible).to(device))
    carried = render(painted, cameras).rgb
    return Turntable(
        orbit, cameras.to("cpu"), drawn.rgb.cpu(), drawn.alpha.cpu(), seen.cpu(), carried.cpu()
    )


def pose_for_turntable(avatar: Avatar) -> Gaussians:
    """The avatar in the A pose, pelvis joint at the origin."""
    return avatar.posed(a_pose(), -avatar.rig.joints[0])


def seen_by_photo(
    posed: Gaussians, visible: Bool[Tensor, " N"], cameras: Cameras
) -> Float[Tensor, "T H W 1"]:
    """Share of each pixel that is covered by Gaussians the photo saw.

    Seen Gaussians are painted white, hidden ones black, on black: a render is then the share, for
    a splat in front hides what lies behind it as in the picture itself.
    """
    flags = visible.float()[:, None].expand(-1, 3)
    painted = posed.recolored(flags)
    return render(painted, cameras, background=(0.0, 0.0, 0.0)).rgb[..., :1].clamp(0, 1)


def carried_colors(
    avatar: Avatar,
    visible: Bool[Tensor, " N"],
    *,
    mirror_m: float = 0.01,
    reach_m: tuple[float, float] = (0.03, 0.08),
    num: int = 4,
) -> Float[Tensor, "N 3"]:
    """Colours of the Gaussians, those that the photo did not see guessed from the front.

    In the T pose the back of a sleeve lies behind its front, and a hem lies behind the same hem. So
    a hidden Gaussian takes the colours of the seen Gaussians nearest to it in x and y. The guess is
    as sharp as the front, where a regressor blurs. It is wrong in places, so a prior has to learn
    where to use it. Two kinds of places are left out because it is always wrong there: a face is
    carried nowhere, and what lies far from all that was seen (legs below the frame) keeps the
    avatar's own colour.

    Args:
        avatar: whose colours are completed.
        visible: Gaussians that the photo saw; their colours stay.
        mirror_m: the seen Gaussians are also tried mirrored left to right, so that a hidden arm can
            take the colours of the other one. This is added to their distance, metres, so that a
            true neighbour is preferred.
        reach_m: up to the first distance from the nearest seen Gaussian, metres, the guess counts
            in full; at the second it has faded into the avatar's own colour.
        num: how many seen Gaussians are averaged.

    Source: ours.
    """
    colors, visible = avatar.gaussians.colors.cpu().clamp(0, 1), visible.cpu()
    source = visible & ~face_anchors(avatar.rig)
    if not source.any() or visible.all():
        return colors
    places = avatar.rig.anchors_rest.cpu().numpy()[:, :2]  # x and y in the T pose; depth is dropped
    seen, hidden = places[source.numpy()], places[~visible.numpy()]
    # a third coordinate holds the handicap of the mirrored copies
    sources = np.concatenate(
        [np.c_[seen, np.zeros(len(seen))], np.c_[seen * [-1, 1], np.full(len(seen), mirror_m)]]
    )
    num = min(num, len(sources))
    queries = np.c_[hidden, np.zeros(len(hidden))]
    distances, nearest = cKDTree(sources).query(queries, k=list(range(1, num + 1)))
    # inverse square distance; 3 mm, half the gap between Gaussians, keeps a hit from taking all
    weights = torch.from_numpy(1 / (distances**2 + 0.003**2)).float()
    weights = weights / weights.sum(1, keepdim=True)
    nearest = torch.from_numpy(nearest % len(seen))  # a mirrored copy has its original's colour
    guessed = (weights[..., None] * colors[source][nearest]).sum(1)
    trust = torch.from_numpy(np.interp(distances[:, :1], reach_m, (1, 0))).float()
    return colors.masked_scatter(~visible[:, None], torch.lerp(colors[~visible], guessed, trust))


def face_anchors(rig: Rig) -> Bool[Tensor, " N"]:
    """Anchors of the face: the front half of the head, up to the hairline 5.5 cm above the eyes."""
    eyes, places = rig.joints[list(EYE_JOINTS)].mean(0).cpu(), rig.anchors_rest.cpu()
    on_head = rig.lbs_weights[:, list(HEAD_JOINTS)].sum(1).cpu() > 0.5
    below_hairline = places[:, 1] < eyes[1] + 0.055
    return on_head & below_hairline & (places[:, 2] > eyes[2] - 0.07)
