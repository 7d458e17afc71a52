"""Sizes of an LHM: of the released variants, or read from a checkpoint's tensors and config."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from toolkit.errors import fail


@dataclass(frozen=True)
class LHMConfig:
    """Sizes of one network; the defaults are what all released variants share.

    Attributes:
        layers: body-head layers of the transformer.
        points: query points, one Gaussian per point.
        dim: width of the transformer.
        heads: attention heads.
        feed_dim: hidden width of the feed-forward nets.
        token_dim: width of the body tokens.
        motion_dim: hidden width of the net that makes the modulation.
        decoder_dim: hidden width of the decoder.
        waves: sines per point (3 axes x 8 octaves).
        max_offset_m: full range of the offset, half of it to either side.
        max_scale_m: largest standard deviation.
        joints, betas, vertices: of the body model inside the checkpoint.
    """

    layers: int
    points: int
    dim: int = 1024
    heads: int = 16
    feed_dim: int = 4096
    token_dim: int = 1536
    motion_dim: int = 768
    decoder_dim: int = 512
    waves: int = 24
    max_offset_m: float = 1.0
    max_scale_m: float = 0.05
    joints: int = 55
    betas: int = 10
    vertices: int = 10475


# "HF" variants were trained on half bodies too; their network is the same.
RELEASED = {
    "LHM-MINI": LHMConfig(2, 20_000),
    "LHM-500M": LHMConfig(5, 40_000),
    "LHM-500M-HF": LHMConfig(5, 40_000),
    "LHM-1B": LHMConfig(15, 40_000),
    "LHM-1B-HF": LHMConfig(15, 40_000),
}

# Names that a config may use for a size; the first five are those of the released config.json.
ALIASES = {
    "transformer_dim": "dim",
    "transformer_heads": "heads",
    "transformer_layers": "layers",
    "fine_encoder_feat_dim": "token_dim",
    "dense_sample_pts": "points",
    "body_token_dim": "token_dim",
    **{name: name for name in ("dim", "heads", "layers", "points")},
}


def read_config(state: Mapping[str, Tensor], config: Mapping | None = None) -> LHMConfig:
    """The sizes in a checkpoint's tensors, checked against `config`.

    The shapes of the tensors are the truth, because a file cannot be loaded with other sizes. Only
    the limits of offset and scale leave no trace in them and come from `config`.

    Raises:
        InputError: not an LHM state dict, or `config` says another size.
    """
    try:
        sizes = _from_tensors(state)
    except (KeyError, IndexError, ZeroDivisionError) as error:
        fail(
            "LHM state dict",
            got=f"no usable {error}",
            wanted="the tensors of a released LHM",
            fix="Is the file complete, and an LHM one?",
        )
    entries = _flat(config or {})
    for alias, name in ALIASES.items():
        if alias in entries and _number(alias, entries[alias]) != getattr(sizes, name):
            fail(
                f"LHM config, {alias}",
                got=entries[alias],
                wanted=f"{getattr(sizes, name)}, as in the tensors",
                fix="Take config.json and weights from the same release.",
            )
    limits = {}
    if entries.get("gs_xyz_offset_max_step") is not None:
        limits["max_offset_m"] = float(entries["gs_xyz_offset_max_step"])
    if entries.get("gs_clip_scaling") is not None:
        schedule = entries["gs_clip_scaling"]  # [first step, start, end, last step]; the end counts
        limits["max_scale_m"] = float(
            schedule[2] if isinstance(schedule, list | tuple) else schedule
        )
    return replace(sizes, **limits)


def _from_tensors(state: Mapping[str, Tensor]) -> LHMConfig:
    """The sizes by the shapes of the tensors; KeyError or IndexError if it is another network."""
    first, skin = "transformer.layers.0.body_dit.", "renderer.smplx_model."
    dim, token_dim = state["transformer.linear_cond_proj.weight"].shape
    layers = {int(k.split(".")[2]) for k in state if k.startswith("transformer.layers.")}
    joints, vertices = state[f"{skin}smplx_layer.J_regressor"].shape
    points, _, betas = state[f"{skin}shape_dirs"].shape
    return LHMConfig(
        layers=len(layers),
        points=points,
        dim=dim,
        heads=dim // state[f"{first}attn.norm_q.weight"].shape[0],
        feed_dim=state[f"{first}ff.net.2.weight"].shape[1],
        token_dim=token_dim,
        motion_dim=state["motion_embed_mlp.0.weight"].shape[0],
        decoder_dim=state["renderer.mlp_net.layers.0.weight"].shape[0],
        waves=state["pcl_embed.basis"].shape[1],
        joints=joints,
        betas=betas,
        vertices=vertices,
    )


def _flat(config: Mapping) -> dict:
    """The entries of a config and of its `config` and `model` sections."""
    flat = {k: v for k, v in config.items() if not isinstance(v, Mapping)}
    for section in ("config", "model"):
        if isinstance(config.get(section), Mapping):
            flat = _flat(config[section]) | flat
    return flat


def _number(name: str, value: object) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        fail(
            f"LHM config, {name}",
            got=repr(value),
            wanted="a whole number",
            fix="Correct config.json.",
        )
