"""Tar files whose bytes depend on their content alone, and that can be joined like strings.

A tar file is a row of members, each a header of 512 bytes and its data padded to 512, and two empty
blocks at the end. So the members of a sample are packed once, without the end; a shard is the
samples one after the other and then the end. In WebDataset's layout the members of one sample
follow each other and share their name up to its first dot.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from toolkit.errors import fail

BLOCK = 512
END = bytes(2 * BLOCK)


def pack(members: dict[str, bytes]) -> bytes:
    """Members as tar blocks, without the end of the file.

    Args:
        members: name -> data; names have at most 100 characters.
    """
    blocks = []
    for name, data in members.items():
        # no date, no owner, one mode: two machines write the same header
        header = tarfile.TarInfo(name)
        header.size, header.mode, header.mtime = len(data), 0o644, 0
        blocks += [header.tobuf(tarfile.USTAR_FORMAT), data, bytes(-len(data) % BLOCK)]
    return b"".join(blocks)


def join(samples: Iterable[bytes]) -> bytes:
    """A tar file of packed samples."""
    return b"".join([*samples, END])


def read_members(path: Path, ending: str = "") -> Iterator[tuple[str, bytes]]:
    """Names and data of a tar file, in order; data of other members are not read.

    Args:
        path: of the file.
        ending: only members whose name ends so.

    Raises:
        InputError: the file is cut off or is no tar file.
    """
    try:
        _check_end(path)  # tarfile takes a file that ends early for a shorter one
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.name.endswith(ending):
                    data = tar.extractfile(member).read()
                    if len(data) != member.size:
                        raise tarfile.ReadError(f"{member.name} is cut off")
                    yield member.name, data
    except (tarfile.TarError, EOFError) as error:
        fail(
            f"Shard {path}",
            got=f"a file that is cut off or damaged ({error})",
            wanted="a whole tar file",
            fix="Delete it and run the command that made the data set again.",
        )


def _check_end(path: Path) -> None:
    with open(path, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - len(END), 0))
        if size % BLOCK or file.read() != END:
            raise tarfile.ReadError("its end is missing")


def read_samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Sample ids and their members (ending after the first dot -> data), in order.

    Raises:
        InputError: the file is cut off or is no tar file.
    """
    for sample, members in groupby(read_members(path), key=lambda m: m[0].split(".")[0]):
        yield sample, {name.split(".", 1)[1]: data for name, data in members}


def repack(sample: str, parts: dict[str, bytes]) -> bytes:
    """What `pack` made of a sample that `read_samples` has read."""
    return pack({f"{sample}.{ending}": data for ending, data in parts.items()})
