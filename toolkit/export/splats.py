"""Compressed splat files, .spz, .splat and .sog, through the package gaussforge.

All three quantise. A `.splat` has 32 bytes per Gaussian: colours, opacity and rotation as bytes.
`.spz` (Niantic) and `.sog` (PlayCanvas, WebP pictures in a zip) also quantise centres and scales,
and are about five times smaller than a PLY. `.sog` sorts the Gaussians anew, so that the rig of an
avatar no longer fits to them; a PLY keeps the order.
"""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from toolkit.errors import MissingCapabilityError, MissingFileError, fail, printable, reading
from toolkit.export.formats import SPLAT_FORMATS
from toolkit.gaussians import Gaussians, load_ply, save_ply
from toolkit.run.files import atomic_path

CONVERT = """
import os, sys
result = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # the library prints its complaints to where the result belongs
from gaussforge import GaussForge
answer = GaussForge().convert(sys.stdin.buffer.read(), sys.argv[1], "ply")
if not answer.get("data"):
    sys.exit(str(answer.get("error", "no Gaussians")))
result.write(bytes(answer["data"]))
"""
CONVERT_S = 600
OPAQUE_LOGIT = 16.0  # a byte of 255 means opaque, whose logit is infinite; sigmoid(16) = 1 - 1e-7


def write_splats(gaussians: Gaussians, path: str | os.PathLike, kind: str) -> None:
    """Write a compressed splat file.

    Args:
        gaussians: in the world, e.g. a posed avatar.
        path: of the file.
        kind: one of `SPLAT_FORMATS`.

    Raises:
        MissingCapabilityError: the package gaussforge is not installed.
        InputError: an unknown kind, or gaussforge refuses the Gaussians.
    """
    with tempfile.TemporaryDirectory() as folder:
        ply = Path(folder) / "gaussians.ply"
        save_ply(gaussians, ply)
        data = _convert(ply.read_bytes(), "ply", kind)
    with atomic_path(path) as tmp:
        tmp.write_bytes(data)


def read_splats(path: str | os.PathLike) -> Gaussians:
    """Read a .spz, .splat or .sog file; the kind is told by the name's ending.

    Raises:
        MissingFileError: there is no such file.
        InputError: not such a file, or a damaged one.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist. Give a .spz, .splat or .sog file.")
    data = _convert_apart(path, path.suffix.removeprefix("."))
    with tempfile.TemporaryDirectory() as folder:
        ply = Path(folder) / f"{path.name}.ply"
        with reading(path, wanted="Gaussians", fix="Get the file again."):
            ply.write_bytes(finite_ply(data))
        return load_ply(ply)


def _convert_apart(path: Path, source: str) -> bytes:
    """Convert a foreign file to PLY in a process of its own.

    gaussforge is C++ without checks: a damaged file ends the process that reads it.
    """
    if source not in SPLAT_FORMATS:
        fail("splat file", got=f".{source}", wanted=", ".join(SPLAT_FORMATS), fix="Rename it.")
    _gaussforge(source)  # tells at once if it is missing
    done = subprocess.run(
        [sys.executable, "-c", CONVERT, source],
        input=path.read_bytes(),
        capture_output=True,
        timeout=CONVERT_S,
        check=False,
    )
    if done.returncode != 0 or not done.stdout:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it crashed"]
        fail(
            f"{path}",
            got=f"a damaged file ({printable(lines[-1])[:160]})",
            wanted=f"a .{source} file",
            fix="Is the file whole, and does its name end as its kind does?",
        )
    return done.stdout


def _gaussforge(kind: str) -> type:
    """The package's class.

    Raises:
        MissingCapabilityError: it is not installed.
    """
    try:
        from gaussforge import GaussForge
    except ImportError:
        fail(
            "export",
            got="no package gaussforge",
            wanted=f"it, for .{kind} files",
            fix="Install it with: pip install gaussforge",
            kind=MissingCapabilityError,
        )
    return GaussForge


def _convert(data: bytes, source: str, target: str) -> bytes:
    """gaussforge's conversion; it reports errors in its answer and does not raise."""
    for kind in {source, target} - {"ply"}:
        if kind not in SPLAT_FORMATS:
            fail("splat file", got=f".{kind}", wanted=", ".join(SPLAT_FORMATS), fix="Rename it.")
    answer = _gaussforge(target)().convert(data, source, target)
    if "data" not in answer or not answer["data"]:
        fail(
            f"conversion from {source} to {target}",
            got=str(answer.get("error", "an empty file")),
            wanted="Gaussians",
            fix="Is the file whole, and does its name end as its kind does?",
        )
    return bytes(answer["data"])


def finite_ply(ply: bytes) -> bytes:
    """The same PLY with opacities that have a logit: bytes of 0 and 255 give infinite ones."""
    from plyfile import PlyData

    data = PlyData.read(io.BytesIO(ply))
    table = data["vertex"].data
    table["opacity"] = np.clip(table["opacity"], -OPAQUE_LOGIT, OPAQUE_LOGIT)
    out = io.BytesIO()
    data.write(out)
    return out.getvalue()
