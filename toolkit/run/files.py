"""Where the files that ship with the repository lie, and how a result is written whole or not."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import MissingFileError

PARTIAL_PREFIX = ".partial-"  # of files that are being written; left over only after a kill
DATA_DIR = Path(os.environ.get("TOOLKIT_DATA", Path(__file__).resolve().parents[2] / "data"))


def model_path(name: str, *, made_by: str) -> Path:
    """Path of a file in `data/models`.

    Args:
        name: of the file, e.g. `body.npz`.
        made_by: the command that makes the file; it is printed if the file is missing.

    Raises:
        MissingFileError: the file is not there.
    """
    path = DATA_DIR / "models" / name
    if not path.is_file():
        raise MissingFileError(f"{path} is missing. Make it with: {made_by}")
    return path


def sample_path(name: str) -> Path:
    """Path of a file in `data/samples`.

    Raises:
        MissingFileError: the file is not there; the message says how to get it back.
    """
    path = DATA_DIR / "samples" / name
    if not path.is_file():
        raise MissingFileError(f"{path} is missing. Get it back with: git checkout -- data/samples")
    return path


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path; what was written there becomes `path` only if the block succeeds.

    So no reader ever sees half a file, and after an error the old file is still there.

    Args:
        path: of the final file; missing parent folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic only within one file system; with the same
    # suffix, because many writers choose the format by it.
    handle, name = tempfile.mkstemp(
        prefix=f"{PARTIAL_PREFIX}{path.stem}-", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    tmp = Path(name)
    try:
        yield tmp
        os.chmod(tmp, 0o644)  # mkstemp's files can be read by their owner only
        os.replace(tmp, path)
    finally:
        tmp.unlink(missing_ok=True)
