"""The samplers on the analytic prior, where every one of them has an exact answer."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from toolkit.errors import InputError
from toolkit.prior.gaussian import GaussianPrior
from toolkit.prior.prior import Condition
from toolkit.prior.samplers import h_transform, held, pulled, self_ensemble, start_levels
from toolkit.prior.sdedit import RENOISE, SDEditConfig, sdedit, start_sigma

WHOLE = SDEditConfig(strength=1.0, num_inference_steps=40, shift=1.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def prior():
    basis, _ = torch.linalg.qr(torch.randn(4, 4, generator=seeded(7), dtype=torch.float64))
    return GaussianPrior(
        torch.tensor([0.5, -1.0, 0.2, 0.0], dtype=torch.float64),
        basis,
        torch.tensor([1.5, 0.4, 0.1, 0.02], dtype=torch.float64),
    )


@pytest.fixture
def guide():
    return torch.randn(6, 4, generator=seeded(3), dtype=torch.float64)


def run(velocity, guide, config=WHOLE, seed=5, **more):
    return sdedit(velocity, guide, config=config, generator=seeded(seed), **more)


def test_self_ensemble_treats_both_sides_alike():
    clip, coarse, seen = (torch.rand(1, c, 3, 8, 4, generator=seeded(c)) for c in (3, 3, 1))
    angles, level = torch.tensor([0.0, 90.0, 200.0]), torch.zeros(3)
    told = Condition(angles, level, coarse[:, :, 0], coarse, seen)
    other = Condition(-angles, level, coarse[:, :, 0].flip(-1), coarse.flip(-1), seen.flip(-1))

    def one_sided(x, sigma, c):
        ramp = torch.arange(4.0) + c.azimuths_deg[None, None, :, None, None]
        return ramp * (x + c.coarse + c.seen + c.reference[:, :, None]) * sigma

    mean = self_ensemble(one_sided)(clip, torch.tensor(0.5), told)
    mirrored = self_ensemble(one_sided)(clip.flip(-1), torch.tensor(0.5), other)
    assert torch.allclose(mean, mirrored.flip(-1)) and not torch.allclose(
        mean, one_sided(clip, torch.tensor(0.5), told)
    )
    assert torch.allclose(self_ensemble(lambda x, sigma, c: x)(clip, torch.tensor(0.5), told), clip)


def test_weight_zero_is_the_priors_ode(prior, guide):
    assert torch.equal(
        run(h_transform(prior.velocity, guide, scale=0.0), guide), run(prior.velocity, guide)
    )
    assert torch.equal(
        run(pulled(prior.velocity, guide, lambda s: 0.0), guide), run(prior.velocity, guide)
    )


@pytest.mark.parametrize("sampler", sorted(RENOISE))
def test_alpha_zero_returns_the_guide_under_every_sampler(prior, guide, sampler):
    config = dataclasses.replace(WHOLE, sampler=sampler)
    assert torch.allclose(
        run(h_transform(prior.velocity, guide, 0.0), guide, config), guide, atol=1e-9
    )


def test_infinite_alpha_is_sdedit_from_the_second_level(prior, guide):
    """At sigma 1 the weight is 1 whatever alpha: the first step lands on the noised guide."""
    noise = torch.randn(6, 4, generator=seeded(5), dtype=torch.float64)
    steps = []
    run(
        h_transform(prior.velocity, guide, math.inf),
        guide,
        callback=lambda i, r, clean: steps.append((r, clean)),
    )
    sigma = steps[0][0]
    assert torch.allclose(steps[0][1], guide, atol=1e-6)
    second = steps[1][1]
    x = (1 - sigma) * guide + sigma * noise
    assert torch.allclose(second, x - sigma * prior.velocity(x, sigma), atol=1e-6)


def test_a_higher_alpha_leaves_the_guide_further_behind(prior, guide):
    away = [
        float((run(h_transform(prior.velocity, guide, a), guide) - guide).norm())
        for a in (0.0, 0.5, 1, 2, 4, 16)
    ]
    assert away == sorted(away) and away[0] < 1e-6 < 0.5 < away[-1]


def test_h_transform_solves_its_ode(prior, guide):
    """Against scipy: along each direction v is affine, pulled towards (x - y) / s."""
    alpha, sigmas = 3.0, (1.0, 1e-3)
    y, m = ((t @ prior.basis).numpy() for t in (guide[0], prior.mean))
    lam = prior.variances.numpy()
    noise = torch.randn(6, 4, generator=seeded(5), dtype=torch.float64)[0] @ prior.basis

    def slope(s, x):
        n = (1 - s) ** 2 * lam + s**2
        v = (s - (1 - s) * lam) / n * (x - (1 - s) * m) - m
        return (1 - s**alpha) * v + s**alpha * (x - y) / s

    exact = solve_ivp(slope, sigmas, noise.numpy(), rtol=1e-9, atol=1e-10).y[:, -1]
    config = dataclasses.replace(WHOLE, num_inference_steps=2000)
    found = run(h_transform(prior.velocity, guide, alpha), guide, config)[0] @ prior.basis
    assert np.allclose(found.numpy(), exact, atol=0.01)


def test_a_map_of_alphas_holds_pixels_one_by_one(prior, guide):
    alphas = torch.tensor([0.0, 8.0, 8.0, 8.0], dtype=torch.float64)
    x = run(h_transform(prior.velocity, guide, alphas), guide)
    assert torch.allclose(x[:, 0], guide[:, 0], atol=1e-9)
    assert not torch.allclose(x[:, 1], guide[:, 1], atol=0.1)


@pytest.mark.parametrize("sampler", sorted(RENOISE))
def test_level_zero_is_untouched_whatever_its_neighbours_do(prior, guide, sampler):
    levels = torch.tensor([0.0, 1.0, 0.6, 0.3], dtype=torch.float64)
    config = dataclasses.replace(WHOLE, sampler=sampler)
    x = run(held(prior.velocity, guide, levels), guide, config)
    assert torch.allclose(x[:, 0], guide[:, 0], atol=1e-9)
    away = (x - guide).square().mean(0).sqrt()
    assert float(away[1:].min()) > 0.02


def test_one_level_everywhere_is_sdedit_from_that_level(prior, guide):
    for strength in (0.25, 0.5, 1.0):
        level = torch.tensor(start_sigma(strength, 40, 1.0))
        shorter = dataclasses.replace(WHOLE, strength=strength)
        assert torch.allclose(
            run(held(prior.velocity, guide, level), guide),
            run(prior.velocity, guide, shorter),
            atol=1e-6,
        ), strength


def test_held_pixels_carry_the_loops_noise(prior, guide):
    """So that the prior sees one noise level everywhere."""
    inputs, noise = [], torch.randn(6, 4, generator=seeded(5), dtype=torch.float64)

    def velocity(x, s, c):
        inputs.append((float(s), x))
        return prior.velocity(x, s)

    run(held(velocity, guide, torch.zeros(4, dtype=torch.float64)), guide)
    for s, x in inputs:
        assert torch.allclose(x, (1 - s) * guide + s * noise, atol=1e-6)


def test_free_pixels_are_drawn_towards_what_the_held_ones_say():
    """Two correlated pixels: holding one moves the other's mean, though short of the posterior.

    Replacing pixels conditions only approximately (RePaint, Lugmayr et al. 2022, resamples to
    mend it): about 0.7 of the exact shift rho * 1.5 here.
    """
    rho = 0.9
    basis = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / math.sqrt(2)
    prior = GaussianPrior(
        torch.zeros(2, dtype=torch.float64),
        basis,
        torch.tensor([1 + rho, 1 - rho], dtype=torch.float64),
    )
    guide = torch.tensor([1.5, 0.0], dtype=torch.float64).expand(3000, 2)
    levels = torch.tensor([0.0, 1.0], dtype=torch.float64)
    config = dataclasses.replace(WHOLE, num_inference_steps=100, sampler="ancestral")
    x = run(held(prior.velocity, guide, levels), guide, config)
    assert 0.5 * rho * 1.5 < float(x[:, 1].mean()) < 0.9 * rho * 1.5
    free = run(prior.velocity, guide, config)
    assert abs(float(free[:, 1].mean())) < 0.1


@pytest.mark.parametrize("sampler", ["ode", "ancestral"])
def test_moments_of_the_prior_survive_many_small_steps(prior, sampler):
    config = dataclasses.replace(WHOLE, num_inference_steps=300, sampler=sampler)
    zeros = torch.zeros(4000, 4, dtype=torch.float64)
    x = (run(prior.velocity, zeros, config) - prior.mean) @ prior.basis
    assert torch.allclose(x.mean(0), torch.zeros(4, dtype=torch.float64), atol=0.07)
    assert torch.allclose(x.var(0), prior.variances, rtol=0.1)


def test_start_levels_trust_the_photo_and_the_far_background():
    seen, alpha = torch.zeros(1, 1, 2, 32, 32), torch.zeros(1, 1, 2, 32, 32)
    alpha[..., 10:22, 10:22] = 1
    seen[:, :, 0] = alpha[:, :, 0]
    levels = start_levels(seen, alpha, 0.8, band_px=4)
    assert float(levels[0, 0, 0, 10:22, 10:22].max()) == 0  # seen by the photo
    assert torch.all(levels[0, 0, 1, 10:22, 10:22] == 0.8)  # unseen side
    assert levels[0, 0, 1, 15, 7] == pytest.approx(0.8)  # the band where hair may reach
    assert levels[0, 0, 1, 15, 2] == 0 and levels[0, 0, 1, 0, 0] == 0
    half = start_levels(seen, alpha, 0.8, trust=0.5)
    assert half[0, 0, 0, 15, 15] == pytest.approx(0.4)


def test_projection_replaces_the_clean_estimate(prior, guide):
    levels, constant = [], torch.full_like(guide, 0.25)

    def project(index, sigma, clean):
        levels.append((index, sigma))
        return constant if index == 39 else clean

    assert torch.equal(run(prior.velocity, guide, project=project), constant)
    assert levels[0] == (0, 1.0) and [i for i, _ in levels] == list(range(40))
    assert torch.equal(
        run(prior.velocity, guide, project=lambda i, s, clean: clean), run(prior.velocity, guide)
    )


def test_projection_onto_a_plane_keeps_the_result_in_it(prior, guide):
    """As renders of Gaussians do: what no Gaussians can show is gone after every step."""
    flat = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    x = run(prior.velocity, guide, project=lambda i, s, clean: clean * flat)
    assert float(x[:, 3].abs().max()) < 1e-9 and float(x[:, :3].std()) > 0.1


@pytest.mark.parametrize("alpha,scale", [(-1.0, 1.0), (4.0, 1.5), (torch.tensor([-1.0]), 1.0)])
def test_bad_weights_are_refused(prior, guide, alpha, scale):
    with pytest.raises(InputError, match="wanted"):
        h_transform(prior.velocity, guide, alpha, scale=scale)
