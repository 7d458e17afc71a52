"""LPIPS with AlexNet, where its two weight files are on this machine: they do not ship with us.

The files are torchvision's AlexNet (`alexnet-owt-7be5be79.pth`) and the linear heads of the package
`lpips` (`weights/v0.1/alex.pth`), both in one folder: the one that `TOOLKIT_LPIPS` names, or
`lpips-alexnet` in the directory of weights. The package `lpips` itself would do, but it needs
torchvision, whose build must match torch's; five convolutions are easier to keep.
"""

from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.weights.search import locate
from toolkit.weights.table import WEIGHTS

LAYERS = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}  # convolution: stride, padding
POOLED_BEFORE = (3, 6)  # convolutions that follow a max pooling
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's mean and deviation


class Lpips:
    """Distance (B,) of pictures (B,H,W,3) in [0, 1].

    Source: Zhang et al. 2018, version 0.1, net "alex".
    """

    def __init__(self, trunk: dict[str, Tensor], heads: dict[str, Tensor]):
        self.trunk, self.heads = trunk, heads

    def _features(self, rgb: Float[Tensor, "B H W 3"]) -> list[Tensor]:
        """What each of the five convolutions gives after its ReLU, (B,C,h,w)."""
        x = (2 * rgb - 1 - torch.tensor(SHIFT)) / torch.tensor(SCALE)
        x, features = x.permute(0, 3, 1, 2), []
        for layer, (stride, padding) in LAYERS.items():
            if layer in POOLED_BEFORE:
                x = F.max_pool2d(x, 3, 2)
            weight = self.trunk[f"features.{layer}.weight"]
            bias = self.trunk[f"features.{layer}.bias"]
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            features.append(x)
        return features

    @torch.no_grad()
    def __call__(
        self, first: Float[Tensor, "B H W 3"], second: Float[Tensor, "B H W 3"]
    ) -> Float[Tensor, " B"]:
        pairs = zip(self._features(first), self._features(second), strict=True)
        distances = []
        for i, (a, b) in enumerate(pairs):
            # each pixel's feature vector has length 1, so that contrast alone counts for nothing
            difference = (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square()
            head = self.heads[f"lin{i}.model.1.weight"]  # (1,C,1,1): one learnt weight per channel
            distances.append(F.conv2d(difference, head).mean((1, 2, 3)))
        return torch.stack(distances).sum(0)


def lpips_places() -> tuple[Path, ...]:
    """Folders in which the two files are looked for, in this order; `doctor` prints the same."""
    return locate(WEIGHTS["lpips-alexnet"]).looked


@lru_cache(maxsize=1)
def load_lpips() -> Lpips | None:
    """LPIPS if one of `lpips_places` holds both files, else None."""
    located = locate(WEIGHTS["lpips-alexnet"])
    if not located.complete:
        return None
    trunk, heads = sorted(located.folder.glob("alexnet*.pth"))[0], located.folder / "alex.pth"
    return Lpips(
        *(torch.load(path, map_location="cpu", weights_only=True) for path in (trunk, heads))
    )


def why_no_lpips() -> str | None:
    """The sentence for the report, or None when LPIPS can be computed."""
    if load_lpips():
        return None
    return (
        "LPIPS skipped: its weights do not ship; set TOOLKIT_LPIPS "
        "to a folder with alexnet-*.pth and alex.pth"
    )
