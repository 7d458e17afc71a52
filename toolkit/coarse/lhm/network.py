"""LHM: from image tokens to Gaussians on the body, for the released checkpoints, in plain torch.

points on the body --canonical pose--> PointEmbedding --+
image tokens, body and head -----------------------------+-- BodyHeadTransformer --> latents
mean body token --motion_embed_mlp--> modulation --------+                              |
Gaussians <-- offset, scale, rotation, opacity, colour <-- GaussianDecoder <------------+

    model = load(state_dict, config)
    output = forward(model, body_tokens, head_tokens, dense_points)   # once a photo
    posed = pose(model, output, betas, poses, transl)                 # any shape, any pose

The output depends on the photo only. `lhm_photo` makes the tokens and binds the result to our rig.
Source: LHM (Qiu et al. 2025), github.com/aigc3d/LHM; written anew, the keys are the checkpoint's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.coarse.lhm import posing as lhm_pose
from toolkit.coarse.lhm.blocks import BodyHeadTransformer
from toolkit.coarse.lhm.config import LHMConfig, read_config
from toolkit.coarse.lhm.decoder import GaussianDecoder
from toolkit.errors import fail
from toolkit.gaussians import Gaussians

# Of a released file, but not of this network: image encoders (see `encoders`), what was only needed
# to train, and body buffers without effect (the skinning grid is multiplied away by upstream).
NOT_OURS = re.compile(
    r"encoder\.|fine_encoder\.|id_face_net\.|faceESRGAN\.|renderer\.smplx_model\."
    r"(expr_dirs|pose_dirs|voxel_\w+|smplx_layer\.(?!(v_template|shapedirs|J_regressor|parents)$))"
)


class PointEmbedding(nn.Module):
    """Sines and cosines of a point at octave frequencies, the point itself, linear, norm."""

    def __init__(self, dim: int, num_waves: int):
        super().__init__()
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
    def skin(self) -> lhm_pose.SkinnedPoints:
        return self.renderer.smplx_model

    def latents(
        self,
        points: Float[Tensor, "N 3"],
        body_tokens: Float[Tensor, "S E"],
        head_tokens: Float[Tensor, "T G"],
    ) -> Float[Tensor, "N D"]:
        """Transformer output in float32; inside it runs in the type of its weights."""
        kind = self.transformer.norm.weight.dtype
        width = self.config.token_dim
        body, head = (
            F.pad(t, (0, width - t.shape[1])).to(kind)[None] for t in (body_tokens, head_tokens)
        )
        condition = self.motion_embed_mlp(body.mean(1))
        queries = self.pcl_embed(points).to(kind)[None]
        return self.transformer(queries, body, head, condition)[0].float()


@dataclass(frozen=True)
class LHMOutput:
    """What the network says about a photo; nothing in it depends on shape or pose.

    Attributes:
        query_points: the points in the canonical pose, metres.
        canonical_to_zero: per joint, canonical pose to zero pose.
        latent: after the transformer's last norm.
        offset: added to the query points, metres. rotation: unit, (w, x, y, z).
        scaling: standard deviations, metres. opacity, rgb: in [0, 1].
    """

    query_points: Float[Tensor, "N 3"]
    canonical_to_zero: Float[Tensor, "J 4 4"]
    latent: Float[Tensor, "N D"]
    offset: Float[Tensor, "N 3"]
    rotation: Float[Tensor, "N 4"]
    scaling: Float[Tensor, "N 3"]
    opacity: Float[Tensor, "N 1"]
    rgb: Float[Tensor, "N 3"]


def load(
    state_dict: Mapping[str, Tensor],
    config: Mapping | None = None,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> LHM:
    """The network with a checkpoint's weights; sizes come from the tensors, `config` must agree.

    Keys of image encoders and of body buffers without effect are left out. Nothing is allocated
    twice: the module is built on the meta device and takes the tensors over.

    Args:
        config: a released `config.json` (its `model` section or the whole), or a flat dictionary
            with any of dim, heads, layers, points, body_token_dim; numbers or strings.
        dtype: of transformer and modulation, e.g. torch.bfloat16 on a GPU; points, decoder and
            skinning stay in float32.

    Raises:
        InputError: missing or unexpected keys, sizes that contradict each other or `config`.
    """
    state = {k: v for k, v in state_dict.items() if not NOT_OURS.match(k)}
    sizes = read_config(state, config)
    with torch.device("meta"):
        model = LHM(sizes)
    wanted = model.state_dict()
    _compare(wanted, state)

    def converted(key: str) -> Tensor:
        fast = key.startswith(("transformer.", "motion_embed_mlp."))
        target = dtype if fast else wanted[key].dtype
        return state[key].detach().to(device, target)

    model.load_state_dict({key: converted(key) for key in wanted}, assign=True)
    return model.eval().requires_grad_(False)


def _compare(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    problems = {
        "missing": sorted(set(wanted) - set(state)),
        "unexpected": sorted(set(state) - set(wanted)),
        "of another shape": [
            f"{k} {tuple(state[k].shape)}, not {tuple(v.shape)}"
            for k, v in wanted.items()
            if k in state and state[k].shape != v.shape
        ],
    }
    found = [
        f"{len(names)} {kind} ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})"
        for kind, names in problems.items()
        if names
    ]
    if found:
        fail(
            "LHM state dict",
            got="; ".join(found),
            wanted="exactly the keys of a released LHM",
            fix="Is the file complete, and an LHM one (LHM++ and LAM differ)?",
        )


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
            the checkpoint as a PLY, see `lhm_photo.read_points`.

    Raises:
        InputError: shapes that do not fit the checkpoint, or NaN.
    """
    device = model.pcl_embed.mlp.weight.device
    tokens = [
        _one(t, name, model.config.token_dim, device)
        for t, name in ((body_tokens, "body_tokens"), (head_tokens, "head_tokens"))
    ]
    points = _one(dense_points, "dense_points", 3, device)
    if len(points) != model.config.points:
        fail(
            "dense_points",
            got=f"{len(points)} points",
            wanted=f"{model.config.points}",
            fix="Take the PLY that belongs to this checkpoint.",
        )
    there, back = model.skin.canonical()
    query = lhm_pose.move(model.skin.blended(there), points)
    latent = model.latents(query, *tokens)
    return LHMOutput(query, back, latent, **model.renderer(latent))


def _one(value: Tensor, name: str, width: int, device) -> Tensor:
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
) -> lhm_pose.Posed:
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
    return lhm_pose.pose_views(
        model.skin, output, betas.to(device, torch.float32), poses, shift.to(device)
    )


@torch.no_grad()
def zero_pose(model: LHM, output: LHMOutput, betas: Float[Tensor, " S"]) -> Gaussians:
    """The Gaussians in the T-pose of a person with this shape."""
    betas = betas.to(output.offset)
    return lhm_pose.zero_pose(model.skin, output, betas).gaussians()
