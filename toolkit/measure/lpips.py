"""LPIPS with AlexNet, when its weights lie on this machine; they do not ship (nor may they).

Put two files into one folder and name it in `TOOLKIT_LPIPS`: torchvision's AlexNet
(`alexnet-owt-7be5be79.pth`) and the linear heads of the package `lpips` (`weights/v0.1/alex.pth`).
"""

import os
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LAYERS = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}  # convolution: stride, padding
POOLED_BEFORE = (3, 6)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips:
    """Distance (B,) of pictures (B,H,W,3) in [0, 1].

    Source: Zhang et al. 2018, version 0.1, net "alex".
    """

    def __init__(self, trunk: dict[str, Tensor], heads: dict[str, Tensor]):
        self.trunk, self.heads = trunk, heads

    def _features(self, rgb: Tensor) -> list[Tensor]:
        x = (2 * rgb - 1 - torch.tensor(SHIFT)) / torch.tensor(SCALE)
        x, found = x.permute(0, 3, 1, 2), []
        for layer, (stride, padding) in LAYERS.items():
            if layer in POOLED_BEFORE:
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(
                F.conv2d(
                    x,
                    self.trunk[f"features.{layer}.weight"],
                    self.trunk[f"features.{layer}.bias"],
                    stride,
                    padding,
                )
            )
            found.append(x)
        return found

    @torch.no_grad()
    def __call__(
        self, first: Float[Tensor, "B H W 3"], second: Float[Tensor, "B H W 3"]
    ) -> Float[Tensor, " B"]:
        pairs = zip(self._features(first), self._features(second), strict=True)
        return torch.stack(
            [
                F.conv2d(
                    (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square(),
                    self.heads[f"lin{i}.model.1.weight"],
                ).mean((1, 2, 3))
                for i, (a, b) in enumerate(pairs)
            ]
        ).sum(0)


@lru_cache(maxsize=1)
def load_lpips() -> Lpips | None:
    """LPIPS if `TOOLKIT_LPIPS` names a folder with both files, else None."""
    folder = Path(os.environ.get("TOOLKIT_LPIPS", "/nonexistent"))
    trunk, heads = sorted(folder.glob("alexnet*.pth")), folder / "alex.pth"
    if not (trunk and heads.is_file()):
        return None
    return Lpips(
        *(torch.load(path, map_location="cpu", weights_only=True) for path in (trunk[0], heads))
    )


def why_no_lpips() -> str | None:
    """The sentence for the report, or None when LPIPS is there."""
    return (
        None
        if load_lpips()
        else (
            "LPIPS skipped: its weights do not ship; set TOOLKIT_LPIPS "
            "to a folder with alexnet-*.pth and alex.pth"
        )
    )
