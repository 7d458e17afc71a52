"""Motion from JSON: LHM's folders of one file per frame, and our own `body.json`."""

import json
import os
import re
from pathlib import Path

import numpy as np

from toolkit.body.motion_npz import from_arrays
from toolkit.body.motion_raw import RawMotion, raw_motion
from toolkit.body.motion_source import check_size
from toolkit.errors import fail, one_line, reading


def read_json_motion(path: str | os.PathLike) -> RawMotion:
    """Read a folder of frames, or one file with one frame or a list of them.

    A frame has the keys of LHM (`root_pose`, `body_pose`, `trans`, ...), or those of our own
    `body.json` (`pose`, `transl`). LHM stores people as its camera saw them, with y down.

    Raises:
        InputError: no frames, no JSON, or keys of neither kind.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(path.glob("*.json"), key=_frame_number)
    if not files:
        fail(str(path), got="no .json files", wanted="one per frame", fix="Give LHM's smplx_params")
    records = [record for file in files for record in _frames(file)]
    if not records:
        fail(str(path), got="an empty list", wanted="frames", fix="Give one with frames inside.")
    if "pose" in records[0]:  # ours: y up, all joints at once
        return raw_motion(
            str(path),
            _stack(path, records, "pose"),
            _stack(path, records, "transl") if "transl" in records[0] else None,
            None,
            up="y",
            notes={"format": "json of this project"},
        )
    keys = [key for key, value in records[0].items() if isinstance(value, list | float | int)]
    arrays = {k: _stack(path, records, k) for k in keys if k.endswith(("pose", "orient", "trans"))}
    motion = from_arrays(str(path), arrays)
    notes = motion.notes | {"format": "json frames of LHM"}
    if "betas" in records[0]:
        notes["num_betas"] = int(np.size(records[0]["betas"]))
    return raw_motion(
        str(path), motion.poses.numpy(), motion.transl.numpy(), None, up="-y", notes=notes
    )


def _frame_number(file: Path) -> tuple[int, str]:
    """Sorts 2.json before 10.json."""
    digits = re.findall(r"\d+", file.stem)
    return int(digits[-1]) if digits else -1, file.stem


def _frames(file: Path) -> list[dict]:
    check_size(file)
    with reading(file, wanted="a frame as JSON", fix="Get the file again."):
        record = json.loads(file.read_text(encoding="utf-8"))
    frames = record if isinstance(record, list) else [record]
    if not all(isinstance(frame, dict) for frame in frames):
        fail(str(file), got="a list of something else", wanted="frames", fix="See LHM's files.")
    return frames


def _stack(path: Path, records: list[dict], key: str) -> np.ndarray:
    """One key of all frames as an array, (T, ...)."""
    try:
        return np.array([record[key] for record in records], np.float32)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        fail(
            f"{path}, {key}",
            got=one_line(error),
            wanted="the same numbers in every frame",
            fix="Is every frame complete?",
        )
