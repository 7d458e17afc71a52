"""The network inside the turntable prior: a U-Net over frames, with attention across views.

Frames are folded into the batch axis, so any number of views in any order runs; what tells views
apart is only their azimuth and elevation.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

NUM_ANGLES = 10  # width of `view_features`


def view_features(
    azimuths_deg: Float[Tensor, "*T"], elevations_deg: Float[Tensor, "*T"]
) -> Float[Tensor, "*T 10"]:
    """Sines and cosines (..., 10) of a view's azimuth (four harmonics) and elevation."""
    az, el = torch.deg2rad(azimuths_deg), torch.deg2rad(elevations_deg)
    waves = [f(k * az) for k in (1, 2, 3, 4) for f in (torch.sin, torch.cos)]
    return torch.stack([*waves, el.sin(), el.cos()], dim=-1)


def noise_features(sigma: Float[Tensor, " S"]) -> Float[Tensor, "S 16"]:
    """Soft one-hot of log(s / (1-s)) on 16 knots from -5 to 5."""
    level = torch.logit(sigma.clamp(1e-3, 1 - 1e-3)).clamp(-5, 5)
    return torch.exp(-0.5 * ((level[:, None] - torch.linspace(-5, 5, 16).to(sigma)) / 0.67) ** 2)


def place_features(num: int) -> Float[Tensor, "num 8"]:
    """Sines and cosines of `num` pixel places along an axis, four octaves of half a turn."""
    place = (torch.arange(num) + 0.5) / num
    return torch.cat(
        [f(torch.pi * k * place)[:, None] for k in (1, 2, 4, 8) for f in (torch.sin, torch.cos)],
        dim=1,
    )


class ResBlock(nn.Module):
    """Two 3x3 convolutions; the second sees features scaled and shifted by the embedding (FiLM)."""

    def __init__(self, channels_in: int, channels: int, embedding: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * channels)
        self.norm2 = nn.GroupNorm(8, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        same = channels_in == channels
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Float[Tensor, "N C H W"], embedding: Float[Tensor, "N E"]) -> Tensor:
        scale, shift = self.film(embedding)[..., None, None].chunk(2, dim=1)
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        return self.skip(x) + self.conv2(F.silu(torch.addcmul(shift, h, 1 + scale)))


class RowAttention(nn.Module):
    """Attention among all pixels of one image row over all views: epipolar on a level orbit."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.where = nn.Linear(NUM_ANGLES + 8, channels)
        self.query_key = nn.Linear(channels, 2 * channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "N C H W"], views: Float[Tensor, "B T A"]) -> Tensor:
        (batch, frames, _), (_, c, height, width) = views.shape, x.shape
        tokens = self.norm(x).reshape(batch, frames, c, height, width).permute(0, 3, 1, 4, 2)
        columns = place_features(width).to(x).expand(batch, frames, width, 8)
        where = torch.cat([views[:, :, None].expand(-1, -1, width, -1), columns], dim=-1)
        query_key = self.query_key(tokens + self.where(where)[:, None])
        parts = torch.cat([query_key, self.value(tokens)], dim=-1)
        parts = parts.reshape(batch * height, frames * width, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        mixed = self.out(mixed.reshape(batch, height, frames, width, c))
        return x + mixed.permute(0, 2, 4, 1, 3).reshape(x.shape)


class FrontAttention(nn.Module):
    """Attention from every pixel to the same row of the front picture: stripes and hems go round.

    Cheap enough (a row against a row) for the finest level, where patterns live.

    Args:
        channels: of the features that look.
        front: of what they look at.
    """

    def __init__(self, channels: int, front: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.look = nn.Sequential(
            nn.Conv2d(front, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.where = nn.Linear(NUM_ANGLES + 8, channels)
        self.query = nn.Linear(channels, channels)
        self.place = nn.Linear(8, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        x: Float[Tensor, "N C H W"],
        front: Float[Tensor, "B F H W"],
        views: Float[Tensor, "B T A"],
    ) -> Tensor:
        (batch, frames, _), (_, c, height, width) = views.shape, x.shape
        columns = place_features(width).to(x)
        where = torch.cat(
            [views[:, :, None].expand(-1, -1, width, -1), columns.expand(batch, frames, width, 8)],
            dim=-1,
        )
        tokens = self.norm(x).reshape(batch, frames, c, height, width).permute(0, 3, 1, 4, 2)
        query = self.query(tokens + self.where(where)[:, None])
        seen = self.look(front).permute(0, 2, 3, 1)
        key, value = self.key_value(seen + self.place(columns)).chunk(2, dim=-1)
        rows = (batch * height, 1, -1, c)  # one head
        mixed = F.scaled_dot_product_attention(
            query.reshape(rows), key.reshape(rows), value.reshape(rows)
        )
        mixed = self.out(mixed.reshape(batch, height, frames, width, c))
        return x + mixed.permute(0, 2, 4, 1, 3).reshape(x.shape)


class FrameAttention(nn.Module):
    """Attention among all pixels of one frame: left arm to right arm, hem to hem."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.where = nn.Linear(16, channels)
        self.parts = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Tensor:
        n, c, height, width = x.shape
        rows = place_features(height).to(x)[:, None].expand(-1, width, -1)
        columns = place_features(width).to(x)[None].expand(height, -1, -1)
        where = self.where(torch.cat([rows, columns], dim=-1)).reshape(height * width, c)
        tokens = self.norm(x).flatten(2).transpose(1, 2) + where
        parts = self.parts(tokens).reshape(n, height * width, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, -1, c)
        return x + self.out(mixed).transpose(1, 2).reshape(x.shape)


