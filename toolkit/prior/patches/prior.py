"""An exact prior whose data are the patches of the photo: nothing is trained.

Suppose we know all data there are: the patches e_j that the photo saw, each with a prior weight
p_j. Then the best answer to the question of a denoiser, which clean pixel lies under this noise, is
a formula. A noisy patch x = (1-s) e_j + s eps has density N(x; (1-s) e_j, s^2), so by Bayes' rule

    E[x0 | x] = sum_j w_j e_j,     w = softmax_j( log p_j - |x - (1-s) e_j|^2 / (2 s^2) )

A pixel of the answer is the centre of that mean. With much noise all patches are alike, and the
answer is their mean; with little noise the nearest patch takes it all. A trained network
approximates this formula for its training data, and where it does not, it generalises. So what this
prior gets wrong is not the training's fault: it is what a data set of one photo knows.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toolkit.body.motion import a_pose
from toolkit.body.rig import Avatar
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.prior.orbit import Orbit, turntable_cameras
from toolkit.prior.patches.carried import carried_detail
from toolkit.prior.patches.denoiser import PatchConfig, ideal_denoiser
from toolkit.prior.patches.detail import DetailMaps
from toolkit.prior.prior import Condition, Encoded
from toolkit.render.api import render


@dataclass(frozen=True)
class PatchPrior:
    """The prior of one person's body maps; a `Prior` whose latents are (1,3,2,H,W) detail maps.

    Attributes:
        maps: of the coarse avatar.
        start: where SDEdit starts from, `maps.detail` or `carried_detail(maps)`.
        config: of the data set.
    """

    maps: DetailMaps
    start: Float[Tensor, "3 2 H W"]
    config: PatchConfig = field(default_factory=PatchConfig)

    @classmethod
    def of(
        cls,
        avatar: Avatar,
        visible: Bool[Tensor, " N"],
        *,
        carried: bool = False,
        config: PatchConfig = PatchConfig(),  # noqa: B008 - frozen
    ) -> "PatchPrior":
        """The prior of an avatar.

        Args:
            avatar: the coarse one; its colours where the photo saw are the data.
            visible: Gaussians that the photo saw.
            carried: start from carried detail, not from the coarse avatar's own.
            config: of the data set.

        Raises:
            InputError: the flags do not match the avatar, or nothing was seen.
        """
        if visible.shape != (len(avatar.gaussians),) or not visible.any():
            fail(
                "visible",
                got=f"{tuple(visible.shape)} flags, {int(visible.sum())} of them set",
                wanted=f"({len(avatar.gaussians)},) flags, some of them set",
                fix="Use pipeline.seen_anchors with the anchors of this avatar.",
            )
        maps = DetailMaps.of(avatar, visible)
        return cls(maps, carried_detail(maps) if carried else maps.detail, config)

    def encode(self, known: Condition) -> Encoded:
        """The detail maps that SDEdit starts from; where the photo saw, they are to be kept."""
        return Encoded(self.start[None], self.maps.seen[None, None].float(), None)

    def velocity(
        self, x: Float[Tensor, "B 3 2 H W"], sigma: Tensor | float, condition: object = None
    ) -> Tensor:
        """`E[eps - x0 | x]`, exact: (x - E[x0 | x]) / sigma."""
        return (x - self.posterior_mean(x, float(sigma))) / sigma

    def posterior_mean(
        self, x: Float[Tensor, "B 3 2 H W"], sigma: float
    ) -> Float[Tensor, "B 3 2 H W"]:
        """`E[x0 | x]`. What the photo saw is known; where no cloth like it was seen, it stays."""
        mean = ideal_denoiser(
            x, sigma, self.maps, (self.maps.source, self.maps.source.mirrored()), self.config
        )
        return torch.where(self.maps.seen | mean.isnan(), self.maps.detail, mean)

    def recolored(self, latents: Float[Tensor, "1 3 2 H W"]) -> Gaussians:
        """The avatar's Gaussians, one to one, in the colours of edited maps: no refit is needed."""
        return self.maps.painted(latents[0])

    def decode(
        self, latents: Float[Tensor, "1 3 2 H W"], known: Condition
    ) -> Float[Tensor, "1 3 T H W"]:
        """The turntable of `recolored`, from where `known.coarse` was seen."""
        orbit = Orbit(known.azimuths_deg.reshape(-1), known.elevations_deg.reshape(-1))
        avatar = Avatar(self.recolored(latents), self.maps.avatar.rig)
        posed = avatar.posed(a_pose(), -avatar.rig.joints[0])
        with torch.no_grad():
            drawn = render(posed, turntable_cameras(orbit, size=tuple(known.coarse.shape[-2:])))
        return 2 * drawn.rgb.permute(3, 0, 1, 2)[None].clamp(0, 1) - 1
