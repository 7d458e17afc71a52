"""Multi-HMR's head: one query per person attends to all picture tokens and becomes a body.

    token at the head + rays + mean body --linear--> query --(self, cross, MLP) x 2--> pose, shape

Parameter names are those of the released checkpoints (prefix `x_attention_head.`).
Source: Baradel et al. 2024 (Multi-HMR), sec. 3.3; the cross-attention decoder follows HMR 2.0.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

NUM_ROTATIONS = 53  # root, 21 body, 15 left hand, 15 right hand, jaw; the eyes are not estimated
NUM_EXPRESSIONS = 10


@dataclass(frozen=True)
class HeadConfig:
    """Size of the head.

    Attributes:
        context_dim: width of a picture token together with its encoded ray.
        dim: width of a query.
        depth: number of decoder layers.
        num_heads: attention heads per layer.
        head_dim: channels per attention head.
        mlp_dim: hidden width of the feed-forward net.
        grid: picture tokens per side; each row and each column has a learned position embedding.
        num_betas: length of the shape vector.
    """

    context_dim: int = 1024 + 99
    dim: int = 1024
    depth: int = 2
    num_heads: int = 8
    head_dim: int = 32
    mlp_dim: int = 1024
    grid: int = 64
    num_betas: int = 10


@dataclass(frozen=True)
class HeadOutput:
    """P bodies; of `camera` only the first value is used, from which the distance follows."""

    rotmats: Float[Tensor, "P 53 3 3"]
    betas: Float[Tensor, "P S"]
    camera: Float[Tensor, "P 3"]
    expression: Float[Tensor, "P 10"]


class PersonHead(nn.Module):
    """From the tokens of one picture, and the cells where the heads lie, to the bodies."""

    def __init__(self, config: HeadConfig):
        super().__init__()
        c, num_pose = config, 6 * NUM_ROTATIONS
        for name in ("cross_queries_x", "cross_queries_y", "cross_values_x", "cross_values_y"):
            self.register_parameter(name, nn.Parameter(0.2 * torch.randn(c.grid, c.context_dim)))
        self.transformer = QueryDecoder(c, c.context_dim + num_pose + c.num_betas + 3)
        sizes = {"pose": num_pose, "shape": c.num_betas, "cam": 3, "expression": NUM_EXPRESSIONS}
        for name, size in sizes.items():
            self.add_module(f"dec{name}", nn.Linear(c.dim, size))
        # The net answers with differences from a mean body; its values are in the released files.
        identity = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(NUM_ROTATIONS)  # in 6D
        self.register_buffer("init_body_pose", identity[None])
        self.register_buffer("init_betas", torch.zeros(1, c.num_betas))
        self.register_buffer("init_betas_kid", torch.zeros(1, 11))  # in the files, but never used
        self.register_buffer("init_cam", torch.tensor([[0.9, 0.0, 0.0]]))
        self.register_buffer("init_expression", torch.zeros(1, NUM_EXPRESSIONS))

    def forward(
        self, tokens: Float[Tensor, "G H C"], rows: Int[Tensor, " P"], cols: Int[Tensor, " P"]
    ) -> HeadOutput:
        """Decode the people whose heads lie in given cells.

        Args:
            tokens: picture tokens with their rays, rows first.
            rows: row of each person's cell. In the released names the rows' embedding is "x".
            cols: column of each person's cell; the columns' embedding is "y".
        """
        queries = tokens[rows, cols] + self.cross_queries_x[rows] + self.cross_queries_y[cols]
        # Tokens with a head in them also get an embedding as context: (G, H, C).
        context = tokens.index_put(
            (rows, cols), self.cross_values_x[rows] + self.cross_values_y[cols], accumulate=True
        )
        means = (self.init_body_pose, self.init_betas, self.init_cam)
        queries = torch.cat([queries, *(m.expand(len(rows), -1) for m in means)], dim=1)
        answer = self.transformer(queries[None], context.flatten(0, 1)[None])[0]  # (P, D)
        return HeadOutput(
            rotations_from_6d(
                (self.decpose(answer) + self.init_body_pose).unflatten(1, (NUM_ROTATIONS, 6))
            ),
            self.decshape(answer) + self.init_betas,
            self.deccam(answer) + self.init_cam,
            self.decexpression(answer) + self.init_expression,
        )


def rotations_from_6d(values: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices whose first two columns are the two triples, orthonormalised.

    The same as roma's `special_gramschmidt`, which would be a dependency for four lines.

    Source: Zhou et al. 2019, Eq. 15.
    """
    first = F.normalize(values[..., :3], dim=-1)
    second = values[..., 3:] - (first * values[..., 3:]).sum(-1, keepdim=True) * first
    second = F.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


