"""Multi-HMR's head: one query a person looks at all picture tokens and answers with a body.

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

NUM_ROTATIONS = 53  # root, 21 body, 15 left hand, 15 right hand, jaw
NUM_EXPRESSIONS = 10


@dataclass(frozen=True)
class HeadConfig:
    """Size of the head.

    Attributes:
        context_dim: width of a picture token with its ray.
        dim: width of a query; `num_heads` attention heads of `head_dim` look with it.
        grid: picture tokens a side; one learned place embedding a row and a column.
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
    """P bodies: rotations, shape, camera (only its first value, the distance, is used)."""

    rotmats: Float[Tensor, "P 53 3 3"]
    betas: Float[Tensor, "P S"]
    camera: Float[Tensor, "P 3"]
    expression: Float[Tensor, "P 10"]


class PersonHead(nn.Module):
    """From the tokens of one picture and the people's cells to their bodies."""

    def __init__(self, config: HeadConfig):
        super().__init__()
        c, num_pose = config, 6 * NUM_ROTATIONS
        for name in ("cross_queries_x", "cross_queries_y", "cross_values_x", "cross_values_y"):
            self.register_parameter(name, nn.Parameter(0.2 * torch.randn(c.grid, c.context_dim)))
        self.transformer = QueryDecoder(c, c.context_dim + num_pose + c.num_betas + 3)
        sizes = {"pose": num_pose, "shape": c.num_betas, "cam": 3, "expression": NUM_EXPRESSIONS}
        for name, size in sizes.items():
            self.add_module(f"dec{name}", nn.Linear(c.dim, size))
        # The mean body of HMR; the released files bring the values.
        identity = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(NUM_ROTATIONS)
        self.register_buffer("init_body_pose", identity[None])
        self.register_buffer("init_betas", torch.zeros(1, c.num_betas))
        self.register_buffer("init_betas_kid", torch.zeros(1, 11))  # in the files, never used
        self.register_buffer("init_cam", torch.tensor([[0.9, 0.0, 0.0]]))
        self.register_buffer("init_expression", torch.zeros(1, NUM_EXPRESSIONS))

    def forward(
        self, tokens: Float[Tensor, "G H C"], rows: Int[Tensor, " P"], cols: Int[Tensor, " P"]
    ) -> HeadOutput:
        """Decode the people whose heads lie in the cells (rows, cols).

        Args:
            tokens: picture tokens with their rays, rows first. The released names call the rows'
                embedding "x" and the columns' "y".
        """
        queries = tokens[rows, cols] + self.cross_queries_x[rows] + self.cross_queries_y[cols]
        context = tokens.index_put(
            (rows, cols), self.cross_values_x[rows] + self.cross_values_y[cols], accumulate=True
        )
        means = (self.init_body_pose, self.init_betas, self.init_cam)
        queries = torch.cat([queries, *(m.expand(len(rows), -1) for m in means)], dim=1)
        answer = self.transformer(queries[None], context.flatten(0, 1)[None])[0]
        return HeadOutput(
            rotations_from_6d(
                (self.decpose(answer) + self.init_body_pose).unflatten(1, (NUM_ROTATIONS, 6))
            ),
            self.decshape(answer) + self.init_betas,
            self.deccam(answer) + self.init_cam,
            self.decexpression(answer) + self.init_expression,
        )


def rotations_from_6d(values: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices whose first two columns are the two triples, made orthonormal.

    Source: Zhou et al. 2019, Eq. 15.
    """
    first = F.normalize(values[..., :3], dim=-1)
    second = values[..., 3:] - (first * values[..., 3:]).sum(-1, keepdim=True) * first
    second = F.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


class QueryDecoder(nn.Module):
    """Linear embedding and `depth` layers of self-attention, cross-attention and MLP."""

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
        for attend, look, think in self.transformer.layers:
            x = x + attend(x)
            x = x + look(x, context)
            x = x + think(x)
        return x


class PreNorm(nn.Module):
    """A layer after a LayerNorm of its first input; the context comes as it is."""

    def __init__(self, dim: int, layer: nn.Module):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(dim), layer

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        return self.fn(self.norm(x), *context)


class SelfAttention(nn.Module):
    """The people of one picture look at each other."""

    def __init__(self, config: HeadConfig):
        super().__init__()
        inner = config.num_heads * config.head_dim
        self.num_heads = config.num_heads
        self.to_qkv = nn.Linear(config.dim, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, config.dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.to_out(attend(*self.to_qkv(x).chunk(3, dim=-1), self.num_heads))


class CrossAttention(nn.Module):
    """The people look at the picture."""

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
    """Two layers; the released names count a dropout between them, hence 0 and 3."""

    def __init__(self, config: HeadConfig):
        super().__init__()
        self.net = nn.ModuleDict(
            {"0": nn.Linear(config.dim, config.mlp_dim), "3": nn.Linear(config.mlp_dim, config.dim)}
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net["3"](F.gelu(self.net["0"](x)))


def attend(q: Tensor, k: Tensor, v: Tensor, num_heads: int) -> Float[Tensor, "B P D"]:
    """Plain softmax attention in `num_heads` heads."""
    q, k, v = (t.unflatten(-1, (num_heads, -1)).transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def encode_rays(
    rays: Float[Tensor, "*batch 3"], num_bands: int, max_resolution: int
) -> Float[Tensor, "*batch F"]:
    """The rays, and sines and cosines of them at linearly spaced frequencies.

    Source: Multi-HMR, sec. 3.2 (after Perceiver IO); F = 3 + 3 * num_bands * 2.
    """
    bands = torch.linspace(1.0, max_resolution / 2, num_bands).to(rays)
    angles = math.pi * (rays[..., None] * bands).flatten(-2)
    return torch.cat([rays, angles.sin(), angles.cos()], dim=-1)
