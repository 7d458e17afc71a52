"""Motion from npz files: AMASS, SMPL-X and SMPL-H stageii files, 4D-Dress, AIST++, and our own.

Two dialects exist. In one, `poses` holds all joints of a frame in a row: 24 (SMPL), 52 (SMPL-H) or
55 (SMPL-X) times three numbers. In the other, each part has a key of its own, whose name differs
from program to program. Both are read into SMPL-X' order. Pickled arrays are never opened, because
a pickle may run code.
"""

import os
from collections.abc import Mapping

import numpy as np

from toolkit.body.motion_raw import BODY, EYES, HANDS, JAW, RawMotion, raw_motion
from toolkit.errors import fail
from toolkit.run.npz_file import PICKLED, check_arrays
from toolkit.run.npz_file import read_npz as read_arrays

MAX_BYTES = 2 * 2**30  # unpacked; an hour of SMPL-X at 120 Hz has 0.3 GB
ROOT = ("root_orient", "global_orient", "root_pose")
PARTS = {  # keys of one part, and where it goes
    "body": (("pose_body", "body_pose"), slice(1, 22)),
    "jaw": (("pose_jaw", "jaw_pose"), slice(JAW, JAW + 1)),
    "eyes": (("pose_eye",), EYES),
    "left eye": (("leye_pose",), slice(23, 24)),
    "right eye": (("reye_pose",), slice(24, 25)),
    "hands": (("pose_hand",), HANDS),
    "left hand": (("left_hand_pose", "lhand_pose"), slice(25, 40)),
    "right hand": (("right_hand_pose", "rhand_pose"), slice(40, 55)),
}
TRANSL = ("trans", "transl", "smpl_trans")
FPS = ("mocap_frame_rate", "mocap_framerate", "fps", "frame_rate")


def read_npz(path: str | os.PathLike, hands: str | os.PathLike | None = None) -> RawMotion:
    """Read a motion from an npz file.

    Args:
        path: of the file.
        hands: a licensed SMPL-X npz file, whose `hands_components` decode hands that are given as
            a few PCA coefficients; left out: such hands stay flat, and the notes say so.

    Raises:
        InputError: a damaged or huge file, or none of the known keys.
    """
    fix = "Get the file again, or cut the clip."
    arrays = read_arrays(path, wanted="an npz file", fix=fix, max_bytes=MAX_BYTES)
    return from_arrays(str(path), arrays, hands)


def from_arrays(
    name: str, arrays: Mapping[str, np.ndarray], hands: str | os.PathLike | None = None
) -> RawMotion:
    """A motion from named arrays, one row per frame.

    Args:
        name: of their file, for messages.
        arrays: in one of the dialects above.
        hands: see `read_npz`.

    Raises:
        InputError: none of the known keys, or shapes that do not fit.
    """
    notes = {"format": "npz", **_about(arrays)}
    whole = _first(arrays, ("poses", "smpl_poses", "fullpose", "pose"))
    poses = _from_row(name, whole) if whole is not None else _from_parts(name, arrays, notes, hands)
    transl = _first(arrays, TRANSL)
    if transl is not None:
        transl = _rows_of_three(name, "translations", transl)
        # AIST++: its body is as large as its unit
        transl = transl / (_number(name, arrays, ("smpl_scaling",)) or 1.0)
    fps = _number(name, arrays, FPS)
    up = "y" if "smpl_poses" in arrays or np.ndim(whole) == 3 else "z"
    return raw_motion(name, poses, transl, fps, up=up, notes=notes)


def _first(arrays: Mapping[str, np.ndarray], keys: tuple[str, ...]) -> np.ndarray | None:
    return next((np.asarray(arrays[key]) for key in keys if key in arrays), None)


