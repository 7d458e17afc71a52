import pytest
import torch

from toolkit.errors import InputError, MissingFileError
from toolkit.prior.latent.autoencoder import AutoencoderConfig, FrameAutoencoder
from toolkit.prior.latent.model import (
    FlowNet,
    LatentCondition,
    LatentConfig,
    LatentPrior,
    load_flow,
    save_flow,
)
from toolkit.prior.prior import Condition, Prior
from toolkit.prior.sdedit import SDEditConfig
from toolkit.refine.edit import edit_clip

LATENT, VIEWS, SIZE = 4, 5, (32, 16)


@pytest.fixture(scope="module")
def autoencoder() -> FrameAutoencoder:
    torch.manual_seed(0)
    config = AutoencoderConfig(LATENT, (8, 8, 8), (8, 8, 8))
    model = FrameAutoencoder(config)
    for _ in range(3):  # so that the averages of the batch norm are those of pictures
        model.encode(torch.rand(4, 3, *SIZE) * 2 - 1)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def flow() -> FlowNet:
    torch.manual_seed(1)
    net = FlowNet(LatentConfig(LATENT, (16, 16), 16, 2))
    for parameter in net.parameters():  # the head starts at zero, which would hide everything
        torch.nn.init.normal_(parameter, std=0.2)
    return net.eval().requires_grad_(False)


@pytest.fixture
def known() -> Condition:
    generator = torch.Generator().manual_seed(2)
    clip = torch.rand(1, 3, VIEWS, *SIZE, generator=generator) * 2 - 1
    azimuths = torch.arange(VIEWS) * 72.0
    seen = torch.rand(1, 1, VIEWS, *SIZE, generator=generator)
    return Condition(azimuths, azimuths * 0, clip[:, :, 0], clip, seen, clip.flip(-2))


def condition_of(x: torch.Tensor, *, coarse: bool = False) -> LatentCondition:
    azimuths = torch.arange(x.shape[2]) * 72.0
    shown = (x, x, x[:, :1]) if coarse else ()
    return LatentCondition(azimuths, azimuths * 0, x[:, :, 0], *shown)


def test_velocity_of_a_perfect_answer_is_noise_minus_clip(flow, monkeypatch):
    x0, eps = torch.randn(2, 1, LATENT, VIEWS, 4, 2)
    for s in (0.05, 0.5, 0.95, 1.0):
        n = ((1 - s) ** 2 + s**2) ** 0.5
        perfect = (s * x0 - (1 - s) * eps) / n
        monkeypatch.setattr(FlowNet, "_answer", lambda *_, perfect=perfect: perfect)
        x = (1 - s) * x0 + s * eps
        assert torch.allclose(flow(x, torch.tensor([s]), None), eps - x0, atol=1e-5)
        error, clean = flow.loss(x0, torch.tensor([s]), None, eps)
        assert error < 1e-9 and torch.allclose(clean, x0, atol=1e-5)


def test_an_untrained_network_gives_the_best_linear_guess():
    net = FlowNet(LatentConfig(LATENT, (16, 16), 16, 2))  # its head is zero
    x0, eps = torch.randn(2, 64, LATENT, VIEWS, 4, 2)
    s = 0.7
    x = (1 - s) * x0 + s * eps
    with torch.no_grad():
        guess = net(x, torch.tensor([s]), condition_of(x))
    slope = (x * (eps - x0)).mean() / x.square().mean()  # least squares of the velocity from x
    assert torch.allclose(guess, slope * x, atol=0.1)


def test_plain_prior_is_blind_to_the_coarse_clip_and_the_posterior_is_not(autoencoder, flow, known):
    other = Condition(
        known.azimuths_deg, known.elevations_deg, known.reference, known.coarse.flip(-1)
    )
    x = torch.randn(1, LATENT, VIEWS, 4, 2)
    plain = LatentPrior(autoencoder, flow)
    answers = [plain.velocity(x, 0.5, plain.encode(k).condition) for k in (known, other)]
    assert torch.equal(*answers)
    posterior = LatentPrior(autoencoder, flow, posterior=True)
    shown = posterior.velocity(x, 0.5, posterior.encode(known).condition)
    assert (shown - answers[0]).abs().max() > 1e-3


