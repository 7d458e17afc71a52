"""Read a body file in SMPL-X layout: our CC0 body.npz, or the user's licensed SMPLX_NEUTRAL.npz."""

import os
from functools import cache

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import DTypeLike
from torch import Tensor

from toolkit.body.model import NUM_JOINTS, BodyModel
from toolkit.errors import MissingFileError, fail, reading
from toolkit.run.files import model_path
from toolkit.run.npz_file import check_arrays, check_parents, npz_keys, read_npz

SHAPES = {  # V vertices, F faces, J joints, C directions of shape and expression
    "v_template": ("V", 3),
    "weights": ("V", "J"),
    "f": ("F", 3),
    "shapedirs": ("V", 3, "C"),
    "J_regressor": ("J", "V"),
    "kintree_table": (2, "J"),
}
REQUIRED_KEYS = tuple(SHAPES)
OPTIONAL_KEYS = ("posedirs", "vt", "ft", "lmk_faces_idx", "lmk_bary_coords")
OURS = "joint_names"  # a key that only our own file has; its pose correctives are all zero


def load_body(path: str | os.PathLike | None = None, *, num_betas: int = 20) -> BodyModel:
    """Load the default body, or any npz file in SMPL-X layout; a path is read only once.

    Args:
        path: of the file; left out: our own body.
        num_betas: shape coefficients to keep; a file that has fewer gives all of its.

    Raises:
        MissingFileError: there is no such file.
        InputError: not an npz file in SMPL-X layout, pickles among the needed arrays, shapes that
            do not fit, or a number of joints other than 55; names the array.
    """
    if path is None:
        path = model_path("body.npz", made_by="python -m tools.bake.body")
    return _load(os.path.abspath(path), num_betas)


@cache  # the body is frozen, so that all callers can share it
def _load(path: str, num_betas: int) -> BodyModel:
    if not os.path.isfile(path):
        raise MissingFileError(
            f"{path} does not exist. Give a body .npz, or leave it out for the default body."
        )
    arrays = _read(path)
    _check(path, arrays)
    with reading(path, wanted="an .npz in SMPL-X layout", fix="Get the file again."):
        return _from_arrays(arrays, num_betas)


def _read(path: str) -> dict[str, np.ndarray]:
    """The arrays we use. Official files also hold pickles, which could run code: not opened."""
    wanted, fix = (
        "an .npz of plain arrays in SMPL-X layout",
        "Take SMPLX_NEUTRAL.npz, not the .pkl.",
    )
    known, every = {*REQUIRED_KEYS, *OPTIONAL_KEYS}, npz_keys(path, wanted=wanted, fix=fix)
    used = set(every) - {"posedirs"} if OURS in every else known
    return read_npz(path, used, wanted=wanted, fix=fix)


def _check(path: str, arrays: dict[str, np.ndarray]) -> None:
    """Raise an InputError unless keys, joints, vertices and numbers are as a body's must be."""
    more = {"posedirs": ("V", 3, 9 * (NUM_JOINTS - 1))} if "posedirs" in arrays else {}
    damaged = "Is this a body file? All arrays must be for one number of vertices and joints."
    sizes = check_arrays(path, arrays, SHAPES | more, fix=damaged)
    if sizes["J"] != NUM_JOINTS:
        fail(
            path,
            got=f"{sizes['J']} joints",
            wanted="55 (SMPL-X)",
            fix="SMPL and SMPL-H files do not fit; take an SMPL-X one.",
        )
    check_parents(f"{path}, kintree_table", arrays["kintree_table"][0], fix=damaged)
    low, high = (int(edge(arrays["f"], initial=0)) for edge in (np.min, np.max))
    if low < 0 or high >= sizes["V"] or not arrays["f"].size or sizes["C"] < 10:
        fail(
            path,
            got=f"{sizes['F']} faces of vertices {low} to {high}, {sizes['C']} shape directions",
            wanted=f"faces of vertices 0 to {sizes['V'] - 1}, ten or more directions",
            fix="The file is damaged; get it again.",
        )


def _from_arrays(arrays: dict[str, np.ndarray], num_betas: int) -> BodyModel:
    # `shapedirs` holds shape and expression side by side. As smplx reads it: 300 columns of shape
    # and 100 of expression, or 10 and the rest. Ours has 400 columns, most of them zero.
    columns = arrays["shapedirs"].shape[-1]
    first, shapes, expressions = (300, 300, 100) if columns >= 400 else (10, 10, columns - 10)
    shapes = min(num_betas, int(arrays.get("num_betas", shapes)))
    expressions = min(int(arrays.get("num_expressions", 10)), expressions)
    columns = (slice(0, shapes), slice(first, first + expressions))
    faces = _tensor(arrays["f"], np.int64)
    names = [str(n) for n in arrays.get("layer_names", ())]
    extra = {
        k: v
        for k, v in arrays.items()
        if k not in (*REQUIRED_KEYS, "posedirs") and not k.startswith(("faces_", "hands_"))
    }
    return BodyModel(
        v_template=_tensor(arrays["v_template"]),
        shapedirs=_tensor(arrays["shapedirs"][..., columns[0]]),
        expr_dirs=_tensor(arrays["shapedirs"][..., columns[1]]),
        J_regressor=_tensor(arrays["J_regressor"]),
        lbs_weights=_tensor(arrays["weights"]),
        parents=_parents(arrays),
        faces=faces,
        faces_body=faces,  # our bake leaves cavities out; in a licensed file they stay inside
        layers={n: _tensor(arrays[f"faces_{n}"], np.int64) for n in names},
        posedirs=_tensor(arrays["posedirs"]) if "posedirs" in arrays else None,
        extra=extra,
    )


def _parents(arrays: dict[str, np.ndarray]) -> Int[Tensor, " J"]:
    parents = _tensor(arrays["kintree_table"][0], np.int64)
    parents[0] = -1  # the root; official files store 2^32 - 1, which is -1 as an unsigned number
    return parents


def _tensor(array: np.ndarray, dtype: DTypeLike = np.float32) -> Tensor:
    # `torch.tensor` copies into memory that torch has aligned; `from_numpy` would keep numpy's.
    # The last bits of a matrix product depend on the alignment of its inputs, and numpy's on what
    # the process did before: the same seed would not give the same files.
    return torch.tensor(np.asarray(array, dtype=dtype, order="C"))
