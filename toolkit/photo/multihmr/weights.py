"""Multi-HMR's files: read a released checkpoint safely, write one like it, make a tiny one.

A released `multiHMR_*.pt` is a pickle, and unpickling may run code. These files hold tensors and
one `argparse.Namespace`, so torch's weights-only reader opens them with that one class allowed, and
no code from the file ever runs.
"""

import argparse
import os
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from toolkit.errors import MissingFileError, fail
from toolkit.photo.multihmr.head import HeadConfig
from toolkit.photo.multihmr.model import MultiHMR, MultiHMRConfig
from toolkit.photo.vit import VitConfig
from toolkit.run.files import atomic_path

PATTERN = "multiHMR_*"  # names of the released files, e.g. multiHMR_896_L.pt
GET_IT = (
    "Get multiHMR_896_L.pt (non-commercial licence) from "
    "https://download.europe.naverlabs.com/ComputerVision/MultiHMR/ ."
)
BODY_PREFIX = "smpl_layer."  # buffers of the licensed body model, which we read from its own file
# Constants that older checkpoints lack; our own values serve.
OPTIONAL = ("x_attention_head.init_betas_kid", "x_attention_head.init_expression")


def load_multihmr(path: str | os.PathLike) -> MultiHMR:
    """Load the net of a checkpoint, in evaluation mode and without gradients.

    Args:
        path: a checkpoint, or a folder that holds one, see `find_checkpoint`.

    Raises:
        MissingFileError: there is no checkpoint at `path`.
        InputError: the file has another format, holds unsafe content, or other keys or shapes.
    """
    path = find_checkpoint(path)
    state, args = read_checkpoint(path)
    state = {k: v.float() for k, v in state.items() if not k.startswith(BODY_PREFIX)}
    model = MultiHMR(read_config(state, args))
    wanted = model.state_dict()
    missing = sorted(wanted.keys() - state.keys() - set(OPTIONAL))
    other = sorted(k for k in wanted.keys() & state.keys() if wanted[k].shape != state[k].shape)
    if missing or other:
        fail(
            f"{path}",
            got=f"missing keys {missing[:3]}, other shapes {other[:3]}",
            wanted="the keys of a released SMPL-X Multi-HMR",
            fix=GET_IT,
        )
    if unknown := sorted(state.keys() - wanted.keys()):
        warnings.warn(f"{path}: {len(unknown)} keys are not used, e.g. {unknown[:3]}", stacklevel=2)
    model.load_state_dict({k: state.get(k, v) for k, v in wanted.items()})
    return model.eval().requires_grad_(False)