def test_views_are_told_apart_by_their_angles_only(flow):
    x = torch.randn(1, LATENT, VIEWS, 4, 2)
    known = condition_of(x)
    order = torch.tensor([3, 0, 4, 1, 2])
    swapped = LatentCondition(known.azimuths_deg[order], known.elevations_deg[order], x[:, :, 0])
    straight = flow(x, torch.tensor([0.5]), known)[:, :, order]
    assert torch.allclose(flow(x[:, :, order], torch.tensor([0.5]), swapped), straight, atol=1e-4)


def test_it_is_a_prior_for_the_one_loop(autoencoder, flow, known):
    config = SDEditConfig(strength=0.5, num_inference_steps=4, shift=1.0)
    for posterior in (False, True):
        prior = LatentPrior(autoencoder, flow, posterior=posterior)
        assert isinstance(prior, Prior)
        clips = [
            edit_clip(prior, known, config, generator=torch.Generator().manual_seed(seed))
            for seed in (0, 0, 1)
        ]
        assert clips[0].shape == known.coarse.shape
        assert torch.equal(clips[0], clips[1]) and not torch.equal(clips[0], clips[2])


def test_autoencoder_only_looks_at_neighbours(autoencoder):
    """So it may be trained on crops and run on whole pictures."""
    tall = torch.rand(1, 3, 256, 16) * 2 - 1
    changed = tall.clone()
    changed[:, :, :8] = -1
    latents = autoencoder.encode(tall), autoencoder.encode(changed)
    assert not torch.equal(latents[0][:, :, 0], latents[1][:, :, 0])
    assert torch.allclose(latents[0][:, :, 12:], latents[1][:, :, 12:], atol=1e-5)
    made = autoencoder.decode(latents[0]), autoencoder.decode(latents[1])
    assert torch.allclose(made[0][:, :, 200:], made[1][:, :, 200:], atol=1e-5)


def test_latents_are_standardised_and_batches_do_not_mix():
    torch.manual_seed(0)
    model = FrameAutoencoder(AutoencoderConfig(LATENT, (8, 8, 8), (8, 8, 8)))
    latents = model.train().encode(torch.rand(8, 3, *SIZE) * 2 - 1)
    assert latents.mean((0, 2, 3)).abs().max() < 1e-5
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 0.05
    clip = torch.rand(2, 3, 3, *SIZE) * 2 - 1
    model.eval()
    with torch.no_grad():
        both = model.encode_clip(clip)
        assert torch.allclose(both[1:], model.encode_clip(clip[1:]), atol=1e-5)
        one = model.encode(clip[1, :, 2][None])
        assert torch.allclose(both[1, :, 2], one[0], atol=1e-5)


def test_weights_survive_the_disk_in_half_precision(autoencoder, flow, tmp_path):
    autoencoder.save(tmp_path / "a.safetensors", step="3")
    save_flow(flow, tmp_path / "f.safetensors")
    x = torch.randn(1, LATENT, VIEWS, 4, 2)
    again = load_flow(tmp_path / "f.safetensors")
    pair = [f(x, torch.tensor([0.4]), condition_of(x, coarse=True)) for f in (flow, again)]
    assert (pair[0] - pair[1]).norm() < 2e-2 * pair[0].norm()
    frames = torch.rand(2, 3, *SIZE) * 2 - 1
    latents = [
        m.encode(frames) for m in (autoencoder, FrameAutoencoder.load(tmp_path / "a.safetensors"))
    ]
    assert (latents[0] - latents[1]).norm() < 2e-2 * latents[0].norm()


def test_missing_and_foreign_files_are_refused(autoencoder, flow, tmp_path):
    with pytest.raises(MissingFileError, match=r"tools\.train\.latent"):
        load_flow(tmp_path / "no.safetensors")
    with pytest.raises(MissingFileError, match=r"tools\.train\.autoencoder"):
        FrameAutoencoder.load(tmp_path / "no.safetensors")
    autoencoder.save(tmp_path / "a.safetensors")
    save_flow(flow, tmp_path / "f.safetensors")
    with pytest.raises(InputError):
        load_flow(tmp_path / "a.safetensors")
    with pytest.raises(InputError):
        FrameAutoencoder.load(tmp_path / "f.safetensors")
