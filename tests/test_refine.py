"""The refined clip's coverage; the progressive refit on a ball; silent bars."""

import pytest
import torch
from test_refit import cloud, rig_of

from toolkit.body.face import face_anchors
from toolkit.body.rig import Avatar
from toolkit.measure.sectors import azimuths_deg
from toolkit.prior.orbit import static_orbit
from toolkit.refine.carried import carried_colors
from toolkit.refine.invented import invented_anchors, invented_shares
from toolkit.refine.iterate import progressive_refit
from toolkit.refine.refit import FitConfig, fit
from toolkit.refine.target import matte
from toolkit.run.progress import Progress, silent


def square(color: float, side: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """A square of one grey on white, and its coverage."""
    alpha = torch.zeros(1, 32, 32, 1)
    alpha[:, 16 - side // 2 : 16 + side // 2, 16 - side // 2 : 16 + side // 2] = 1
    return (1 - alpha + color * alpha).expand(-1, -1, -1, 3).clone(), alpha


@pytest.mark.parametrize("color", [0.1, 0.5, 0.93])
def test_matte_leaves_an_unchanged_clip_alone(color):
    rgb, alpha = square(color)
    cut, found = matte(rgb, alpha)
    assert torch.equal(found, alpha) and torch.equal(cut, rgb)


def test_matte_follows_an_outline_that_grew_or_shrank():
    _, coarse_alpha = square(0.2)
    for side in (10, 14):  # by one pixel on every side
        rgb, truth = square(0.2, side)
        cut, found = matte(rgb, coarse_alpha)
        assert ((found > 0.5) == (truth > 0.5)).all() and torch.equal(cut, rgb)


def test_matte_wipes_haze_and_what_is_far_away_and_stays_a_mixture_with_white():
    rgb, alpha = square(0.2)
    rgb[:, 16, 26], rgb[:, 2, 2] = 0.97, 0.3
    cut, found = matte(rgb, alpha)
    assert (cut[:, 16, 26] == 1).all() and (cut[:, 2, 2] == 1).all() and torch.equal(found, alpha)
    rgb = torch.rand(rgb.shape, generator=torch.Generator().manual_seed(0))
    cut, found = matte(rgb, alpha)
    assert (1 - cut <= found + 1e-6).all()  # colour = alpha c + 1 - alpha with c in [0, 1]


def test_colours_go_straight_through_the_body_or_come_from_its_other_side():
    ball = cloud(num=400)
    places = rig_of(ball).anchors_rest
    avatar = Avatar(ball.recolored(places + 0.5), rig_of(ball))  # colour tells the place
    front = places[:, 2] > 0
    far = (9.0, 10.0)  # metres: no limit
    found = carried_colors(avatar, front, reach_m=far) - 0.5
    assert torch.allclose(found[front], places[front], atol=1e-5)
    assert (found[~front, 2] > 0).all()  # all of it comes from the front
    assert (found - places)[~front, 1].abs().mean() < 0.05  # from the same height; radius 0.4 m
    left = front & (places[:, 0] > 0)  # nothing of the right half was seen
    mirrored = carried_colors(avatar, left, reach_m=far) - 0.5
    right = ~left & (places[:, 0] < -0.02)
    assert (mirrored[right, 0] > 0).all()
    none, every = torch.zeros(400, dtype=torch.bool), torch.ones(400, dtype=torch.bool)
    for visible in (none, every):
        assert torch.equal(carried_colors(avatar, visible), avatar.gaussians.colors.clamp(0, 1))


def test_colours_are_not_carried_far_and_faces_not_at_all():
    ball = cloud(num=400)
    rig = rig_of(ball)
    avatar = Avatar(ball.recolored(rig.anchors_rest + 0.5), rig)
    top = rig.anchors_rest[:, 1] > 0.2  # only this cap of the ball was seen
    found, gap = carried_colors(avatar, top), 0.2 - rig.anchors_rest[:, 1]
    own = avatar.gaussians.colors.clamp(0, 1)
    assert torch.equal(found[gap > 0.08], own[gap > 0.08])
    assert not torch.allclose(found[(gap > 0) & (gap < 0.02)], own[(gap > 0) & (gap < 0.02)])
    rig.lbs_weights[:] = 0
    rig.lbs_weights[:, 15] = 1  # now the whole ball is a head, its eyes in the middle
    face = face_anchors(rig)
    front, back = rig.anchors_rest[:, 2] > 0, rig.anchors_rest[:, 2] < -0.08
    assert face[front & (rig.anchors_rest[:, 1] < 0)].all() and not face[back].any()
    red = Avatar(ball.recolored(face[:, None] * torch.tensor([1.0, 0, 0])), rig)
    assert (carried_colors(red, front)[back] == 0).all()


def test_invented_is_what_lies_far_from_all_that_was_seen_on_either_side():
    ball = cloud(num=400)
    rig = rig_of(ball)
    places = rig.anchors_rest
    seen = (places[:, 2] > 0) & (places[:, 0] > 0) & (places[:, 1] > 0)  # an eighth of the ball
    invented = invented_anchors(rig, seen)
    assert not invented[places[:, 1] > 0.05].any()  # behind it and on the other side is near
    assert invented[places[:, 1] < -0.15].all()
    rig.lbs_weights[:] = 0
    rig.lbs_weights[torch.arange(400), torch.where(places[:, 1] < -0.15, 4, 12)] = 1
    shares = invented_shares(rig, invented)
    assert shares["legs"] == 1 and shares["head"] < 0.3 and shares["arms"] == 0
    assert shares["all"] == pytest.approx(float(invented.float().mean()), abs=1e-3)
    assert invented_anchors(rig, torch.zeros(400, dtype=torch.bool)).all()


def test_rounds_go_from_front_to_back_and_build_on_each_other():
    ball = cloud(num=32)
    coarse, orbit = Avatar(ball, rig_of(ball)), static_orbit(8)
    seen, clips, fitted = torch.ones(32, dtype=torch.bool), [], []

    def edit(turntable):
        """A prior that wants everything darker."""
        clips.append(turntable.rgb)
        return (turntable.rgb - 0.1).clamp(0, 1)

    def refit(avatar, target):
        fitted.append((avatar, target))
        gaussians, _ = fit(avatar.gaussians, avatar.rig, [target], FitConfig(steps=6))
        return Avatar(gaussians, avatar.rig)

    result = progressive_refit(coarse, orbit, seen, edit, refit)
    reached = [sorted(abs(round(a)) for a in azimuths_deg(target.cameras)) for _, target in fitted]
    assert reached == [[0, 45, 45], [0, 45, 45, 90, 90], [0, 45, 45, 90, 90, 135, 135, 180]]
    assert fitted[0][0] is coarse and fitted[1][0] is not coarse
    darkness = [clip.mean() for clip in clips]
    assert darkness[0] > darkness[1] > darkness[2]  # each round is shown the last one's avatar
    assert len(result.gaussians) == 32
    target = fitted[0][1]
    assert target.pick([2]).rgb.shape == (1, 192, 96, 3)
    assert torch.equal(target.pick([2]).cameras.viewmats[0], target.cameras.viewmats[2])


def test_silent_switches_bars_off_and_on_again(monkeypatch, capsys):
    def drawn():
        with Progress("a stage", 2) as tick:
            tick()
        return bool(capsys.readouterr().err)

    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert drawn()
    with silent():
        assert not drawn()
    assert drawn()
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert not drawn()