class ViewUNet(nn.Module):
    """Half-resolution stem (pixel unshuffle), a look at the front, three levels, attention within.

    Args:
        inputs: picture channels of one frame.
        channels: width of the three levels, multiples of 8.
        embedding: width of the conditioning vector of a frame.
        heads: of the two attentions.
        outputs: picture channels of a frame that come back.
    """

    def __init__(
        self,
        inputs: int,
        channels: tuple[int, int, int],
        embedding: int,
        heads: int,
        outputs: int = 3,
    ):
        super().__init__()
        a, b, c = channels
        self.stem = nn.Conv2d(4 * inputs + 2, a, 3, padding=1)  # + 2: where in the picture
        self.front = FrontAttention(a, 12)  # 2x2 pixels of three colours
        self.down1, self.down2 = ResBlock(a, a, embedding), ResBlock(b, b, embedding)
        self.pool1, self.pool2 = nn.Conv2d(a, b, 2, stride=2), nn.Conv2d(b, c, 2, stride=2)
        self.middle = nn.ModuleList([ResBlock(c, c, embedding) for _ in range(3)])
        self.across = nn.ModuleList([RowAttention(c, heads) for _ in range(2)])
        self.within = FrameAttention(c, heads)
        self.lift2, self.lift1 = nn.Conv2d(c, 4 * b, 1), nn.Conv2d(b, 4 * a, 1)
        self.up2, self.up1 = ResBlock(2 * b, b, embedding), ResBlock(2 * a, a, embedding)
        self.norm = nn.GroupNorm(8, a)
        self.head = nn.Conv2d(a, 4 * outputs, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        frames: Float[Tensor, "N C H W"],
        embedding: Float[Tensor, "N E"],
        views: Float[Tensor, "B T A"],
        front: Float[Tensor, "B 3 H W"],
    ) -> Float[Tensor, "N outputs H W"]:
        x = F.pixel_unshuffle(frames, 2)
        x1 = self.down1(self.stem(torch.cat([x, place_maps(x)], dim=1)), embedding)
        x1 = self.front(x1, F.pixel_unshuffle(front, 2), views)
        x2 = self.down2(self.pool1(x1), embedding)
        x = self.middle[0](self.pool2(x2), embedding)
        x = self.across[0](x, views)
        x = self.within(self.middle[1](x, embedding))
        x = self.across[1](x, views)
        x = self.middle[2](x, embedding)
        x = self.up2(torch.cat([F.pixel_shuffle(self.lift2(x), 2), x2], dim=1), embedding)
        x = self.up1(torch.cat([F.pixel_shuffle(self.lift1(x), 2), x1], dim=1), embedding)
        return F.pixel_shuffle(self.head(F.silu(self.norm(x))), 2)


def place_maps(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N 2 H W"]:
    """Row and distance from the middle column, in [-1, 1] (the same for a mirrored picture)."""
    n, _, height, width = x.shape
    rows = torch.linspace(-1, 1, height).to(x)[:, None].expand(height, width)
    columns = torch.linspace(-1, 1, width).to(x).abs()[None].expand(height, width)
    return torch.stack([rows, columns]).expand(n, -1, -1, -1)
