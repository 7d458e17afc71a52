"""The files of an LHM release: found, read, checked, and put into the networks.

config.json, model.safetensors --load_network-------> LHM (without image encoders)
model.safetensors --encoders.load_head_encoder------> HeadEncoder
sapiens* ---------encoders.load_body_encoder--------> BodyEncoder
1_N.ply ----------points.read_points----------------> query points
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from toolkit.coarse.lhm.config import read_config
from toolkit.coarse.lhm.encoders import (
    BodyEncoder,
    HeadEncoder,
    load_body_encoder,
    load_head_encoder,
    read_sapiens,
)
from toolkit.coarse.lhm.network import LHM
from toolkit.coarse.lhm.points import are_computed, read_points
from toolkit.errors import MissingFileError, fail

SMALL_POINTS, SMALL_SOURCE_PX, SOURCE_PX = 20_000, 512, 1024  # MINI was trained on 512 px

# In a released file, but not in `LHM`: the image encoders (see `encoders`), what only training
# needed, and body buffers without effect (upstream multiplies the skinning grid away).
NOT_OURS = re.compile(
    r"encoder\.|fine_encoder\.|id_face_net\.|faceESRGAN\.|renderer\.smplx_model\."
    r"(expr_dirs|pose_dirs|voxel_\w+|smplx_layer\.(?!(v_template|shapedirs|J_regressor|parents)$))"
)


@dataclass(frozen=True)
class Reconstruction:
    """A checkpoint with all that inference needs.

    Attributes:
        points: query points on the zero-pose template, metres; body before head.
        source_px: width at which the person is framed.
        points_computed: the points stand in for the release's, see `points`.
        fingerprint: of the files, so that a resumed run does not mix two checkpoints.
    """

    model: LHM
    body_encoder: BodyEncoder
    head_encoder: HeadEncoder
    points: Float[Tensor, "N 3"]
    source_px: int
    points_computed: bool
    fingerprint: str


def load_folder(
    folder: str | os.PathLike,
    *,
    points: str | os.PathLike | None = None,
    sapiens: str | os.PathLike | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Reconstruction:
    """Read a checkpoint folder: config.json, model.safetensors, 1_N.ply, sapiens*.

    The first two are a released repository such as 3DAIGC/LHM-MINI (also within `step_NNNNNN/`),
    the PLY is in its prior archive under `dense_sample_points/`, Sapiens-1B is a separate release.

    Args:
        points: folder of the PLY, if it is another one.
        sapiens: folder of Sapiens, if it is another one.
        dtype: of transformer and encoders. In float32 on a GPU the matrix products of Sapiens run
            in bfloat16 and nothing else does, as in LHM's training. torch.bfloat16 halves the
            memory; its latents are off by 1 % (random weights, 15 layers; autocast: 0.04 %).

    Raises:
        MissingFileError: a file is not there; the message names it.
        InputError: a file of another kind, or damaged.
    """
    root = Path(folder)
    if not root.is_dir():
        fail(
            f"LHM folder {root}",
            got="no such folder",
            wanted="a folder with the released files",
            fix="See notebooks/03_lhm_coarse for what to fetch.",
            kind=MissingFileError,
        )
    autocast = dtype == torch.float32 and torch.device(device).type == "cuda"
    weights = find_file(root, "model.safetensors")
    config_path = find_file(root, "config.json")
    config = _read_json(config_path)
    state = read_tensors(weights)
    model = load_network(state, config, device=device, dtype=dtype)
    ply = find_file(Path(points or root), f"1_{model.config.points}.ply")
    backbone = find_file(Path(sapiens or root), "sapiens*")
    body = load_body_encoder(read_sapiens(backbone), device=device, dtype=dtype, autocast=autocast)
    default_px = SMALL_SOURCE_PX if model.config.points == SMALL_POINTS else SOURCE_PX
    sizes = " ".join(f"{p.name}:{p.stat().st_size}" for p in (weights, ply, backbone))
    return Reconstruction(
        model,
        body,
        load_head_encoder(state, device=device, dtype=dtype),
        read_points(ply),
        int(config.get("source_image_res", default_px)),
        are_computed(ply),
        f"{sizes} {config_path.read_text()}",
    )


def find_file(root: Path, pattern: str) -> Path:
    """The file of this name below `root`; of several `step_NNNNNN` folders the newest.

    Raises:
        MissingFileError: no file of this name.
    """

    def step(path: Path) -> int:
        numbers = (re.fullmatch(r"step_(\d+)", part) for part in path.parts)
        return max((int(match[1]) for match in numbers if match), default=-1)

    files = [p for p in root.rglob(pattern) if p.is_file()]
    if not files:
        fail(
            f"LHM folder {root}",
            got=f"no {pattern}",
            wanted="config.json, model.safetensors, 1_N.ply and sapiens*",
            fix="See notebooks/03_lhm_coarse for what to fetch.",
            kind=MissingFileError,
        )
    return max(files, key=lambda p: (step(p), -len(p.parts), p.name))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file that we use; the 0.8 GB skinning grid is not even read."""
    try:
        with safe_open(str(path), "pt") as file:
            return {
                key: file.get_tensor(key)
                for key in file.keys()
                if key.startswith("encoder.") or not NOT_OURS.match(key)
            }
    except (SafetensorError, OSError) as error:
        fail(path, got=f"{error}", wanted="a safetensors file", fix="Get the file again.")


def _read_json(path: Path) -> dict:
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        fail(path, got=f"{error}", wanted="JSON", fix="Get the file again.")
    return config if isinstance(config, dict) else {}


def load_network(
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
    with torch.device("meta"):  # shapes and types only, no memory
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
    """Refuse a state dict that does not fit, with the first names of every kind of mismatch."""
    mismatches = {
        "missing": sorted(set(wanted) - set(state)),
        "unexpected": sorted(set(state) - set(wanted)),
        "of another shape": [
            f"{k} {tuple(state[k].shape)}, not {tuple(v.shape)}"
            for k, v in wanted.items()
            if k in state and state[k].shape != v.shape
        ],
    }
    sentences = [
        f"{len(names)} {kind} ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})"
        for kind, names in mismatches.items()
        if names
    ]
    if sentences:
        fail(
            "LHM state dict",
            got="; ".join(sentences),
            wanted="exactly the keys of a released LHM",
            fix="Is the file complete, and an LHM one (LHM++ and LAM differ)?",
        )
