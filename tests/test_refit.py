"""Refit: the loss falls, order and number stay, distrusted pixels are not looked at."""

import pytest
import torch

from toolkit.body.rig import Rig, pose_gaussians
from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError
from toolkit.gaussians import Gaussians
from toolkit.refine.colors import solve_colors
from toolkit.refine.losses import NeighbourMean, nearest_neighbours
from toolkit.refine.refit import FitConfig, fit
from toolkit.refine.target import FitTarget
from toolkit.render.api import render


def cloud(seed=0, num=64):
    """A ball of Gaussians, radius 0.4 m."""
    g = torch.Generator().manual_seed(seed)
    means = torch.nn.functional.normalize(torch.randn(num, 3, generator=g), dim=-1) * 0.4
    quats = torch.nn.functional.normalize(torch.randn(num, 4, generator=g), dim=-1)
    scales = 0.05 + 0.05 * torch.rand(num, 3, generator=g)
    return Gaussians.from_colors(
        means, quats, scales, torch.full((num,), 0.8), torch.rand(num, 3, generator=g)
    )


def rig_of(gaussians):
    """Every Gaussian hangs on the root."""
    weights = torch.zeros(len(gaussians), 55)
    weights[:, 0] = 1
    parents = torch.arange(-1, 54)
    return Rig(gaussians.means, weights, torch.zeros(55, 3), parents, torch.zeros(20))


def target_of(gaussians, turn_rad=0.0, confidence=1.0, size=(24, 24)):
    cameras = orbit_cameras([0, 90, 180, 270], [10.0], radius_m=2.5, size=size)
    pose = torch.zeros(55, 3)
    pose[0, 1] = turn_rad
    views = render(pose_gaussians(gaussians, rig_of(gaussians), pose, torch.zeros(3)), cameras)
    alpha = views.alpha.detach()
    return FitTarget(
        pose, torch.zeros(3), cameras, views.rgb.detach(), alpha, torch.full_like(alpha, confidence)
    )


def disturbed(gaussians):
    noise = torch.randn(gaussians.sh.shape, generator=torch.Generator().manual_seed(1))
    return gaussians.replace(sh=gaussians.sh + 0.5 * noise, scales=0.8 * gaussians.scales)


FAST = FitConfig(steps=30)


def test_refit_lowers_the_loss_in_two_poses():
    truth = cloud()
    targets = [target_of(truth), target_of(truth, turn_rad=0.7)]
    refined, history = fit(disturbed(truth), rig_of(truth), targets, FAST)
    assert history.loss[-5:].mean() < 0.6 * history.loss[:5].mean()
    assert (refined.colors - truth.colors).abs().mean() < 0.85 * (
        disturbed(truth).colors - truth.colors
    ).abs().mean()
    assert torch.allclose(refined.quats.norm(dim=-1), torch.ones(64), atol=1e-5)
    assert not refined.means.requires_grad


def test_number_and_order_are_kept_under_permutation():
    truth = cloud()
    coarse, targets, order = disturbed(truth), [target_of(truth)], torch.randperm(64)
    config = FitConfig(steps=5)
    refined, _ = fit(coarse, rig_of(coarse), targets, config)
    fields = ("means", "quats", "scales", "opacities", "sh")
    shuffled = Gaussians(**{f: getattr(coarse, f)[order] for f in fields})
    refined_shuffled, _ = fit(shuffled, rig_of(shuffled), targets, config)
    assert len(refined) == len(coarse)
    for f in fields:  # equal up to the order of float sums, which Adam turns into small steps
        moved = (getattr(refined, f) - getattr(coarse, f)).abs().mean()
        apart = (getattr(refined, f)[order] - getattr(refined_shuffled, f)).abs().mean()
        assert apart < 0.05 * moved + 1e-7, f


def test_pixels_without_confidence_have_no_influence():
    truth = cloud()
    target = target_of(truth)
    confidence = target.confidence.clone()
    confidence[:, :, 12:] = 0
    lie = torch.where(confidence > 0, target.rgb, torch.rand(target.rgb.shape))
    results = []
    for rgb in (target.rgb, lie):
        told = FitTarget(target.pose, target.transl, target.cameras, rgb, target.alpha, confidence)
        results.append(fit(disturbed(truth), rig_of(truth), [told], FitConfig(steps=4))[0])
    assert torch.equal(results[0].sh, results[1].sh)
    blind = target_of(truth, confidence=0.0)
    refined, history = fit(disturbed(truth), rig_of(truth), [blind], FitConfig(steps=3))
    assert history.loss.abs().max() == 0 and torch.equal(refined.means, truth.means)


def test_same_seed_same_bits_and_another_seed_others():
    truth = cloud()

    def run(seed):
        config = FitConfig(steps=4, views_per_step=2)
        generator = torch.Generator().manual_seed(seed)
        targets = [target_of(truth)]
        return fit(disturbed(truth), rig_of(truth), targets, config, generator=generator)[0]

    first, second, other = run(0), run(0), run(1)
    assert all(torch.equal(getattr(first, f), getattr(second, f)) for f in vars(first))
    assert not torch.equal(first.sh, other.sh)


def test_two_threads_give_equal_bits_every_time():
    """With enough Gaussians that torch splits its sums over threads (above 32,768 numbers)."""
    truth = cloud(num=3000)
    target = target_of(truth, size=(12, 12))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        runs = [
            fit(disturbed(truth), rig_of(truth), [target], FitConfig(steps=4))[0] for _ in range(6)
        ]
    finally:
        torch.set_num_threads(before)
    assert all(
        torch.equal(getattr(runs[0], f), getattr(run, f)) for run in runs[1:] for f in vars(run)
    )


