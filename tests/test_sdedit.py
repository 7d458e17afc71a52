import dataclasses

import pytest
import torch

from toolkit.errors import InputError
from toolkit.prior.gaussian import GaussianPrior
from toolkit.prior.sdedit import SDEditConfig, sdedit, sigmas_for, start_index, start_sigma

ODE = SDEditConfig(strength=1.0, num_inference_steps=400, shift=1.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def prior():
    """Two directions of very different variance in three dimensions, off-centre."""
    basis, _ = torch.linalg.qr(torch.randn(3, 2, generator=seeded(7), dtype=torch.float64))
    return GaussianPrior(
        torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64),
        basis,
        torch.tensor([1.5, 0.02], dtype=torch.float64),
    )


@pytest.mark.parametrize("steps,shift", [(50, 1.0), (50, 3.0), (20, 5.0), (7, 8.0), (1, 3.0)])
def test_sigmas_equal_diffusers(steps, shift):
    schedulers = pytest.importorskip("diffusers.schedulers")
    scheduler = schedulers.FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(steps)
    assert torch.allclose(sigmas_for(steps, shift), scheduler.sigmas, atol=1e-6)


@pytest.mark.parametrize("sampler", ["ode", "full"])
def test_loop_equals_diffusers_steps(prior, sampler):
    schedulers = pytest.importorskip("diffusers.schedulers")
    scheduler = schedulers.FlowMatchEulerDiscreteScheduler(
        shift=3.0, stochastic_sampling=sampler == "full"
    )
    scheduler.set_timesteps(20)
    scheduler.set_begin_index(start_index(0.7, 20))
    guide, generator = torch.randn(4, 3, generator=seeded(1)), seeded(2)
    prior = GaussianPrior(prior.mean.float(), prior.basis.float(), prior.variances.float())
    timesteps = scheduler.timesteps[start_index(0.7, 20) :]
    noise = torch.randn(4, 3, generator=generator)
    x = scheduler.scale_noise(guide, timesteps[:1].expand(4), noise)
    for t in timesteps:
        v = prior.velocity(x, t / 1000)
        x = scheduler.step(v, t, x, generator=generator).prev_sample
    config = SDEditConfig(0.7, 20, 3.0, sampler)
    assert torch.allclose(
        sdedit(prior.velocity, guide, config=config, generator=seeded(2)), x, atol=1e-5
    )


@pytest.mark.parametrize(
    "strength,shift,sigma",
    [(0.8, 1.0, 0.796), (0.8, 3.0, 0.922), (0.3, 5.0, 0.671), (1.0, 8.0, 1.0)],
)
def test_start_sigma_of_the_known_table(strength, shift, sigma):
    assert start_sigma(strength, 50, shift) == pytest.approx(sigma, abs=6e-4)


def test_fewer_steps_keep_start_and_end(prior):
    levels = []
    config = SDEditConfig(strength=0.5, num_inference_steps=20, shift=1.0, max_steps=2)
    sdedit(
        lambda x, s, c: levels.append(float(s)) or torch.zeros_like(x),
        torch.zeros(1, 2),
        config=config,
        callback=lambda i, r, clean: levels.append(r),
    )
    assert levels[0] == pytest.approx(start_sigma(0.5, 20, 1.0)) and levels[-1] == 0
    assert len(levels) == 4 and levels[1] == levels[2]


def test_strength_zero_is_the_identity(prior):
    x0 = torch.randn(2, 3, dtype=torch.float64)
    assert sdedit(prior.velocity, x0, config=SDEditConfig(strength=0)) is x0


def test_ode_transports_noise_to_the_data_distribution(prior):
    zeros = torch.zeros(4000, 3, dtype=torch.float64)
    x = sdedit(prior.velocity, zeros, config=ODE, generator=seeded())
    offset = (x - prior.mean) @ prior.basis
    assert torch.allclose(x.mean(0), prior.mean, atol=0.07)
    assert torch.allclose(offset.var(0), prior.variances, rtol=0.06)
    assert float((x - prior.mean - offset @ prior.basis.T).abs().max()) < 1e-6  # stays in the span


def test_ode_follows_the_exact_transport_sample_by_sample(prior):
    guide = torch.randn(16, 3, generator=seeded(3), dtype=torch.float64)
    config = dataclasses.replace(ODE, strength=0.6)
    sigma = start_sigma(0.6, 400)
    noise = torch.randn(16, 3, generator=seeded(4), dtype=torch.float64)
    exact = prior.transport((1 - sigma) * guide + sigma * noise, sigma)
    assert torch.allclose(
        sdedit(prior.velocity, guide, config=config, generator=seeded(4)), exact, atol=0.02
    )


