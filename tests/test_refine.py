"""The progressive refit on a ball: rounds reach further and build on each other; silent bars."""

import torch
from test_fit import cloud, rig_of

from toolkit.body.rig import Avatar
from toolkit.diagnostics.sectors import azimuths_deg
from toolkit.fit import FitConfig, fit
from toolkit.prior.orbit import static_orbit
from toolkit.progress import Progress, silent
from toolkit.refine import progressive_refit


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

    from tqdm.auto import tqdm

    monkeypatch.setattr("toolkit.progress.tqdm",
                        lambda **given: tqdm(**{"disable": False, **given}))
    assert drawn()
    with silent():
        assert not drawn()
    assert drawn()
