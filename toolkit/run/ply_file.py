"""The numbers of a PLY file that anybody may have written, with one clear error if it is damaged.

    ply                                     the header is text, its lines end with \\n or \\r\\n
    format binary_little_endian 1.0         or binary_big_endian, or ascii
    comment, obj_info                       left out
    element vertex 20000                    rows of numbers, one element after the other
    property float x                        or "float32"; a list has its length before its numbers
    property list uchar int vertex_indices
    end_header

`plyfile` reads all of this. Before it makes room for as many rows as the header names, that number
is compared here with the size of the file.
"""

import os

import numpy as np
from plyfile import PlyData

from toolkit.errors import MissingFileError, fail, reading

MAX_HEADER_BYTES = 2**20
SIZES = {"char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "float": 4}
SIZES |= {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4}
SIZES |= {"double": 8, "float64": 8}
WANTED, FIX = "a 3DGS PLY", "Export it again as a Gaussian-splatting PLY."


def read_ply_columns(path: str | os.PathLike, element: str = "vertex") -> dict[str, np.ndarray]:
    """All properties of one element that hold one number per row.

    Args:
        path: of the file.
        element: whose rows are read.

    Returns:
        Numbers by property, in the file's own type. Properties that are lists are left out.

    Raises:
        MissingFileError: there is no such file.
        InputError: no PLY file, damaged, or more rows than the file has room for.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f"{path} does not exist. Give the path of a 3DGS .ply file.")
    with reading(path, wanted=WANTED, fix=FIX):
        _check_size(path)
        rows = PlyData.read(str(path), mmap=False)[element]
        names = [p.name for p in rows.properties if rows.data.dtype[p.name].kind in "iuf"]
        return {name: rows[name] for name in names}


def _check_size(path: str | os.PathLike) -> None:
    """Compare what the header promises with the number of bytes that are there."""
    with open(path, "rb") as file:
        head = file.read(MAX_HEADER_BYTES)
    header, mark, _ = head.partition(b"end_header")
    words = [line.split() for line in header.decode("ascii", "replace").splitlines()]
    if not mark or words[:1] != [["ply"]]:
        got = "a file that is no PLY" if words[:1] != [["ply"]] else "a header without an end"
        fail(f"{path}", got=got, wanted=WANTED, fix=FIX)
    ascii_rows = ["format", "ascii", "1.0"] in words
    count, row, least = 0, 0, 0  # of the element at hand; bytes of all before it
    for line in words:
        if line[:1] == ["element"]:
            count, row, least = int(line[2]), 0, least + count * row
        elif line[:1] == ["property"]:
            row += 2 if ascii_rows else SIZES[line[2 if line[1] == "list" else 1]]
    least += count * row
    there = os.path.getsize(path) - len(header) - len(mark)
    if least > there + 1 or count < 0:  # an ASCII file may lack its last line break
        promised = f"a header that promises {least} bytes or more, and {there} bytes"
        fail(f"{path}", got=promised, wanted=WANTED, fix="It is cut off: get the file again.")
