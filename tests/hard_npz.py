"""Writers for npz files that numpy does not write: lies about sizes, pickles, bombs."""

import io
import struct
import zipfile

import numpy as np


class Evil:
    """Its pickle would print when it is opened, and the test would see it."""

    def __reduce__(self):
        return (print, ("a pickle was run",))


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=True)
    return stream.getvalue()


def claims(shape, dtype="<f4", data=b"") -> bytes:
    """An npy file whose header names a shape that its bytes do not have."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def zipped(members: dict[str, bytes], method=zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def npz(arrays: dict) -> bytes:
    """Values are arrays, or bytes for a member that is not what it should be."""
    return zipped(
        {f"{k}.npy": v if isinstance(v, bytes) else npy(v) for k, v in arrays.items()},
        zipfile.ZIP_DEFLATED,
    )


def lying_size(data: bytes) -> bytes:
    """The archive says that each member unpacks to 16 bytes."""
    data = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset : at + offset + 4] = struct.pack("<I", 16)
            at = data.find(mark, at + 4)
    return bytes(data)


def flipped(data: bytes, share: float) -> bytes:
    """The same with 32 wrong bytes."""
    at = int(share * len(data))
    return data[:at] + bytes(b ^ 0x5A for b in data[at : at + 32]) + data[at + 32 :]


def encrypted(data: bytes) -> bytes:
    """The archive says that its members need a password."""
    data = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    return bytes(data)
