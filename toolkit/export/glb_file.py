"""The container of binary glTF 2.0: a JSON chunk, and a chunk of arrays that it points into.

A GLB file is 12 bytes of header and these two chunks. Every array is a *buffer view* (bytes from,
bytes long) and an *accessor* (which view, which number type, how many). Nothing of it needs a
library; the tests open the files with those of others.

Source: Khronos, glTF 2.0 specification, Sec. 3.6 and 4.4.
"""

import json
import os
import struct
from pathlib import Path

import numpy as np

from toolkit.errors import MissingFileError, fail
from toolkit.run.files import atomic_path

JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942  # "JSON" and "BIN\0" as little-endian numbers
COMPONENTS = {"float32": 5126, "uint32": 5125, "uint16": 5123, "uint8": 5121}
TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
VERTICES, INDICES = 34962, 34963  # what a buffer view is for, as OpenGL's constants


class GlbWriter:
    """Collects arrays; `document` is the glTF JSON that refers to them by number."""

    def __init__(self):
        self.document = {
            "asset": {"version": "2.0", "generator": "toolkit"},
            "scene": 0,
            "accessors": [],
            "bufferViews": [],
        }
        self._binary = bytearray()

    def add(
        self,
        array: np.ndarray,
        *,
        target: int | None = None,
        normalized: bool = False,
        bounds: bool = False,
    ) -> int:
        """Append an array and return the number of its accessor.

        Args:
            array: (N, ...) with a type of `COMPONENTS` and a shape of `TYPES` per element.
            target: `VERTICES`, `INDICES`, or None for anything else.
            normalized: bytes stand for 0 to 1.
            bounds: write the smallest and largest value, as positions and times need it.
        """
        array = np.ascontiguousarray(array)
        view = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": array.nbytes}
        if target is not None:
            view["target"] = target
        accessor = {
            "bufferView": len(self.document["bufferViews"]),
            "componentType": COMPONENTS[array.dtype.name],
            "count": len(array),
            "type": TYPES[array.shape[1:]],
        }
        if normalized:
            accessor["normalized"] = True
        if bounds:
            rows = array.reshape(len(array), -1)
            accessor["min"], accessor["max"] = rows.min(0).tolist(), rows.max(0).tolist()
        self._binary += array.tobytes()
        self._binary += b"\0" * (-len(self._binary) % 4)  # every view starts at a multiple of 4
        self.document["bufferViews"].append(view)
        self.document["accessors"].append(accessor)
        return len(self.document["accessors"]) - 1

    def save(self, path: str | os.PathLike) -> None:
        """Write the file, whole or not at all."""
        self.document["buffers"] = [{"byteLength": len(self._binary)}]
        text = json.dumps(self.document, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)  # JSON is padded with spaces, arrays with zeros
        size = 12 + 8 + len(text) + 8 + len(self._binary)
        with atomic_path(path) as tmp, open(tmp, "wb") as file:
            file.write(struct.pack("<4sII", b"glTF", 2, size))
            file.write(struct.pack("<II", len(text), JSON_CHUNK) + text)
            file.write(struct.pack("<II", len(self._binary), BINARY_CHUNK) + self._binary)


def read_glb(path: str | os.PathLike) -> tuple[dict, bytes]:
    """The JSON document and the binary chunk of a GLB file.

    Raises:
        MissingFileError: there is no such file.
        InputError: not a GLB file of version 2.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist. Give a .glb file.")
    data = path.read_bytes()
    try:
        magic, version, _ = struct.unpack_from("<4sII", data)
        length, kind = struct.unpack_from("<II", data, 12)
        document = json.loads(data[20 : 20 + length])
    except (struct.error, ValueError):
        magic, version, kind, document = b"", 0, 0, None
    if (magic, version, kind) != (b"glTF", 2, JSON_CHUNK) or not isinstance(document, dict):
        fail(str(path), got="something else", wanted="a GLB file, version 2", fix="Export again.")
    return document, data[28 + length :]


def accessor_array(document: dict, binary: bytes, number: int) -> np.ndarray:
    """The array of one accessor, normalised bytes as floats of 0 to 1."""
    accessor = document["accessors"][number]
    view = document["bufferViews"][accessor["bufferView"]]
    name = next(n for n, code in COMPONENTS.items() if code == accessor["componentType"])
    shape = next(s for s, kind in TYPES.items() if kind == accessor["type"])
    count = accessor["count"] * int(np.prod(shape))
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    array = np.frombuffer(binary, name, count, start).reshape(accessor["count"], *shape)
    return array / np.float32(np.iinfo(name).max) if accessor.get("normalized") else array
