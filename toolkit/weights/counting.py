"""How many numbers a weight holds: counted in its files' headers, else worked out from its size.

A file may be stored in float32 and loaded in bfloat16, or hold tensors that are never loaded, so
its size in bytes does not say what it takes on a GPU.
"""

import json
import re
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path

from toolkit.weights.search import locate
from toolkit.weights.table import WEIGHTS

# Stored in 2 bytes per number; all others in 4. Only for weights that are not on this machine, and
# for files without a readable header.
STORED_IN_16_BITS = re.compile(r"flux|llama|qwen|smollm")
# The first number of every header: its own length. More than this is no safetensors file.
LONGEST_HEADER = 100_000_000


def count(name: str, *, skip: re.Pattern[str] | None = None) -> float:
    """Numbers in a weight.

    Args:
        name: a key of `WEIGHTS`.
        skip: matches the names of tensors that are not loaded.

    Returns:
        Counted where the files are on this machine and have headers; else bytes over bytes per
        number. 0 where the size of a download is not known.
    """
    located = locate(WEIGHTS[name])
    if not located.complete:
        return (WEIGHTS[name].bytes or 0) / bytes_per_number(name)
    return sum(count_file(path, name, skip=skip) for path in weight_files(located.folder, name))


def count_parts(name: str) -> dict[str, float] | None:
    """Numbers in each part of a pipeline's folder, by the name of its subfolder.

    Args:
        name: a key of `WEIGHTS` in the layout of diffusers.

    Returns:
        None if the weight is not on this machine.
    """
    located = locate(WEIGHTS[name])
    if not located.complete:
        return None
    parts: dict[str, float] = {}
    for path in sorted(located.folder.glob("*/*.safetensors")):
        parts[path.parent.name] = parts.get(path.parent.name, 0) + count_file(path, name)
    return parts


def weight_files(folder: Path, name: str) -> Iterator[Path]:
    """The files of a weight that hold numbers."""
    for pattern in WEIGHTS[name].files:
        if not pattern.endswith(".json"):
            yield from (path for path in sorted(folder.glob(pattern)) if path.is_file())


def count_file(path: Path, name: str, *, skip: re.Pattern[str] | None = None) -> float:
    """Numbers in one file.

    Args:
        path: of the file.
        name: of the weight it belongs to.
        skip: matches the names of tensors that are not loaded.
    """
    shapes = read_shapes(path) if path.suffix == ".safetensors" else None
    if shapes is None:
        return path.stat().st_size / bytes_per_number(name)
    return sum(prod(s) for key, s in shapes.items() if not (skip and skip.match(key)))


def read_shapes(path: Path) -> dict[str, list[int]] | None:
    """Name and shape of every tensor of a safetensors file, from its header alone; None if broken.

    Source: the format's description, github.com/huggingface/safetensors.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if not 0 < length < LONGEST_HEADER:
                return None
            header = json.loads(file.read(length))
        return {key: entry["shape"] for key, entry in header.items() if key != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return None


def bytes_per_number(name: str) -> int:
    """In the published files of a weight."""
    return 2 if STORED_IN_16_BITS.match(name) else 4
