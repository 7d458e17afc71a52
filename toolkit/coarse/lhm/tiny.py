"""A tiny LHM with random weights, written as the files of a release: for dry runs and tests.

It has every layer of the real network, but nothing in it is trained. Its result is a person-shaped
cloud of smooth, random colours.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from scipy.spatial import cKDTree
from torch import Tensor, nn

from toolkit.body.anchors import HEAD_JOINTS, Anchors, sample_anchors
from toolkit.body.model import JOINT_NAMES, BodyModel
from toolkit.coarse.lhm.config import LHMConfig
from toolkit.coarse.lhm.encoders import RESIZE, BodyEncoder, HeadEncoder
from toolkit.coarse.lhm.network import LHM, forward
from toolkit.coarse.lhm.points import LAYER, save_points
from toolkit.photo.vit import VitConfig
from toolkit.run.files import atomic_path

BETAS = 10  # of a checkpoint's own body
HEAD_VIT = VitConfig(64, 4, mlp_ratio=2, num_registers=4, mask_token=False, **RESIZE)
BODY_VIT = VitConfig(
    128, 2, patch=16, grid=64, mlp_ratio=2, scaled=False, mask_token=False, **RESIZE
)
RAW_SCALE, RAW_OPACITY = -4.4, 3.0  # logs and logits at the start: 12 mm, 0.95
ARMS_AND_UP = (
    "spine",
    "neck",
    "collar",
    "shoulder",
    "elbow",
    "wrist",
    "head",
    "jaw",
    "eye",
    "index",
    "middle",
    "pinky",
    "ring",
    "thumb",
)


def tiny_config(body: BodyModel, num_points: int = 1000) -> LHMConfig:
    """Sizes of the tiny network on this body."""
    return LHMConfig(
        layers=2,
        points=num_points,
        dim=64,
        heads=4,
        feed_dim=128,
        token_dim=BODY_VIT.dim,
        motion_dim=32,
        decoder_dim=64,
        betas=BETAS,
        vertices=len(body.v_template),
    )


def write_tiny(
    folder: str | os.PathLike, body: BodyModel, *, num_points: int = 1000, seed: int = 0
) -> Path:
    """Write config.json, model.safetensors, 1_N.ply and sapiens_tiny.safetensors.

    Args:
        body: whose template, joints and skinning the checkpoint carries.
        num_points: query points, 100 or more, a multiple of 4.
    """
    folder = Path(folder)
    config, anchors = tiny_config(body, num_points), _body_first(body, num_points)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model, head = LHM(config), HeadEncoder(HEAD_VIT, [16] * 4, config.dim)
        sapiens = BodyEncoder(BODY_VIT)
        for net in (model, head, sapiens):
            _shake(net)
        _start_on_the_body(model)
        _carry_body(model, body, anchors)
        _spread_colors(model, anchors.points)
    state = {**model.state_dict(), **{f"encoder.{k}": v for k, v in head.state_dict().items()}}
    state[f"{LAYER}faces_tensor"] = body.faces.long()
    _save(folder / "model.safetensors", state)
    _save(folder / "sapiens_tiny.safetensors", _sapiens_names(sapiens.state_dict()))
    save_points(folder / f"1_{num_points}.ply", anchors.points)
    with atomic_path(folder / "config.json") as tmp:
        tmp.write_text(json.dumps(released_names(config), indent=1) + "\n")
    return folder


def released_names(config: LHMConfig) -> dict:
    """A config as a released config.json has it."""
    return {
        "transformer_dim": config.dim,
        "transformer_heads": config.heads,
        "transformer_layers": config.layers,
        "fine_encoder_feat_dim": config.token_dim,
        "dense_sample_pts": config.points,
        "gs_xyz_offset_max_step": config.max_offset_m,
        "gs_clip_scaling": [100, 0.01, config.max_scale_m, 3000],
        "source_image_res": 512,
        "sizes": asdict(config),
    }


def _body_first(body: BodyModel, num: int) -> Anchors:
    """Anchors in LHM's order: 75 % on the body, then the head."""
    anchors = sample_anchors(body, num)
    order = torch.roll(torch.arange(num), -round(0.25 * num))
    return Anchors(**{name: value[order] for name, value in vars(anchors).items()})


