"""The folder of a data set: what lies where, and how a file gets there whole or not at all.

dataset.json    settings, versions, and the SHA-256 of every other file
index.parquet   one row per sample
shards/         people-000000.tar, ...
rejects/        one .json (and .jpg) per sample that was not good enough, with the reason
quarantine/     one .json per sample whose stages failed, with the traceback
card.md, sheet.jpg
log/            how long the stages took; differs from run to run
work/           samples that are in no shard yet; gone when the set is finished
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.dataset.bulk.recipe import Task
from toolkit.errors import ToolkitError, fail
from toolkit.run.files import PARTIAL_PREFIX, atomic_path


class DiskError(ToolkitError, OSError):
    """A file could not be written: the disk is full, or the folder is not ours."""

    def __str__(self) -> str:
        return str(self.args[0])


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and have it on the disk before its name appears.

    Writing the same bytes twice, also from two processes at once, leaves the same file.

    Raises:
        DiskError: the disk is full, or the folder cannot be written.
    """
    try:
        with atomic_path(path) as tmp, open(tmp, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a machine that dies after the rename must not leave zeros
    except OSError as error:
        fail(
            f"Output {path}",
            got=error.strerror or repr(error),
            wanted="a folder that can be written and a disk with room",
            fix="Make room or choose another --out; the same command goes on. "
            "What was finished before is intact.",
            kind=DiskError,
        )


def as_json(value: object) -> bytes:
    """JSON with a stable order of keys."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


class SetFolder:
    """Paths of a data set's folder."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.manifest = self.path / "dataset.json"
        self.index = self.path / "index.parquet"
        self.shards = self.path / "shards"
        self.rejects = self.path / "rejects"
        self.quarantine = self.path / "quarantine"
        self.log = self.path / "log"
        self.work = self.path / "work"

    def sample(self, task: Task) -> Path:
        """A finished sample before it is in a shard."""
        return self.work / f"{task.index:06d}-{task.key}.tar"

    def note(self, task: Task, *, failed: bool) -> Path:
        """Why a sample was rejected, or how its stages failed."""
        return (self.quarantine if failed else self.rejects) / f"{task.index:06d}.json"

    def outcome(self, task: Task) -> str | None:
        """What became of a task: "made", "rejected", "failed", or None if nothing yet."""
        if self.sample(task).is_file():
            return "made"
        for kind, failed in (("rejected", False), ("failed", True)):
            path = self.note(task, failed=failed)
            if path.is_file() and json.loads(path.read_bytes())["key"] == task.key:
                return kind
        return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and keep every other run out of it while the block runs.

        Raises:
            DiskError: the folder cannot be made or written.
            InputError: another run is at work here, or the path is a file.
        """
        if self.path.is_file():
            fail("Output folder", got=f"the file {self.path}", wanted="a folder", fix="Change it.")
        path = self.work / "lock"
        if not path.exists():
            write_bytes(path, b"")
        with open(path, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system frees it on any death
            except OSError:
                fail(
                    f"Output folder {self.path}",
                    got="another run that is at work in it",
                    wanted="one run at a time",
                    fix="Wait for it, or choose another --out.",
                )
            try:
                yield
            finally:
                if list(self.work.glob("*")) == [path]:  # nothing to go on with
                    shutil.rmtree(self.work, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what only an unfinished set needs, and what killed processes left half-written."""
        shutil.rmtree(self.work, ignore_errors=True)
        for stale in self.path.rglob(f"{PARTIAL_PREFIX}*"):
            stale.unlink(missing_ok=True)

    def others(self) -> Iterator[Path]:
        """Files of a finished set beside its shards, `dataset.json` and the log, in order."""
        apart = (self.shards, self.log, self.work)
        for path in sorted(self.path.rglob("*")):
            if path.is_file() and path != self.manifest and not set(apart) & set(path.parents):
                yield path
