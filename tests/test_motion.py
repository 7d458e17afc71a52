"""Motion clips: they move like people, on our joints, towards +z."""

import numpy as np
import pytest
import torch

from toolkit.body.model import JOINT_NAMES
from toolkit.body.motion import a_pose, clip_names, load_clip, t_pose
from toolkit.body.npz import load_body
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues
from toolkit.errors import InputError

INDEX = {n: i for i, n in enumerate(JOINT_NAMES)}


@pytest.fixture(scope="module")
def body():
    return load_body()


def joints_of(body, poses):
    return torch.stack([body(torch.zeros(20), p).joints for p in poses])


def test_t_pose_is_zero_and_a_pose_is_narrow(body):
    assert not t_pose().any() and t_pose().shape == (55, 3)
    vertices = body(torch.zeros(20), a_pose()).vertices[:13_380]
    assert vertices[:, 0].max() - vertices[:, 0].min() < 1.0
    joints = dict(zip(JOINT_NAMES, body(torch.zeros(20), a_pose()).joints, strict=True))
    down = joints["left_shoulder"] - joints["left_elbow"]
    assert float(torch.rad2deg(torch.atan2(down[1], -down[0]))) == pytest.approx(65, abs=0.5)


@pytest.mark.parametrize("name", clip_names())
def test_every_clip_is_sound(name):
    clip = load_clip(name)
    assert clip.poses.shape == (len(clip), 55, 3) and clip.transl.shape == (len(clip), 3)
    assert torch.isfinite(clip.poses).all() and clip.fps == 30 and len(clip) >= 20
    R = rodrigues(clip.poses)
    step = torch.arccos(
        ((R[1:].mT @ R[:-1]).diagonal(dim1=-2, dim2=-1).sum(-1).clamp(-1, 3) - 1) / 2
    )
    assert step[:, 1:].max() < 1.0  # no jumps: under a radian a frame at every joint but the root


@pytest.mark.parametrize("name", ["walk", "stroll"])
def test_walking_looks_like_walking(body, name):
    clip = load_clip(name)
    joints = joints_of(body, clip.poses)
    at = lambda n: joints[:, INDEX[n]]  # noqa: E731
    assert clip.transl[-1, 2] > 0.8 and clip.transl[:, 0].abs().max() < 0.2  # moves along +z
    assert (at("left_wrist")[:, 1] < at("left_shoulder")[:, 1] - 0.25).all()  # arms down
    for side in ("left", "right"):
        thigh, shank = (
            at(f"{side}_knee") - at(f"{side}_hip"),
            at(f"{side}_ankle") - at(f"{side}_knee"),
        )
        bend = torch.linalg.cross(thigh, shank)[:, 0]  # > 0: the shank folds backwards
        assert bend.min() > -0.01 and bend.max() > 0.05
    feet = (at("left_ankle") - at("right_ankle"))[:, 2]
    arms = (at("left_wrist") - at("right_wrist"))[:, 2]
    assert feet.max() > 0.3 and feet.min() < -0.3
    assert np.corrcoef(feet, arms)[0, 1] < -0.5  # arms swing against the legs
    assert (at("head")[:, 1] > at("pelvis")[:, 1] + 0.4).all()


def test_standing_foot_stays_near_the_floor(body):
    clip = load_clip("walk")
    lowest = torch.stack(
        [
            body(torch.zeros(20), p, t).vertices[:13_380, 1].min()
            for p, t in zip(clip.poses[::4], clip.transl[::4], strict=True)
        ]
    )
    floor = body.v_template[:13_380, 1].min()
    assert (lowest - floor).abs().max() < 0.06


@pytest.mark.parametrize("name", ["idle", "stroll"])
def test_computed_clips_loop(name):
    clip = load_clip(name)
    seam = (clip.poses[0] - clip.poses[-1]).abs().max()
    assert seam < 2 * (clip.poses[1:] - clip.poses[:-1]).abs().max()


def test_facing_camera():
    clip = load_clip("kick")
    turned = clip.facing_camera()
    forward = rodrigues(turned.poses[:, 0])[:, :, 2].mean(0)
    assert abs(float(forward[0])) < 1e-3 and forward[2] > 0
    assert torch.allclose(turned.transl.norm(dim=1), clip.transl.norm(dim=1), atol=1e-5)


def test_axis_angle_inverts_rodrigues():
    turns = torch.randn(300, 3, generator=torch.Generator().manual_seed(0)).double()
    turns = turns / turns.norm(dim=1, keepdim=True) * torch.linspace(0, 3.1, 300)[:, None]
    assert np.abs(matrix_to_axis_angle(rodrigues(turns).numpy()) - turns.numpy()).max() < 1e-6


def test_unknown_clip_names_the_known_ones():
    with pytest.raises(InputError, match="walk"):
        load_clip("moonwalk")
