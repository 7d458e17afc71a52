"""Soles: where they are, when they slide, and how the lock holds them."""

import numpy as np
import pytest
import torch

from toolkit.body.model import JOINT_NAMES
from toolkit.body.motion import Motion, load_clip
from toolkit.body.motion_feet import (
    Skeleton,
    floor_height,
    joint_chain,
    lock_feet,
    sole_path,
    stand_on,
)
from toolkit.body.motion_report import report_motion
from toolkit.body.npz import load_body


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def skeleton(body):
    floor = float(body.v_template[body.faces_body.unique(), 1].min())
    return Skeleton(body.rest_joints(torch.zeros(20)), body.parents, floor)


def scaled(clip, share):
    return Motion(clip.poses, clip.transl * torch.tensor([share, 1.0, share]), clip.fps)


def test_the_chain_is_the_body_models(body, skeleton):
    clip = load_clip("kick")
    _, places = joint_chain(clip.poses, skeleton)
    for t in (0, 13, 40):
        assert torch.allclose(body(torch.zeros(20), clip.poses[t]).joints, places[t], atol=1e-5)


def test_sole_points_lie_on_the_soles(body, skeleton):
    clip = load_clip("walk")
    for t in (0, 9, 21):
        vertices = body(torch.zeros(20), clip.poses[t], clip.transl[t]).vertices
        lowest = float(vertices[body.faces_body.unique(), 1].min())
        soles = sole_path(clip, skeleton)[t]
        assert float(soles[:, 1].min()) == pytest.approx(lowest, abs=0.03)


def test_a_body_that_is_pushed_slides_as_fast_as_it_is_pushed(skeleton):
    num = 31
    transl = torch.zeros(num, 3)
    transl[:, 0] = torch.arange(num) / 30 * 0.7
    report = report_motion(Motion(torch.zeros(num, 55, 3), transl, 30.0), skeleton)
    assert report.skating_m_per_s == pytest.approx(0.7, abs=1e-3)
    assert report.contact == 1 and report.metres == pytest.approx(0.7, abs=1e-3)
    assert report.penetration_m == 0 and not report.beyond


def test_the_lock_stops_it(skeleton):
    transl = torch.zeros(31, 3)
    transl[:, 0] = torch.arange(31) / 30
    locked = lock_feet(Motion(torch.zeros(31, 55, 3), transl, 30.0), skeleton)
    assert locked.transl.abs().max() < 1e-5


@pytest.mark.parametrize(("share", "near"), [(0.0, 0.25), (0.6, 0.12), (1.4, 0.12)])
def test_a_walk_of_wrong_stride_gets_the_stride_of_its_legs(skeleton, share, near):
    walk = load_clip("walk")
    wrong = scaled(walk, share)
    locked = lock_feet(wrong, skeleton)
    before, after = (report_motion(m, skeleton).skating_m_per_s for m in (wrong, locked))
    assert after < 0.3 * before
    assert float(locked.transl[-1, 2]) == pytest.approx(float(walk.transl[-1, 2]), rel=near)
    assert torch.equal(locked.poses, walk.poses)
    assert torch.equal(locked.transl[:, 1], wrong.transl[:, 1])


def test_a_flight_keeps_its_way(skeleton):
    jump = load_clip("jump")
    locked = lock_feet(jump, skeleton)
    assert float((locked.transl[-1] - jump.transl[-1]).norm()) < 0.35 * float(
        jump.transl[-1].norm()
    )
    alone = Motion(jump.poses[:1], jump.transl[:1], 30.0)
    assert lock_feet(alone, skeleton) is alone


def test_standing_on_the_floor_moves_up_or_down_only(skeleton):
    walk = load_clip("walk")
    high = Motion(walk.poses, walk.transl + torch.tensor([0.0, 0.4, 0.0]), walk.fps)
    down = stand_on(high, skeleton)
    assert floor_height(sole_path(down, skeleton)) == pytest.approx(skeleton.floor_m, abs=1e-5)
    assert torch.equal(down.transl[:, [0, 2]], walk.transl[:, [0, 2]])


def test_the_report_finds_what_is_planted(skeleton):
    poses = torch.zeros(20, 55, 3)
    poses[5:10, JOINT_NAMES.index("left_knee"), 0] = -1.0  # to the front
    poses[7, JOINT_NAMES.index("neck"), 1] = 2.5
    transl = torch.zeros(20, 3)
    transl[12, 1] = -0.11
    transl[15, 1] = 0.2
    report = report_motion(Motion(poses, transl, 30.0), skeleton)
    assert report.beyond == {"left_knee": 0.25, "neck": 0.05}
    assert report.penetration_m == pytest.approx(0.11, abs=1e-3)
    assert report.floating_m == pytest.approx(0.2, abs=1e-3)
    assert report.jump_deg == pytest.approx(np.degrees(2.5), abs=0.1)
    assert any("left_knee (25%)" in line for line in report.lines())


@pytest.mark.parametrize("name", ["walk", "run", "dance_a", "kick", "stroll", "idle"])
def test_our_clips_stay_within_what_joints_can_do(skeleton, name):
    assert not report_motion(load_clip(name), skeleton).beyond