def find_checkpoint(path: str | os.PathLike) -> Path:
    """`path` itself if it is a file; in a folder, the SMPL-X checkpoint for the largest picture."""
    path = Path(path)
    if path.is_file():
        return path
    checkpoints = [
        p
        for p in path.glob(PATTERN)
        if p.suffix in (".pt", ".safetensors") and "anny" not in p.name
    ]
    if not checkpoints:
        raise MissingFileError(f"No Multi-HMR checkpoint ({PATTERN}.pt) at {path}. {GET_IT}")
    return max(
        checkpoints, key=lambda p: (int((re.search(r"_(\d+)", p.stem) or [0, 0])[1]), p.name)
    )


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict]:
    """State dict and training arguments of a .pt file; a .safetensors file has no arguments."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(str(path)), {}
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            record = torch.load(path, map_location="cpu", weights_only=True)
        return dict(record["model_state_dict"]), vars(record["args"])
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        reason = str(error).strip().splitlines()[0][:160] if str(error) else type(error).__name__
        fail(
            f"{path}",
            got=f"{type(error).__name__}: {reason}",
            wanted="tensors under 'model_state_dict' and an argparse.Namespace under 'args'",
            fix=f"A file with other pickled classes is not opened, for safety. {GET_IT}",
        )


def read_config(state: Mapping[str, Tensor], args: Mapping) -> MultiHMRConfig:
    """Read the sizes off the shapes, and what has no shape from the training arguments.

    Raises:
        InputError: it is another net (e.g. the Anny variant), or its people are not centred on the
            head joint.
    """
    try:
        return _read_config(state, args)
    except KeyError as error:
        fail(
            "Multi-HMR checkpoint",
            got=f"no {error.args[0]}",
            wanted="a released SMPL-X Multi-HMR (the Anny variant is another net)",
            fix=GET_IT,
        )


def _read_config(state: Mapping[str, Tensor], args: Mapping) -> MultiHMRConfig:
    """`read_config` for a net that has all the keys."""
    prefix = "backbone.encoder."
    vit = VitConfig.of_state(
        {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    )
    head = {k.removeprefix("x_attention_head."): v for k, v in state.items()}
    if args.get("person_center", "head") != "head":
        fail(
            "Multi-HMR checkpoint",
            got=f"person_center {args['person_center']!r}",
            wanted="'head'",
            fix=GET_IT,
        )
    grid, context_dim = head["cross_queries_x"].shape
    layers = "transformer.transformer.layers."
    inner = head[f"{layers}0.1.fn.to_q.weight"].shape[0]
    depth = 1 + max(int(k.removeprefix(layers).split(".")[0]) for k in head if k.startswith(layers))
    sizes = HeadConfig(
        context_dim,
        head["decshape.weight"].shape[1],
        depth,
        inner // HeadConfig.head_dim,
        mlp_dim=head[f"{layers}0.2.fn.net.0.weight"].shape[0],
        grid=grid,
        num_betas=head["decshape.weight"].shape[0],
    )
    return MultiHMRConfig(
        vit,
        sizes,
        grid * vit.patch,
        max(0, (context_dim - vit.dim - 3) // 6),  # ray features: 3 + 6 per band
        int(args.get("camera_embedding_max_resolution", 64)),
        bool(args.get("nearness", True)),
    )


def save_multihmr(model: MultiHMR, path: str | os.PathLike) -> None:
    """Write a checkpoint in the layout of the released ones."""
    config = model.config
    args = argparse.Namespace(
        img_size=[config.size_px] * 2,
        nearness=config.log_distance,
        person_center="head",
        camera_embedding="geometric" if config.num_bands else None,
        num_betas=config.head.num_betas,
        camera_embedding_num_bands=config.num_bands,
        xat_depth=config.head.depth,
        camera_embedding_max_resolution=config.max_resolution,
        xat_num_heads=config.head.num_heads,
    )
    with atomic_path(path) as tmp:
        torch.save({"epoch": 0, "model_state_dict": model.state_dict(), "args": args}, tmp)


def tiny_multihmr(seed: int = 0, *, size_px: int = 112, dim: int = 64) -> MultiHMR:
    """A small net of the same structure with random weights, for dry runs on a CPU.

    Its answers mean nothing; its scores lie around 0.5, so that it always finds somebody.

    Args:
        seed: of the random weights.
        size_px: side of the picture, a multiple of 14.
        dim: width of a token.
    """
    vit = VitConfig(dim=dim, depth=2, grid=5)
    # 99 = 3 + 6 * 16, the features of a ray.
    head = HeadConfig(dim + 99, dim=dim, num_heads=2, mlp_dim=dim, grid=size_px // vit.patch)
    model = MultiHMR(MultiHMRConfig(vit, head, size_px)).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.named_parameters():
        noise = torch.randn(value.shape, generator=generator)
        is_gain = value.ndim == 1 and ("norm" in name or "gamma" in name) and "bias" not in name
        value.copy_(1 + 0.1 * noise if is_gain else noise * 0.5 / max(value.shape[-1], 16) ** 0.5)
    model.x_attention_head.init_cam[0, 0] = 1.0  # e metres away
    return model
