"""The middle of the method: coarse avatar -> turntable clip -> SDEdit -> pictures to refit to.

What the photo saw is carried along as a clip of its own (`seen_by_photo`): it tells SDEdit what to
keep and the refit whom to believe, the photo or the prior.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.motion import a_pose
from toolkit.body.rig import Avatar
from toolkit.cameras import Cameras
from toolkit.coarse.pixel_aligned import crop_photo
from toolkit.fit import FitTarget
from toolkit.gaussians import Gaussians
from toolkit.prior.latent import LatentPrior, edit_latents
from toolkit.prior.orbit import Orbit, turntable_cameras
from toolkit.prior.sdedit import Callback, SDEditConfig, Velocity, sdedit
from toolkit.prior.turntable import Condition
from toolkit.render.api import render

HAZE = 0.06  # darkness that a prior leaves on a white background
PHOTO_FIT_PX = 512  # side of the square around the person in the refit


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


def render_turntable(avatar: Avatar, orbit: Orbit, visible: Bool[Tensor, " N"], *,
                     size: tuple[int, int] = (192, 96), device: str = "cpu") -> Turntable:
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


def seen_by_photo(posed: Gaussians, visible: Bool[Tensor, " N"],
                  cameras: Cameras) -> Float[Tensor, "T H W 1"]:
    """Share of each pixel that is covered by Gaussians the photo saw."""
    flags = visible.float()[:, None].expand(-1, 3)
    painted = posed.recolored(flags)
    return render(painted, cameras, background=(0.0, 0.0, 0.0)).rgb[..., :1].clamp(0, 1)


def colors_through(avatar: Avatar, visible: Bool[Tensor, " N"], *, mirror_m: float = 0.01,
                   num: int = 4) -> Float[Tensor, "N 3"]:
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
    around = np.concatenate([np.c_[seen, np.zeros(len(seen))],
                             np.c_[seen * [-1, 1], np.full(len(seen), mirror_m)]])
    num = min(num, len(around))
    hidden = places[~shown.numpy()]
    asked = np.c_[hidden, np.zeros(len(hidden))]
    far, near = cKDTree(around).query(asked, k=list(range(1, num + 1)))
    weights = torch.from_numpy(1 / (far**2 + 0.003**2)).float()  # 3 mm: about half a Gaussian's gap
    weights = weights / weights.sum(1, keepdim=True)
    carried = (weights[..., None] * colors[shown][torch.from_numpy(near % len(seen))]).sum(1)
    return colors.masked_scatter(~shown[:, None], carried)


def to_latents(rgb: Float[Tensor, "T H W 3"]) -> Float[Tensor, "1 3 T H W"]:
    """A clip in [0, 1] as the prior wants it, in [-1, 1]."""
    return 2 * rgb.permute(3, 0, 1, 2)[None] - 1


def from_latents(x: Float[Tensor, "1 3 T H W"]) -> Float[Tensor, "T H W 3"]:
    """The prior's clip as pictures in [0, 1]."""
    return (x[0].permute(1, 2, 3, 0).clamp(-1, 1) + 1) / 2


def clip_condition(turntable: Turntable) -> Condition:
    """All that a repairer is told of a coarse clip; its own front view is the front picture."""
    x0 = to_latents(turntable.rgb)
    through = None if turntable.through is None else to_latents(turntable.through)
    return Condition(turntable.orbit.azimuths_deg, turntable.orbit.elevations_deg, x0[:, :, 0], x0,
                     turntable.seen.permute(3, 0, 1, 2)[None], through)


def refine_clip(prior: Velocity | LatentPrior, turntable: Turntable, config: SDEditConfig, *,
                generator: torch.Generator | None, callback: Callback | None = None
                ) -> Float[Tensor, "T H W 3"]:
    """SDEdit of the whole clip at once, conditioned on the coarse clip and its front view.

    Args:
        prior: the velocity of a prior on pixels, or a whole prior that works on latents.
        turntable: the coarse clip, and where it shows what the photo saw.
        config: how far it is noised and how it comes back.
        generator: of all noise.
        callback: called after each step, see `sdedit`.
    """
    condition = clip_condition(turntable)
    x0, keep = condition.coarse, condition.seen
    if isinstance(prior, LatentPrior):
        return from_latents(edit_latents(prior, condition, keep, config, generator=generator,
                                         callback=callback))
    return from_latents(sdedit(prior, x0, condition, config=config, keep=keep,
                               generator=generator, callback=callback))


