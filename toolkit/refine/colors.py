"""Colours by linear least squares, as a start for Adam (`FitConfig.color_passes`).

With geometry and opacities held fixed, a picture is linear in the colours of its splats. So the
error of a picture can be sent back along the same weights that drew it: each Gaussian is corrected
by the mean error of the pixels it shows on, weighted by how much it shows there. That is one pass
of SIRT, a classical solver from tomography; `coarse.repaint` does the same in the photo's one view.

Two passes go most of the way in a tenth of the time (`experiments/refit.py` measures it). More of
them fit what the views disagree about.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.rig import RigidMotions
from toolkit.gaussians import SH_C0, Gaussians
from toolkit.refine.target import FitTarget
from toolkit.render.api import render
from toolkit.render.rasterizer import rasterization

FAINT_PX = 0.3  # a Gaussian that shows on less than this of a pixel in all views is corrected less
GAIN = 1.5  # of each correction: 1 is slow, 2 would swing


def solve_colors(
    gaussians: Gaussians,
    motions: Sequence[RigidMotions],
    targets: Sequence[FitTarget],
    *,
    passes: int = 2,
) -> Gaussians:
    """The same Gaussians with the view-independent part of their colours fitted to the targets.

    Args:
        gaussians: in the T pose.
        motions: into the pose of each target.
        targets: pictures on white; a target's pixels count less the larger its pictures are, so
            that a large photo does not outvote a small turntable.
        passes: corrections; each costs about two renders of every view.

    Source: Gilbert 1972 (SIRT), with splats as the projection.
    """
    persons_px = [float(target.alpha.sum((1, 2, 3)).mean().clamp_min(1)) for target in targets]
    for _ in range(passes):
        error, weight = torch.zeros_like(gaussians.means), torch.zeros_like(gaussians.means[:, :1])
        for target, motion, person_px in zip(targets, motions, persons_px, strict=True):
            back = _send_back(motion.apply(gaussians), target)
            share = persons_px[0] / person_px
            error, weight = error + share * back[:, :3], weight + share * back[:, 3:]
        colors = gaussians.colors + GAIN * error / weight.clamp_min(FAINT_PX)
        sh0 = ((colors.clamp(0, 1) - 0.5) / SH_C0)[:, None]
        gaussians = gaussians.replace(sh=torch.cat([sh0, gaussians.sh[:, 1:]], dim=1))
    return gaussians


def _send_back(posed: Gaussians, target: FitTarget) -> Float[Tensor, "N 4"]:
    """Per Gaussian: the sum of the pixels' errors, and the sum of the weights it has in them."""
    with torch.no_grad():
        drawn = render(posed, target.cameras)
    trusted = target.confidence * (target.alpha > 0.5)  # outside the person, coverage is at fault
    sent = torch.cat([trusted * (target.rgb - drawn.rgb), trusted], dim=-1)
    # a render's gradient with respect to the colours is the blending weights: what the values of
    # the colours are does not matter, so four channels of zeros serve
    probe = torch.zeros(len(posed), 4).to(posed.means).requires_grad_()
    with torch.enable_grad():
        picture, _, _ = rasterization(
            posed.means,
            posed.quats,
            posed.scales,
            posed.opacities,
            probe,
            target.cameras.viewmats,
            target.cameras.Ks,
            target.cameras.width,
            target.cameras.height,
            rasterize_mode="antialiased",
        )
        (back,) = torch.autograd.grad(picture, probe, sent)
    return back
