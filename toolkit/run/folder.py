"""A run's folder: every stage is computed once, saved whole, and read back: a kill costs a stage.

A stage's result is always *read back from disk* before the next stage uses it: a resumed run and an
uninterrupted one then see the very same bytes.
"""

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import fail
from toolkit.run.files import PARTIAL_PREFIX, atomic_path


def write_json(path: Path, value: Any) -> None:
    """Write JSON with a stable key order, whole or not at all."""
    with atomic_path(path) as tmp:
        tmp.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file, whole or not at all."""
    with atomic_path(path) as tmp:
        np.save(tmp, array)


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


class RunFolder:
    """Folder of one run; `state/` inside it holds what only the stages themselves need."""

    def __init__(self, path: str | Path, *, key: str, resume: bool):
        """Open or make the folder.

        Args:
            path: where results go.
            key: identity of the inputs (`digest`); finished stages of another key are not reused.
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
        self.stages: dict[str, dict] = {}
        if not resume:
            for marker in self.state.glob("*.done.json"):
                marker.unlink()

    def file(self, name: str) -> Path:
        return self.path / name

    def stage(
        self,
        name: str,
        compute: Callable[[], Any],
        save: Callable[[Any], None],
        load: Callable[[], Any],
    ) -> Any:
        """Result of a stage: from disk if this run finished it before, else computed and saved."""
        marker = self.state / f"{name}.done.json"
        record = self._finished(marker)
        if record is None:
            marker.unlink(missing_ok=True)
            start = time.perf_counter()
            save(compute())
            record = {
                "key": self.key,
                "seconds": round(time.perf_counter() - start, 2),
                "peak_memory_mb": peak_memory_mb(),
            }
            write_json(marker, record)
        self.stages[name] = {k: v for k, v in record.items() if k != "key"}
        return load()

    def _finished(self, marker: Path) -> dict | None:
        if not (self.resume and marker.is_file()):
            return None
        record = read_json(marker)
        return record if record.get("key") == self.key else None
