"""What a refit aims at: pictures of the avatar in one pose, and how far each pixel is trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.body.motion import a_pose
from toolkit.cameras import Cameras
from toolkit.errors import fail
from toolkit.photo.crop import crop_photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.refine.turntable import Turntable

HAZE = 0.06  # pixels of a prior's background are up to this much darker than white
PHOTO_FIT_PX = 512  # side of the square around the person in the refit, pixels


@dataclass(frozen=True)
class FitTarget:
    """Pictures that show the avatar in one pose.

    Attributes:
        pose: axis-angle of the 55 joints, radians.
        transl: of the root, metres.
        cameras: C cameras of the pictures' size.
        rgb: pictures on *white*, in [0, 1].
        alpha: share of each pixel that the person covers, in [0, 1].
        confidence: weight of each pixel, in [0, 1]; 0 takes it out of the loss.
    """

    pose: Float[Tensor, "55 3"]
    transl: Float[Tensor, " 3"]
    cameras: Cameras
    rgb: Float[Tensor, "C H W 3"]
    alpha: Float[Tensor, "C H W 1"]
    confidence: Float[Tensor, "C H W 1"]

    def __post_init__(self):
        size = (len(self.cameras), self.cameras.height, self.cameras.width)
        for name, channels in (("rgb", 3), ("alpha", 1), ("confidence", 1)):
            value = getattr(self, name)
            if tuple(value.shape) != (*size, channels):
                fail(
                    f"FitTarget.{name}",
                    got=tuple(value.shape),
                    wanted=(*size, channels),
                    fix="Resize the pictures, or use cameras.resized(width, height).",
                )
        if not torch.isfinite(self.rgb).all():
            fail(
                "FitTarget.rgb",
                got="NaN or Inf",
                wanted="finite values in [0, 1]",
                fix="Look at the stage that made the pictures.",
            )

    def pick(self, views: Sequence[int]) -> "FitTarget":
        """Some of the pictures."""
        views = list(views)
        return FitTarget(
            self.pose,
            self.transl,
            self.cameras[views],
            self.rgb[views],
            self.alpha[views],
            self.confidence[views],
        )

    def cropped(self, margin: float = 0.1) -> "FitTarget":
        """The same pictures without what is empty in all of them, except for a rim.

        Args:
            margin: width of the rim, as a share of the person's longer side in pixels.
        """
        covered = (self.alpha[..., 0] > 0.05).any(0).nonzero()
        if not len(covered):
            return self
        low, high = covered.amin(0), covered.amax(0) + 1
        rim = int(margin * int((high - low).max())) + 1
        (top, left), (bottom, right) = ((low - rim).clamp_min(0).tolist(), (high + rim).tolist())
        window = (slice(None), slice(top, bottom), slice(left, right))
        rgb, alpha, confidence = (v[window] for v in (self.rgb, self.alpha, self.confidence))
        Ks = self.cameras.Ks - torch.tensor([[0, 0, left], [0, 0, top], [0, 0, 0]]).to(rgb)
        cameras = Cameras(self.cameras.viewmats, Ks, rgb.shape[2], rgb.shape[1])
        return FitTarget(self.pose, self.transl, cameras, rgb, alpha, confidence)

    def to(self, device: str | torch.device) -> "FitTarget":
        return FitTarget(*(getattr(self, f.name).to(device) for f in fields(self)))


def matte(
    rgb: Float[Tensor, "T H W 3"], coarse_alpha: Float[Tensor, "T H W 1"], *, band_px: int = 4
) -> tuple[Float[Tensor, "T H W 3"], Float[Tensor, "T H W 1"]]:
    """Refined pictures on clean white, and their coverage, which a prior does not draw.

    The background is white, so a pixel whose smallest channel is 1 - d is covered by at least d: if
    the person covered less, even a black person could not make it this dark. Where the coarse
    avatar covers more, its coverage is taken, so that light cloth stays solid. A pixel in the rim
    of the silhouette that is much lighter than the person beside it has become background and is
    made white.

    Args:
        rgb: the refined pictures, in [0, 1].
        coarse_alpha: coverage by the coarse avatar.
        band_px: how far outside the coarse silhouette the person may reach, pixels.

    Source: ours.
    """
    outside = widest(coarse_alpha > 0.1, band_px) < 0.5
    rim = widest(coarse_alpha < 0.9, band_px // 2) > 0.5
    darkness = (1 - rgb.amin(-1, keepdim=True)).clamp(0, 1)
    darkness = torch.where(outside | (darkness < HAZE), 0.0, darkness)
    inside_darkness = widest(darkness * (coarse_alpha > 0.9), band_px)
    vacated = rim & (darkness < 0.2 * inside_darkness)  # was person, is background now
    alpha = torch.where(vacated, darkness, torch.maximum(coarse_alpha, darkness))
    return torch.where((alpha == 0) | (darkness == 0) & vacated, 1.0, rgb), alpha


def widest(x: Tensor, px: int) -> Tensor:
    """Largest value of (T,H,W,1) within `px` pixels along both axes."""
    return F.max_pool2d(x.float().permute(0, 3, 1, 2), 2 * px + 1, stride=1, padding=px).permute(
        0, 2, 3, 1
    )


def clip_target(
    turntable: Turntable,
    refined: Float[Tensor, "T H W 3"],
    transl: Float[Tensor, " 3"],
    *,
    trust_seen: float = 0.3,
) -> FitTarget:
    """The refined clip as a target.

    Pixels that show what the photo saw are weighted by `trust_seen`, because the photo itself is a
    second target and knows them better. Pixels in the rim of the silhouette get no weight: a clip's
    outline is softer than the avatar's, and would turn the avatar white at its edge.

    Args:
        turntable: the coarse clip, for cameras, coverage and what the photo saw.
        refined: the prior's pictures of the same views.
        transl: of the A-posed avatar, metres: minus its rest pelvis, which puts the pelvis at the
            origin, where the turntable's cameras look.
        trust_seen: weight in [0, 1].
    """
    band_px = max(4, round(refined.shape[1] / 48))  # 4 at the embedded prior's height of 192
    rgb, alpha = matte(refined, turntable.alpha, band_px=band_px)
    rim = (widest(turntable.alpha < 0.9, band_px // 2) > 0.5) & (
        widest(turntable.alpha > 0.1, band_px // 2) > 0.5
    )
    confidence = (1 - (1 - trust_seen) * turntable.seen) * (~rim)
    return FitTarget(a_pose(), transl, turntable.cameras, rgb, alpha, confidence)


def photo_target(
    image: Float[Tensor, "H W 3"], mask: Float[Tensor, "H W"], photo_body: PhotoBody
) -> FitTarget:
    """The photo in its own pose, cut out onto white and cropped to the person.

    Pixels outside the mask count too: they say that nothing of the person is there. The mask's soft
    rim counts little, and what lies beyond the photo's border does not count at all.

    Args:
        image: in [0, 1].
        mask: person coverage in [0, 1].
        photo_body: pose, translation and camera of the photo.
    """
    crop = crop_photo(image, mask, photo_body.camera, size=PHOTO_FIT_PX)
    rgb, alpha = crop.rgb.permute(1, 2, 0)[None], crop.mask[None, ..., None]
    confidence = 2 * (alpha - 0.5).abs() * crop.known[None, ..., None]  # 0 where the mask says 0.5
    return FitTarget(
        photo_body.pose,
        photo_body.transl,
        crop.camera,
        rgb * alpha + (1 - alpha),
        alpha,
        confidence,
    )