@pytest.mark.parametrize("strength", [0.3, 0.7])
def test_sdedit_of_a_degraded_sample_has_the_closed_form_moments(prior, strength):
    guide = torch.tensor([1.0, 0.5, -2.0], dtype=torch.float64)
    config = SDEditConfig(strength, 200, 1.0)
    x = sdedit(prior.velocity, guide.expand(4000, 3), config=config, generator=seeded(5))
    mean, variances = prior.sdedit_moments(guide, start_sigma(strength, 200))
    assert torch.allclose(x.mean(0), mean, atol=0.05)
    assert torch.allclose(((x - mean) @ prior.basis).var(0), variances, rtol=0.08)


def test_more_strength_is_less_faithful_and_more_real(prior):
    guide = torch.full((3,), 3.0, dtype=torch.float64)
    results = [prior.sdedit_moments(guide, s) for s in (0.1, 0.5, 0.9)]
    to_mean = [float((mean - prior.mean).norm()) for mean, _ in results]
    variance = [float(v[0]) for _, v in results]
    assert to_mean == sorted(to_mean, reverse=True) and variance == sorted(variance)
    assert variance[-1] == pytest.approx(1.5, rel=0.2)


def test_ancestral_steps_keep_the_variance_and_full_renoising_loses_it(prior):
    zeros = torch.zeros(4000, 3, dtype=torch.float64)

    def variance(sampler):
        config = dataclasses.replace(ODE, sampler=sampler)
        x = sdedit(prior.velocity, zeros, config=config, generator=seeded(6))
        return ((x - prior.mean) @ prior.basis).var(0) / prior.variances

    assert torch.allclose(variance("ancestral"), torch.ones(2, dtype=torch.float64), rtol=0.07)
    assert float(variance("full").max()) < 0.8


def test_guidance_pulls_kept_places_to_the_input(prior):
    guide = torch.full((5, 3), 2.0, dtype=torch.float64)
    keep = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    config = SDEditConfig(0.9, 20, 1.0, guidance=1.0)
    x = sdedit(prior.velocity, guide, keep=keep, config=config, generator=seeded())
    assert torch.allclose(x[:, 0], guide[:, 0])
    assert not torch.allclose(x[:, 1], guide[:, 1], atol=0.1)


def test_condition_and_callback_are_passed_on():
    seen, steps = [], []

    def velocity(x, sigma, condition):
        seen.append((float(sigma), condition))
        return torch.zeros_like(x)

    sdedit(
        velocity,
        torch.ones(1, 2),
        "coat",
        config=SDEditConfig(0.5, 8, 3.0),
        callback=lambda i, sigma, clean: steps.append((i, sigma)),
    )
    assert [c for _, c in seen] == ["coat"] * 4 and [i for i, _ in steps] == [0, 1, 2, 3]
    assert [s for s, _ in seen[1:]] == [s for _, s in steps[:-1]] and steps[-1][1] == 0


def test_same_generator_same_clip(prior):
    config = SDEditConfig(0.8, 10, 3.0, "sigma")
    runs = [
        sdedit(
            prior.velocity,
            torch.ones(2, 3, dtype=torch.float64),
            config=config,
            generator=seeded(s),
        )
        for s in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_fitted_gaussian_recovers_moments():
    mean, variances = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 0.25])
    true = GaussianPrior(mean, torch.eye(3)[:, :2], variances)
    fitted = GaussianPrior.fit(true.sample(8000, seeded(8)), num_components=2)
    assert torch.allclose(fitted.mean, true.mean, atol=0.1)
    assert torch.allclose(fitted.variances, true.variances, rtol=0.1)


@pytest.mark.parametrize(
    "settings",
    [
        {"strength": 1.5},
        {"strength": -0.1},
        {"strength": 0.05, "num_inference_steps": 10},
        {"strength": float("nan")},
        {"num_inference_steps": 0},
        {"shift": 0},
        {"sampler": "heun"},
        {"guidance": 2.0},
        {"max_steps": 0},
    ],
)
def test_bad_configurations_are_refused(settings):
    with pytest.raises(InputError, match="wanted"):
        SDEditConfig(**settings)


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("max_steps", [None, 1, 3, 50])
def test_number_of_steps_is_how_often_the_prior_is_asked(prior, strength, max_steps):
    config, asked = SDEditConfig(strength, 10, 3.0, max_steps=max_steps), []
    sdedit(
        lambda x, sigma, condition: asked.append(sigma) or prior.velocity(x, sigma),
        torch.zeros(1, 3, dtype=torch.float64),
        config=config,
        generator=seeded(),
    )
    assert config.num_steps == len(asked)
