"""Losses of the coarse training: pictures from several sides, and distance to the true surface."""

import random
from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.cameras import Cameras
from toolkit.coarse.observation import AnchorLayout, observe
from toolkit.coarse.small import AnchorTransformer
from toolkit.gaussians import Gaussians
from toolkit.render.api import render
from tools.train.people import Sample

SHADE = 0.35  # of the background in the loss: on white, white clothes and holes would look alike


@dataclass
class Setup:
    """What every step needs besides the network.

    Attributes:
        body: the body model.
        anchors, layouts: several sets of anchors, one of which each step draws.
        rng, generator: of all draws.
    """

    body: BodyModel
    anchors: list[Anchors]
    layouts: list[AnchorLayout]
    rng: random.Random
    generator: torch.Generator


def estimated_body(sample: Sample, setup: Setup) -> SimpleNamespace:
    """The true body, or (half of the time) with errors of the size the photo fit makes."""
    level = setup.rng.choice([0.0, 0.0, 0.5, 1.0])

    def noise(like: Tensor, size: float) -> Tensor:
        return level * size * torch.randn(like.shape, generator=setup.generator)

    betas, pose = sample.betas + noise(sample.betas, 0.3), sample.pose + noise(sample.pose, 0.05)
    return SimpleNamespace(
        betas=betas,
        pose=pose,
        camera=sample.crop.camera,
        transl=sample.transl + noise(sample.transl, 0.008),
    )


def recolored(sample: Sample, setup: Setup) -> Sample:
    """Half of the time the same person under a random colour gain, alike in photo and truth."""
    if setup.rng.random() < 0.5:
        return sample
    gain = 0.55 + 0.6 * torch.rand(3, generator=setup.generator)

    def dyed(rgba: Float[Tensor, "*views H W 4"]) -> Float[Tensor, "*views H W 4"]:
        bare = 1 - rgba[..., 3:]
        return torch.cat([(rgba[..., :3] - bare).clamp(0, 1) * gain + bare, rgba[..., 3:]], -1)

    crop = replace(sample.crop, rgb=(sample.crop.rgb * gain[:, None, None]).clamp(0, 1))
    return replace(
        sample,
        crop=crop,
        photo_rgba=dyed(sample.photo_rgba).clamp(0, 1),
        turn_rgba=dyed(sample.turn_rgba).clamp(0, 1),
        posed_rgba=dyed(sample.posed_rgba).clamp(0, 1),
    )


def step_loss(
    model: AnchorTransformer, sample: Sample, setup: Setup
) -> dict[str, Float[Tensor, ""]]:
    """Losses of one person: the photo's own view and four random others."""
    which = setup.rng.randrange(len(setup.anchors))
    anchors, layout = setup.anchors[which], setup.layouts[which]
    guess = estimated_body(sample, setup)
    seen = observe(sample.crop, guess, setup.body, anchors)
    gaussians = model(sample.crop, layout, seen)
    rig = Rig.build(setup.body, anchors, guess.betas)
    posed = pose_gaussians(gaussians, rig, guess.pose, guess.transl)
    total = view_loss(
        posed, sample.crop.camera, sample.photo_rgba[None], sample.crop.known[None, ..., None]
    )
    turn = setup.rng.sample(range(len(sample.turn_cameras)), 3)
    standing = pose_gaussians(gaussians, rig, a_pose(), sample.transl)
    total = total + 2 * view_loss(standing, sample.turn_cameras[turn], sample.turn_rgba[turn])
    other = setup.rng.randrange(len(sample.posed_cameras))
    total = total + view_loss(
        posed, sample.posed_cameras[other], sample.posed_rgba[other : other + 1]
    )
    shape = surface_loss(standing.means, sample.surface)
    offset = gaussians.means - seen.rest
    # Keep splats near their anchors and small, or they hide behind each other.
    calm = 0.3 * offset.norm(dim=-1).mean() + 2.0 * (gaussians.scales - 0.015).clamp_min(0).mean()
    return {
        "loss": total / 4 + 8 * shape + calm,
        "image": total.detach() / 4,
        "surface_m": shape.detach(),
    }


def surface_loss(means: Float[Tensor, "N 3"], surface: Float[Tensor, "P 3"]) -> Float[Tensor, ""]:
    """Mean distance in metres from the Gaussians to the dressed surface, and back.

    The gradient of a picture moves a splat only as far as its own footprint reaches. This loss
    also draws splats to hair and skirts, which are farther from the body.
    """
    points, truth = means.detach().numpy(), surface.numpy()
    to_surface = surface[cKDTree(truth).query(points)[1]]
    to_gaussian = cKDTree(points).query(truth)[1]
    to_nearest_point = (means - to_surface).norm(dim=-1).mean()
    to_nearest_splat = (means[to_gaussian] - surface).norm(dim=-1).mean()
    return 0.5 * to_nearest_point + to_nearest_splat


def view_loss(
    gaussians: Gaussians,
    cameras: Cameras,
    truth_rgba: Float[Tensor, "C H W 4"],
    known: Float[Tensor, "C H W 1"] | float = 1.0,
) -> Float[Tensor, ""]:
    """Colour, coverage and gradient errors at two scales, per covered pixel.

    Args:
        gaussians: posed.
        cameras: C of them.
        truth_rgba: straight colour composited on white, and coverage.
        known: 0 where the truth shows nothing because a photo ends there.
    """
    out = render(gaussians, cameras)
    cover, alpha = out.alpha * known, truth_rgba[..., 3:] * known
    rgb, truth = out.rgb * known, truth_rgba[..., :3] * known
    shaded = rgb - (1 - cover) * SHADE, truth - (1 - alpha) * SHADE
    area = alpha.sum().clamp_min(50.0)
    ours, true = (x.permute(0, 3, 1, 2) for x in shaded)
    holes = (alpha - cover).clamp_min(0).sum()  # worse than a rim that is too wide
    loss = (ours - true).abs().sum() / 3 + 0.5 * (cover - alpha).abs().sum() + 0.5 * holes
    for dim in (2, 3):
        loss = loss + 0.5 * (ours.diff(dim=dim) - true.diff(dim=dim)).abs().sum() / 3
    small = F.avg_pool2d(ours, 4) - F.avg_pool2d(true, 4)
    return (loss + 16 * 0.5 * small.abs().sum() / 3) / area
