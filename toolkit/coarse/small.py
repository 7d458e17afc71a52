"""The small coarse model: one photo -> one Gaussian per anchor on the body, in one pass.

photo crop --PhotoStem--> 256 image tokens --+
                                             +-- 4 x JointBlock --> anchor tokens
512 anchors + what the photo shows there ----+                           |
every anchor <-- 4 nearest tokens + pixel-aligned features <-------------+
      |
      +--_shape--> offset, scale, rotation, opacity      (T-pose)
                         | moved to the photo's pose
                         +--_color--> photo colour where the Gaussian lands, or a learned one
                                           |
                                           +--repaint--> corrected until its render is the photo

It is a regressor: trained on pixel errors, it is sharp where the photo sees the person, and
predicts an average where it does not. The later stages are there to sharpen the unseen sides.

The heads start at zero weights, so the untrained model already paints the photo on the anchors that
it sees. Training then only has to learn the difference. Attributes of `AnchorTransformer` are the
keys of the weights file.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from toolkit.body.rotations import multiply_quats
from toolkit.coarse.layers import FREQUENCIES, WIDTHS, JointBlock, PhotoStem, encode_points
from toolkit.coarse.observation import AnchorLayout, Observation
from toolkit.coarse.repaint import repaint
from toolkit.gaussians import Gaussians
from toolkit.photo.crop import CROP_PX, PhotoCrop, sample_bilinear

MAX_OFFSET_M = 0.12  # of a Gaussian from its anchor: enough for hair, skirts and coats
MIN_SCALE_M, MAX_SCALE_M = 0.001, 0.025
# Standard deviations as shares of the anchors' spacing: MIN_SPREAD + EXTRA_SPREAD * exp(output).
# The floor keeps neighbours overlapping, so that the body has no holes; training starts at 0.67.
MIN_SPREAD, EXTRA_SPREAD = 0.42, 0.25
FLATNESS = (1, 1, 0.42)  # along the skin, along the skin, along its normal: a flat disc
OUTLINE_M = 0.04  # only anchors about this close to the silhouette may grow beyond it

POINT_FEATURES = 6 * FREQUENCIES + 3 + 3  # encoded position, normal
# colour, colour of the mirror image, both visible or not, direction to camera, outline, mask
PHOTO_FEATURES = 3 + 3 + 1 + 1 + 3 + 6 + 1
PIXEL_FEATURES = sum(WIDTHS)  # of the photo's maps


class AnchorTransformer(nn.Module):
    """The network; `forward` takes prepared inputs, `from_photo.predict` prepares them.

    Args:
        dim: width of the tokens.
        num_tokens: anchors that take part in the attention; all others interpolate.
    """

    def __init__(
        self, dim: int = 128, num_heads: int = 4, num_blocks: int = 4, num_tokens: int = 512
    ):
        super().__init__()
        self.num_tokens = num_tokens
        self.stem = PhotoStem(dim)
        inputs = POINT_FEATURES + PHOTO_FEATURES + 3 + PIXEL_FEATURES  # 3: of `fill_unseen`
        self.embed = nn.Sequential(nn.Linear(inputs, dim), nn.SiLU(), nn.Linear(dim, dim))
        # one learned position per image token: 16 x 16, since the stem's last stride is 16
        self.place = nn.Parameter(0.02 * torch.randn(CROP_PX // 16 * CROP_PX // 16, dim))
        self.blocks = nn.ModuleList(
            JointBlock(dim, num_heads, last=i == num_blocks - 1) for i in range(num_blocks)
        )
        self.norm = nn.LayerNorm(dim)
        self.near = nn.Linear(dim, dim)  # what an anchor takes from the nearest tokens
        self.own = nn.Linear(inputs, dim)  # ... and from its own features
        self.hidden = nn.Sequential(nn.SiLU(), nn.Linear(dim, dim), nn.SiLU())
        # offset 3, log scale 3, rotation 4, opacity 1, step to the outline: inwards 1, outwards 1
        self.shape = nn.Linear(dim, 13)
        self.landed = nn.Linear(WIDTHS[0] + 3, 64)  # the photo at the Gaussian's final place
        self.color = nn.Sequential(nn.Linear(dim + 64, 64), nn.SiLU(), nn.Linear(64, 4))
        for head in (self.shape, self.color[-1]):  # start: the photo painted on the body
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, crop: PhotoCrop, layout: AnchorLayout, observation: Observation) -> Gaussians:
        """Gaussians in the T-pose of the shaped body, one per anchor, in the anchors' order."""
        maps = self.stem(crop)
        (pixels,), _ = crop.camera.project(observation.posed)  # (N, 2)
        # (N, 3); a hidden anchor gets a colour too, that of what hides it: `visible` tells
        photo = sample_bilinear(crop.rgb, pixels)
        fill = _fill(photo, observation, layout)
        inputs = torch.cat(
            [
                self._features(crop, layout, observation, photo, pixels),
                fill - 0.5,
                *(sample_bilinear(m, pixels, CROP_PX) for m in maps[:3]),
            ],
            dim=1,
        )
        # 256 image tokens and 512 anchor tokens, (T, dim) each
        tokens = [maps[3].flatten(1).T + self.place, self.embed(inputs[layout.tokens])]
        for block in self.blocks:
            tokens = block(tokens)
        # For each anchor the weighted sum of its 4 nearest tokens. `embedding_bag` sums while it
        # reads, so that the (N, 4, dim) table is never in memory.
        near = F.embedding_bag(
            layout.neighbours,
            self.near(self.norm(tokens[1])),
            mode="sum",
            per_sample_weights=layout.weights,
        )
        hidden = self.hidden(near + self.own(inputs))
        uncolored = self._shape(hidden, layout, observation)
        posed = observation.motions.apply(uncolored)
        colors = self._color(hidden, posed.means, fill, crop, maps[0], observation)
        # Splats that have the photo's colours render a blurred photo; `repaint` corrects that. But
        # it returns no gradient. So its difference is added as a constant ("straight-through"): the
        # value is the corrected colour, and the gradient is that of the network's own colour.
        correction = repaint(posed.recolored(colors), crop) - colors.detach()
        return uncolored.recolored((colors + correction).clamp(0, 1))

    def _features(
        self,
        crop: PhotoCrop,
        layout: AnchorLayout,
        observation: Observation,
        photo: Float[Tensor, "N 3"],
        pixels: Float[Tensor, "N 2"],
    ) -> Float[Tensor, "N F"]:
        """What is known of each anchor before any learning; scaled to about [-1, 1]."""
        visible = observation.visible[:, None].float()
        return torch.cat(
            [
                # where on the body it is: T-pose template, the same for every person
                encode_points(layout.points),
                layout.normals,
                # what the photo shows at its pixel, and at the pixel of its left-right mirror
                # image: people are nearly symmetric, so a hidden arm looks like the other one
                photo - 0.5,
                photo[layout.mirror] - 0.5,
                # whether these two colours are to be trusted
                visible,
                visible[layout.mirror],
                # from where it is seen: at a grazing angle one pixel covers much skin
                observation.to_camera,
                # where the outline of the clothes lies, in units of 10 cm
                10 * observation.contour_m.clamp(-0.3, 0.3),
                # whether its pixel lies on the person at all
                sample_bilinear(crop.mask[None], pixels),
            ],
            dim=1,
        )

    def _shape(
        self, hidden: Float[Tensor, "N D"], layout: AnchorLayout, observation: Observation
    ) -> Gaussians:
        """Everything but the colour, in the T-pose."""
        raw = self.shape(hidden)  # (N, 13), zero in the untrained model
        inward, outward = (v.clamp(-0.1, 0.1) for v in observation.contour_m.split(3, dim=1))
        # An anchor outside of the silhouette is pulled in, at the start by half of the way. One
        # inside may be pushed out, to cover loose clothes, but only close to the silhouette: in the
        # middle of the body the way to the outline says nothing about the surface's depth.
        near = torch.exp(-(outward / OUTLINE_M).square().sum(-1, keepdim=True))
        snap = torch.sigmoid(3 * raw[:, 11:12]) * inward + raw[:, 12:] * near * outward
        means = observation.rest + MAX_OFFSET_M * torch.tanh(raw[:, :3] + snap / MAX_OFFSET_M)
        spread = MIN_SPREAD + EXTRA_SPREAD * raw[:, 3:6].clamp(-6, 4).exp()
        scales = layout.spacing[:, None] * torch.tensor(FLATNESS) * spread
        scales = scales.clamp(MIN_SCALE_M, MAX_SCALE_M)
        turn = raw[:, 6:10] + torch.tensor([1.0, 0, 0, 0])  # starts at the identity
        quats = F.normalize(multiply_quats(_align_z(layout.normals), turn), dim=-1)
        # Skin and cloth are opaque; with a low opacity the back would shine through the front.
        opacities = 0.9 + 0.1 * torch.sigmoid(raw[:, 10] + 2)
        return Gaussians.from_colors(means, quats, scales, opacities, torch.zeros_like(means))

    def _color(
        self,
        hidden: Float[Tensor, "N D"],
        posed: Float[Tensor, "N 3"],
        fill: Float[Tensor, "N 3"],
        crop: PhotoCrop,
        fine_map: Float[Tensor, "C h w"],
        observation: Observation,
    ) -> Float[Tensor, "N 3"]:
        """A blend of two colours: the photo's where the Gaussian lands, and a learned one.

        The Gaussian has moved away from its anchor, so the photo is sampled anew at its own place.
        That place is detached: otherwise the colour error would push the Gaussian to a pixel of the
        right colour instead of the right place.
        """
        (pixels,), _ = crop.camera.project(posed.detach())
        photo = sample_bilinear(crop.rgb, pixels)
        landed = self.landed(
            torch.cat([sample_bilinear(fine_map, pixels, CROP_PX), photo - 0.5], dim=1)
        )
        raw = self.color(torch.cat([hidden, F.silu(landed)], dim=1))
        # The photo gate starts at sigmoid(4) = 0.98 for visible anchors, 0.02 for hidden ones.
        # Training can open or close it, e.g. for an anchor that was taken for visible by mistake.
        gate = torch.sigmoid(4 * raw[:, 3:] + torch.where(observation.visible, 4.0, -4.0)[:, None])
        # The learned colour starts at the one filled in from the surroundings, in logits so that it
        # stays within [0, 1].
        learned = torch.sigmoid(torch.logit(fill.clamp(0.02, 0.98)) + 2 * raw[:, :3])
        return gate * photo + (1 - gate) * learned


