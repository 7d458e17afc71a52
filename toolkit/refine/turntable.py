"""The coarse avatar as a turntable clip: in the A pose, from all sides.

Beside the pictures the clip carries two maps that come from the photo: `seen`, which pixels show
what the photo saw, and `carried`, a guess at the colours of the rest.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from toolkit.body.motion import a_pose
from toolkit.body.rig import Avatar
from toolkit.cameras import Cameras
from toolkit.gaussians import Gaussians
from toolkit.prior.orbit import Orbit, turntable_cameras
from toolkit.refine.carried import carried_colors
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
