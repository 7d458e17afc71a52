"""A plain pre-norm vision transformer with the parameter names of torch.hub's DINOv2.

It serves Multi-HMR (DINOv2 ViT-S/B/L without registers) and both image encoders of LHM (DINOv2-L
with four registers, and Sapiens, which has neither registers nor a scale on its branches). The
`transformers` library has DINOv2 too, but under other names: released state dicts of Multi-HMR and
LHM load here key for key, `VisionTransformer.from_state(state)`.
Source: Oquab et al. 2023 (DINOv2); Darcet et al. 2024 (registers); Khirodkar et al. 2024 (Sapiens).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.errors import fail

HEAD_DIM = 64  # channels per attention head, in every released DINOv2 and Sapiens
EPS = 1e-6  # of the layer norms


@dataclass(frozen=True)
class VitConfig:
    """Size of the transformer.

    Attributes:
        dim: width of a token, 64 per attention head.
        depth: number of blocks.
        patch: side of a patch in pixels.
        grid: patches per side in training, which is the side of the position table; 518 / 14 = 37.
        mlp_ratio: hidden width of the feed-forward net, divided by `dim`.
        num_registers: extra tokens after the class token; 0 or 4.
        scaled: whether each branch has a learned scale (DINOv2).
        mask_token: whether the file holds DINOv2's mask token, which only its training used.
        offset: added to the number of patches when the position table is resized; torch.hub's
            models without registers were made with 0.1, all others with None.
        antialias: whether that resize is antialiased; in torch.hub, only with registers.
    """

    dim: int = 1024
    depth: int = 24
    patch: int = 14
    grid: int = 37
    mlp_ratio: float = 4.0
    num_registers: int = 0
    scaled: bool = True
    mask_token: bool = True
    offset: float | None = 0.1
    antialias: bool = False

    @staticmethod
    def of_state(state: Mapping[str, Tensor], **changes: object) -> "VitConfig":
        """Read all sizes off the shapes; the flags of the resize follow from the registers.

        Args:
            state: a released state dict.
            changes: fields that are set instead of read.

        Raises:
            InputError: the state dict is not that of a transformer with a plain MLP.
        """
        names = (re.match(r"blocks\.(\d+)\.mlp\.fc1\.weight", key) for key in state)
        blocks = [int(name[1]) for name in names if name]
        if not blocks or not {"cls_token", "pos_embed", "patch_embed.proj.weight"} <= set(state):
            fail(
                "Vision transformer",
                got=f"{len(state)} keys, e.g. {sorted(state)[:3]}",
                wanted="cls_token, pos_embed, patch_embed.proj, blocks.N.{attn,mlp}.*, norm",
                fix="Take a ViT-S, B or L of torch.hub's dinov2; the giant has a SwiGLU, no MLP.",
            )
        dim = state["cls_token"].shape[-1]
        num_registers = state["register_tokens"].shape[1] if "register_tokens" in state else 0
        sizes = {
            "dim": dim,
            "depth": max(blocks) + 1,
            "patch": state["patch_embed.proj.weight"].shape[-1],
            "grid": math.isqrt(state["pos_embed"].shape[1] - 1),
            "mlp_ratio": state[f"blocks.{blocks[0]}.mlp.fc1.weight"].shape[0] / dim,
            "num_registers": num_registers,
            "mask_token": "mask_token" in state,
            "scaled": f"blocks.{blocks[0]}.ls1.gamma" in state,
            "offset": None if num_registers else 0.1,
            "antialias": num_registers > 0,
        }
        return VitConfig(**sizes | changes)


class VisionTransformer(nn.Module):
    """From a picture to one token per patch; computes in the dtype of its weights."""

    def __init__(self, config: VitConfig):
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2 + 1, config.dim))
        if config.num_registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, config.num_registers, config.dim))
        if config.mask_token:
            self.mask_token = nn.Parameter(torch.zeros(1, config.dim))
        self.patch_embed = PatchEmbed(config.dim, config.patch)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim, eps=EPS)

    @staticmethod
    def from_state(state: Mapping[str, Tensor], **changes: object) -> "VisionTransformer":
        """Build the transformer of a state dict and load it; `changes` go to the config."""
        model = VisionTransformer(VitConfig.of_state(state, **changes))
        model.load_state_dict(dict(state))
        return model

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
        """Normalised patch tokens of the last block, rows first; no class token, no registers."""
        return self.intermediate(image, [self.config.depth - 1])[0]

    def intermediate(self, image: Float[Tensor, "B 3 H W"], layers: Sequence[int]) -> list[Tensor]:
        """Patch tokens (B, N, D) after each of some blocks, all through the final norm.

        Args:
            image: normalised as the user of the net wants; sides are multiples of the patch.
            layers: numbers of the blocks, ascending, from 0.

        Raises:
            InputError: the sides are no multiples of the patch.
        """
        tokens, outputs = self._embed(image), []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in layers:
                outputs.append(self.norm(tokens)[:, 1 + self.config.num_registers :])
        return outputs

    def _embed(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B T D"]:
        """Class token, registers and patch tokens, with positions added."""
        rows, cols = (side // self.config.patch for side in image.shape[-2:])
        if (rows * self.config.patch, cols * self.config.patch) != tuple(image.shape[-2:]):
            fail(
                "Encoder picture",
                got=tuple(image.shape[-2:]),
                wanted=f"sides in multiples of {self.config.patch}",
                fix="Resize or pad the picture.",
            )
        # One embedding per patch: (B, D, rows, cols) to (B, rows * cols, D).
        patches = self.patch_embed.proj(image.to(self.norm.weight.dtype)).flatten(2).mT
        tokens = torch.cat([self.cls_token.expand(len(image), -1, -1), patches], dim=1)
        tokens = tokens + self._positions(rows, cols)
        if not self.config.num_registers:
            return tokens
        registers = self.register_tokens.expand(len(image), -1, -1)
        return torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)  # they have no position

    def _positions(self, rows: int, cols: int) -> Float[Tensor, "1 T D"]:
        """The table of position embeddings, resized to a picture of `rows` x `cols` patches."""
        grid, offset = self.config.grid, self.config.offset
        if rows == cols == grid:
            return self.pos_embed
        table = self.pos_embed[:, 1:].float().mT.reshape(1, -1, grid, grid)
        # With `scale_factor` torch samples at the given scale, with `size` at output / input; the
        # offset makes these differ, and each net needs the way of its training.
        target = (
            {"size": (rows, cols)}
            if offset is None
            else {"scale_factor": ((rows + offset) / grid, (cols + offset) / grid)}
        )
        table = F.interpolate(table, mode="bicubic", antialias=self.config.antialias, **target)
        return torch.cat([self.pos_embed[:, :1], table.flatten(2).mT.to(self.pos_embed)], dim=1)


class PatchEmbed(nn.Module):
    """One linear map for all patches, written as a convolution whose stride is the patch."""

    def __init__(self, dim: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, stride=patch)


class Block(nn.Module):
    """Attention and MLP, each with a norm before and, in DINOv2, a scale per channel after."""

    def __init__(self, config: VitConfig):
        super().__init__()
        dim = config.dim
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=EPS), nn.LayerNorm(dim, eps=EPS)
        self.attn, self.mlp = Attention(dim), Mlp(dim, round(config.mlp_ratio * dim))
        self.ls1, self.ls2 = (LayerScale(dim) if config.scaled else nn.Identity() for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class Attention(nn.Module):
    """Self-attention over all tokens."""

    def __init__(self, dim: int):
        super().__init__()
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        # (B, T, 3 D) to three tensors (B, heads, T, 64).
        q, k, v = self.qkv(tokens).unflatten(-1, (3, -1, HEAD_DIM)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class LayerScale(nn.Module):
    """One learned factor per channel."""

    def __init__(self, dim: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma


class Mlp(nn.Module):
    """Two layers with an exact GELU."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(tokens)))
