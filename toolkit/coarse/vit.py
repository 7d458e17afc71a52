"""A plain pre-norm vision transformer, as both of LHM's image encoders are.

DINOv2 adds register tokens and a learned scale on each branch. Attribute names are those of its
published weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.errors import fail

HEAD_DIM = 64  # of every published DINOv2 and Sapiens
EPS = 1e-6


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of a vision transformer.

    Attributes:
        dim: width, 64 a head. depth: blocks. patch: pixels. grid: patches a side it was trained at.
        hidden: of the feed-forward net. registers: extra tokens. scaled: a learned scale on each
            branch.
    """

    dim: int
    depth: int
    patch: int
    grid: int
    hidden: int
    registers: int = 0
    scaled: bool = False


class _Scale(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Attention(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        q, k, v = self.qkv(x).unflatten(-1, (3, -1, HEAD_DIM)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class _MLP(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, config: ViTConfig):
        super().__init__()
        dim = config.dim
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=EPS), nn.LayerNorm(dim, eps=EPS)
        self.attn, self.mlp = _Attention(dim), _MLP(dim, config.hidden)
        self.ls1, self.ls2 = (_Scale(dim) if config.scaled else nn.Identity() for _ in range(2))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class _PatchEmbed(nn.Module):
    def __init__(self, dim: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, stride=patch)

    def forward(self, images: Tensor) -> Float[Tensor, "B D h w"]:
        return self.proj(images)


class ViT(nn.Module):
    """A vision transformer that returns patch tokens after chosen blocks."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2 + 1, config.dim))
        if config.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, config.dim))
        self.patch_embed = _PatchEmbed(config.dim, config.patch)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim, eps=EPS)

    def forward(self, images: Float[Tensor, "B 3 H W"],
                depths: Sequence[int]) -> list[Float[Tensor, "B T D"]]:
        """Patch tokens, row by row, after each of these blocks and the final norm."""
        if images.shape[2] % self.config.patch or images.shape[3] % self.config.patch:
            fail("Encoder picture", got=tuple(images.shape),
                 wanted=f"sides in multiples of {self.config.patch}", fix="Resize it.")
        patches = self.patch_embed(images.to(self.norm.weight.dtype))
        first, places = self._positions(*patches.shape[2:])
        x = patches.flatten(2).mT + places
        prefix = [(self.cls_token + first).expand(len(x), -1, -1)]
        if self.config.registers:
            prefix.append(self.register_tokens.expand(len(x), -1, -1))
        x, out = torch.cat([*prefix, x], dim=1), {}
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in depths:
                out[i] = self.norm(x)[:, 1 + self.config.registers:]
        return [out[i] for i in depths]

    def _positions(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Position of the class token and of a grid of patches, resized if it is another grid."""
        first, places = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        grid = self.config.grid
        if (height, width) != (grid, grid):
            maps = places.mT.unflatten(2, (grid, grid)).float()
            maps = F.interpolate(maps, (height, width), mode="bicubic", antialias=True)
            places = maps.flatten(2).mT.to(places.dtype)
        return first, places
