"""A run's folder: every stage is computed once and saved whole, so that a kill costs one stage.

    run.keep("coarse", Avatar, compute, file="state/coarse.npz")

computes an artefact, saves it and reads it back; a resumed run only reads it back. The next stage
always gets what was *read from disk*. So a resumed run and an uninterrupted one use the very same
bytes.
"""

import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from toolkit.errors import fail
from toolkit.run.files import PARTIAL_PREFIX, atomic_path
from toolkit.run.progress import Progress


def write_json(path: Path, value: Any) -> None:
    """Write JSON with a stable key order, whole or not at all."""
    with atomic_path(path) as tmp:
        tmp.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """What `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def digest(*parts: bytes | str) -> str:
    """Short SHA-256 of several byte strings: the identity of a run's inputs."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()[:16]


def peak_memory_mb() -> int:
    """Largest resident size of this process so far, in MB."""
    scale = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6)


class Artefact(Protocol):
    """What a stage makes: it writes itself into one file and reads itself back from there."""

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""


class Record(dict):
    """Numbers and names as an artefact: a dictionary that is saved as JSON."""

    def save(self, path: Path) -> None:
        """Write JSON with a stable key order."""
        write_json(path, self)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(read_json(path))


A = TypeVar("A", bound=Artefact)


class RunFolder:
    """Folder of one run; `state/` inside it holds what only the stages themselves need."""

    def __init__(self, path: str | os.PathLike, *, key: str, resume: bool):
        """Open or make the folder.

        Args:
            path: where results go.
            key: changes when the photo, a setting or a weight changes (`digest`); finished stages
                of another key are not reused.
            resume: reuse finished stages; otherwise start anew.

        Raises:
            InputError: the path is a file, or cannot be written.
        """
        self.path, self.key, self.resume = Path(path), key, resume
        self.state = self.path / "state"
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            (self.state / ".write_test").touch()
            (self.state / ".write_test").unlink()
        except OSError as error:
            fail(
                f"Output folder {self.path}",
                got=error.strerror,
                wanted="a folder that can be written",
                fix="Choose another --out.",
            )
        for folder in (self.path, self.state):  # what a killed run left half-written
            for stale in folder.glob(f"{PARTIAL_PREFIX}*"):
                stale.unlink(missing_ok=True)
        self.stages: dict[str, dict] = {}  # seconds and peak memory of each, for the report
        if resume and any(read_json(m).get("key") != key for m in self.state.glob("*.done.json")):
            print(
                f"{self.path} holds a run of another photo, other settings or other weights: "
                "its stages are computed anew.",
                file=sys.stderr,
            )
        if not resume:
            for marker in self.state.glob("*.done.json"):
                marker.unlink()

    def file(self, name: str) -> Path:
        """Path of a file in the folder."""
        return self.path / name

    def keep(
        self,
        name: str,
        kind: type[A],
        compute: Callable[[Progress], A],
        *,
        file: str,
        steps: int = 1,
    ) -> A:
        """The result of a stage: read back if this run finished it before, else computed and saved.

        Args:
            name: of the stage and of its progress bar.
            kind: class of the artefact, for reading it back.
            compute: makes it; is given the bar, to be called after each step.
            file: where the artefact is saved, within the folder.
            steps: length of the bar.
        """
        path, marker = self.file(file), self.state / f"{name}.done.json"
        record = self._finished(marker)
        if record is None:
            marker.unlink(missing_ok=True)
            start = time.perf_counter()
            with Progress(name, steps) as tick:
                compute(tick).save(path)
            record = {
                "key": self.key,
                "seconds": round(time.perf_counter() - start, 2),
                "peak_memory_mb": peak_memory_mb(),
            }
            write_json(marker, record)  # last: its presence says that the artefact is whole
        self.stages[name] = {k: v for k, v in record.items() if k != "key"}
        return kind.load(path)

    def _finished(self, marker: Path) -> dict | None:
        if not (self.resume and marker.is_file()):
            return None
        record = read_json(marker)
        return record if record.get("key") == self.key else None