def _shake(net: nn.Module) -> None:
    """Random values also where modules start at one or zero, so that no layer is the identity."""
    for name, value in net.named_parameters():
        if value.ndim == 1 or "token" in name or "pos_embed" in name:
            value.add_(0.1 * torch.randn(value.shape))


def _start_on_the_body(model: LHM) -> None:
    """Start values of the heads: small offsets, round and nearly opaque Gaussians."""
    waves = model.config.waves // 3
    octaves = torch.pi * 2.0 ** torch.arange(waves)
    model.pcl_embed.basis.copy_(torch.block_diag(*[octaves[None]] * 3))
    heads = model.renderer.gs_net.out_layers
    heads["xyz"].weight.mul_(0.1)
    heads["xyz"].bias.zero_()
    heads["scaling"].weight.mul_(0.5)
    heads["scaling"].bias.fill_(RAW_SCALE)
    heads["opacity"].bias.fill_(RAW_OPACITY)
    heads["rotation"].bias.copy_(torch.tensor([2.0, 0, 0, 0]))


def _spread_colors(model: LHM, points: Tensor) -> None:
    """Centre and scale the colour head so that colours differ over the body; uses random tokens."""
    tokens = torch.randn(2, 64, model.config.token_dim)
    latent = forward(model, tokens[0], tokens[1], points).latent
    raw = model.renderer.gs_net.out_layers["shs"](model.renderer.mlp_net.layers(latent))
    head = model.renderer.gs_net.out_layers["shs"]
    head.bias.sub_(raw.mean(0)).div_(raw.std(0))
    head.weight.div_(raw.std(0)[:, None])


def _carry_body(model: LHM, body: BodyModel, anchors: Anchors) -> None:
    """Fill the buffers that a release carries from SMPL-X with this body instead.

    As in a release, what skinning and shape know of a point is copied from its nearest vertex.
    """
    skin, layer = model.skin, model.skin.smplx_layer
    upper = torch.tensor([any(part in name for part in ARMS_AND_UP) for name in JOINT_NAMES])
    on_skin = body.faces.unique()  # our body has vertices of clothes, too
    nearest = on_skin[cKDTree(body.v_template[on_skin].numpy()).query(anchors.points.numpy())[1]]
    weights = body.lbs_weights[nearest]
    for target, source in (
        (skin.skinning_weight, weights),
        (skin.shape_dirs, body.shapedirs[nearest, :, :BETAS]),
        (skin.is_upper_body, weights[:, upper].sum(1) > 0.5),
        (skin.is_face, weights[:, HEAD_JOINTS].sum(1) > 0.5),
        (layer.v_template, body.v_template),
        (layer.shapedirs, body.shapedirs[..., :BETAS]),
        (layer.J_regressor, body.J_regressor),
        (layer.parents, body.parents),
    ):
        target.copy_(source)


def _sapiens_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our names of parameters translated back into those of Sapiens."""
    pairs = (
        ("model.", "backbone."),
        ("patch_embed.proj", "patch_embed.projection"),
        ("blocks.", "layers."),
        (".norm1.", ".ln1."),
        (".norm2.", ".ln2."),
        ("backbone.norm.", "backbone.ln1."),
        (".mlp.fc1.", ".ffn.layers.0.0."),
        (".mlp.fc2.", ".ffn.layers.1."),
    )
    renamed = {}
    for key, value in state.items():
        for ours, theirs in pairs:
            key = key.replace(ours, theirs)
        renamed[key] = value
    return renamed


def _save(path: Path, state: dict[str, Tensor]) -> None:
    with atomic_path(path) as tmp:
        save_file({k: v.contiguous() for k, v in state.items()}, str(tmp))
