"""The scene of the benchmarks: a standing person made of flat splats, a fifth of the picture.

Anchors of `toolkit.body.anchors` on a stout body, arms out, one splat each, with the shape that
`toolkit.coarse.small` starts from: 0.67 of the local spacing along the skin and 0.28 across it,
nearly opaque. A quarter of them sits on the head, as in an avatar. Colours are drawn at random.
"""

import torch
from scipy.spatial import cKDTree

from toolkit.body.anchors import sample_anchors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.cameras import Cameras, orbit_cameras
from toolkit.gaussians import Gaussians

MOST_ANCHORS = 160_000  # per draw; more are several draws, each with its own seed
ALONG, ACROSS = 0.67, 0.28  # standard deviations in units of the spacing
CLOTHES_M = 0.01  # off the skin


def standing_person(num: int, seed: int = 0) -> Gaussians:
    """`num` splats on the body in the A-pose, with plain colours."""
    body = load_body()
    draws = -(-num // MOST_ANCHORS)  # rounded up
    parts = [_one_draw(body, num // draws, seed + k) for k in range(draws)]
    means, quats = (torch.cat([part[k] for part in parts]) for k in (0, 1))
    distance, _ = cKDTree(means.numpy()).query(means.numpy(), k=5)
    spacing = torch.from_numpy(distance[:, 1:].mean(1)).float()[:, None]
    scales = spacing * torch.tensor([ALONG, ALONG, ACROSS])
    generator = torch.Generator().manual_seed(seed)
    colors = torch.rand(len(means), 3, generator=generator)
    opacities = 0.9 + 0.1 * torch.rand(len(means), generator=generator)
    return Gaussians.from_colors(means, quats, scales, opacities, colors)


def _one_draw(body: BodyModel, num: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Posed centres, and quaternions that turn +z onto the skin's normal."""
    anchors = sample_anchors(body, num, seed=seed)
    rig = Rig.build(body, anchors, body.named_betas(weight=0.9))
    # The shortest turn from +z to a normal n is (1 + n.z, z x n), up to its length. Where n = -z,
    # all axes across are equally short; x is taken.
    x, y, z = anchors.normals.unbind(-1)
    quats = torch.stack([1 + z, -y, x, torch.zeros_like(z)], -1)
    quats = torch.where((1 + z)[:, None] < 1e-6, torch.tensor([0.0, 1.0, 0.0, 0.0]), quats)
    plain = Gaussians.from_colors(
        rig.anchors_rest + CLOTHES_M * anchors.normals,
        torch.nn.functional.normalize(quats, dim=-1),
        torch.ones(num, 3),
        torch.ones(num),
        torch.zeros(num, 3),
    )
    posed = pose_gaussians(plain, rig, a_pose(arms_down_deg=50.0))
    middle = (posed.means.amin(0) + posed.means.amax(0)) / 2
    return posed.means - middle, posed.quats


def portrait_camera(size_px: int) -> Cameras:
    """A square view from the front, turned a little, that the person fills from top to bottom."""
    return orbit_cameras(
        torch.tensor([20.0]), 5.0, radius_m=2.9, fov_y_deg=34.0, size=(size_px, size_px)
    )
