"""Our small latent video prior: a flow model in the space of our own autoencoder.

It stands behind the same `Prior` as Wan2.1 and works as it does: encode the coarse clip, noise the
latents, denoise them step by step, decode. *Plain*: given the front picture and the view angles
(the paper's setting). *Posterior*: it is also shown the coarse clip, and draws clips that could
have led to it.
"""

import os
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.prior.latent.autoencoder import SCALE, FrameAutoencoder
from toolkit.prior.latent.net import LatentUNet
from toolkit.prior.prior import Condition, Encoded
from toolkit.prior.turntable.unet import NUM_ANGLES, noise_features, view_features
from toolkit.run.model_file import read_model, write_model

MADE_BY = "python -m tools.train.latent"


@dataclass(frozen=True)
class LatentConfig:
    """Size of the network."""

    latent: int = 16  # channels of the autoencoder's latents
    channels: tuple[int, int] = (128, 192)  # of the two levels, multiples of 8
    embedding: int = 128  # width of the conditioning vector
    heads: int = 4  # of the attentions; divides both channels


@dataclass(frozen=True)
class LatentCondition:
    """What the flow model knows at every step.

    Attributes:
        azimuths_deg, elevations_deg: of each view.
        front: latents of the front picture.
        coarse, carried: latents of the coarse clip, and of the coarse clip in carried colours;
            None for the plain prior.
        seen: share of each place that the photo saw.
    """

    azimuths_deg: Float[Tensor, "B T"]
    elevations_deg: Float[Tensor, "B T"]
    front: Float[Tensor, "B L h w"]
    coarse: Float[Tensor, "B L T h w"] | None = None
    carried: Float[Tensor, "B L T h w"] | None = None
    seen: Float[Tensor, "B 1 T h w"] | None = None


