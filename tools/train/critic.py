"""The critic of the turntable training (a GAN's discriminator), on features of a frozen network.

The features are those of EfficientNet-Lite1, a net that the evaluation does not measure with. The
critic is a "projected" one: small heads on frozen features of several depths, so that it learns
within minutes.

Source: Sauer et al. 2021 (Projected GANs), Sec. 3; Sauer et al. 2023 (adversarial diffusion
distillation), eq. 2-3: hinge losses on a one-step estimate.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from toolkit.measure.perceptual import EfficientNetLite, compare_features

LITE1 = {"strided": (1, 4, 7, 15), "compared": (0, 3, 6, 11), "num_blocks": 12}
WIDTHS = (16, 24, 40, 112)  # channels of the four depths


def load_lite1(path: Path) -> EfficientNetLite:
    """The frozen feature net, from the file of `python -m tools.bake.perceptual --net lite1`."""
    return EfficientNetLite(load_file(path), **LITE1).eval()


class Critic(nn.Module):
    """Tells true pictures from made ones: one logit per place of every depth, high for true."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.heads = nn.ModuleList(
            [
                nn.Sequential(
                    spectral_norm(nn.Conv2d(channels, width, 3, padding=1)),
                    nn.LeakyReLU(0.2),
                    spectral_norm(nn.Conv2d(width, 1, 1)),
                )
                for channels in WIDTHS
            ]
        )

    def forward(self, features: list[Tensor]) -> list[Float[Tensor, "N h w"]]:
        return [head(normalized(f))[:, 0] for head, f in zip(self.heads, features, strict=False)]


def normalized(features: Tensor) -> Tensor:
    """Unit variance over all channels together, so that every depth starts with the same weight."""
    return features / features.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)


def pictures(views: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N H W 3"]:
    """From [-1, 1], channels first, to what the feature net reads: [0, 1], channels last."""
    return (views.permute(0, 2, 3, 1) + 1) / 2


def inside_person(truth: Float[Tensor, "N 3 H W"], px: int = 2) -> Float[Tensor, "N H W"]:
    """1 inside the true silhouette (what is not white) and `px` pixels around it."""
    return F.max_pool2d((truth.amin(1, keepdim=True) < 0.98).float(), 2 * px + 1, 1, px)[:, 0]


def judged(
    net: EfficientNetLite, made: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "N 3 H W"]
) -> tuple[list[Tensor], list[Tensor], Float[Tensor, "N H W"]]:
    """Features of made and of true frames in [-1, 1], and the mask of the true person.

    The critic reads the same three as `distance`.
    """
    with torch.no_grad():
        real = net(pictures(truth))
    return net(pictures(made)), real, inside_person(truth)


def distance(
    net: EfficientNetLite, views: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "N 3 H W"]
) -> Float[Tensor, ""]:
    """Mean perceptual distance of pictures in [-1, 1], where there is a person."""
    return compare_features(*judged(net, views, truth)).mean()


def masked_mean(logits: list[Tensor], mask: Float[Tensor, "N H W"]) -> Tensor:
    """Mean over the places that show a person; every depth has the same weight."""
    means = []
    for value in logits:
        weight = F.interpolate(mask[:, None], size=value.shape[1:], mode="area")[:, 0]
        means.append((weight * value).sum() / weight.sum().clamp_min(1e-6))
    return torch.stack(means).mean()


def critic_loss(critic: Critic, fake: list[Tensor], real: list[Tensor], mask: Tensor) -> Tensor:
    """Hinge loss of the critic; `fake` must be detached, or its gradient reaches the prior."""
    wrong = [F.relu(1 + x) for x in critic(fake)], [F.relu(1 - x) for x in critic(real)]
    return masked_mean(wrong[0], mask) + masked_mean(wrong[1], mask)
