import dataclasses
from dataclasses import replace

import pytest
import torch

from toolkit.errors import InputError, MissingFileError
from toolkit.prior.prior import Condition
from toolkit.prior.sdedit import SDEditConfig, sdedit
from toolkit.prior.turntable.model import TurntableConfig, TurntablePrior
from toolkit.prior.turntable.shipped import load_turntable, plain_velocity

TINY = TurntableConfig(channels=(8, 16, 16), embedding=16, heads=2)
SIZE = (32, 16)
# Two ways to compute the same thing with products of other shapes: other kernels, other roundings.
# Each output of the stem sums 9 x 54 terms, with a relative error of sqrt(486) 2^-24; times values
# up to 5 that is 7e-6, which the layers behind it pass on. Measured with three sets of kernels (SSE
# to AVX-512): at most 2.2e-6.
OTHER_SHAPES = 5e-5


def clip(frames=5, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, frames, *SIZE, generator=generator) * 2 - 1


def condition(frames=5, batch=1, coarse=True):
    return Condition(
        torch.arange(frames) * 360 / frames,
        torch.linspace(-5, 10, frames),
        clip(1, batch, 1)[:, :, 0],
        clip(frames, batch, 2) if coarse else None,
    )


@pytest.fixture
def model():
    """A tiny prior whose zero-initialised layers are switched on."""
    torch.manual_seed(0)
    model = TurntablePrior(TINY).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.mark.parametrize("frames", [1, 4, 5, 13])
@pytest.mark.parametrize("coarse", [True, False])
def test_any_number_of_views(model, frames, coarse):
    v = model.velocity(clip(frames, 2), 0.5, condition(frames, 2, coarse))
    assert v.shape == (2, 3, frames, *SIZE) and v.isfinite().all()


@pytest.mark.parametrize("coarse", [True, False])
def test_clean_estimate_is_the_input_at_sigma_zero(model, coarse):
    x, c = clip(), condition(coarse=coarse)
    assert torch.allclose(model.clean(x, 0.0, c), x, atol=1e-6)
    assert (model.clean(x, 1e-3, c) - x).abs().max().item() < 0.05


@pytest.mark.parametrize("coarse", [True, False])
@pytest.mark.parametrize("sigma", [0.0, 0.5, 1.0])
def test_velocity_is_finite_at_both_ends(model, coarse, sigma):
    assert model.velocity(clip(), sigma, condition(coarse=coarse)).isfinite().all()


def test_untrained_prior_answers_with_its_base():
    model, c = TurntablePrior(TINY), condition()
    noise = torch.randn(clip().shape, generator=torch.Generator().manual_seed(5))
    assert torch.allclose(model.clean(noise, 1.0, c), c.coarse, atol=1e-5)
    plain = dataclasses.replace(c, coarse=None)
    assert torch.allclose(model.clean(noise, 1.0, plain), torch.ones_like(noise), atol=1e-5)


def test_velocity_and_loss_share_one_parametrisation(model):
    """The output that makes the loss zero makes the velocity eps - x0."""
    x0, c, s = clip(), condition(), torch.tensor([0.4])
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(5))
    d, base = TINY.residual_std, c.coarse
    n = ((1 - s) ** 2 * d**2 + s**2).sqrt()
    target = (s * (x0 - base) - (1 - s) * d**2 * noise) / (n * d)
    model.forward = lambda *_: target
    assert float(model.loss(x0, s, c, noise)) < 1e-9
    v = model.velocity((1 - s) * x0 + s * noise, s, c)
    assert torch.allclose(v, noise - x0, atol=1e-4)


def test_views_may_come_in_any_order(model):
    x, c = clip(), condition()
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = Condition(
        c.azimuths_deg[order], c.elevations_deg[order], c.reference, c.coarse[:, :, order]
    )
    assert torch.allclose(
        model.velocity(x[:, :, order], 0.6, shuffled),
        model.velocity(x, 0.6, c)[:, :, order],
        atol=1e-4,
    )


def test_views_see_each_other_and_the_reference(model):
    x, c = clip(), condition()
    v = model.velocity(x, 0.6, c)
    other = x.clone()
    other[:, :, 3] = 0
    assert not torch.allclose(model.velocity(other, 0.6, c)[:, :, 0], v[:, :, 0], atol=1e-6)
    for field in ("reference", "coarse", "azimuths_deg", "elevations_deg"):
        changed = dataclasses.replace(c, **{field: getattr(c, field) * 0.5})
        assert not torch.allclose(model.velocity(x, 0.6, changed), v, atol=1e-6), field


