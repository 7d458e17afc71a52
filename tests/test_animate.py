"""Animation: the person stays in the frame and on the floor, the floor stays put."""

import numpy as np
import pytest
import torch

from toolkit.body.motion import Motion
from toolkit.body.rig import Avatar, Rig
from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError
from toolkit.gaussians import Gaussians
from toolkit.show.film import (
    AnimationConfig,
    animate,
    film_frame,
    frame_indices,
    lengthen,
    lowest_point,
    side_by_side,
    smooth_path,
)
from toolkit.show.floor import draw_floor

SMALL = AnimationConfig(size=(64, 48), fps=5, seconds=1.0)


def pillar(num=400):
    """A red pillar of 1.8 m, 0.9 m below and above its root, on one joint."""
    g = torch.Generator().manual_seed(0)
    means = (torch.rand(num, 3, generator=g) - 0.5) * torch.tensor([0.3, 1.8, 0.3])
    gaussians = Gaussians.from_colors(
        means,
        torch.eye(4)[:1].repeat(num, 1),
        torch.full((num, 3), 0.04),
        torch.full((num,), 0.9),
        torch.tensor([[0.8, 0.1, 0.1]]).repeat(num, 1),
    )
    weights = torch.zeros(num, 55)
    weights[:, 0] = 1
    rig = Rig(means, weights, torch.zeros(55, 3), torch.arange(-1, 54), torch.zeros(20))
    return Avatar(gaussians, rig)


def walk(num=30, metres=4.0):
    transl = torch.zeros(num, 3)
    transl[:, 2] = torch.linspace(0, metres, num)
    return Motion(torch.zeros(num, 55, 3), transl, 30.0)


def red(frame):
    return (frame[..., 0] - frame[..., 1] > 0.4) & (frame[..., 0] > 0.5)


def test_walker_stays_in_the_middle_while_the_floor_moves():
    film = animate(pillar(), walk(), SMALL)
    assert film.shape == (5, 64, 48, 3) and film.min() >= 0 and film.max() <= 1
    columns = [np.argwhere(red(frame))[:, 1].mean() for frame in film]
    assert np.ptp(columns) < 1.5 and abs(np.mean(columns) - 24) < 2
    floor = film[:, 50:, :6]
    assert np.abs(floor[1] - floor[0]).max() > 0.005


def test_person_stands_on_the_floor():
    avatar, config = pillar(), SMALL
    frame = avatar.posed(torch.zeros(55, 3))
    assert lowest_point(frame) == pytest.approx(-0.9, abs=0.02)
    film = animate(avatar, walk(metres=0.0), config)
    camera = orbit_cameras(
        [config.azimuth_deg],
        [config.elevation_deg],
        size=config.size,
        radius_m=config.radius_m,
        fov_y_deg=config.fov_y_deg,
        target=(0.0, lowest_point(frame) + 1.0, 0.0),
    )
    foot = camera.project(torch.tensor([[0.0, -0.9, 0.0]]))[0][0, 0]
    assert abs(np.argwhere(red(film[0]))[:, 0].max() - foot[1]) < 5


def test_shadow_darkens_the_floor_only_near_the_feet():
    gaussians = pillar().gaussians
    camera = orbit_cameras([0.0], [15.0], radius_m=5, size=(64, 96))
    dark, light = (film_frame(gaussians, camera, -0.9, shadow) for shadow in (0.6, 0.0))
    change = (light - dark).max(-1)
    assert change.max() > 0.05 and change[:, :10].max() < 0.01 and change[:20].max() < 0.01


def test_floor_is_white_above_the_horizon_and_lies_in_perspective():
    camera = orbit_cameras([0.0], [10.0], radius_m=4, size=(64, 64), fov_y_deg=60)
    floor = draw_floor(camera, -1.0)
    assert (floor[:10] == 1).all() and floor[40:].min() < 0.92
    assert floor.min() >= 0 and floor.max() <= 1


def test_frames_are_picked_by_time():
    assert frame_indices(30, 30.0, AnimationConfig(fps=10, seconds=9)) == list(range(0, 30, 3))
    assert len(frame_indices(300, 30.0, AnimationConfig(fps=10, seconds=2))) == 20
    assert frame_indices(1, 30.0, AnimationConfig()) == [0]
    with pytest.raises(InputError, match="one or more, fps > 0"):
        frame_indices(0, 30.0, AnimationConfig())


def test_a_cycle_walks_on_and_another_clip_turns_back():
    cycle = walk(num=31, metres=1.5)
    longer = lengthen(cycle, 3.0)
    assert len(longer.poses) >= 90 and longer.transl[:, 2].diff().std() < 1e-5
    assert longer.transl[-1, 2] == pytest.approx(0.05 * (len(longer.poses) - 1), rel=1e-3)
    poses = torch.zeros(31, 55, 3)
    poses[:, 1, 0] = 0.3 * torch.linspace(0, 1, 31)
    closed = lengthen(Motion(poses, cycle.transl, 30.0), 3.0)
    assert closed.poses[29:32, 1, 0].diff().abs().max() < 0.06
    poses[:, 16, 2] = torch.linspace(0, 2, 31)
    swing = lengthen(Motion(poses, torch.zeros(31, 3), 30.0), 3.0)
    assert swing.poses.diff(dim=0).abs().max() < 0.07 and swing.poses[30, 16, 2] == 2
    assert lengthen(cycle, 0.5) is cycle


def test_smooth_path_keeps_straight_lines_and_takes_off_bobs():
    line = torch.stack([torch.arange(20.0), torch.zeros(20), torch.arange(20.0) * 2], -1)
    assert torch.allclose(smooth_path(line), line, atol=1e-5)
    bob = line + torch.tensor([0.0, 1.0, 0.0]) * (torch.arange(20) % 2)[:, None]
    assert smooth_path(bob)[5:15, 1].diff().abs().max() < 0.2


def test_side_by_side_repeats_the_shorter():
    films = [np.full((n, 4, 3, 3), n, np.float32) for n in (2, 5)]
    both = side_by_side(films)
    assert both.shape == (5, 4, 6, 3) and both[4, 0, 0, 0] == 2
    with pytest.raises(InputError, match="one frame size"):
        side_by_side([films[0], films[1][:, :2]])