class FlowNet(nn.Module):
    """The velocity of noisy latents, preconditioned as in EDM (Karras et al. 2022, table 1).

    Latents have unit variance. With x = (1-s) x0 + s eps and n^2 = (1-s)^2 + s^2 the best linear
    guess of the velocity from x alone is (2s - 1) / n^2 x; the network adds what a linear guess
    cannot know:

        v = (2s - 1) / n^2 x - net(x / n) / n

    Solved for the network, its target is (s x0 - (1-s) eps) / n, which has unit variance at every
    noise level.
    """

    def __init__(self, config: LatentConfig = LatentConfig()):  # noqa: B008 - frozen
        super().__init__()
        self.config = config
        width, latent = config.embedding, config.latent
        self.embed = nn.Sequential(
            nn.Linear(16 + NUM_ANGLES + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        # Channels per frame: noisy, front picture, front picture mirrored (its silhouette is that
        # of the back view), coarse, carried: latents each; and what the photo saw.
        self.net = LatentUNet(5 * latent + 1, config.channels, width, config.heads, latent)

    def forward(
        self, x: Float[Tensor, "B L T h w"], sigma: Float[Tensor, " S"], known: LatentCondition
    ) -> Float[Tensor, "B L T h w"]:
        """The velocity; `sigma` in [0, 1] holds one value, or one per clip."""
        s = sigma.reshape(-1, 1, 1, 1, 1)
        n = _norm(s)
        return (2 * s - 1) / n**2 * x - self._answer(x / n, sigma, known) / n

    def loss(
        self,
        x0: Float[Tensor, "B L T h w"],
        sigma: Float[Tensor, " B"],
        known: LatentCondition,
        noise: Float[Tensor, "B L T h w"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "B L T h w"]]:
        """Mean squared error of the network's own output, and its estimate of the clean latents.

        The network's error is -n times that of the velocity, so that every noise level counts
        alike. The estimate is x - sigma v.
        """
        s = sigma.reshape(-1, 1, 1, 1, 1)
        x = (1 - s) * x0 + s * noise
        v = self(x, sigma, known)
        return (_norm(s) * (v - (noise - x0))).square().mean(), x - s * v

    def _answer(self, x: Tensor, sigma: Tensor, known: LatentCondition) -> Tensor:
        batch, _, frames, height, width = x.shape
        views = view_features(known.azimuths_deg, known.elevations_deg).to(x)
        views = views.expand(batch, frames, NUM_ANGLES)
        noise = noise_features(sigma.expand(batch).to(x))[:, None].expand(-1, frames, -1)
        shown = x.new_full((batch, frames, 1), float(known.coarse is not None))
        embedding = self.embed(torch.cat([noise, views, shown], dim=-1))
        front = known.front[:, :, None]
        pictures = [x, front.expand_as(x), front.flip(-1).expand_as(x)]
        if known.coarse is None:
            blank = x.new_zeros(batch, 2 * x.shape[1] + 1, frames, height, width)
            pictures.append(blank)
        else:
            pictures += [known.coarse, known.carried, known.seen]
        stacked = torch.cat(pictures, dim=1).transpose(1, 2).flatten(0, 1)
        out = self.net(stacked, embedding.flatten(0, 1), views, known.front)
        return out.unflatten(0, (batch, frames)).transpose(1, 2)


class LatentPrior:
    """A `Prior` on latents: an autoencoder, a flow model, and whether it looks at the coarse clip.

    Args:
        autoencoder: between clips and latents.
        flow: the velocity of noisy latents.
        posterior: show it the coarse clip at every step, not only as the start.
    """

    def __init__(self, autoencoder: FrameAutoencoder, flow: FlowNet, *, posterior: bool = False):
        self.autoencoder, self.flow, self.posterior = autoencoder, flow, posterior

    @torch.no_grad()
    def encode(self, known: Condition) -> Encoded:
        """Latents of the coarse clip; what the photo saw, per place; the latent condition."""
        known.check(known.coarse)
        latents = self.autoencoder.encode_clip(known.coarse)
        seen = None if known.seen is None else F.avg_pool3d(known.seen, (1, SCALE, SCALE))
        condition = LatentCondition(
            known.azimuths_deg, known.elevations_deg, self.autoencoder.encode(known.reference)
        )
        if self.posterior:
            carried = self.autoencoder.encode_clip(known.carried)
            condition = LatentCondition(
                known.azimuths_deg, known.elevations_deg, condition.front, latents, carried, seen
            )
        return Encoded(latents, seen, condition)

    @torch.no_grad()
    def velocity(
        self, x: Float[Tensor, "B L T h w"], sigma: Tensor | float, condition: LatentCondition
    ) -> Float[Tensor, "B L T h w"]:
        """Flow velocity `E[eps - x0 | x]` in latents."""
        sigma = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).reshape(-1)
        return self.flow(x, sigma, condition)

    @torch.no_grad()
    def decode(
        self, latents: Float[Tensor, "B L T h w"], known: Condition
    ) -> Float[Tensor, "B 3 T H W"]:
        """The clip of latents, in [-1, 1]."""
        return self.autoencoder.decode_clip(latents).clamp(-1, 1)


def save_flow(flow: FlowNet, path: str | os.PathLike, **notes: str) -> None:
    """Weights as float16 with the configuration (and string notes) in the file's metadata."""
    write_model(flow, path, **notes)


def load_flow(path: str | os.PathLike) -> FlowNet:
    """Read `save_flow`'s file; the model comes back in eval mode, in float32.

    Raises:
        MissingFileError, InputError: no such file, or not a flow model.
    """
    config, weights = read_model(
        path, LatentConfig, what="latent", written_by="save_flow", made_by=MADE_BY
    )
    flow = FlowNet(config)
    flow.load_state_dict(weights)
    return flow.eval().requires_grad_(False)


def _norm(s: Tensor) -> Tensor:
    return ((1 - s) ** 2 + s**2).sqrt()