def test_mean_over_neighbours_has_the_gradient_of_an_indexed_read():
    neighbours, readers = nearest_neighbours(cloud().means)
    values = torch.randn(64, 3, dtype=torch.float64, requires_grad=True)
    ours = NeighbourMean.apply(values, neighbours, readers)
    plain = values[neighbours].mean(1)
    assert torch.equal(ours, plain)
    sent = torch.randn_like(plain)
    assert torch.allclose(
        torch.autograd.grad(ours, values, sent)[0], torch.autograd.grad(plain, values, sent)[0]
    )


def test_cropping_keeps_the_pixels_and_their_rays():
    target = target_of(cloud(), size=(48, 96))
    crop = target.cropped()
    assert crop.rgb.shape[2] < 96
    assert torch.isclose(crop.alpha.sum(), target.alpha.sum())
    assert torch.allclose(render(cloud(), crop.cameras).rgb, crop.rgb, atol=1e-4)


def test_stay_holds_the_centres():
    truth = cloud()
    moved = truth.replace(means=truth.means + 0.02)

    def drift(stay):
        config = FitConfig(steps=20, stay=stay)
        refined, _ = fit(moved, rig_of(truth), [target_of(truth)], config)
        return (refined.means - moved.means).norm(dim=-1).mean()

    assert drift(1.0) < 0.3 * drift(0.0)


def test_the_photo_is_shown_in_every_second_step_and_weighs_twice():
    truth, photo = cloud(), target_of(cloud(), turn_rad=0.7).pick([0])
    targets = [target_of(truth), photo]

    def losses(every, targets):
        config = FitConfig(6, 0, single_every=every, views_per_step=4, random_background=False)
        return fit(disturbed(truth), rig_of(truth), targets, config)[1].parts["l1"]

    often, half, alone = (losses(1, targets), losses(2, targets), losses(2, targets[:1]))
    assert half[0] == pytest.approx(float(2 * often[0] - alone[0]), rel=1e-5)
    assert (half[::2] > 1.3 * half[1::2]).all()  # with and without it
    assert torch.equal(losses(1, [photo]), losses(2, [photo]))  # by itself it is always shown
    with pytest.raises(InputError, match="FitConfig.single_every: got 0"):
        FitConfig(single_every=0)


def test_zero_steps_returns_the_coarse_and_callback_sees_every_step():
    truth, seen = cloud(), []
    refined, history = fit(truth, rig_of(truth), [target_of(truth)], FitConfig(steps=0))
    assert torch.allclose(refined.scales, truth.scales) and len(history.loss) == 0
    _, history = fit(
        truth,
        rig_of(truth),
        [target_of(truth)],
        FitConfig(steps=3),
        callback=lambda step, loss: seen.append((step, loss)),
    )
    assert [s for s, _ in seen] == [0, 1, 2]
    assert torch.allclose(torch.tensor([v for _, v in seen]), history.loss)


def test_wrong_targets_are_named():
    target = target_of(cloud())
    with pytest.raises(InputError, match=r"FitTarget.rgb: got \(4, 12, 24, 3\), wanted \(4, 24"):
        FitTarget(
            target.pose,
            target.transl,
            target.cameras,
            target.rgb[:, ::2],
            target.alpha,
            target.confidence,
        )
    with pytest.raises(InputError, match="NaN"):
        FitTarget(
            target.pose,
            target.transl,
            target.cameras,
            target.rgb * torch.nan,
            target.alpha,
            target.confidence,
        )
    with pytest.raises(InputError, match="one or more FitTarget"):
        fit(cloud(), rig_of(cloud()), [])
    with pytest.raises(InputError, match="32 Gaussians on 64 anchors"):
        fit(cloud(num=32), rig_of(cloud()), [target])


def test_two_passes_for_the_colours_halve_their_error():
    truth = cloud()
    rig, targets = rig_of(truth), [target_of(truth), target_of(truth, turn_rad=0.7)]
    motions = [rig.motions(target.pose, target.transl) for target in targets]
    wrong = truth.recolored(torch.full((64, 3), 0.5))
    errors = []
    for passes in (0, 1, 2, 6):
        colors = solve_colors(wrong, motions, targets, passes=passes).colors
        drawn = [
            render(m.apply(wrong.recolored(colors)), t.cameras)
            for m, t in zip(motions, targets, strict=True)
        ]
        pairs = zip(drawn, targets, strict=True)
        errors.append(sum(float((d.rgb - t.rgb).square().sum()) for d, t in pairs))
    assert errors[1] < 0.5 * errors[0] and errors[2] < 0.3 * errors[0] and errors[3] < errors[2]


def test_colours_that_are_right_stay_and_nothing_else_is_touched():
    truth = cloud()
    rig, target = rig_of(truth), target_of(truth)
    motions = [rig.motions(target.pose, target.transl)]
    solved = solve_colors(truth, motions, [target], passes=3)
    assert torch.allclose(solved.colors, truth.colors, atol=1e-3)
    for name in ("means", "quats", "scales", "opacities"):
        assert torch.equal(getattr(solved, name), getattr(truth, name))
    blind = target_of(truth, confidence=0.0)
    unseen = solve_colors(truth, motions, [blind], passes=3)
    assert torch.allclose(unseen.colors, truth.colors, atol=1e-6)


def test_passes_for_the_colours_give_adam_a_better_start():
    truth = cloud()
    coarse = truth.recolored(torch.full((64, 3), 0.5))

    def first_loss(passes):
        config = FitConfig(steps=1, color_passes=passes, random_background=False)
        return float(fit(coarse, rig_of(coarse), [target_of(truth)], config)[1].parts["l1"][0])

    assert first_loss(2) < 0.5 * first_loss(0)
