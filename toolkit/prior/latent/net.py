"""The network inside the latent prior: a U-Net of two levels over views, attention at both.

Its blocks are those of the turntable prior (`prior.turntable.unet`). Latents are so small that
attention along rows across all views is affordable at their full size.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.prior.turntable.unet import (
    FrameAttention,
    FrontAttention,
    ResBlock,
    RowAttention,
    place_maps,
)


class LatentUNet(nn.Module):
    """Two blocks at full size, three at half size, two at full size again.

    Args:
        inputs: channels of one frame.
        channels: width of the two levels, multiples of 8.
        embedding: width of the conditioning vector of a frame.
        heads: of the attentions.
        outputs: channels that come back.
    """

    def __init__(
        self, inputs: int, channels: tuple[int, int], embedding: int, heads: int, outputs: int
    ):
        super().__init__()
        a, b = channels
        self.stem = nn.Conv2d(inputs + 2, a, 3, padding=1)  # + 2: where in the picture
        self.down = nn.ModuleList([ResBlock(a, a, embedding) for _ in range(2)])
        self.front = FrontAttention(a, outputs)
        self.around = nn.ModuleList([RowAttention(a, heads) for _ in range(2)])
        self.pool = nn.Conv2d(a, b, 2, stride=2)
        self.middle = nn.ModuleList([ResBlock(b, b, embedding) for _ in range(3)])
        self.across = nn.ModuleList([RowAttention(b, heads) for _ in range(2)])
        self.within = FrameAttention(b, heads)
        self.lift = nn.Conv2d(b, 4 * a, 1)
        self.up = nn.ModuleList([ResBlock(2 * a, a, embedding), ResBlock(a, a, embedding)])
        self.norm = nn.GroupNorm(8, a)
        self.head = nn.Conv2d(a, outputs, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        frames: Float[Tensor, "N C h w"],
        embedding: Float[Tensor, "N E"],
        views: Float[Tensor, "B T A"],
        front: Float[Tensor, "B L h w"],
    ) -> Float[Tensor, "N outputs h w"]:
        x = self.stem(torch.cat([frames, place_maps(frames)], dim=1))
        x = self.around[0](self.down[0](x, embedding), views)
        fine = self.down[1](self.front(x, front, views), embedding)
        x = self.across[0](self.middle[0](self.pool(fine), embedding), views)
        x = self.within(self.middle[1](x, embedding))
        x = self.middle[2](self.across[1](x, views), embedding)
        x = torch.cat([F.pixel_shuffle(self.lift(x), 2), fine], dim=1)
        x = self.around[1](self.up[0](x, embedding), views)
        return self.head(F.silu(self.norm(self.up[1](x, embedding))))
