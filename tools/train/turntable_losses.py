"""The two losses of the turntable prior: a flow model's squared error, and judged pictures."""

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.measure.perceptual import compare_features
from toolkit.prior.turntable.clips import ClipPair
from toolkit.prior.turntable.model import TurntablePrior
from tools.train.critic import critic_loss, judged, masked_mean
from tools.train.turntable_state import State

PERCEPTUAL_VIEWS = 6  # of a batch, drawn anew each step: the feature net is the costly part


class LossSettings(Protocol):
    """What the losses need of the command's options."""

    batch: int
    sigmas: tuple[float, float]
    fidelity: float
    perceptual: float
    adversarial: float


def denoising_loss(
    model: TurntablePrior,
    pair: ClipPair,
    repair: bool,
    generator: torch.Generator,
    settings: LossSettings,
) -> Float[Tensor, ""]:
    """Squared error of the velocity at a random noise level."""
    sigma = draw_sigmas(generator, settings)
    noise = torch.randn(pair.truth.shape, generator=generator)
    return model.loss(pair.truth, sigma, pair.condition(repair=repair), noise)


def draw_sigmas(generator: torch.Generator, settings: LossSettings) -> Float[Tensor, " B"]:
    """Noise levels, log-normal in t = s / (1 - s); the default is centred where SDEdit works."""
    mean, std = settings.sigmas
    return torch.sigmoid(mean + std * torch.randn(settings.batch, generator=generator))


def picture_loss(
    state: State, pair: ClipPair, repair: bool, generator: torch.Generator, settings: LossSettings
) -> Float[Tensor, ""]:
    """Squared error, perceptual distance and the critic's verdict of the clean estimate.

    The squared error is divided by the network's output scale (c_out in EDM), so that it weighs
    the same at every noise level. The critic takes a step of its own here.
    """
    model, condition = state.model, pair.condition(repair=repair)
    if repair:
        clean, unit = model.one_step(condition), model.config.residual_std
    else:
        s = draw_sigmas(generator, settings).reshape(-1, 1, 1, 1, 1)
        noise, d = torch.randn(pair.truth.shape, generator=generator), model.config.data_std
        clean = model.clean((1 - s) * pair.truth + s * noise, s.flatten(), condition)
        unit = s * d / ((1 - s) ** 2 * d**2 + s**2).sqrt()
    error = ((clean - pair.truth) / unit).square().mean()
    views, truth = (c.transpose(1, 2).flatten(0, 1) for c in (clean, pair.truth))  # (B*T, 3, H, W)
    some = torch.randperm(len(views), generator=generator)[:PERCEPTUAL_VIEWS]
    fake, real, mask = judged(state.features, views[some], truth[some])
    distance = compare_features(fake, real, mask).mean()
    loss = settings.fidelity * error + settings.perceptual * distance
    if settings.adversarial:
        wrong = critic_loss(state.critic, [f.detach() for f in fake], real, mask)
        state.critic_optimiser.zero_grad()
        wrong.backward()
        state.critic_optimiser.step()
        loss = loss - settings.adversarial * masked_mean(state.critic(fake), mask)
    return loss
