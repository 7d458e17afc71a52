"""A perceptual distance that runs offline: features of EfficientNet-Lite0, trained on ImageNet.

It has the form of LPIPS: features of several depths, each pixel's vector brought to unit length,
squared differences. LPIPS's learnt weights of the channels are missing, so its values compare with
each other, but not with published LPIPS values.

The net is written out here because no library serves: LPIPS's weights may not ship with us, and
EfficientNet-Lite is in timm, which needs torchvision, whose build must match torch's.
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
COMPARED = (0, 2, 4, 10)  # blocks for the distance: 16, 24, 40, 112 channels at 1/2, 1/4, 1/8, 1/16
NUM_BLOCKS = 15  # the last one has 192 channels at 1/32; its mean serves KID and faces
POOLED_RMS = 3.3  # root mean square of these means over people on white: divided out
MADE_BY = "python -m tools.bake.perceptual"


class EfficientNetLite(nn.Module):
    """The trunk of EfficientNet-Lite; batch normalisation is folded into the convolutions.

    Source: Tan & Le 2019, "lite" variant (ReLU6, no squeeze-and-excitation).
    """

    def __init__(
        self,
        weights: dict[str, Tensor],
        *,
        strided: tuple[int, ...] = STRIDED,
        compared: tuple[int, ...] = COMPARED,
        num_blocks: int = NUM_BLOCKS,
    ):
        """Build the net from its weights.

        Args:
            weights: "<layer>.weight" and "<layer>.bias" for the stem and each block's layers.
            strided: blocks that halve the picture.
            compared: blocks whose features `forward` returns.
            num_blocks: blocks to run; the features of the last one are returned, too.
        """
        super().__init__()
        self.strided, self.compared, self.num_blocks = strided, compared, num_blocks
        # a buffer's name may not contain a dot
        self.names = {name.replace(".", "/"): name for name in weights}
        for key, name in self.names.items():
            self.register_buffer(key, weights[name].float())

    def _convolve(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        weight = getattr(self, f"{name}/weight")  # (out, in / groups, size, size)
        groups = x.shape[1] // weight.shape[1]
        if (size := weight.shape[-1]) > 1:
            # TensorFlow's "same": at stride 2 the odd pixel of padding lies right and below
            pads = [
                max((-(-n // stride) - 1) * stride + size - n, 0) for n in (x.shape[3], x.shape[2])
            ]
            x = F.pad(x, [p for total in pads for p in (total // 2, total - total // 2)])
        return F.conv2d(x, weight, getattr(self, f"{name}/bias"), stride, groups=groups)

    def _block(self, x: Tensor, index: int) -> Tensor:
        """Inverted residual: widen the channels, filter each alone, narrow them, add the input."""
        stride, y = 1 + (index in self.strided), x
        if f"block{index}/expand/weight" in self.names:
            y = F.relu6(self._convolve(y, f"block{index}/expand"))
        y = F.relu6(self._convolve(y, f"block{index}/depthwise", stride=stride))
        y = self._convolve(y, f"block{index}/project")
        return x + y if y.shape == x.shape else y

    def forward(self, rgb: Float[Tensor, "B H W 3"]) -> list[Tensor]:
        """Features (B,C,h,w) of the compared blocks and of the last one; pictures in [0, 1]."""
        # the net was trained on values (byte - 127) / 128
        x = (rgb.permute(0, 3, 1, 2) * 255 - 127) / 128
        x = F.relu6(self._convolve(x, "stem", stride=2))
        features = []
        for index in range(self.num_blocks):
            x = self._block(x, index)
            if index in self.compared or index == self.num_blocks - 1:
                features.append(x)
        return features


@lru_cache(maxsize=1)
def load_features() -> EfficientNetLite:
    """The net that ships with the repository; its weights are buffers, so nothing trains them.

    Raises:
        MissingFileError: the file of weights is missing.
    """
    path = model_path("efficientnet_lite0.safetensors", made_by=MADE_BY)
    return EfficientNetLite(load_file(path)).eval()


def compare_features(
    first: list[Tensor], second: list[Tensor], mask: Float[Tensor, "B H W"] | None = None
) -> Float[Tensor, " B"]:
    """Perceptual distance of each pair of pictures, from their features.

    Args:
        first, second: features of two stacks of pictures, from `EfficientNetLite`.
        mask: weight of each pixel, in [0, 1]; left out: all pixels count.
    """
    total = 0.0
    for a, b in zip(first[: len(COMPARED)], second[: len(COMPARED)], strict=True):
        # (B,h,w): squared distance of unit vectors, from 0 (same direction) to 4 (opposite)
        error = (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1)
        if mask is None:
            weight = torch.ones_like(error)
        else:  # each cell of the features weighs as much as the mask covers of it
            weight = F.interpolate(mask[:, None].to(error), size=error.shape[1:], mode="area")[:, 0]
        total = total + (weight * error).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1e-6)
    return total / len(COMPARED)


def perceptual_distance(
    first: Float[Tensor, "B H W 3"],
    second: Float[Tensor, "B H W 3"],
    mask: Float[Tensor, "B H W"] | None = None,
) -> Float[Tensor, " B"]:
    """Distance of each pair of pictures, 0 for equal ones; differentiable.

    Args:
        first, second: in [0, 1]; the net was trained at about 224 px.
        mask: weight of each pixel, in [0, 1]; left out: all pixels count.

    Raises:
        InputError: the sizes differ, or the pictures are smaller than 32 px.

    Source: after Zhang et al. 2018 (LPIPS), Eq. 1, with all channel weights equal.
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


def pool_features(features: list[Tensor]) -> Float[Tensor, "B 192"]:
    """Mean of the deepest features over each picture: one vector, its entries roughly of unit size.

    Distributions of these vectors are compared by KID, and pairs of them tell faces apart.
    """
    return features[-1].mean((2, 3)) / POOLED_RMS
