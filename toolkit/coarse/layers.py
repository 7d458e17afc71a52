"""Layers of the small coarse model: features of a point and of the photo, and joint attention.

Source: the blocks are those of LHM (Qiu et al. 2025), which took them from SD3's MM-DiT (Esser et
al. 2024), made narrow enough for a CPU.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.photo.crop import PhotoCrop

FREQUENCIES = 7  # pi * 2^k per metre, k = 0..6: wavelengths from 2 m down to 3 cm
WIDTHS = (16, 32, 64)  # channels of the photo's maps at stride 2, 4 and 8


def encode_points(points: Float[Tensor, "N 3"]) -> Float[Tensor, "N F"]:
    """Sines and cosines of the position at octave frequencies, and the position itself.

    A linear layer on x, y, z alone cannot tell two points apart that lie 3 cm from each other; on
    the fast waves it can. F = 3 axes * 7 frequencies * 2 + 3.

    Source: NeRF (Mildenhall et al. 2020), Eq. 4, as in LHM.
    """
    basis = torch.pi * 2.0 ** torch.arange(FREQUENCIES)
    angles = (points[:, :, None] * basis).flatten(1)  # (N, 3 * 7)
    return torch.cat([angles.sin(), angles.cos(), points], dim=1)


class PhotoStem(nn.Module):
    """Convolutions from the photo crop to feature maps of stride 2, 4, 8 and 16.

    The three finer maps are sampled at each anchor's pixel; the coarsest one, of width `dim`,
    becomes the image tokens.
    """

    def __init__(self, dim: int, widths: tuple[int, int, int] = WIDTHS):
        super().__init__()
        channels = (6, *widths, dim)
        steps = zip(channels, channels[1:], strict=False)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in steps)
        self.mix = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for c in channels[1:])
        self.norm = nn.ModuleList(nn.GroupNorm(1, c) for c in channels[1:])

    def forward(self, crop: PhotoCrop) -> list[Float[Tensor, "C h w"]]:
        line = torch.linspace(-1, 1, crop.mask.shape[-1])
        # row and column as channels: a convolution alone does not know where in the picture it is
        place = torch.stack(torch.meshgrid(line, line, indexing="ij"))
        on_grey = (crop.rgb - 0.5) * crop.mask  # the background is grey, and grey is zero
        x = torch.cat([2 * on_grey, crop.mask[None], place])[None]  # (1, 6, S, S)
        maps = []
        for down, mix, norm in zip(self.down, self.mix, self.norm, strict=True):
            x = norm(F.silu(down(x)))  # half the side
            x = x + F.silu(mix(x))
            maps.append(x[0])
        return maps


class Stream(nn.Module):
    """What one kind of token does on its own in a joint block: norm, q/k/v, output, feed-forward.

    Args:
        ends: the tokens are not updated, because no later layer reads them; they only offer their
            keys and values to the other kind.
    """

    def __init__(self, dim: int, ends: bool = False):
        super().__init__()
        self.ends = ends
        self.norm1, self.qkv = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim)
        if not ends:
            self.out, self.norm2 = nn.Linear(dim, dim), nn.LayerNorm(dim)
            self.feed = nn.Sequential(
                nn.Linear(dim, 4 * dim), nn.GELU("tanh"), nn.Linear(4 * dim, dim)
            )

    def update(
        self, tokens: Float[Tensor, "T D"], attended: Float[Tensor, "T D"]
    ) -> Float[Tensor, "T D"]:
        """The usual two residual steps of a transformer, after the attention."""
        if self.ends:
            return tokens
        tokens = tokens + self.out(attended)
        return tokens + self.feed(self.norm2(tokens))


class JointBlock(nn.Module):
    """A transformer block over two kinds of tokens: own weights per kind, one attention over both.

    Image tokens and anchor tokens mean different things, so each kind has its own linear layers.
    Their queries, keys and values are then put in one sequence: within one softmax, an anchor
    attends to the photo and to other anchors, and the photo's tokens to the anchors.

    Source: SD3 (Esser et al. 2024), MM-DiT, as used by LHM.
    """

    def __init__(self, dim: int, num_heads: int, last: bool = False):
        super().__init__()
        self.num_heads = num_heads
        self.streams = nn.ModuleList([Stream(dim, ends=last), Stream(dim)])  # image, anchors

    def forward(self, tokens: list[Float[Tensor, "T D"]]) -> list[Float[Tensor, "T D"]]:
        pairs = list(zip(self.streams, tokens, strict=True))
        qkv = torch.cat([s.qkv(s.norm1(t)) for s, t in pairs])  # (T1 + T2, 3 * D)
        # to three of (1, heads, T1 + T2, D / heads)
        q, k, v = qkv.reshape(len(qkv), 3, self.num_heads, -1).permute(1, 2, 0, 3)[:, None]
        attended = F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1).flatten(1)
        parts = attended.split([len(t) for t in tokens])  # back to the two kinds
        return [s.update(t, a) for (s, t), a in zip(pairs, parts, strict=True)]
