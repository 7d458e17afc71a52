"""LHM's transformer: in every layer the points attend to the photo, first its head, then all of it.

points   (N, body first)  --+-- JointBlock head_dit: head points + head image tokens
image tokens (body, head) --+-- JointBlock body_dit: all points  + body image tokens

A joint block is SD3's MM-DiT block: own weights for points and for image tokens, one attention over
both, and a vector that shifts, scales and gates every branch. Attribute names are those of the
released checkpoints, so that a state dict fits key for key. Own code although diffusers has SD3's
block: LHM's differs from it in one step, see `JointBlock`.

Source: LHM (Qiu et al. 2025); SD3 (Esser et al. 2024), MM-DiT.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

EPS = 1e-6
BODY_SHARE = 0.75  # of the points; the others lie on the head


class Modulation(nn.Module):
    """`num` vectors of width `dim` from one conditioning vector (adaptive layer norm).

    Source: DiT (Peebles and Xie 2023), adaLN-Zero.
    """

    def __init__(self, dim: int, num: int):
        super().__init__()
        self.num, self.linear = num, nn.Linear(dim, num * dim)

    def forward(self, condition: Float[Tensor, "B D"]) -> tuple[Tensor, ...]:
        return self.linear(F.silu(condition))[:, None].chunk(self.num, dim=-1)


class _Widen(nn.Module):
    """First half of a feed-forward net; a module of its own only for its key, `net.0.proj`."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.proj = nn.Linear(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.proj(x), approximate="tanh")


class FeedForward(nn.Module):
    """Linear, tanh-GELU, linear."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.net = nn.Sequential(_Widen(dim, hidden), nn.Identity(), nn.Linear(hidden, dim))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return self.net(x)


class JointAttention(nn.Module):
    """One softmax attention over points and image tokens, each with projections of its own."""

    def __init__(self, dim: int, num_heads: int, last: bool):
        super().__init__()
        self.num_heads, width = num_heads, dim // num_heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
        self.add_q_proj, self.add_k_proj, self.add_v_proj = (nn.Linear(dim, dim) for _ in range(3))
        self.norm_q, self.norm_k = (nn.RMSNorm(width, eps=EPS) for _ in range(2))
        self.norm_added_q, self.norm_added_k = (nn.RMSNorm(width, eps=EPS) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])
        if not last:
            self.to_add_out = nn.Linear(dim, dim)

    def _heads(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B H T d"]:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(
        self, points: Float[Tensor, "B N D"], context: Float[Tensor, "B T D"]
    ) -> tuple[Tensor, Tensor]:
        """What each of the two kinds of tokens takes from both.

        Returns:
            The points' part after its output projection, the context's part before it: the last
            block has no projection for the context.
        """
        q = torch.cat(
            [
                self.norm_q(self._heads(self.to_q(points))),
                self.norm_added_q(self._heads(self.add_q_proj(context))),
            ],
            dim=2,
        )
        k = torch.cat(
            [
                self.norm_k(self._heads(self.to_k(points))),
                self.norm_added_k(self._heads(self.add_k_proj(context))),
            ],
            dim=2,
        )
        v = torch.cat(
            [self._heads(self.to_v(points)), self._heads(self.add_v_proj(context))], dim=2
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        num = points.shape[1]  # the sequence is points first, then context
        return self.to_out[0](mixed[:, :num]), mixed[:, num:]


class JointBlock(nn.Module):
    """MM-DiT block; the last one of the network reads the context and does not update it.

    Where it differs from SD3's: the context receives its feed-forward update a second time, without
    a gate. The released weights were trained with that, so it has to stay.
    """

    def __init__(self, dim: int, num_heads: int, hidden: int, last: bool):
        super().__init__()
        self.last = last
        self.norm1 = Modulation(dim, 6)
        self.norm1_context = Modulation(dim, 2 if last else 6)
        self.attn = JointAttention(dim, num_heads, last)
        self.ff = FeedForward(dim, hidden)
        if not last:
            self.ff_context = FeedForward(dim, hidden)

    def forward(
        self,
        points: Float[Tensor, "B N D"],
        context: Float[Tensor, "B T D"],
        condition: Float[Tensor, "B D"],
    ) -> tuple[Tensor, Tensor]:
        shift, scale, gate, *feed = self.norm1(condition)
        modulation = self.norm1_context(condition)
        # the chunks have another order in the last block: two come as (scale, shift), six as
        # (shift, scale, gate, and the same three for the feed-forward net)
        context_scale, context_shift = modulation if self.last else modulation[1::-1]
        out, context_out = self.attn(
            _normed(points) * (1 + scale) + shift,
            _normed(context) * (1 + context_scale) + context_shift,
        )
        points = _feed(points + gate * out, self.ff, *feed)[0]
        if self.last:
            return points, context
        context = context + modulation[2] * self.attn.to_add_out(context_out)
        context, update = _feed(context, self.ff_context, *modulation[3:])
        return points, context + update  # the second, ungated update


def _normed(x: Tensor) -> Tensor:
    """Layer norm without weights of its own; the modulation takes their place."""
    return F.layer_norm(x, x.shape[-1:], eps=EPS)


def _feed(
    x: Tensor, net: FeedForward, shift: Tensor, scale: Tensor, gate: Tensor
) -> tuple[Tensor, Tensor]:
    """The gated residual feed-forward step, and the update before gating."""
    update = net(_normed(x) * (1 + scale) + shift)
    return x + gate * update, update


class BodyHeadLayer(nn.Module):
    """The head's points attend to the head crop, then all points to the body picture."""

    def __init__(self, dim: int, num_heads: int, hidden: int, last: bool):
        super().__init__()
        self.head_dit = JointBlock(dim, num_heads, hidden, last)
        self.body_dit = JointBlock(dim, num_heads, hidden, last)


class BodyHeadTransformer(nn.Module):
    """All layers; `linear_cond_proj` brings image tokens to the width of the points."""

    def __init__(self, *, dim: int, num_heads: int, num_layers: int, hidden: int, token_dim: int):
        super().__init__()
        self.linear_cond_proj = nn.Linear(token_dim, dim)
        self.layers = nn.ModuleList(
            BodyHeadLayer(dim, num_heads, hidden, i == num_layers - 1) for i in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim, eps=EPS)

    def forward(
        self,
        points: Float[Tensor, "B N D"],
        body_tokens: Float[Tensor, "B S E"],
        head_tokens: Float[Tensor, "B T E"],
        condition: Float[Tensor, "B 2*D"],
    ) -> Float[Tensor, "B N D"]:
        """Latents of the points.

        Args:
            points: embedded; the first 75 % lie on the body, the others on the head.
            body_tokens: of the whole picture.
            head_tokens: of the head crop.
            condition: for the body blocks, then for the head blocks.
        """
        body, head = self.linear_cond_proj(body_tokens), self.linear_cond_proj(head_tokens)
        body_condition, head_condition = condition.chunk(2, dim=-1)
        num_body = int(BODY_SHARE * points.shape[1])
        for layer in self.layers:
            head_points, head = layer.head_dit(points[:, num_body:], head, head_condition)
            points = torch.cat([points[:, :num_body], head_points], dim=1)
            points, body = layer.body_dit(points, body, body_condition)
        return self.norm(points)
