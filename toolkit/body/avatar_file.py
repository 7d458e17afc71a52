"""The arrays of an avatar.npz, checked: what `Avatar.load` builds its Gaussians and rig from."""

import os

import numpy as np

from toolkit.errors import MissingFileError, fail
from toolkit.run.npz_file import check_arrays, check_parents, read_npz

FIX = "Make it again with: python -m toolkit avatar PHOTO --out DIR"
SHAPES = {
    "gaussians_means": ("N", 3),
    "gaussians_quats": ("N", 4),
    "gaussians_scales": ("N", 3),
    "gaussians_opacities": ("N",),
    "gaussians_sh": ("N", "K", 3),
    "rig_anchors_rest": ("N", 3),
    "rig_lbs_weights": ("N", "J"),
    "rig_joints": ("J", 3),
    "rig_parents": ("J",),
    "rig_betas": ("S",),
}


def read_avatar_file(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read and check the arrays of an avatar file.

    Args:
        path: of a file that `Avatar.save` wrote.

    Returns:
        Array by name, float32; the parents are int64.

    Raises:
        MissingFileError: there is no such file.
        InputError: something else, damaged, or values that no avatar has; names the array.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f"{path} does not exist. {FIX}")
    arrays = read_npz(path, SHAPES, wanted="an avatar.npz", fix=FIX)
    sizes = check_arrays(f"{path}, as an avatar.npz", arrays, SHAPES, fix=FIX)
    if sizes["N"] < 1 or sizes["J"] != 55:
        got = f"{sizes['N']} Gaussians on {sizes['J']} joints"
        fail(f"{path}", got=got, wanted="an avatar.npz with Gaussians on 55 joints", fix=FIX)
    check_parents(f"{path}, rig_parents", arrays["rig_parents"], fix=FIX)
    lengths = np.linalg.norm(arrays["gaussians_quats"].astype(np.float64), axis=1)
    for key, fine, wanted in (
        ("gaussians_quats", abs(lengths - 1) < 1e-2, "unit quaternions"),
        ("gaussians_scales", arrays["gaussians_scales"] >= 0, "standard deviations over 0"),
        ("gaussians_opacities", abs(arrays["gaussians_opacities"] - 0.5) <= 0.501, "0 to 1"),
    ):
        if not fine.all():
            row = int(np.argwhere(~fine)[0][0])
            got = f"{arrays[key][row].tolist()} in row {row}"
            fail(f"{path}, {key}", got=got, wanted=wanted, fix=FIX)
    return {
        key: array.astype(np.int64 if key == "rig_parents" else np.float32)
        for key, array in arrays.items()
    }
