"""Damage to files, made from a few numbers: the same numbers give the same damage.

Bytes are changed, cut out, repeated and replaced by numbers that readers stumble over. Where a
checksum would hide the damage from the code behind it (the chunks of a PNG, the members of a zip),
the damage is done inside, and the checksum is made right again.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence

Edit = tuple[int, int, int]  # which damage, where (a share of 2^16), and its value
WORDS = (b"nan", b"-1", b"1e999", b"0", b"9" * 40, b"\xff\xfe", b"\0", b"{", b"[" * 50, b"\n\n")
NUMBERS = (0, 1, -1, 0x7F, 0x80, 0x7FFF, 0x7FFFFFFF, -0x80000000, 0x10000000, 0x00FFFFFF)
PNG = b"\x89PNG\r\n\x1a\n"


def damaged(seeds: Sequence[bytes], which: int, edits: Sequence[Edit], inside: bool) -> bytes:
    """A damaged copy of one of the seeds.

    Args:
        seeds: whole files.
        which: of them; any number.
        edits: damage, one after the other.
        inside: behind the checksums, where the file has any.
    """
    data, other = seeds[which % len(seeds)], seeds[(which // 7) % len(seeds)]
    if inside and data[:4] == b"PK\x03\x04":
        return _inside_zip(data, edits)
    for edit in edits:
        data = _edited(data, edit, other)
    return _with_checksums(data) if inside and data.startswith(PNG) else data


def _edited(data: bytes, edit: Edit, other: bytes) -> bytes:
    kind, place, value = edit
    at = place * len(data) >> 16
    length = 1 + value % 64
    number = NUMBERS[value % len(NUMBERS)] & 0xFFFFFFFF
    word = WORDS[value % len(WORDS)]
    match kind % 10:
        case 0:  # one byte
            return data[:at] + bytes([value & 0xFF]) + data[at + 1 :]
        case 1:  # one bit
            flipped = bytes(b ^ (1 << value % 8) for b in data[at : at + 1])
            return data[:at] + flipped + data[at + 1 :]
        case 2:  # a number that stands for a size
            return data[:at] + struct.pack("<I", number) + data[at + 4 :]
        case 3:
            return data[:at] + struct.pack(">I", number) + data[at + 4 :]
        case 4:
            return data[:at] + word + data[at + len(word) :]
        case 5:
            return data[:at] + word + data[at:]
        case 6:
            return data[:at] + data[at + length :]
        case 7:  # repeated
            return data[:at] + data[at : at + length] * (1 + value % 9) + data[at + length :]
        case 8:
            return data[:at]
        case _:  # goes on like another file
            return data[:at] + other[place * len(other) >> 16 :]


def _inside_zip(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Members damaged one by one, packed again with the right checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = list(members)
    for kind, place, value in edits:
        name = names[value // 64 % len(names)]
        # most of a member is numbers; its first 128 bytes say what they are
        part = members[name][:128] if kind % 3 else members[name]
        members[name] = _edited(part, (kind, place, value), b"") + members[name][len(part) :]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have right checksums, as far as their lengths can be followed."""
    at = len(PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data):
            break
        checksum = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        data = data[:end] + checksum + data[end + 4 :]
        at = end + 4
    return data