def _fill(
    photo: Float[Tensor, "N 3"], observation: Observation, layout: AnchorLayout
) -> Float[Tensor, "N 3"]:
    """`fill_unseen`, but hidden hair takes nothing from the face: it would be skin."""
    seen, faceless = observation.visible, observation.visible & ~observation.face
    filled = fill_unseen(photo, seen, layout)
    hidden = (observation.scalp & ~seen & faceless.any())[:, None]
    return torch.where(hidden, fill_unseen(photo, faceless, layout), filled)


def fill_unseen(
    photo: Float[Tensor, "N 3"],
    visible: Bool[Tensor, " N"],
    layout: AnchorLayout,
    *,
    reach_m: float = 0.05,
) -> Float[Tensor, "N 3"]:
    """A first guess for every anchor: the mean colour of the visible anchors around it.

    It works in three steps to avoid all N^2 pairs of anchors: visible anchors are averaged at the
    tokens, tokens are averaged with each other, and anchors interpolate the tokens.

    Args:
        photo: colours at the anchors' pixels.
        visible: which of these colours count.
        reach_m: distance within which the result is smooth; farther colours count by (1/d)^6.
    """
    num_tokens, weights = len(layout.tokens), layout.weights * visible[:, None]  # (N, 4)
    token_of = layout.neighbours.flatten()  # (4 N,)
    mass = torch.zeros(num_tokens).index_add(0, token_of, weights.flatten())
    total = torch.zeros(num_tokens, 3).index_add(
        0, token_of, (weights[..., None] * photo[:, None]).flatten(0, 1)
    )
    points = layout.points[layout.tokens]
    # a power law, not a Gaussian: on a back that shows nothing, the nearest colours still dominate
    kernel = (1 + (torch.cdist(points, points) / reach_m) ** 2) ** -3  # (K, K)
    colors = kernel @ total / (kernel @ mass).clamp_min(1e-9)[:, None]
    return (layout.weights[..., None] * colors[layout.neighbours]).sum(1)


def _align_z(normals: Float[Tensor, "N 3"]) -> Float[Tensor, "N 4"]:
    """Quaternions that turn +z onto the normals by the shortest way.

    The half-angle formula: (1 + z . n, z x n), normalised. It fails only at n = -z.
    """
    x, y, z = normals.unbind(-1)
    quats = torch.stack([1 + z, -y, x, torch.zeros_like(z)], dim=-1)
    half_turn = torch.tensor([0.0, 1.0, 0.0, 0.0]).expand_as(quats)  # about x, for n = -z
    return F.normalize(torch.where((1 + z)[:, None] < 1e-6, half_turn, quats), dim=-1)
