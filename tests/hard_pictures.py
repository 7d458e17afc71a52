"""Writers for pictures that Pillow does not write: any PNG, and colour profiles from numbers."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

D50, D65 = np.array([0.9642, 1.0, 0.8249]), np.array([0.9504, 1.0, 1.0889])
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


# --- PNG ---


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, depth: int, colour: int, *more: bytes, size=None) -> bytes:
    """A PNG of (H,W,C) whole numbers; `colour`: 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA.

    `more` are chunks before the pixels; `size` is a lie about width and height.
    """
    height, width = pixels.shape[:2]
    flat = np.ascontiguousarray(pixels).reshape(height, -1)
    if depth >= 8:
        rows = (
            flat.astype(">u2" if depth == 16 else "u1", order="C")
            .view(np.uint8)
            .reshape(height, -1)
        )
    else:
        bits = (flat[..., None] >> np.arange(depth - 1, -1, -1, dtype=flat.dtype)) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", *(size or (width, height)), depth, colour, 0, 0, 0)
    chunks = [
        chunk(b"IHDR", header),
        *more,
        chunk(b"IDAT", zlib.compress(raw, 1)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


# --- colour profiles ---


@dataclass(frozen=True)
class Space:
    """An RGB space: chromaticities (x, y) of red, green and blue, white, and its curve."""

    primaries: tuple
    white: np.ndarray
    gamma: float | None  # None: the curve of sRGB

    def matrix(self) -> np.ndarray:
        """Linear RGB to XYZ under D50, in which all profiles are written."""
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in self.primaries]).T
        to_xyz = columns * np.linalg.solve(columns, self.white)
        cones = np.diag((BRADFORD @ D50) / (BRADFORD @ self.white))
        return np.linalg.inv(BRADFORD) @ cones @ BRADFORD @ to_xyz

    def linear(self, rgb: np.ndarray) -> np.ndarray:
        if self.gamma:
            return rgb**self.gamma
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)

    def to_srgb(self, rgb: np.ndarray) -> np.ndarray:
        """What the numbers of this space are in sRGB; the reference of the tests."""
        xyz = self.linear(rgb) @ self.matrix().T
        linear = np.clip(xyz @ np.linalg.inv(SRGB.matrix()).T, 0, 1)
        low = linear <= 0.0031308
        return np.where(low, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


SRGB = Space(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65, None)
SPACES = {
    "Display P3": Space(((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65, None),
    "Adobe RGB": Space(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, 563 / 256),
    "ROMM RGB": Space(((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), D50, 1.8),
}


def fixed(values: np.ndarray) -> bytes:
    return np.round(np.asarray(values) * 65536).astype(">i4").tobytes()


def profile(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile, version 2, for a display or a printer."""
    name = b"A test's profile\0"
    text = struct.pack(">4sII", b"desc", 0, len(name)) + name + bytes(78)
    tags = {b"desc": text, b"wtpt": b"XYZ " + bytes(4) + fixed(D50)} | tags
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for key, data in tags.items():
        table += struct.pack(">4sII", key, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02400000, kind, space, pcs)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + fixed(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def curve(values: np.ndarray) -> bytes:
    table = np.round(np.asarray(values) * 65535).astype(">u2").tobytes()
    return struct.pack(">4sII", b"curv", 0, len(table) // 2) + table


def rgb_profile(space: Space) -> bytes:
    trc = curve(space.linear(np.linspace(0, 1, 1024)))
    columns = space.matrix().T
    xyz = {f"{c}XYZ".encode(): b"XYZ " + bytes(4) + fixed(columns[i]) for i, c in enumerate("rgb")}
    return profile(b"RGB ", xyz | {f"{c}TRC".encode(): trc for c in "rgb"})


def grey_profile(gamma: float) -> bytes:
    return profile(b"GRAY", {b"kTRC": curve(np.linspace(0, 1, 1024) ** gamma)})


def cmyk_profile() -> bytes:
    """A printer whose paper is white and whose every ink, even the yellow one, prints grey.

    Lightness falls by a quarter per full ink; in Lab, by a table of two points per ink.
    """
    inks = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    lightness = 1 - inks.sum(1) / 4
    lab = np.stack([lightness * 255, np.full(16, 128), np.full(16, 128)], axis=1)
    straight = np.arange(256, dtype=np.uint8).tobytes()
    table = struct.pack(">4sIBBBB", b"mft1", 0, 4, 3, 2, 0) + fixed(np.eye(3))
    table += straight * 4 + np.round(lab).astype(np.uint8).tobytes() + straight * 3
    return profile(b"CMYK", {b"A2B0": table, b"A2B1": table}, pcs=b"Lab ")
