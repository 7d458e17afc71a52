"""A perceptual distance that runs offline: features of EfficientNet-Lite0, trained on ImageNet.

LPIPS in shape (unit-normalised features of several depths, squared differences), without LPIPS's
learnt channel weights: numbers compare with each other, not with published LPIPS.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from toolkit.errors import fail
from toolkit.run.files import model_path

STRIDED = (1, 3, 5, 11)  # blocks that halve the picture
STAGES = (0, 2, 4, 10)  # blocks compared: 16, 24, 40, 112 channels at 1/2, 1/4, 1/8, 1/16
NUM_BLOCKS = 15  # the last one: 192 channels at 1/32, pooled for KID and for faces
POOLED_RMS = 3.3  # of the pooled features of people on white: brings them to unit size
MADE_BY = "python -m tools.bake.perceptual"


class EfficientNetLite(nn.Module):
    """The trunk up to block `num_blocks`; batch normalisation is folded into the convolutions.

    Source: Tan & Le 2019, "lite" variant (ReLU6, no squeeze-and-excitation).
    """

    def __init__(
        self,
        weights: dict[str, Tensor],
        *,
        strided: tuple[int, ...] = STRIDED,
        stages: tuple[int, ...] = STAGES,
        num_blocks: int = NUM_BLOCKS,
    ):
        super().__init__()
        self.strided, self.stages, self.num_blocks = strided, stages, num_blocks
        self.names = {name.replace(".", "/"): name for name in weights}
        for key, name in self.names.items():
            self.register_buffer(key, weights[name].float())

    def _convolve(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        weight = getattr(self, f"{name}/weight")
        groups = x.shape[1] // weight.shape[1]
        if (size := weight.shape[-1]) > 1:
            # TensorFlow's "same": at stride 2 the odd pixel of padding lies right and below
            pads = [
                max((-(-n // stride) - 1) * stride + size - n, 0) for n in (x.shape[3], x.shape[2])
            ]
            x = F.pad(x, [p for total in pads for p in (total // 2, total - total // 2)])
        return F.conv2d(x, weight, getattr(self, f"{name}/bias"), stride, groups=groups)

    def _block(self, x: Tensor, index: int) -> Tensor:
        stride, y = 1 + (index in self.strided), x
        if f"block{index}/expand/weight" in self.names:
            y = F.relu6(self._convolve(y, f"block{index}/expand"))
        y = F.relu6(self._convolve(y, f"block{index}/depthwise", stride=stride))
        y = self._convolve(y, f"block{index}/project")
        return x + y if y.shape == x.shape else y

    def forward(self, rgb: Float[Tensor, "B H W 3"]) -> list[Tensor]:
        """Features (B,C,h,w) of the blocks in `stages` and of the last; pictures in [0, 1]."""
        x = (rgb.permute(0, 3, 1, 2) * 255 - 127) / 128
        x = F.relu6(self._convolve(x, "stem", stride=2))
        found = []
        for index in range(self.num_blocks):
            x = self._block(x, index)
            if index in self.stages or index == self.num_blocks - 1:
                found.append(x)
        return found


@lru_cache(maxsize=1)
def load_features() -> EfficientNetLite:
    """The net that ships with the repository; frozen.

    Raises:
        MissingFileError: the weights are not there.
    """
    path = model_path("efficientnet_lite0.safetensors", made_by=MADE_BY)
    return EfficientNetLite(load_file(path)).eval()


def compare_features(
    first: list[Tensor], second: list[Tensor], mask: Float[Tensor, "B H W"] | None = None
) -> Float[Tensor, " B"]:
    """Perceptual distance from the features of two stacks (`EfficientNetLite.forward`)."""
    total = 0.0
    for a, b in zip(first[: len(STAGES)], second[: len(STAGES)], strict=True):
        error = (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1)
        weight = (
            torch.ones_like(error)
            if mask is None
            else F.interpolate(mask[:, None].to(error), size=error.shape[1:], mode="area")[:, 0]
        )
        total = total + (weight * error).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1e-6)
    return total / len(STAGES)


def perceptual_distance(
    first: Float[Tensor, "B H W 3"],
    second: Float[Tensor, "B H W 3"],
    mask: Float[Tensor, "B H W"] | None = None,
) -> Float[Tensor, " B"]:
    """Distance of each pair of pictures, 0 for equal ones; differentiable.

    Args:
        first, second: in [0, 1]; the net was trained at about 224 px.
        mask: where to look, in [0, 1]; everywhere if None.

    Source: after Zhang et al. 2018 (LPIPS), eq. 1, with all channel weights equal.
    """
    if first.shape != second.shape or min(first.shape[1:3]) < 32:
        fail(
            "perceptual distance",
            got=f"{tuple(first.shape)} and {tuple(second.shape)}",
            wanted="two stacks of one size, 32 px or more",
            fix="Resize one of them.",
        )
    net = load_features()
    return compare_features(net(first), net(second), mask)


def pooled(features: list[Tensor]) -> Float[Tensor, "B 192"]:
    """The deepest features averaged over the picture, of roughly unit size: one vector each."""
    return features[-1].mean((2, 3)) / POOLED_RMS
