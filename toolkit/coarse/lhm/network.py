"""LHM: from image tokens to Gaussians on the body, for the released checkpoints, in plain torch.

points on the body --canonical pose--> PointEmbedding --+
image tokens, body and head -----------------------------+-- BodyHeadTransformer --> latents
mean body token --motion_embed_mlp--> modulation --------+                              |
Gaussians <-- offset, scale, rotation, opacity, colour <-- GaussianDecoder <------------+

    model = load_network(state_dict, config)                          # see `checkpoint`
    output = forward(model, body_tokens, head_tokens, dense_points)   # once per photo
    posed = pose(model, output, betas, poses, transl)                 # any shape, any pose

The output depends on the photo only. `from_photo` makes the tokens and binds the result to our rig.
Own code, because LHM is not a package that one can install beside this one. Attribute names are
those of the checkpoint, so that its state dict fits key for key.

Source: LHM (Qiu et al. 2025), github.com/aigc3d/LHM; written anew.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.coarse.lhm.blocks import BodyHeadTransformer
from toolkit.coarse.lhm.config import LHMConfig
from toolkit.coarse.lhm.decoder import GaussianDecoder
from toolkit.coarse.lhm.posing import LHMOutput, Posed, pose_at_rest, pose_views
from toolkit.coarse.lhm.skinning import SkinnedPoints, move
from toolkit.errors import fail
from toolkit.gaussians import Gaussians


class PointEmbedding(nn.Module):
    """Sines and cosines of a point at octave frequencies and the point itself, linear, norm."""

    def __init__(self, dim: int, num_waves: int):
        super().__init__()
        # octaves of x, y and z in a block-diagonal matrix; the checkpoint brings the values
        self.register_buffer("basis", torch.zeros(3, num_waves))
        self.mlp, self.norm = nn.Linear(2 * num_waves + 3, dim), nn.LayerNorm(dim)

    def forward(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, "N D"]:
        angles = points @ self.basis
        return self.norm(self.mlp(torch.cat([angles.sin(), angles.cos(), points], dim=-1)))


class LHM(nn.Module):
    """The network without its image encoders; `state_dict` keys are the checkpoint's."""

    def __init__(self, config: LHMConfig):
        super().__init__()
        self.config = config
        self.pcl_embed = PointEmbedding(config.dim, config.waves)
        self.transformer = BodyHeadTransformer(
            dim=config.dim,
            num_heads=config.heads,
            num_layers=config.layers,
            hidden=config.feed_dim,
            token_dim=config.token_dim,
        )
        self.motion_embed_mlp = nn.Sequential(
            nn.Linear(config.token_dim, config.motion_dim),
            nn.SiLU(),
            nn.Linear(config.motion_dim, 2 * config.dim),
        )
        self.renderer = GaussianDecoder(config)

    @property
    def skin(self) -> SkinnedPoints:
        """The body that the checkpoint carries."""
        return self.renderer.smplx_model

    def latents(
        self,
        points: Float[Tensor, "N 3"],
        body_tokens: Float[Tensor, "S E"],
        head_tokens: Float[Tensor, "T G"],
    ) -> Float[Tensor, "N D"]:
        """Transformer output in float32; the transformer itself runs in the type of its weights."""
        dtype = self.transformer.norm.weight.dtype
        width = self.config.token_dim
        # head tokens are narrower than body tokens (1024 and 1536): zeros fill them up
        body, head = (
            F.pad(t, (0, width - t.shape[1])).to(dtype)[None] for t in (body_tokens, head_tokens)
        )
        # one vector for the whole photo; it shifts, scales and gates every branch (2 * D wide:
        # the first half for the body blocks, the second for the head blocks)
        condition = self.motion_embed_mlp(body.mean(1))
        queries = self.pcl_embed(points).to(dtype)[None]
        return self.transformer(queries, body, head, condition)[0].float()


@torch.no_grad()
def forward(
    model: LHM,
    body_tokens: Float[Tensor, "*a S E"],
    head_tokens: Float[Tensor, "*b T G"],
    dense_points: Float[Tensor, "*c N 3"],
) -> LHMOutput:
    """Run the network once.

    Args:
        body_tokens: of `encoders.BodyEncoder`, with or without a batch axis of one.
        head_tokens: of `encoders.HeadEncoder`; padded with zeros to the body tokens' width.
        dense_points: points of the zero-pose template, body before head, metres; they come with
            the checkpoint as a PLY, see `points.read_points`.

    Raises:
        InputError: shapes that do not fit the checkpoint, or NaN.
    """
    device = model.pcl_embed.mlp.weight.device
    tokens = [
        _matrix(t, name, model.config.token_dim, device)
        for t, name in ((body_tokens, "body_tokens"), (head_tokens, "head_tokens"))
    ]
    points = _matrix(dense_points, "dense_points", 3, device)
    if len(points) != model.config.points:
        fail(
            "dense_points",
            got=f"{len(points)} points",
            wanted=f"{model.config.points}",
            fix="Take the PLY that belongs to this checkpoint.",
        )
    to_canonical, to_zero = model.skin.canonical()
    query = move(model.skin.blended(to_canonical), points)
    latent = model.latents(query, *tokens)
    return LHMOutput(query, to_zero, latent, **model.renderer(latent))


def _matrix(
    value: Float[Tensor, "*b T C"], name: str, width: int, device: torch.device
) -> Float[Tensor, "T C"]:
    """A float32 matrix from (T,C) or (1,T,C), on the model's device."""
    value = value[0] if value.ndim == 3 and len(value) == 1 else value
    fits = value.ndim == 2 and (
        value.shape[1] == width if name != "head_tokens" else value.shape[1] <= width
    )
    if not fits or not value.isfinite().all():
        fail(
            name,
            got=f"{tuple(value.shape)} or NaN",
            wanted=f"finite (T,{width}) or (1,T,{width})",
            fix="Encode the pictures with the encoders of this checkpoint.",
        )
    return value.to(device, torch.float32)


@torch.no_grad()
def pose(
    model: LHM,
    output: LHMOutput,
    betas: Float[Tensor, " S"],
    poses: Float[Tensor, "*v J 3"],
    transl: Float[Tensor, "*v 3"] | None = None,
) -> Posed:
    """LHM's own posing, for one or V poses; `.gaussians(view)` of the result is our type.

    Args:
        betas: shape, at most the checkpoint's 10.
        poses: axis-angle in radians, row 0 is the global orientation.
        transl: added to the posed points, metres.

    Raises:
        InputError: another number of joints, or NaN.
    """
    device = model.pcl_embed.mlp.weight.device
    poses = poses.to(device, torch.float32).reshape(-1, *poses.shape[-2:])
    shift = torch.zeros(len(poses), 3) if transl is None else transl.float().reshape(-1, 3)
    return pose_views(model.skin, output, betas.to(device, torch.float32), poses, shift.to(device))


@torch.no_grad()
def zero_pose(model: LHM, output: LHMOutput, betas: Float[Tensor, " S"]) -> Gaussians:
    """The Gaussians in the T-pose of a person with this shape."""
    betas = betas.to(output.offset)
    return pose_at_rest(model.skin, output, betas).gaussians()
