"""Where the files that ship with the repository lie; how results are written without half files."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import MissingFileError

PARTIAL_PREFIX = ".partial-"  # names of files being written; safe to delete when found
DATA_DIR = Path(os.environ.get("TOOLKIT_DATA", Path(__file__).resolve().parents[2] / "data"))


def model_path(name: str, *, made_by: str) -> Path:
    """Path of a file in `data/models`, e.g. `body.npz`.

    Raises:
        MissingFileError: naming `made_by`, the command that makes the file.
    """
    path = DATA_DIR / "models" / name
    if not path.is_file():
        raise MissingFileError(f"{path} is missing. Make it with: {made_by}")
    return path


def sample_path(name: str) -> Path:
    """Path of a file in `data/samples`."""
    path = DATA_DIR / "samples" / name
    if not path.is_file():
        raise MissingFileError(f"{path} is missing. Get it back with: git checkout -- data/samples")
    return path


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` only if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f"{PARTIAL_PREFIX}{path.stem}-", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    tmp = Path(name)
    try:
        yield tmp
        os.chmod(tmp, 0o644)
        os.replace(tmp, path)
    finally:
        tmp.unlink(missing_ok=True)