def _numbers(name: str, what: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        fail(
            name,
            got=f"{what} as {'pickles' if array.dtype.kind == 'U' else array.dtype}",
            wanted="plain numbers",
            fix="Save them again with numpy.savez as float32.",
        )
    return array.astype(np.float32)


def _rows_of_three(name: str, what: str, array: np.ndarray) -> np.ndarray:
    """(T,3), also from (1,T,3) and from one row of all numbers."""
    array = _numbers(name, what, array)
    if array.size % 3 or (array.ndim > 1 and array.shape[-1] != 3):
        fail(
            name,
            got=f"{what} of shape {array.shape}",
            wanted="three numbers per frame",
            fix="Rotations are axis-angle vectors here; convert matrices and quaternions.",
        )
    return array.reshape(-1, 3)


def _number(name: str, arrays: Mapping[str, np.ndarray], keys: tuple[str, ...]) -> float | None:
    """The one number under the first of these keys; None if there is none, or some text."""
    array = _first(arrays, keys)
    if array is None or array.dtype.kind not in "fiu" or array.size == 0:
        return None
    return float(array.reshape(-1)[0])


def _about(arrays: Mapping[str, np.ndarray]) -> dict[str, object]:
    """Gender, number of betas and whether hands are relative to a flat hand, as far as known."""
    about = {}
    if "gender" in arrays:
        gender = np.asarray(arrays["gender"]).reshape(-1)
        gender = gender[0] if gender.size and str(gender[0]) != PICKLED else "unknown"
        gender = gender.decode(errors="replace") if isinstance(gender, bytes) else str(gender)
        about["gender"] = gender[:20] if gender.isprintable() else "unknown"
    if "betas" in arrays and np.asarray(arrays["betas"]).dtype.kind == "f":
        about["num_betas"] = int(np.atleast_1d(arrays["betas"]).shape[-1])
    flat = np.ravel(arrays.get("flat_hand_mean", ()))
    if flat.size and flat.dtype.kind in "biu":
        about["flat_hand"] = bool(flat[0])
    return about


def _from_row(name: str, row: np.ndarray) -> np.ndarray:
    """All joints of a frame in a row, (T, 3 J) or (T, J, 3), to (T,55,3)."""
    row = _numbers(name, "poses", row)
    row = row[None] if row.ndim == 1 or row.shape == (55, 3) else row
    joints = row.reshape(len(row), int(np.prod(row.shape[1:])))
    poses = np.zeros((len(row), 55, 3), np.float32)
    num = joints.shape[1] // 3
    if joints.shape[1] % 3 or num not in (22, 24, 52, 55):
        fail(
            name,
            got=f"poses of shape {row.shape}",
            wanted="66, 72, 156 or 165 numbers per frame (SMPL, SMPL-H, SMPL-X)",
            fix="Are these axis-angle vectors? Matrices and quaternions have to be converted.",
        )
    joints = joints.reshape(len(row), num, 3)
    if num == 55:
        return joints
    poses[:, BODY] = joints[:, BODY]
    if num == 52:  # SMPL-H has no jaw and no eyes; SMPL's two last joints are palms, left out
        poses[:, HANDS] = joints[:, 22:52]
    return poses


def _from_parts(
    name: str, arrays: Mapping[str, np.ndarray], notes: dict, hands: str | os.PathLike | None
) -> np.ndarray:
    root = _first(arrays, ROOT)
    if root is None:
        fail(
            name,
            got=f"the keys {', '.join(sorted(arrays)[:12])}",
            wanted="poses, or root_orient and pose_body",
            fix="Is it a motion? A body model or a scan has no poses.",
        )
    root = _rows_of_three(name, "the root's rotations", root)
    poses = np.zeros((len(root), 55, 3), np.float32)
    poses[:, 0] = root
    for part, (keys, where) in PARTS.items():
        if (values := _first(arrays, keys)) is None:
            continue
        values, num = _numbers(name, part, values), where.stop - where.start
        values = values.reshape(len(root), -1) if values.size else np.zeros((len(root), 3 * num))
        if values.shape[1] < 3 * num and "hand" in part:
            values = _decode_hands(part, values, hands, notes)
        if values.shape[1] != 3 * num:
            fail(
                f"{name}, {part}",
                got=f"{values.shape[1]} numbers per frame",
                wanted=str(3 * num),
                fix="Joints are axis-angle vectors of three numbers.",
            )
        poses[:, where] = values.reshape(len(root), num, 3)
    return poses


def _decode_hands(
    part: str, values: np.ndarray, hands: str | os.PathLike | None, notes: dict
) -> np.ndarray:
    """PCA coefficients of one or both hands to axis-angle vectors."""
    sides = {"left hand": "l", "right hand": "r"}.get(part, "lr")
    if hands is None:
        notes["hands"] = "PCA coefficients, left flat: their basis is in a licensed SMPL-X file"
        return np.zeros((len(values), 45 * len(sides)), np.float32)
    num, fix = values.shape[1] // len(sides), "Give a licensed SMPLX_NEUTRAL.npz."
    parts = [f"hands_{kind}{side}" for side in sides for kind in ("components", "mean")]
    basis = read_arrays(hands, parts, wanted="an SMPL-X file with a basis of hands", fix=fix)
    check_arrays(hands, basis, {p: ("K", 45)[-1 - ("comp" in p) :] for p in parts}, fix=fix)
    if values.shape[1] % len(sides):
        fail(part, got=f"{values.shape[1]} numbers", wanted="as many for each", fix="Check them.")
    decoded = [
        half @ basis[f"hands_components{side}"][:num] + basis[f"hands_mean{side}"]
        for side, half in zip(sides, np.split(values, len(sides), axis=1), strict=True)
    ]
    notes["hands"] = f"{num} PCA coefficients, decoded"
    return np.concatenate(decoded, axis=1).astype(np.float32)
