"""Posing Gaussians: what must not move, what must turn, and the avatar file."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from toolkit.body.anchors import sample_anchors
from toolkit.body.model import joint_transforms
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig, pose_gaussians
from toolkit.body.rotations import matrix_to_quat, multiply_quats, nearest_rotation, rodrigues
from toolkit.errors import InputError, MissingFileError
from toolkit.gaussians import Gaussians


def quat_to_matrix(quats):
    w, x, y, z = quats.unbind(-1)
    return torch.stack(
        [
            1 - 2 * (y * y + z * z),
            2 * (x * y - w * z),
            2 * (x * z + w * y),
            2 * (x * y + w * z),
            1 - 2 * (x * x + z * z),
            2 * (y * z - w * x),
            2 * (x * z - w * y),
            2 * (y * z + w * x),
            1 - 2 * (x * x + y * y),
        ],
        -1,
    ).reshape(-1, 3, 3)


def covariance(gaussians):
    axes = quat_to_matrix(gaussians.quats) * gaussians.scales[:, None]
    return axes @ axes.mT


def random_gaussians(rig, g):
    n = len(rig)
    return Gaussians.from_colors(
        rig.anchors_rest + 0.02 * torch.randn(n, 3, generator=g),
        normalize(torch.randn(n, 4, generator=g), dim=1),
        0.001 + 0.01 * torch.rand(n, 3, generator=g),
        torch.rand(n, generator=g),
        torch.rand(n, 3, generator=g),
    )


@pytest.fixture(scope="module")
def avatar():
    g = torch.Generator().manual_seed(0)
    body = load_body()
    rig = Rig.build(body, sample_anchors(body, num=600), torch.randn(20, generator=g))
    return Avatar(random_gaussians(rig, g), rig)


@pytest.fixture
def pose():
    return 0.5 * torch.randn(55, 3, generator=torch.Generator().manual_seed(1))


def test_zero_pose_moves_nothing(avatar):
    posed = avatar.posed(torch.zeros(55, 3))
    assert (posed.means - avatar.gaussians.means).abs().max() < 1e-6
    assert (posed.quats - avatar.gaussians.quats).abs().max() < 1e-6


def test_motions_are_skinning_and_the_nearest_rotation(avatar, pose):
    """Against the definition, one Gaussian at a time, with the polar factor of an SVD."""
    rig, transl = avatar.rig, torch.tensor([0.3, -0.2, 1.0])
    posed = avatar.posed(pose, transl)
    transforms = joint_transforms(rodrigues(pose), rig.joints, rig.parents)
    for i in range(0, 600, 20):
        blend = (rig.lbs_weights[i][:, None, None] * transforms).sum(0)
        U, _, Vt = torch.linalg.svd(blend[:3, :3])
        anchor = blend[:3, :3] @ rig.anchors_rest[i] + blend[:3, 3]
        offset = avatar.gaussians.means[i] - rig.anchors_rest[i]
        assert torch.allclose(posed.means[i], anchor + U @ Vt @ offset + transl, atol=1e-5)


def test_motions_and_their_inverse_cancel(avatar, pose):
    motions = avatar.rig.motions(pose, torch.tensor([0.3, -0.2, 1.0]))
    back = motions.inverse().apply(motions.apply(avatar.gaussians))
    assert torch.allclose(back.means, avatar.gaussians.means, atol=1e-5)
    assert ((back.quats * avatar.gaussians.quats).sum(1).abs() > 1 - 1e-5).all()


def test_global_rotation_is_a_rigid_motion(avatar):
    pose, transl = torch.zeros(55, 3), torch.tensor([0.3, -0.2, 1.0])
    pose[0] = torch.tensor([0.4, 1.2, -0.7])
    posed, R, root = avatar.posed(pose, transl), rodrigues(pose[0]), avatar.rig.joints[0]
    assert torch.allclose(
        posed.means, (avatar.gaussians.means - root) @ R.T + root + transl, atol=1e-5
    )
    assert torch.allclose(covariance(posed), R @ covariance(avatar.gaussians) @ R.T, atol=1e-8)


def test_quats_stay_unit_and_scales_stay(avatar, pose):
    posed = avatar.posed(pose)
    assert torch.allclose(posed.quats.norm(dim=1), torch.ones(600), atol=1e-6)
    assert torch.equal(posed.scales, avatar.gaussians.scales)
    assert torch.equal(posed.opacities, avatar.gaussians.opacities)


def test_a_gaussian_on_one_joint_turns_with_it(avatar):
    """Bend the left elbow: forearm and hand turn about it, offset and all."""
    pose = torch.zeros(55, 3)
    pose[18, 1] = -1.1
    R, elbow = rodrigues(pose[18]), avatar.rig.joints[18]
    only = avatar.rig.lbs_weights[:, [18, 20, *range(25, 40)]].sum(1) > 0.999
    posed = avatar.posed(pose)
    assert only.sum() > 5
    assert torch.allclose(
        posed.means[only], (avatar.gaussians.means[only] - elbow) @ R.T + elbow, atol=1e-4
    )
    assert torch.allclose(
        covariance(posed)[only], R @ covariance(avatar.gaussians)[only] @ R.T, atol=1e-7
    )


def test_offsets_keep_their_length_at_joints(avatar, pose):
    """The rotation of the blend turns the offset; the blend itself would shrink it."""
    on_surface = avatar.gaussians.replace(means=avatar.rig.anchors_rest)
    offsets = avatar.posed(pose).means - pose_gaussians(on_surface, avatar.rig, pose).means
    before = (avatar.gaussians.means - avatar.rig.anchors_rest).norm(dim=1)
    assert torch.allclose(offsets.norm(dim=1), before, atol=1e-5)


def test_anchors_follow_the_mesh(avatar, pose):
    body, on_surface = load_body(), avatar.gaussians.replace(means=avatar.rig.anchors_rest)
    anchors = sample_anchors(body, num=600)
    vertices = body(avatar.rig.betas, pose).vertices[body.faces_body[anchors.faces]]
    on_mesh = (anchors.bary[..., None] * vertices).sum(1)
    distance = (pose_gaussians(on_surface, avatar.rig, pose).means - on_mesh).norm(dim=1)
    assert distance.max() < 5e-3  # skinning a mean of points is not the mean of skinned points


def test_nearest_rotation_is_the_polar_factor(avatar):
    g = torch.Generator().manual_seed(2)
    blends = sum(0.5 * rodrigues(torch.randn(50, 3, generator=g)) for _ in range(2))
    blends = blends[torch.linalg.det(blends) > 0.05]
    U, _, V = torch.linalg.svd(blends)
    assert torch.allclose(nearest_rotation(blends), U @ V, atol=1e-4)


def test_quaternions_of_all_kinds_of_turns():
    g = torch.Generator().manual_seed(0)
    turns = torch.cat(
        [torch.pi * torch.eye(3), torch.zeros(1, 3), 3 * torch.randn(200, 3, generator=g)]
    )
    R = rodrigues(turns.double())
    assert torch.allclose(quat_to_matrix(matrix_to_quat(R)), R, atol=1e-7)
    product = multiply_quats(matrix_to_quat(R[:100]), matrix_to_quat(R[100:200]))
    assert torch.allclose(quat_to_matrix(product), R[:100] @ R[100:200], atol=1e-7)


def test_gradients_of_means_and_pose(avatar, pose):
    few = torch.arange(0, 600, 120)
    rig = Rig(
        avatar.rig.anchors_rest[few].double(),
        avatar.rig.lbs_weights[few].double(),
        avatar.rig.joints.double(),
        avatar.rig.parents,
        avatar.rig.betas.double(),
    )
    g = Gaussians(
        **{
            k: getattr(avatar.gaussians, k)[few].double()
            for k in ("means", "quats", "scales", "opacities", "sh")
        }
    )

    def posed(means, quats, angles):
        out = pose_gaussians(g.replace(means=means, quats=quats), rig, angles)
        return out.means, out.quats

    inputs = [x.clone().requires_grad_() for x in (g.means, g.quats, pose.double())]
    assert torch.autograd.gradcheck(posed, inputs, fast_mode=True)


def test_gradient_at_zero_pose_is_finite(avatar):
    pose = torch.zeros(55, 3, requires_grad=True)
    posed = avatar.posed(pose)
    (posed.means.sum() + posed.quats.square().sum()).backward()
    assert torch.isfinite(pose.grad).all() and pose.grad.abs().sum() > 0


def test_avatar_round_trip(avatar, pose, tmp_path):
    avatar.save(tmp_path / "avatar.npz")
    again = Avatar.load(tmp_path / "avatar.npz").posed(pose)
    assert torch.equal(again.means, avatar.posed(pose).means)
    with np.load(tmp_path / "avatar.npz", allow_pickle=False) as file:
        assert len(file.files) == 10


def test_bad_avatar_files(tmp_path):
    with pytest.raises(MissingFileError):
        Avatar.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="avatar.npz"):
        Avatar.load(tmp_path / "other.npz")


def test_rig_and_gaussians_must_match(avatar):
    half = Gaussians(
        **{
            k: getattr(avatar.gaussians, k)[:300]
            for k in ("means", "quats", "scales", "opacities", "sh")
        }
    )
    with pytest.raises(InputError, match="300 Gaussians, 600 anchors"):
        pose_gaussians(half, avatar.rig, torch.zeros(55, 3))
    with pytest.raises(InputError, match="pose"):
        avatar.posed(torch.zeros(24, 3))
