"""An autoencoder of turntable frames: 8 times fewer rows and columns, 16 numbers per place.

It does for our small prior what Wan's VAE does for Wan: the flow model has an eighth of the sides
to deal with, and it need not learn fine detail, because the decoder draws it.
"""

import os
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.run.model_file import read_model, write_model

SCALE = 8  # pixels per latent place along each side
MADE_BY = "python -m tools.train.autoencoder"


@dataclass(frozen=True)
class AutoencoderConfig:
    """Size of the two networks."""

    latent: int = 16  # channels
    encoder: tuple[int, int, int] = (32, 64, 96)  # channels at 1/2, 1/4, 1/8 of the picture's sides
    decoder: tuple[int, int, int] = (32, 64, 128)
    noise: float = 0.1  # added to the latents in training, whose deviation is 1


class PixelNorm(nn.Module):
    """Root mean square over a pixel's channels brought to 1, as in Wan's VAE.

    A norm over the whole picture would make a hand's latents depend on the trousers.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6) * self.gain


class Residual(nn.Module):
    """Two 3x3 convolutions whose result is added; at first it is zero."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm1, self.norm2 = PixelNorm(channels), PixelNorm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


class FrameAutoencoder(nn.Module):
    """Pictures to latents and back, frame by frame.

    The latents are standardised per channel (a batch norm without weights, whose averages are kept
    for later), so that the noise of a flow model has the same size as they have. In training noise
    is added to them: neighbouring latents must then mean similar pictures.

    Source: Rombach et al. 2022 (latent diffusion), Sec. 3.1; the losses are in
    tools/train/autoencoder.py.
    """

    def __init__(self, config: AutoencoderConfig = AutoencoderConfig()):  # noqa: B008 - frozen
        super().__init__()
        self.config = config
        a, b, c = config.encoder
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, a, 3, padding=1),
            Residual(a),
            nn.Conv2d(a, b, 2, stride=2),
            Residual(b),
            nn.Conv2d(b, c, 2, stride=2),
            Residual(c),
            Residual(c),
            PixelNorm(c),
            nn.Conv2d(c, config.latent, 1),
        )
        self.standard = nn.BatchNorm2d(config.latent, affine=False, momentum=0.01)
        a, b, c = config.decoder
        self.decoder = nn.Sequential(
            nn.Conv2d(config.latent, c, 3, padding=1),
            Residual(c),
            Residual(c),
            nn.Conv2d(c, 4 * b, 1),
            nn.PixelShuffle(2),
            Residual(b),
            Residual(b),
            nn.Conv2d(b, 4 * a, 1),
            nn.PixelShuffle(2),
            Residual(a),
            Residual(a),
            PixelNorm(a),
            nn.SiLU(),
            nn.Conv2d(a, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def encode(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N L h w"]:
        """Latents of pictures in [-1, 1] whose sides are multiples of 8; h is H / 8."""
        return self.standard(self.encoder(frames - 1))  # white, the background, is 0

    def decode(self, latents: Float[Tensor, "N L h w"]) -> Float[Tensor, "N 3 H W"]:
        """Pictures of latents; about [-1, 1], not clamped."""
        return self.decoder(latents) + 1

    def encode_clip(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B L T h w"]:
        """`encode` of every frame."""
        return _per_frame(self.encode, clip)

    def decode_clip(self, latents: Float[Tensor, "B L T h w"]) -> Float[Tensor, "B 3 T H W"]:
        """`decode` of every frame."""
        return _per_frame(self.decode, latents)

    def save(self, path: str | os.PathLike, **notes: str) -> None:
        """Weights as float16 with the configuration (and string notes) in the file's metadata."""
        write_model(self, path, **notes)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "FrameAutoencoder":
        """Read `save`'s file; the model comes back in eval mode, in float32.

        Raises:
            MissingFileError, InputError: no such file, or not an autoencoder.
        """
        config, weights = read_model(
            path,
            AutoencoderConfig,
            what="autoencoder",
            written_by="FrameAutoencoder.save",
            made_by=MADE_BY,
        )
        model = cls(config)
        model.load_state_dict(weights)
        return model.eval().requires_grad_(False)


def _per_frame(apply: nn.Module, clip: Float[Tensor, "B C T H W"]) -> Tensor:
    batch, _, frames, _, _ = clip.shape
    out = apply(clip.transpose(1, 2).flatten(0, 1))
    return out.unflatten(0, (batch, frames)).transpose(1, 2)
