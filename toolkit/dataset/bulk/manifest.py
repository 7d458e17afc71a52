"""`dataset.json`: what a set was made with, and the checksum of everything in it.

It is rewritten after every shard, so it is at any time true of the shards that it names. It holds
a checksum of itself, too.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from toolkit.dataset.bulk.folder import SetFolder, as_json, write_bytes
from toolkit.errors import MissingFileError, fail

FORMAT = "toolkit-people-1"


@dataclass(frozen=True)
class Shard:
    """A finished shard.

    Attributes:
        file: path within the set.
        first, last: range of the records that it covers, `last` not included; some of them may
            have been rejected.
        samples: id of each sample inside -> its key, in order.
        sha256: of the file.
        bytes: of the file.
    """

    file: str
    first: int
    last: int
    samples: dict[str, str]
    sha256: str
    bytes: int


@dataclass
class Manifest:
    """Content of `dataset.json`.

    Attributes:
        settings: of the recipe; empty for a merged set, which has `sources` instead.
        versions: stage -> digest of its code, settings and weights.
        count: number of records, rejected ones included.
        finished: False while a run is under way.
        shards: in order.
        rejected: reason -> how many.
        failed: how many samples are in quarantine.
        files: every other file of the set -> its SHA-256.
        sources: of a merged set, the `settings` and `versions` of its parts.
    """

    settings: dict
    versions: dict[str, str]
    count: int = 0
    finished: bool = False
    shards: list[Shard] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    files: dict[str, str] = field(default_factory=dict)
    sources: list[dict] = field(default_factory=list)

    @property
    def people(self) -> int:
        """How many samples the shards hold."""
        return sum(len(shard.samples) for shard in self.shards)

    def save(self, folder: SetFolder) -> None:
        """Write `dataset.json`."""
        write_bytes(folder.manifest, seal({"format": FORMAT} | asdict(self)))

    @classmethod
    def load(cls, folder: SetFolder) -> "Manifest":
        """Read `dataset.json`.

        Raises:
            MissingFileError: there is none.
            InputError: it was changed or damaged.
        """
        if not folder.manifest.is_file():
            raise MissingFileError(
                f"{folder.manifest} does not exist. "
                f"Make a set with: python -m toolkit synthesize --count 8 --out {folder.path}"
            )
        content = unseal(folder.manifest)
        if content.pop("format", None) != FORMAT:
            fail(f"{folder.manifest}", got="another format", wanted=FORMAT, fix="Make it again.")
        shards = [Shard(**shard) for shard in content.pop("shards")]
        return cls(**content, shards=shards)


def seal(content: dict) -> bytes:
    """JSON with a checksum of the rest inside."""
    return as_json(content | {"sha256_of_the_rest": sha256(as_json(content))})


def unseal(path: Path) -> dict:
    """Read what `seal` wrote.

    Raises:
        InputError: any byte of it was changed.
    """
    data = path.read_bytes()
    try:
        content = json.loads(data)
        content.pop("sha256_of_the_rest")
        intact = seal(content) == data  # every byte, blanks too
    except (ValueError, KeyError, AttributeError):
        intact = False
    if not intact:
        fail(
            f"{path}",
            got="a file that was changed or damaged",
            wanted="the checksum that it holds of itself",
            fix="Get it back from a copy, or make the set again.",
        )
    return content


def sha256(data: bytes) -> str:
    """Of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """Of a file, read piece by piece."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
