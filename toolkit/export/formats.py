"""The formats of `export` and where they are written; loads nothing heavy."""

import os
from pathlib import Path

from toolkit.errors import fail

SPLAT_FORMATS = ("spz", "splat", "sog")  # compressed, through gaussforge
FORMATS = ("ply", *SPLAT_FORMATS, "glb", "html", "bundle")
ENDINGS = {"bundle": "zip"}  # others end as they are called


def default_path(folder: str | os.PathLike, kind: str) -> Path:
    """Where a format is written if the user names no file.

    Raises:
        InputError: an unknown format.
    """
    if kind not in FORMATS:
        fail("format", got=repr(kind), wanted=", ".join(FORMATS), fix="Check the spelling.")
    return Path(folder) / f"avatar.{ENDINGS.get(kind, kind)}"
