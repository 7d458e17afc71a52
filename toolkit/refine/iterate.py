"""Edits and refits that alternate, instead of one refit at the end. Three ways of it.

The views of a video prior disagree with each other; a set of Gaussians cannot. So each way renders
Gaussians in between: inside the SDEdit loop (`RefitInLoop`), a few views at a time
(`update_dataset`), or from the front to the back (`progressive_refit`).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toolkit.body.rig import Avatar
from toolkit.errors import fail
from toolkit.prior.orbit import Orbit
from toolkit.refine.edit import as_clip, as_frames
from toolkit.refine.target import FitTarget, clip_target
from toolkit.refine.turntable import Turntable, pose_for_turntable, render_turntable
from toolkit.render.api import render

Refit = Callable[[Avatar, FitTarget], Avatar]


@dataclass
class RefitInLoop:
    """Hook of `sdedit` (`project`): the clean estimate becomes renders of Gaussians fitted to it.

    The next step then starts from views that agree in 3D. `avatar` holds the result of the last
    refit; a further refit to the finished clip usually follows.

    Attributes:
        avatar: coarse at first.
        turntable: the coarse clip, for cameras, coverage and what the photo saw.
        refit: fits an avatar to a target.
        at: indices of the steps at which to do so; early estimates are blurred.

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
        target = clip_target(self.turntable, as_frames(clean), -self.avatar.rig.joints[0])
        self.avatar = self.refit(self.avatar, target)
        with torch.no_grad():
            drawn = render(pose_for_turntable(self.avatar), self.turntable.cameras)
        return as_clip(drawn.rgb).to(clean)


def update_dataset(
    avatar: Avatar,
    orbit: Orbit,
    visible: Bool[Tensor, " N"],
    edit: Callable[[Turntable], Tensor],
    refit: Refit,
    *,
    iterations: int = 6,
    views_per_iteration: int = 4,
    generator: torch.Generator | None = None,
) -> Avatar:
    """Replace a few training views by edits of the present renders, refit a little, repeat.

    The data set starts as the coarse renders. As the avatar changes, so do the renders that are
    edited, and the edits come to agree with each other. Every view is replaced once before any is
    replaced again.

    Args:
        avatar: coarse.
        orbit, visible: as in `render_turntable`.
        edit: SDEdit of a clip, always of all views: a clip prior looks at all to edit one.
        refit: fits an avatar to a target, in a few steps.
        iterations: number of edits, each followed by a refit.
        views_per_iteration: how many views are replaced each time.
        generator: of the order of the views.

    Source: Haque et al. 2023 (Instruct-NeRF2NeRF, 2303.12789), "iterative dataset update".
    """
    if iterations < 1 or not 1 <= views_per_iteration <= len(orbit):
        fail(
            "update_dataset",
            got=f"{iterations} iterations of {views_per_iteration} views",
            wanted=f"at least 1 iteration of 1 to {len(orbit)} views",
            fix="Try 6 iterations of 4.",
        )
    transl, queue = -avatar.rig.joints[0], []
    with torch.no_grad():
        start = render_turntable(avatar, orbit, visible)
    pictures = start.rgb.clone()
    for _ in range(iterations):
        while len(queue) < views_per_iteration:
            queue += torch.randperm(len(orbit), generator=generator).tolist()
        views, queue = queue[:views_per_iteration], queue[views_per_iteration:]
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
    refit: Refit,
    *,
    reaches_deg: Sequence[float] = (60.0, 120.0, 180.0),
) -> Avatar:
    """From the front to the back: render, edit, refit, then render the better avatar again.

    Args:
        avatar: coarse.
        orbit, visible: as in `render_turntable`.
        edit: SDEdit of a clip.
        refit: fits an avatar to a target.
        reaches_deg: each refit sees the views up to this far from the front; the last sees all.

    Source: Difix3D (Wu et al. 2025), Sec. 4.2: progressive update of the 3D representation.
    """
    for reach in reaches_deg:
        with torch.no_grad():
            turntable = render_turntable(avatar, orbit, visible)
        target = clip_target(turntable, edit(turntable), -avatar.rig.joints[0])
        turned = ((orbit.azimuths_deg + 180) % 360 - 180).abs()
        avatar = refit(avatar, target.pick(torch.nonzero(turned <= reach)[:, 0].tolist()))
    return avatar
