"""Arrays from npz and npy files that anybody may have written: no pickles, no bombs, clear errors.

`numpy.load` trusts a file's header: it makes room for as many numbers as the header names, though
the file may be a few bytes long, and it advises to open pickles, which can run code. Here each size
is compared with what the archive holds before anything is unpacked.
"""

import io
import math
import os
import warnings
import zipfile
from collections.abc import Container, Mapping

import numpy as np

from toolkit.errors import fail, reading

MAX_BYTES = 2 * 2**30  # unpacked
PICKLED = "pickled"  # stands for an array of Python objects, which is never opened
Shape = tuple[int | str, ...]  # letters stand for sizes that must agree


def read_npz(
    path: str | os.PathLike | io.BytesIO,
    keys: Container[str] | None = None,
    *,
    wanted: str,
    fix: str,
    max_bytes: int = MAX_BYTES,
    name: str = "npz data",
) -> dict[str, np.ndarray]:
    """The arrays of an npz file.

    Args:
        path: of a file that exists, or its content.
        keys: arrays to read, as far as they are there; the others stay packed. None: all.
        wanted, fix: for messages, see `errors.fail`.
        max_bytes: of all arrays together, unpacked.
        name: in messages, where `path` is content and not a path.

    Returns:
        Array by key, in this machine's byte order. In place of an array of Python objects stands
        the text "pickled", so that only a reader who needs that key has to refuse the file.

    Raises:
        InputError: damaged, too large, or no npz file.
    """
    name = name if isinstance(path, io.BytesIO) else f"{path}"
    with reading(name, wanted=wanted, fix=fix), zipfile.ZipFile(path) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        entries = {key: e for key, e in entries.items() if keys is None or key in keys}
        size = sum(entry.file_size for entry in entries.values())
        if size > max_bytes:
            limit = f"at most {max_bytes / 2**30:.1f} GB"
            fail(name, got=f"{size / 2**30:.1f} GB unpacked", wanted=limit, fix=fix)
        arrays = {}
        for key, entry in entries.items():
            with (
                reading(f"{name}, {_shown(key)}", wanted=wanted, fix=fix),
                archive.open(entry) as f,
            ):
                arrays[key] = array_from_bytes(f.read(entry.file_size))
        return arrays


def npz_keys(path: str | os.PathLike, *, wanted: str, fix: str) -> tuple[str, ...]:
    """The keys of an npz file, in its order; see `read_npz`."""
    with reading(path, wanted=wanted, fix=fix), zipfile.ZipFile(path) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist())


def read_npy(path: str | os.PathLike, *, wanted: str, fix: str) -> np.ndarray:
    """The one array of an npy file; see `read_npz`."""
    with reading(path, wanted=wanted, fix=fix):
        size = os.path.getsize(path)
        if size > MAX_BYTES:
            fail(f"{path}", got=f"{size / 2**30:.1f} GB", wanted="at most 2 GB", fix=fix)
        with open(path, "rb") as file:
            return array_from_bytes(file.read(size))


def array_from_bytes(data: bytes) -> np.ndarray:
    """An array from the content of an npy file.

    Raises:
        ValueError: not an npy file, or its header names another size than it has.
    """
    stream, header = io.BytesIO(data), np.lib.format
    version = header.read_magic(stream)
    readers = {(1, 0): header.read_array_header_1_0, (2, 0): header.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the npy format")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on headers that Python 2 wrote
        shape, fortran, dtype = readers[version](stream)
    if dtype.hasobject:
        return np.array(PICKLED)
    start, count = stream.tell(), math.prod(shape)
    if min(shape, default=0) < 0 or count * max(dtype.itemsize, 1) > len(data) - start:
        raise ValueError(f"shape {shape}, but {len(data) - start} bytes of numbers")
    if count == 0 or dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    array = np.frombuffer(data, dtype, count, start)
    array = array.reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), order="C")  # a copy, which can be written to


def check_arrays(
    path: str | os.PathLike,
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, Shape],
    *,
    fix: str,
    finite: bool = True,
) -> dict[str, int]:
    """Refuse arrays that are missing, no numbers, of another shape, or not finite.

    Args:
        path: of their file, for messages.
        arrays: what was read.
        shapes: key -> shape, for example ("N", 3); the same letter means the same size.
        fix: for messages.
        finite: whether NaN and Inf are refused.

    Returns:
        The size that each letter stands for.

    Raises:
        InputError: the message names the first such key.
    """
    sizes: dict[str, int] = {}
    missing = [key for key in shapes if key not in arrays]
    if missing:
        fail(f"{path}", got=f"no {', '.join(missing)}", wanted=", ".join(shapes), fix=fix)
    for key, shape in shapes.items():
        array = arrays[key]
        if array.dtype.kind not in "fiub":
            pickled = array.dtype.kind == "U" and array.shape == () and str(array) == PICKLED
            got = "a pickle, which could run code" if pickled else f"an array of {array.dtype}"
            fail(f"{path}, {key}", got=got, wanted="plain arrays of numbers", fix=fix)
        pairs = list(zip(shape, array.shape, strict=False))
        for letter, size in pairs:
            if isinstance(letter, str):
                sizes.setdefault(letter, size)
        if len(shape) != array.ndim or any(sizes.get(w, w) != size for w, size in pairs):
            known = ", ".join(str(sizes.get(w, w)) for w in shape)
            fail(f"{path}, {key}", got=f"the shape {array.shape}", wanted=f"({known})", fix=fix)
        if finite and not np.isfinite(array).all():
            fail(f"{path}, {key}", got="NaN or Inf", wanted="finite numbers", fix=fix)
    return sizes


def check_parents(path: str | os.PathLike, parents: np.ndarray, *, fix: str) -> None:
    """Refuse a skeleton whose joints do not come after their parents, the root first.

    Args:
        path: of their file and the key, for messages.
        parents: row of each joint's parent; the root's own entry does not matter.
        fix: for messages.
    """
    later = np.asarray(parents, np.float64)[1:]
    wrong = ~((later >= 0) & (later <= np.arange(len(later))))
    if wrong.any():
        j = int(wrong.argmax()) + 1
        got = f"joint {j} with the parent {later[j - 1]:.0f}"
        fail(f"{path}", got=got, wanted=f"a parent from 0 to {j - 1}", fix=fix)


def _shown(key: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in key)[:60]
