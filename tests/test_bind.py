"""Binding foreign Gaussians to the body: they stay where they are, and move as they should."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from toolkit.body.anchors import sample_anchors
from toolkit.body.binding import bind, nearest_on_surface
from toolkit.body.motion import a_pose, load_clip
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig, pose_gaussians
from toolkit.errors import InputError
from toolkit.gaussians import Gaussians


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def avatar(body):
    """Gaussians up to 2 cm off the skin, on a shaped body."""
    g = torch.Generator().manual_seed(0)
    rig = Rig.build(body, sample_anchors(body, 1500), torch.randn(20, generator=g))
    n = len(rig)
    offsets = 0.02 * torch.rand(n, 1, generator=g) * normalize(torch.randn(n, 3, generator=g))
    return Avatar(
        Gaussians.from_colors(
            rig.anchors_rest + offsets,
            normalize(torch.randn(n, 4, generator=g)),
            0.001 + 0.01 * torch.rand(n, 3, generator=g),
            torch.rand(n, generator=g),
            torch.rand(n, 3, generator=g),
        ),
        rig,
    )


@pytest.fixture(scope="module")
def walk():
    return load_clip("walk").poses[10]


def gap(first, second):
    """Distances of two Gaussians' centres, and angles between their axes in radians."""
    cosine = (first.quats * second.quats).sum(1).abs().clamp(max=1)
    return (first.means - second.means).norm(dim=1), 2 * torch.acos(cosine)


@pytest.mark.parametrize("pose", ["t", "a"])
def test_a_ply_is_bound_and_reposed(pose, avatar, body, walk, tmp_path):
    """Write as PLY, read as if foreign, bind, re-pose: where the true avatar goes."""
    pose = torch.zeros(55, 3) if pose == "t" else a_pose()
    transl = torch.tensor([0.2, -0.1, 0.4])
    avatar.posed(pose, transl).save_ply(tmp_path / "foreign.ply")
    foreign = Gaussians.load_ply(tmp_path / "foreign.ply")
    bound = bind(foreign, body, avatar.rig.betas, pose, transl)
    distance, angle = gap(bound.posed(pose, transl), foreign)
    assert distance.max() < 1e-5 and angle.max() < 2e-3
    distance, angle = gap(bound.posed(walk, transl), avatar.posed(walk, transl))
    assert distance.median() < 1e-3 and distance.quantile(0.99) < 0.01
    assert angle.median() < 0.02
    still = gap(foreign, avatar.posed(walk, transl))[0]  # control: without binding
    assert still.median() > 20 * distance.median()


def test_t_pose_is_the_default(avatar, body):
    first = bind(avatar.gaussians, body, avatar.rig.betas)
    second = bind(avatar.gaussians, body, avatar.rig.betas, torch.zeros(55, 3), torch.zeros(3))
    assert torch.equal(first.gaussians.means, second.gaussians.means)
    assert (first.gaussians.means - avatar.gaussians.means).abs().max() < 1e-6


def test_anchors_are_near_and_skinned(avatar, body):
    rig = bind(avatar.gaussians, body, avatar.rig.betas).rig
    assert torch.allclose(rig.lbs_weights.sum(1), torch.ones(len(rig)), atol=1e-5)
    reach = (avatar.gaussians.means - avatar.rig.anchors_rest).norm(dim=1)
    distance = (avatar.gaussians.means - rig.anchors_rest).norm(dim=1)
    assert (distance <= reach + 1e-5).all()  # never farther than the anchor it was made from


def test_unpose_is_the_inverse_of_pose(avatar, walk):
    transl = torch.tensor([1.0, 2.0, 3.0])
    posed = pose_gaussians(avatar.gaussians, avatar.rig, walk, transl)
    back = avatar.rig.motions(walk, transl).inverse().apply(posed)
    distance, angle = gap(back, avatar.gaussians)
    assert distance.max() < 1e-5 and angle.max() < 2e-3


def test_nearest_on_surface_is_brute_force(body):
    g = np.random.default_rng(0)
    vertices, faces = body.v_template, body.faces_body
    pick = faces[torch.from_numpy(g.choice(len(faces), 60))]
    points = vertices[pick].mean(1) + torch.from_numpy(g.normal(0, 0.05, (60, 3))).float()
    ids, bary = nearest_on_surface(points, vertices, faces)
    nearest = (vertices[faces[ids]] * bary[..., None]).sum(1)
    assert bary.min() >= -1e-6 and torch.allclose(bary.sum(1), torch.ones(60), atol=1e-5)
    dense = torch.tensor([[a, b, 12 - a - b] for a in range(13) for b in range(13 - a)]) / 12.0
    near = [
        (torch.einsum("kc,fcd->fkd", dense, vertices[faces]) - p).norm(dim=-1).min()
        for p in points[:20]
    ]
    ours = (nearest - points).norm(dim=1)[:20]
    assert (ours <= torch.stack(near) + 1e-6).all()
    assert (torch.stack(near) - ours).max() < 5e-3


def test_one_triangle_inside_edge_and_corner():
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    points = torch.tensor([[0.2, 0.3, 0.5], [0.5, -1, 0], [1, 1, 0], [-1, -1, 2]])
    wanted = torch.tensor([[0.2, 0.3, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0, 0, 0]])
    faces = torch.tensor([[0, 1, 2]]).expand(2, 3)
    _, bary = nearest_on_surface(points, vertices, faces)
    assert torch.allclose(bary @ vertices, wanted, atol=1e-6)


@pytest.mark.parametrize("change", [lambda m: m * 100, lambda m: m + 3.0])
def test_gaussians_that_are_no_person_here_are_refused(change, avatar, body):
    wrong = avatar.gaussians.replace(means=change(avatar.gaussians.means))
    with pytest.raises(InputError, match="median distance"):
        bind(wrong, body, avatar.rig.betas)
