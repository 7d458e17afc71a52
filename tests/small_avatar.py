"""A person of few Gaussians, with an own colour for every part, for tests of what moves it."""

from functools import cache

import torch

from toolkit.body.anchors import sample_anchors
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig
from toolkit.cameras import orbit_cameras
from toolkit.gaussians import Gaussians
from toolkit.render.api import render


@cache
def small_avatar(num=2500):
    """Discs on the skin; colours follow the place, so that a wrong order would be seen."""
    body = load_body()
    anchors = sample_anchors(body, num=num)
    betas = torch.zeros(body.num_betas)
    betas[:3] = torch.tensor([0.5, -0.4, 0.3])
    rig = Rig.build(body, anchors, betas)
    generator = torch.Generator().manual_seed(0)
    quats = torch.nn.functional.normalize(torch.randn(num, 4, generator=generator), dim=-1)
    scales = 0.008 + 0.014 * torch.rand(num, 3, generator=generator)
    place = rig.anchors_rest
    colors = 0.5 + 0.45 * torch.sin(place * torch.tensor([9.0, 7.0, 23.0]) + torch.arange(3.0))
    opacities = 0.6 + 0.39 * torch.rand(num, generator=generator)
    means = place + 0.01 * torch.randn(num, 3, generator=generator)
    return Avatar(Gaussians.from_colors(means, quats, scales, opacities, colors), rig)


def pictures(gaussians, size=(160, 160)):
    """Three views, as `psnr` compares them."""
    cameras = orbit_cameras([0.0, 70.0, 200.0], [5.0] * 3, radius_m=4.0, size=size)
    return render(gaussians, cameras).rgb


def psnr(a, b):
    return float(-10 * torch.log10(((a.clamp(0, 1) - b.clamp(0, 1)) ** 2).mean()))
