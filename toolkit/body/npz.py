"""Read an npz in SMPL-X layout: our CC0 body.npz, or the user's licensed SMPLX_NEUTRAL.npz."""

import os
import zipfile
from functools import cache

import numpy as np
import torch

from toolkit.body.model import NUM_JOINTS, BodyModel
from toolkit.errors import MissingFileError, fail
from toolkit.run.files import model_path

REQUIRED_KEYS = ("v_template", "f", "shapedirs", "J_regressor", "kintree_table", "weights")
OPTIONAL_KEYS = ("posedirs", "vt", "ft", "lmk_faces_idx", "lmk_bary_coords")
OURS = "joint_names"  # a key that only our bake writes; its pose correctives are zero


def load_body(path: str | os.PathLike | None = None, *, num_betas: int = 20) -> BodyModel:
    """The default body, or any npz in SMPL-X layout. The same path is read once.

    Raises:
        MissingFileError: no such file.
        InputError: not an npz in SMPL-X layout, a pickle inside, or not 55 joints.
    """
    if path is None:
        path = model_path("body.npz", made_by="python -m tools.bake.body")
    return _load(os.path.abspath(path), num_betas)


@cache
def _load(path: str, num_betas: int) -> BodyModel:
    if not os.path.isfile(path):
        raise MissingFileError(
            f"{path} does not exist. Give a body .npz, or leave it out for the default body."
        )
    try:
        arrays = _read(path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        fail(
            path,
            got=f"{type(error).__name__}: {error}",
            wanted="an .npz of plain arrays in SMPL-X layout",
            fix="Official files: take SMPLX_NEUTRAL.npz, not the .pkl.",
        )
    _check(path, arrays)
    return _from_arrays(arrays, num_betas)


def _read(path: str) -> dict[str, np.ndarray]:
    """The arrays we use; official files also hold pickled dictionaries, which stay closed."""
    with np.load(path, allow_pickle=False) as file:
        if OURS in file.files:
            return {k: file[k] for k in file.files if k != "posedirs"}
        return {k: file[k] for k in (*REQUIRED_KEYS, *OPTIONAL_KEYS) if k in file.files}


def _check(path: str, arrays: dict[str, np.ndarray]) -> None:
    missing = [k for k in REQUIRED_KEYS if k not in arrays]
    if missing:
        fail(
            path,
            got=f"no {', '.join(missing)}",
            wanted=f"the keys {', '.join(REQUIRED_KEYS)}",
            fix="Is this a body file? See data/models/body.md.",
        )
    joints = {
        arrays["kintree_table"].shape[-1],
        *(arrays[k].shape[a] for k, a in (("J_regressor", 0), ("weights", -1))),
    }
    if joints != {NUM_JOINTS}:
        fail(
            path,
            got=f"{sorted(joints)} joints",
            wanted="55 (SMPL-X)",
            fix="SMPL and SMPL-H files do not fit; take an SMPL-X one.",
        )
    num = len(arrays["v_template"])
    sizes = {num, len(arrays["shapedirs"]), len(arrays["weights"]), arrays["J_regressor"].shape[1]}
    if sizes != {num} or int(arrays["f"].max()) >= num:
        fail(
            path,
            got=f"arrays for {sorted(sizes)} vertices, faces up to {int(arrays['f'].max())}",
            wanted="one number of vertices",
            fix="The file is damaged; get it again.",
        )
    broken = [
        k for k in ("v_template", "J_regressor", "weights") if not np.isfinite(arrays[k]).all()
    ]
    if broken:
        fail(
            path,
            got=f"NaN or Inf in {', '.join(broken)}",
            wanted="finite numbers",
            fix="The file is damaged; get it again.",
        )


def _from_arrays(arrays: dict[str, np.ndarray], num_betas: int) -> BodyModel:
    columns = arrays["shapedirs"].shape[-1]
    first, shapes, expressions = (300, 300, 100) if columns >= 400 else (10, 10, columns - 10)
    shapes = min(num_betas, int(arrays.get("num_betas", shapes)))
    expressions = min(int(arrays.get("num_expressions", 10)), expressions)
    columns = (slice(0, shapes), slice(first, first + expressions))  # as smplx reads them
    faces = _tensor(arrays["f"], np.int64)
    names = [str(n) for n in arrays.get("layer_names", ())]
    extra = {
        k: v
        for k, v in arrays.items()
        if k not in (*REQUIRED_KEYS, "posedirs") and not k.startswith(("faces_", "hands_"))
    }
    return BodyModel(
        _tensor(arrays["v_template"]),
        *(_tensor(arrays["shapedirs"][..., c]) for c in columns),
        _tensor(arrays["J_regressor"]),
        _tensor(arrays["weights"]),
        _parents(arrays),
        faces,
        faces,
        {n: _tensor(arrays[f"faces_{n}"], np.int64) for n in names},
        _tensor(arrays["posedirs"]) if "posedirs" in arrays else None,
        extra,
    )


def _parents(arrays: dict[str, np.ndarray]) -> torch.Tensor:
    parents = _tensor(arrays["kintree_table"][0], np.int64)
    parents[0] = -1  # official files store 2^32 - 1
    return parents


def _tensor(array: np.ndarray, dtype=np.float32) -> torch.Tensor:
    # torch.tensor copies to memory that torch has aligned: matrix products differ in their last
    # bits with the alignment, and numpy's depends on what the process did before
    return torch.tensor(np.asarray(array, dtype=dtype, order="C"))
