"""Which motions there are: files by their ending, and our clips by their names.

Loads neither torch nor numpy, so that a command can refuse a misspelt name at once.
"""

import os
import zipfile
from pathlib import Path

from toolkit.errors import MissingFileError, fail
from toolkit.run.files import model_path

KINDS = (".npz", ".npy", ".bvh", ".json")
KINDS_IN_WORDS = ".npz, .npy, .bvh, .json, or a folder of .json files"
COMPUTED = ("idle", "stroll")  # clips made by formulas, without a file
MAX_BYTES = 2**30  # of a text file; an hour of BVH has 0.4 GB


def motions_path() -> Path:
    """The file of the recorded clips."""
    return model_path("motions.npz", made_by="python -m tools.bake.motions")


def clip_names() -> tuple[str, ...]:
    """Names of all clips that `load_clip` knows."""
    with zipfile.ZipFile(motions_path()) as file:
        names = [name.removesuffix(".npy") for name in file.namelist()]
    recorded = tuple(n.removesuffix("_poses") for n in names if n.endswith("_poses"))
    return recorded + COMPUTED


def check_source(source: str | os.PathLike) -> Path | str:
    """The path of a motion file or folder, or else the name of one of our clips.

    Args:
        source: what a user gave.

    Raises:
        MissingFileError: neither a file nor a clip.
        InputError: a file of another kind, or larger than a motion can be.
    """
    path = Path(source)
    if os.path.isdir(path):
        return path
    if not os.path.isfile(path):
        if str(source) in clip_names():
            return str(source)
        if os.path.exists(path):
            fail(str(path), got="a device or pipe", wanted=KINDS_IN_WORDS, fix="Save it first.")
        raise MissingFileError(
            f"{source} does not exist. Give a motion file ({KINDS_IN_WORDS}) or one of our clips: "
            f"{', '.join(clip_names())}."
        )
    kind = path.suffix.lower()
    if kind not in KINDS:
        fail(
            str(path),
            got=f"a file {kind or 'without an ending'}",
            wanted=KINDS_IN_WORDS,
            fix="Pickles (.pkl) are not opened, because they can run code: save them as .npz.",
        )
    check_size(path)
    return path


def check_size(path: Path) -> None:
    """Refuse a file that is no motion by its size alone, or no regular file."""
    if not path.is_file():
        fail(str(path), got="no regular file", wanted=KINDS_IN_WORDS, fix="Save it first.")
    if (size := path.stat().st_size) > MAX_BYTES:
        fail(str(path), got=f"{size / 2**30:.1f} GB", wanted="at most 1 GB", fix="Cut the clip.")
