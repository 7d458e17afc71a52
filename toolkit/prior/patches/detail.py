"""What of an avatar the patches are about: fine detail of its body maps, and what the photo saw."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from toolkit.body.face import face_anchors
from toolkit.body.rig import Avatar
from toolkit.gaussians import Gaussians
from toolkit.prior.patches.maps import LEFT, RIGHT, BodyMaps
from toolkit.prior.patches.windows import masked_blur, window_sum

DARKEST = 0.08  # added to a colour before its logarithm, so that black's noise is not blown up
CONTRAST = 0.2  # unit of detail: this much in log colour
BRIGHTNESS = 0.3  # weight of brightness where garments are compared; that of hue is 1
HAIRLINE = 11  # px; a square around the face within which nothing is copied
MARGIN = 5  # exemplars lie so far inside what the photo saw that a 5x5 patch is seen whole


@dataclass(frozen=True)
class Seen:
    """What the photo saw, front and back in one map: the data set of patches.

    Attributes:
        detail: fine detail; 0 where nothing was seen.
        cloth: what the cloth around looks like, see `DetailMaps.cloth`.
        limb: of pixels that may be the centre of an exemplar; -1 elsewhere.
    """

    detail: Float[Tensor, "3 H W"]
    cloth: Float[Tensor, "3 H W"]
    limb: Int[Tensor, "H W"]

    def mirrored(self) -> "Seen":
        """The mirror image: the left sleeve as data for the right one."""
        limb = self.limb.flip(-1)
        swapped = limb.clone()
        for left, right in zip(LEFT, RIGHT, strict=True):
            swapped[limb == left], swapped[limb == right] = right, left
        return Seen(self.detail.flip(-1), self.cloth.flip(-1), swapped)


@dataclass(frozen=True)
class DetailMaps:
    """The colours of an avatar on its body maps, split into a smooth part and fine detail.

        log(colour + DARKEST) = low + CONTRAST * detail

    In logarithms a shadow is added, not multiplied: the detail of a check is the same in the sun
    and behind.

    Attributes:
        avatar: whose colours they are.
        visible: Gaussians that the photo saw.
        maps: where the Gaussians lie.
        low: smooth log colours, blurred over about 6 cm.
        detail: the rest, in units of `CONTRAST`.
    """

    avatar: Avatar
    visible: Bool[Tensor, " N"]
    maps: BodyMaps
    low: Float[Tensor, "3 2 H W"]
    detail: Float[Tensor, "3 2 H W"]

    @classmethod
    def of(cls, avatar: Avatar, visible: Bool[Tensor, " N"]) -> "DetailMaps":
        """Lay an avatar out and split its colours."""
        maps, visible = BodyMaps.of(avatar.rig), visible.cpu()
        logs = maps.scatter((avatar.gaussians.colors.cpu().clamp(0, 1) + DARKEST).log())
        low = masked_blur(logs, maps.inside.float())
        return cls(avatar, visible, maps, low, (logs - low) / CONTRAST * maps.inside)

    @cached_property
    def seen(self) -> Bool[Tensor, "2 H W"]:
        """Pixels that the photo saw."""
        return (self.maps.scatter(self.visible.float()[:, None])[0] > 0.5) & self.maps.inside

    @property
    def cloth(self) -> Float[Tensor, "3 2 H W"]:
        """What tells garments apart: the smooth log colour, its brightness counted less.

        Behind it is darker than in front. That changes a garment's brightness, hardly its hue.
        """
        return self.low - (1 - BRIGHTNESS) * self.low.mean(0, keepdim=True)

    @cached_property
    def source(self) -> Seen:
        """The data set. No patch of it lies on the face or the hairline: neither has a back."""
        face = self.maps.scatter(face_anchors(self.avatar.rig).float()[:, None])[0]
        good = self.seen & (window_sum(face, HAIRLINE) < 0.02)
        whole = window_sum(good.float(), MARGIN) > MARGIN**2 - 0.5
        # where both sides were seen, as may happen at a turned arm, the front is taken
        back = whole[1] & ~whole[0]
        pick = lambda maps: torch.where(back, maps[..., 1, :, :], maps[..., 0, :, :])  # noqa: E731
        shown = torch.where(back, good[1], good[0])
        limb = torch.where(whole.any(0), pick(self.maps.limb), -1)
        return Seen(pick(self.detail) * shown, pick(self.cloth), limb)

    def painted(self, detail: Float[Tensor, "3 2 H W"]) -> Gaussians:
        """The avatar's Gaussians with other detail; those that the photo saw stay as they are.

        Args:
            detail: in place of `self.detail`, in its units.
        """
        gaussians, hidden = self.avatar.gaussians, ~self.visible[:, None]
        colors = gaussians.colors.cpu().clamp(0, 1)
        change = CONTRAST * self.maps.gather(detail - self.detail) * hidden
        new = ((colors + DARKEST) * change.exp() - DARKEST).clamp(0, 1)
        return gaussians.recolored(torch.where(hidden, new, gaussians.colors.cpu()))