def test_angles_are_per_clip_when_asked(model):
    x, c = clip(batch=2), condition(batch=2)
    both = dataclasses.replace(
        c,
        azimuths_deg=torch.stack([c.azimuths_deg, c.azimuths_deg + 20]),
        elevations_deg=c.elevations_deg.expand(2, -1),
    )
    v, mixed = model.velocity(x, 0.5, c), model.velocity(x, torch.tensor([0.5, 0.5]), both)
    assert torch.allclose(mixed[0], v[0], atol=OTHER_SHAPES)  # (T,) or (B,T) angles are embedded
    assert (mixed[1] - v[1]).abs().max() > 100 * OTHER_SHAPES


def test_one_step_is_the_clean_estimate_behind_pure_noise(model):
    c = condition()
    for seed in (0, 1):
        assert torch.allclose(model.one_step(c), model.clean(clip(seed=seed), 1.0, c), atol=1e-5)
    with pytest.raises(InputError, match="coarse"):
        model.one_step(replace(c, coarse=None, seen=None))


def test_a_prior_with_the_carried_input_starts_as_the_one_without(model):
    x, c = clip(), condition()
    wider, told = model.with_carried_input(), replace(c, carried=clip(seed=7))
    assert wider.config.carried and not model.config.carried
    same = wider.velocity(x, 0.5, told)  # its first layer has more channels, with zero weights
    assert torch.allclose(same, model.velocity(x, 0.5, c), atol=OTHER_SHAPES)
    torch.nn.init.normal_(wider.net.stem.weight, std=0.2)
    looked = wider.velocity(x, 0.5, told)
    assert not torch.allclose(looked, wider.velocity(x, 0.5, c), atol=1e-3)
    blind = replace(c, coarse=None, seen=None)
    assert torch.equal(plain_velocity(wider)(x, 0.5, told), wider.velocity(x, 0.5, blind))


def test_clean_and_velocity_are_one_estimate(model):
    x, s = clip(batch=2), torch.tensor([0.3, 0.9])
    for coarse in (True, False):
        c = condition(batch=2, coarse=coarse)
        clean = x - s.reshape(-1, 1, 1, 1, 1) * model.velocity(x, s, c)
        assert torch.allclose(model.clean(x, s, c), clean, atol=1e-5)


def test_plain_velocity_is_blind_to_the_coarse_clip(model):
    x, c = clip(), condition()
    blind = replace(c, coarse=None, seen=None)
    v = plain_velocity(model)(x, 0.5, c)
    assert torch.equal(v, model.velocity(x, 0.5, blind))
    assert not torch.allclose(v, model.velocity(x, 0.5, c), atol=1e-3)


def test_both_shipped_priors_load_and_another_kind_is_refused():
    for kind in ("repairer", "plain"):
        assert load_turntable(kind).net.head.weight.abs().sum() > 0
    with pytest.raises(InputError, match="repairer"):
        load_turntable("better")


def test_gradient_reaches_every_parameter(model):
    model.loss(clip(), torch.tensor([0.5]), condition(), torch.randn(clip().shape)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_overfitting_one_clip_beats_its_coarse_start():
    torch.manual_seed(0)
    model, c = TurntablePrior(TINY), condition(frames=3)
    truth = (c.coarse + 0.3 * clip(3, seed=9)).clamp(-1, 1)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    losses = []
    for _ in range(80):
        loss = model.loss(truth, torch.sigmoid(torch.randn(1)), c, torch.randn_like(truth))
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
    refined = sdedit(
        model.velocity,
        c.coarse,
        c,
        config=SDEditConfig(0.6, 8, 1.0),
        generator=torch.Generator().manual_seed(0),
    )
    assert (refined - truth).square().mean() < 0.8 * (c.coarse - truth).square().mean()


def test_save_and_load_round_trip(model, tmp_path):
    model.save(tmp_path / "prior.safetensors", made_by="a test")
    loaded = TurntablePrior.load(tmp_path / "prior.safetensors")
    assert loaded.config == TINY and not loaded.training
    for name, weight in model.state_dict().items():  # float16 on disk, float32 in memory
        assert torch.equal(loaded.state_dict()[name], weight.half().float())
    x, c = clip(), condition()
    first, second = loaded.velocity(x, 0.3, c), model.velocity(x, 0.3, c)
    assert (first - second).norm() < 2e-3 * second.norm()


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match="tools.train.turntable"):
        TurntablePrior.load(tmp_path / "none.safetensors")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="wanted"):
        TurntablePrior.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    "x,c", [(clip(4), condition(5)), (clip()[..., :12], condition()), (clip(batch=2), condition())]
)
def test_shapes_that_do_not_fit_are_refused(model, x, c):
    with pytest.raises(InputError, match="wanted"):
        model.velocity(x, 0.5, c)


def test_coarse_clip_of_other_length_is_refused(model):
    for name in ("coarse", "carried"):
        c = condition()
        object.__setattr__(c, name, clip(4))  # past the shape checks of the tests' type hook
        with pytest.raises(InputError, match=name):
            model.velocity(clip(), 0.5, c)
