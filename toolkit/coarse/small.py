"""Our small LHM: one photo -> one Gaussian for every anchor on the body, in one pass.

photo crop --PhotoStem--> 256 image tokens --+
                                             +-- 4 x JointBlock --> anchor tokens
512 anchors + what the photo shows there ----+                           |
every anchor <-- 4 nearest tokens + pixel-aligned features <-------------+
      +--> offset, scale, rotation, opacity --> photo colour where it now lands --> colour
                                                                                      |
                                     what the photo's view still misses (repaint) ----+

A regressor, on purpose: trained on pixel errors, it is sharp where the photo sees and averages
where it does not. The untrained model already paints the photo on the anchors it sees.
"""

import os
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from toolkit.body.rotations import multiply_quats
from toolkit.coarse.observe import AnchorLayout, Observation, lay_out, observe
from toolkit.coarse.repaint import repaint
from toolkit.gaussians import Gaussians
from toolkit.photo.crop import CROP_PX, PhotoCrop, crop_photo, sample_bilinear
from toolkit.run.files import atomic_path, model_path

MAX_OFFSET_M = 0.12  # enough for hair, skirts and coats
MIN_SCALE_M, MAX_SCALE_M = 0.001, 0.025
FREQUENCIES = 7  # pi * 2^k per metre: wavelengths from 2 m down to 3 cm
POINT_FEATURES = 6 * FREQUENCIES + 3 + 3  # encoded position, normal
SEEN_FEATURES = 3 + 3 + 1 + 1 + 3 + 6 + 1  # colour, mirrored, seen, mirrored, view, contour, mask


def encode_points(points: Float[Tensor, "N 3"]) -> Float[Tensor, "N F"]:
    """Sines and cosines of the position at octave frequencies, and the position. Source: LHM."""
    basis = torch.pi * 2.0 ** torch.arange(FREQUENCIES)
    angles = (points[:, :, None] * basis).flatten(1)
    return torch.cat([angles.sin(), angles.cos(), points], dim=1)


class PhotoStem(nn.Module):
    """Convolutions from the crop (colour, mask, place) to maps of stride 2, 4, 8 and tokens."""

    def __init__(self, dim: int, widths: tuple[int, int, int] = (16, 32, 64)):
        super().__init__()
        channels = (6, *widths, dim)
        steps = zip(channels, channels[1:], strict=False)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in steps)
        self.mix = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for c in channels[1:])
        self.norm = nn.ModuleList(nn.GroupNorm(1, c) for c in channels[1:])

    def forward(self, crop: PhotoCrop) -> list[Float[Tensor, "C h w"]]:
        line = torch.linspace(-1, 1, crop.mask.shape[-1])
        place = torch.stack(torch.meshgrid(line, line, indexing="ij"))
        on_grey = (crop.rgb - 0.5) * crop.mask
        x = torch.cat([2 * on_grey, crop.mask[None], place])[None]
        maps = []
        for down, mix, norm in zip(self.down, self.mix, self.norm, strict=True):
            x = norm(F.silu(down(x)))
            x = x + F.silu(mix(x))
            maps.append(x[0])
        return maps


class Stream(nn.Module):
    """One token kind's own weights in a joint block; a stream that ends only offers its keys."""

    def __init__(self, dim: int, ends: bool = False):
        super().__init__()
        self.ends = ends
        self.norm1, self.qkv = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim)
        if not ends:
            self.out, self.norm2 = nn.Linear(dim, dim), nn.LayerNorm(dim)
            self.feed = nn.Sequential(
                nn.Linear(dim, 4 * dim), nn.GELU("tanh"), nn.Linear(4 * dim, dim)
            )

    def update(self, tokens, mixed) -> Float[Tensor, "T D"]:
        if self.ends:
            return tokens
        tokens = tokens + self.out(mixed)
        return tokens + self.feed(self.norm2(tokens))


class JointBlock(nn.Module):
    """Own weights per token kind, one attention over both. Source: SD3's MM-DiT, as used by LHM."""

    def __init__(self, dim: int, num_heads: int, last: bool = False):
        super().__init__()
        self.num_heads = num_heads
        self.streams = nn.ModuleList([Stream(dim, ends=last), Stream(dim)])

    def forward(self, tokens: list[Float[Tensor, "T D"]]) -> list[Float[Tensor, "T D"]]:
        pairs = list(zip(self.streams, tokens, strict=True))
        qkv = torch.cat([s.qkv(s.norm1(t)) for s, t in pairs])
        q, k, v = qkv.reshape(len(qkv), 3, self.num_heads, -1).permute(1, 2, 0, 3)[:, None]
        mixed = F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1).flatten(1)
        parts = mixed.split([len(t) for t in tokens])
        return [s.update(t, m) for (s, t), m in zip(pairs, parts, strict=True)]


