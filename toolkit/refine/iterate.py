"""Gaussians and prior in turns: a refit inside the SDEdit loop, and iterative data set update.

Both ask more of the 3D than one refit at the end does (`refine.iterate.progressive_refit` is the third of
the kind): the prior's views disagree with each other, a set of Gaussians cannot.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toolkit.body.rig import Avatar
from toolkit.errors import fail
from toolkit.prior.orbit import Orbit
from toolkit.refine.edit import from_latents, to_latents
from toolkit.refine.target import FitTarget, clip_target
from toolkit.refine.turntable import Turntable, pose_for_turntable, render_turntable
from toolkit.render.api import render

Refit = Callable[[Avatar, FitTarget], Avatar]


@dataclass
class RefitInLoop:
    """Hook of `sdedit`: the clean estimate becomes the renders of Gaussians fitted to it.

    The next step starts from views that agree in 3D. `avatar` is what the last refit left; a
    further refit to the finished clip usually follows.

    Attributes:
        avatar: coarse at first.
        turntable: the coarse clip, for cameras, coverage and what the photo saw.
        refit: fits an avatar to a target.
        at: indices of the steps at which to do so; early ones see little but the mean.

    Source: Chen et al. 2024 (MVEdit, 2403.12032), with Gaussians as the 3D adapter.
    """

    avatar: Avatar
    turntable: Turntable
    refit: Refit
    at: Collection[int]

    def __call__(
        self, index: int, sigma: float, clean: Float[Tensor, "1 3 T H W"]
    ) -> Float[Tensor, "1 3 T H W"]:
        """The hook."""
        if index not in self.at:
            return clean
        target = clip_target(self.turntable, from_latents(clean), -self.avatar.rig.joints[0])
        self.avatar = self.refit(self.avatar, target)
        with torch.no_grad():
            drawn = render(pose_for_turntable(self.avatar), self.turntable.cameras)
        return to_latents(drawn.rgb).to(clean)


def update_dataset(
    avatar: Avatar,
    orbit: Orbit,
    visible: Bool[Tensor, " N"],
    edit: Callable[[Turntable], Tensor],
    refit: Refit,
    *,
    rounds: int = 6,
    views_per_round: int = 4,
    generator: torch.Generator | None = None,
) -> Avatar:
    """Replace a few training views by edits of what is rendered now, refit a little, again.

    The data set starts as the coarse renders. As the avatar changes, so do the renders that are
    edited, and the edits come to agree. Every view has its turn before one has another.

    Args:
        avatar: coarse.
        orbit, visible: as in `render_turntable`.
        edit: repairs a clip; all of it, for a clip prior looks at all views to repair one.
        refit: fits an avatar to a target, in a few steps.
        rounds: edits and refits.
        views_per_round: replaced in each.
        generator: of the order of the views.

    Source: Haque et al. 2023 (Instruct-NeRF2NeRF, 2303.12789), "iterative dataset update".
    """
    if rounds < 1 or not 1 <= views_per_round <= len(orbit):
        fail(
            "update_dataset",
            got=f"{rounds} rounds of {views_per_round} views",
            wanted=f"at least 1 round of 1 to {len(orbit)} views",
            fix="Try 6 rounds of 4.",
        )
    transl, queue = -avatar.rig.joints[0], []
    with torch.no_grad():
        start = render_turntable(avatar, orbit, visible)
    pictures = start.rgb.clone()
    for _ in range(rounds):
        while len(queue) < views_per_round:
            queue += torch.randperm(len(orbit), generator=generator).tolist()
        views, queue = queue[:views_per_round], queue[views_per_round:]
        with torch.no_grad():
            now = render_turntable(avatar, orbit, visible)
        pictures[views] = edit(now)[views]
        avatar = refit(avatar, clip_target(start, pictures, transl))
    return avatar


def progressive_refit(
    avatar: Avatar,
    orbit: Orbit,
    visible: Bool[Tensor, " N"],
    edit: Callable[[Turntable], Tensor],
    refit: Callable[[Avatar, FitTarget], Avatar],
    *,
    reaches_deg: Sequence[float] = (60.0, 120.0, 180.0),
) -> Avatar:
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
