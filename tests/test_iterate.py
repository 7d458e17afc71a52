"""Refits between edits, on a ball: what is rendered, what is replaced, how the loop goes on."""

import pytest
import torch
from test_refit import cloud, rig_of

from toolkit.body.rig import Avatar
from toolkit.errors import InputError
from toolkit.prior.orbit import static_orbit
from toolkit.prior.sdedit import SDEditConfig, sdedit
from toolkit.refine.edit import as_clip
from toolkit.refine.iterate import RefitInLoop, update_dataset
from toolkit.refine.refit import FitConfig, fit
from toolkit.refine.target import clip_target
from toolkit.refine.turntable import pose_for_turntable, render_turntable
from toolkit.render.api import render

SEEN = torch.ones(32, dtype=torch.bool)


@pytest.fixture
def coarse():
    ball = cloud(num=32)
    return Avatar(ball, rig_of(ball))


def refit(avatar, target):
    gaussians, _ = fit(avatar.gaussians, avatar.rig, [target], FitConfig(steps=6))
    return Avatar(gaussians, avatar.rig)


def test_the_loop_goes_on_with_renders_of_the_fitted_gaussians(coarse):
    turntable = render_turntable(coarse, static_orbit(4), SEEN)
    x0 = as_clip(turntable.rgb)
    darker = (x0 - 0.3).clamp(-1, 1)
    hook, cleans = RefitInLoop(coarse, turntable, refit, at=(1,)), []
    result = sdedit(
        lambda x, s, c: (x - darker) / s,
        x0,
        project=hook,
        config=SDEditConfig(0.5, 6, 1.0),
        generator=torch.Generator().manual_seed(0),
        callback=lambda i, r, clean: cleans.append(clean),
    )
    assert torch.allclose(cleans[0], darker, atol=1e-5)
    assert hook.avatar is not coarse
    with torch.no_grad():
        drawn = render(pose_for_turntable(hook.avatar), turntable.cameras).rgb
    assert torch.allclose(cleans[1], as_clip(drawn))
    assert float(cleans[1].mean()) < float(x0.mean())  # the refit followed the prior
    assert torch.allclose(result, darker, atol=1e-4)  # and the last step is the prior's again


def test_every_view_has_its_turn_and_edits_see_the_current_avatar(coarse):
    clips, pictures = [], []

    def edit(turntable):
        clips.append(turntable.rgb)
        return (turntable.rgb - 0.2).clamp(0, 1)

    def fitted(avatar, target):
        pictures.append(target.rgb)
        return refit(avatar, target)

    result = update_dataset(
        coarse,
        static_orbit(8),
        SEEN,
        edit,
        fitted,
        iterations=2,
        views_per_iteration=4,
        generator=torch.Generator().manual_seed(1),
    )
    start = render_turntable(coarse, static_orbit(8), SEEN)
    assert torch.equal(clips[0], start.rgb) and clips[1].mean() < clips[0].mean()
    unedited = clip_target(start, start.rgb, -coarse.rig.joints[0]).rgb
    changed = [(p - unedited).abs().amax((1, 2, 3)) > 0.1 for p in pictures]
    assert int(changed[0].sum()) == 4 and bool(changed[1].all())
    assert len(result.gaussians) == 32 and result is not coarse


@pytest.mark.parametrize("asked", [{"iterations": 0}, {"views_per_iteration": 9}])
def test_impossible_settings_are_refused(coarse, asked):
    with pytest.raises(InputError, match="wanted"):
        update_dataset(coarse, static_orbit(8), SEEN, lambda t: t.rgb, refit, **asked)