class AnchorTransformer(nn.Module):
    """The network; `forward` wants prepared inputs, `predict` prepares them."""

    def __init__(
        self, dim: int = 128, num_heads: int = 4, num_blocks: int = 4, num_tokens: int = 512
    ):
        super().__init__()
        self.num_tokens = num_tokens
        self.stem = PhotoStem(dim)
        pixel = 16 + 32 + 64
        inputs = POINT_FEATURES + SEEN_FEATURES + 3 + pixel  # + the filled-in colour
        self.embed = nn.Sequential(nn.Linear(inputs, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.place = nn.Parameter(0.02 * torch.randn(CROP_PX // 16 * CROP_PX // 16, dim))
        self.blocks = nn.ModuleList(
            JointBlock(dim, num_heads, last=i == num_blocks - 1) for i in range(num_blocks)
        )
        self.norm = nn.LayerNorm(dim)
        self.near = nn.Linear(dim, dim)
        self.own = nn.Linear(inputs, dim)
        self.hidden = nn.Sequential(nn.SiLU(), nn.Linear(dim, dim), nn.SiLU())
        self.shape = nn.Linear(dim, 13)  # offset 3, log scale 3, rotation 4, opacity 1, contour 2
        self.landed = nn.Linear(16 + 3, 64)
        self.color = nn.Sequential(nn.Linear(dim + 64, 64), nn.SiLU(), nn.Linear(64, 4))
        for head in (self.shape, self.color[-1]):  # start: the photo painted on the body
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, crop: PhotoCrop, layout: AnchorLayout, seen: Observation) -> Gaussians:
        """Gaussians in the T pose of the shaped body, one an anchor, in the anchors' order."""
        maps = self.stem(crop)
        (pixels,), _ = crop.camera.project(seen.posed)
        photo = sample_bilinear(crop.rgb, pixels)
        fill = fill_unseen(photo, seen.visible, layout)
        inputs = torch.cat(
            [
                self._features(crop, layout, seen, photo, pixels),
                fill - 0.5,
                *(sample_bilinear(m, pixels, CROP_PX) for m in maps[:3]),
            ],
            dim=1,
        )
        tokens = [maps[3].flatten(1).T + self.place, self.embed(inputs[layout.tokens])]
        for block in self.blocks:
            tokens = block(tokens)
        near = F.embedding_bag(
            layout.neighbours,
            self.near(self.norm(tokens[1])),
            mode="sum",
            per_sample_weights=layout.weights,
        )
        hidden = self.hidden(near + self.own(inputs))
        bare = self._shape(hidden, layout, seen)
        posed = seen.motions.apply(bare)
        colors = self._color(hidden, posed.means, fill, crop, maps[0], seen)
        correction = repaint(posed.recolored(colors), crop) - colors.detach()
        return bare.recolored((colors + correction).clamp(0, 1))

    def _features(self, crop, layout, seen, photo, pixels) -> Float[Tensor, "N F"]:
        visible = seen.visible[:, None].float()
        return torch.cat(
            [
                encode_points(layout.points),
                layout.normals,
                photo - 0.5,
                photo[layout.mirror] - 0.5,
                visible,
                visible[layout.mirror],
                seen.to_camera,
                10 * seen.contour_m.clamp(-0.3, 0.3),
                sample_bilinear(crop.mask[None], pixels),
            ],
            dim=1,
        )

    def _shape(self, hidden, layout, seen):
        raw = self.shape(hidden)
        inward, outward = (v.clamp(-0.1, 0.1) for v in seen.contour_m.split(3, dim=1))
        near = torch.exp(-(outward / 0.04).square().sum(-1, keepdim=True))  # only at the silhouette
        snap = torch.sigmoid(3 * raw[:, 11:12]) * inward + raw[:, 12:] * near * outward
        means = seen.rest + MAX_OFFSET_M * torch.tanh(raw[:, :3] + snap / MAX_OFFSET_M)
        spread = 0.42 + 0.25 * raw[:, 3:6].clamp(-6, 4).exp()  # a floor: no holes
        scales = layout.spacing[:, None] * torch.tensor([1, 1, 0.42]) * spread
        scales = scales.clamp(MIN_SCALE_M, MAX_SCALE_M)
        turn = raw[:, 6:10] + torch.tensor([1.0, 0, 0, 0])
        quats = F.normalize(multiply_quats(_align_z(layout.normals), turn), dim=-1)
        opacities = 0.9 + 0.1 * torch.sigmoid(raw[:, 10] + 2)
        return Gaussians.from_colors(means, quats, scales, opacities, torch.zeros_like(means))

    def _color(self, hidden, posed, fill, crop, fine, seen) -> Float[Tensor, "N 3"]:
        """Blend of the photo where the Gaussian now lands and of what was learned."""
        (pixels,), _ = crop.camera.project(posed.detach())
        photo = sample_bilinear(crop.rgb, pixels)
        landed = self.landed(
            torch.cat([sample_bilinear(fine, pixels, CROP_PX), photo - 0.5], dim=1)
        )
        raw = self.color(torch.cat([hidden, F.silu(landed)], dim=1))
        gate = torch.sigmoid(4 * raw[:, 3:] + torch.where(seen.visible, 4.0, -4.0)[:, None])
        learned = torch.sigmoid(torch.logit(fill.clamp(0.02, 0.98)) + 2 * raw[:, :3])
        return gate * photo + (1 - gate) * learned


def fill_unseen(
    photo: Float[Tensor, "N 3"], visible, layout: AnchorLayout, *, reach_m: float = 0.05
) -> Float[Tensor, "N 3"]:
    """Colour of the seen surroundings, nearest first, smooth within `reach_m`; a first guess."""
    num_tokens, weights = len(layout.tokens), layout.weights * visible[:, None]
    place = layout.neighbours.flatten()
    mass = torch.zeros(num_tokens).index_add(0, place, weights.flatten())
    total = torch.zeros(num_tokens, 3).index_add(
        0, place, (weights[..., None] * photo[:, None]).flatten(0, 1)
    )
    points = layout.points[layout.tokens]
    kernel = (1 + (torch.cdist(points, points) / reach_m) ** 2) ** -3
    colors = kernel @ total / (kernel @ mass).clamp_min(1e-9)[:, None]
    return (layout.weights[..., None] * colors[layout.neighbours]).sum(1)


def _align_z(normals: Float[Tensor, "N 3"]) -> Float[Tensor, "N 4"]:
    """Quaternions that turn +z onto the normals by the shortest way."""
    x, y, z = normals.unbind(-1)
    quats = torch.stack([1 + z, -y, x, torch.zeros_like(z)], dim=-1)
    flipped = torch.tensor([0.0, 1.0, 0.0, 0.0]).expand_as(quats)  # the normal is -z
    return F.normalize(torch.where((1 + z)[:, None] < 1e-6, flipped, quats), dim=-1)


def save_coarse(model: AnchorTransformer, path: str | os.PathLike) -> None:
    """Write the weights as safetensors."""
    with atomic_path(path) as tmp:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, str(tmp))


@lru_cache(maxsize=2)
def load_coarse(path: str | os.PathLike | None = None) -> AnchorTransformer:
    """The trained model; default `data/models/coarse.safetensors`.

    Raises:
        MissingFileError: no such file.
    """
    path = path or model_path("coarse.safetensors", made_by="python -m tools.train.coarse")
    model = AnchorTransformer()
    model.load_state_dict(load_file(str(path)))
    return model.eval().requires_grad_(False)


@torch.no_grad()
def predict(
    model: AnchorTransformer,
    image: Float[Tensor, "H W 3"],
    mask: Float[Tensor, "H W"],
    photo_body,
    body,
    anchors,
) -> Gaussians:
    """One Gaussian per anchor from one photo, in the T pose of the shaped body; deterministic.

    Args:
        image: in [0, 1]; any background.
        mask: person coverage in [0, 1].
        photo_body: betas, pose, transl, camera of the person in this photo.
        anchors: any number of them, e.g. 10,000 to 80,000.

    Raises:
        InputError: wrong shapes, NaN, an empty mask, or a pose of another body model.
    """
    crop = crop_photo(image, mask, photo_body.camera)
    layout = lay_out(anchors, model.num_tokens)
    return model(crop, layout, observe(crop, photo_body, body, anchors))