def matte(rgb: Float[Tensor, "T H W 3"], coarse_alpha: Float[Tensor, "T H W 1"], *,
          band_px: int = 4) -> tuple[Float[Tensor, "T H W 3"], Float[Tensor, "T H W 1"]]:
    """Refined pictures on clean white, and their coverage; a prior paints no alpha.

    A pixel of darkness d (1 less its smallest channel) on white is covered by at least d; the
    coarse avatar's own coverage holds where it is larger, so that light cloth stays solid. In the
    rim of the silhouette a pixel much lighter than the person beside it has become background.
    """
    alpha = coarse_alpha
    outside = widest(alpha > 0.1, band_px) < 0.5
    rim = widest(alpha < 0.9, band_px // 2) > 0.5
    darkness = (1 - rgb.amin(-1, keepdim=True)).clamp(0, 1)
    darkness = torch.where(outside | (darkness < HAZE), 0.0, darkness)
    left = rim & (darkness < 0.2 * widest(darkness * (alpha > 0.9), band_px))
    found = torch.where(left, darkness, torch.maximum(alpha, darkness))
    return torch.where((found == 0) | (darkness == 0) & left, 1.0, rgb), found


def widest(x: Tensor, px: int) -> Tensor:
    """Largest value of (T,H,W,1) within `px` pixels along both axes."""
    return F.max_pool2d(x.float().permute(0, 3, 1, 2), 2 * px + 1, stride=1,
                        padding=px).permute(0, 2, 3, 1)


def clip_target(turntable: Turntable, refined: Float[Tensor, "T H W 3"], transl: Tensor, *,
                trust_seen: float = 0.3) -> FitTarget:
    """The refined clip as a target.

    Where the photo saw, the photo shall rule (`trust_seen`). In the rim of the silhouette nothing
    is believed: a clip's outline is softer than the avatar's, and would turn it white at the edge.
    """
    band_px = max(4, round(refined.shape[1] / 48))  # 4 at the embedded prior's height of 192
    rgb, alpha = matte(refined, turntable.alpha, band_px=band_px)
    rim = (widest(turntable.alpha < 0.9, band_px // 2) > 0.5) \
        & (widest(turntable.alpha > 0.1, band_px // 2) > 0.5)
    confidence = (1 - (1 - trust_seen) * turntable.seen) * (~rim)
    return FitTarget(a_pose(), transl, turntable.cameras, rgb, alpha, confidence)


def photo_target(image: Float[Tensor, "H W 3"], mask: Float[Tensor, "H W"],
                 photo_body) -> FitTarget:
    """The photo in its own pose, cut out onto white and cropped to the person.

    Pixels outside the mask say "nothing here" and count; the mask's own soft rim counts little,
    and what lies beyond the photo's border not at all.
    """
    crop = crop_photo(image, mask, photo_body.camera, size=PHOTO_FIT_PX)
    rgb, alpha = crop.rgb.permute(1, 2, 0)[None], crop.mask[None, ..., None]
    confidence = 2 * (alpha - 0.5).abs() * crop.known[None, ..., None]
    return FitTarget(photo_body.pose, photo_body.transl, crop.camera, rgb * alpha + (1 - alpha),
                     alpha, confidence)


def progressive_refit(avatar: Avatar, orbit: Orbit, visible: Bool[Tensor, " N"],
                      edit: Callable[[Turntable], Tensor],
                      refit: Callable[[Avatar, FitTarget], Avatar], *,
                      reaches_deg: Sequence[float] = (60.0, 120.0, 180.0)) -> Avatar:
    """From the front to the back in rounds: render, repair, refit, and render the better avatar.

    Args:
        avatar: coarse.
        orbit, visible: as in `render_turntable`.
        edit: repairs a clip, e.g. SDEdit.
        refit: fits an avatar to a target.
        reaches_deg: each round is fitted to the views up to so far from the front, the last to all.

    Source: Difix3D (Wu et al. 2025), Sec. 4.2: progressive update of the 3D representation.
    """
    for reach in reaches_deg:
        with torch.no_grad():
            turntable = render_turntable(avatar, orbit, visible)
        target = clip_target(turntable, edit(turntable), -avatar.rig.joints[0])
        turned = ((orbit.azimuths_deg + 180) % 360 - 180).abs()
        avatar = refit(avatar, target.pick(torch.nonzero(turned <= reach)[:, 0].tolist()))
    return avatar
