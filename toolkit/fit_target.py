"""What a refit aims at: pictures of the avatar in one pose, and how far each pixel is trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.errors import fail


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
                fail(f"FitTarget.{name}", got=tuple(value.shape), wanted=(*size, channels),
                     fix="Resize the pictures, or use cameras.resized(width, height).")
        if not torch.isfinite(self.rgb).all():
            fail("FitTarget.rgb", got="NaN or Inf", wanted="finite values in [0, 1]",
                 fix="Look at the stage that made the pictures.")

    def pick(self, views: Sequence[int]) -> "FitTarget":
        """Some of the pictures."""
        views = list(views)
        return FitTarget(self.pose, self.transl, self.cameras[views], self.rgb[views],
                         self.alpha[views], self.confidence[views])

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

    def to(self, device) -> "FitTarget":
        return FitTarget(*(getattr(self, f.name).to(device) for f in fields(self)))
