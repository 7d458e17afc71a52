"""The people in a file of another program: named arrays per person, from npz or JSON."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from toolkit.errors import MissingFileError, fail, reading
from toolkit.run.npz_file import PICKLED, read_npz

Arrays = dict[str, np.ndarray]
KINDS = "an .npz or .json file of body parameters"
MAX_BYTES = 2**28  # of a JSON file, or of an npz file unpacked
MAX_PEOPLE = 64
ROOT = ("global_orient", "root_orient", "root_pose")  # three numbers, or a matrix, per person
POSE = ("pose", "poses", "fullpose", "smpl_poses", "rotmat")  # all joints
POINTS = ("pred_vertices", "pred_keypoints_3d", "vertices3d", "joints3d")  # (N, 3) per person
# Keys by which a dictionary is recognised as one person, or as several with one row each.
PERSON = {*ROOT, *POSE, *POINTS, "mhr_model_params", "body_pose_params"}


def read_people(path: Path) -> list[Arrays]:
    """Named arrays of every person, or frame, in a file.

    Args:
        path: an npz file without pickles, or JSON whose dictionaries may be nested in any way.

    Raises:
        MissingFileError: there is no such file.
        InputError: of another kind, damaged, too large, or without a person.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist. Give {KINDS}.")
    kind = path.suffix.lower()
    if kind not in (".npz", ".json"):
        fail(
            f"{path}",
            got=f"a file {kind or 'without an ending'}",
            wanted=KINDS,
            fix="Pickles (.pkl, .pt) are not opened, because they can run code: save the person's "
            "entries with numpy.savez.",
        )
    groups = list(_from_npz(path) if kind == ".npz" else _from_json(path))
    people = [person for group in groups for person in _split(path, group)]
    if not people:
        fail(
            f"{path}",
            got="no body parameters",
            wanted="keys such as pose, global_orient, pred_vertices or joints3d",
            fix="See docs/full_profile.md for the layouts.",
        )
    if len(people) > MAX_PEOPLE:
        fail(
            f"{path}",
            got=f"{len(people)} people or frames",
            wanted=f"those of one photo, at most {MAX_PEOPLE}",
            fix="Save the frame of the photo alone.",
        )
    return people


def _from_npz(path: Path) -> Iterator[Arrays]:
    arrays = read_npz(path, wanted=KINDS, fix="Get the file again.", max_bytes=MAX_BYTES)
    arrays = {key.split("/")[-1]: value for key, value in arrays.items()}
    pickled = [k for k, v in arrays.items() if v.dtype.kind == "U" and str(v) == PICKLED]
    plain = {key: value for key, value in arrays.items() if value.dtype.kind in "fiu"}
    if not PERSON & plain.keys():
        if pickled:
            fail(
                f"{path}, {', '.join(sorted(pickled)[:3])}",
                got="pickled objects, which could run code",
                wanted="plain arrays of numbers",
                fix="Save the person's entries as arrays of their own: "
                "numpy.savez(path, **{k: v for k, v in person.items() if v is not None}).",
            )
        return
    yield plain


def _from_json(path: Path) -> Iterator[Arrays]:
    if path.stat().st_size > MAX_BYTES:
        fail(f"{path}", got="more than 256 MB", wanted=KINDS, fix="Save one frame alone.")
    with reading(path, wanted=KINDS, fix="Get the file again."):
        content = json.loads(path.read_text(encoding="utf-8"))
        yield from _dictionaries(content)


def _dictionaries(content: object) -> Iterator[Arrays]:
    """Every dictionary with a person's keys, wherever it is nested."""
    if isinstance(content, list):
        for item in content:
            if isinstance(item, dict | list):
                yield from _dictionaries(item)
    elif isinstance(content, Mapping):
        if not PERSON & content.keys():
            for item in content.values():
                yield from _dictionaries(item)
            return
        lists = {k: v for k, v in content.items() if isinstance(v, list | int | float)}
        arrays = {key: np.array(value) for key, value in lists.items() if value != []}
        yield {key: value for key, value in arrays.items() if value.dtype.kind in "fiu"}


def _split(path: Path, arrays: Arrays) -> list[Arrays]:
    """One dictionary per person, where arrays have an axis of people in front."""
    counts = {key: n for key, value in arrays.items() if (n := _people(key, value))}
    count = max(counts.values(), default=1)
    if short := [key for key, n in counts.items() if n != count]:
        fail(
            f"{path}, {short[0]}",
            got=f"{counts[short[0]]} rows",
            wanted=f"{count}, one per person",
            fix="Do all arrays cover the same people?",
        )
    return [
        {key: v[i] if v.ndim > 1 and len(v) == count else v for key, v in arrays.items()}
        for i in range(count)
    ]


def _people(key: str, value: np.ndarray) -> int:
    """How many people an array covers; 0 if it cannot tell."""
    matrices = value.ndim > 1 and value.shape[-2:] == (3, 3)
    if key in ROOT:
        return value.size // (9 if matrices else 3)
    if key in POSE:
        in_a_row = value.ndim > 0 and value.shape[-1] > 3
        alone = 3 if matrices else 1 if in_a_row else 2
    elif key in POINTS:
        alone = 2
    else:
        return 0
    return len(value) if value.ndim > alone else 1