class QueryDecoder(nn.Module):
    """A linear embedding, then `depth` layers of self-attention, cross-attention and MLP."""

    def __init__(self, config: HeadConfig, token_dim: int):
        super().__init__()
        self.to_token_embedding = nn.Linear(token_dim, config.dim)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.transformer = nn.Module()
        self.transformer.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PreNorm(config.dim, SelfAttention(config)),
                    PreNorm(config.dim, CrossAttention(config)),
                    PreNorm(config.dim, FeedForward(config)),
                ]
            )
            for _ in range(config.depth)
        )

    def forward(
        self, queries: Float[Tensor, "B P T"], context: Float[Tensor, "B N C"]
    ) -> Float[Tensor, "B P D"]:
        x = self.to_token_embedding(queries) + self.pos_embedding
        for self_attention, cross_attention, mlp in self.transformer.layers:
            x = x + self_attention(x)
            x = x + cross_attention(x, context)
            x = x + mlp(x)
        return x


class PreNorm(nn.Module):
    """A layer whose first input is normalised; the context is not."""

    def __init__(self, dim: int, layer: nn.Module):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(dim), layer

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        return self.fn(self.norm(x), *context)


class SelfAttention(nn.Module):
    """The queries of one picture attend to each other."""

    def __init__(self, config: HeadConfig):
        super().__init__()
        inner = config.num_heads * config.head_dim
        self.num_heads = config.num_heads
        self.to_qkv = nn.Linear(config.dim, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, config.dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.to_out(attend(*self.to_qkv(x).chunk(3, dim=-1), self.num_heads))


class CrossAttention(nn.Module):
    """The queries attend to the picture tokens."""

    def __init__(self, config: HeadConfig):
        super().__init__()
        inner = config.num_heads * config.head_dim
        self.num_heads = config.num_heads
        self.to_kv = nn.Linear(config.context_dim, 2 * inner, bias=False)
        self.to_q = nn.Linear(config.dim, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, config.dim))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.to_out(
            attend(self.to_q(x), *self.to_kv(context).chunk(2, dim=-1), self.num_heads)
        )


class FeedForward(nn.Module):
    """Two layers with the released names 0 and 3, where GELU and dropout count as 1 and 2."""

    def __init__(self, config: HeadConfig):
        super().__init__()
        self.net = nn.ModuleDict(
            {"0": nn.Linear(config.dim, config.mlp_dim), "3": nn.Linear(config.mlp_dim, config.dim)}
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net["3"](F.gelu(self.net["0"](x)))


def attend(q: Tensor, k: Tensor, v: Tensor, num_heads: int) -> Float[Tensor, "B P D"]:
    """Softmax attention in `num_heads` heads; the heads' channels lie one after the other."""
    q, k, v = (t.unflatten(-1, (num_heads, -1)).transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def encode_rays(
    rays: Float[Tensor, "*batch 3"], num_bands: int, max_resolution: int
) -> Float[Tensor, "*batch F"]:
    """Fourier features of viewing rays: the rays, then their sines and cosines at each frequency.

    Args:
        rays: directions (x, y, 1) in the camera's axes.
        num_bands: number of frequencies, spaced linearly; F = 3 + 6 * num_bands.
        max_resolution: twice the highest frequency.

    Source: Baradel et al. 2024 (Multi-HMR), sec. 3.2, after Perceiver IO.
    """
    bands = torch.linspace(1.0, max_resolution / 2, num_bands).to(rays)
    angles = math.pi * (rays[..., None] * bands).flatten(-2)
    return torch.cat([rays, angles.sin(), angles.cos()], dim=-1)
