"""`log/`: how long each stage took for each sample. It differs from run to run, unlike the set."""

import json
import math
import os
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from toolkit.dataset.bulk.folder import SetFolder, write_bytes
from toolkit.dataset.bulk.make import Outcome
from toolkit.dataset.bulk.manifest import seal, sha256_of

LINES, SUMMARY = "seconds.jsonl", "run.json"


class RunLog:
    """Appends a line per outcome, and sums up at the end."""

    def __init__(self, folder: SetFolder, *, engine: str, workers: int):
        self.folder, self.about = folder, {"engine": engine, "workers": workers}
        self.path = folder.log / LINES
        lines = read_lines(self.path)  # without the one that a killed run has cut off
        write_bytes(self.path, b"".join(_line(line) for line in lines))
        self.start = time.perf_counter()
        self.times: list[float] = []  # of the outcomes
        self.driver_seconds = 0.0  # of this process, for what is done one sample after the other

    def add(self, outcome: Outcome) -> None:
        """One more line."""
        self.times.append(time.perf_counter())
        line = asdict(outcome)
        with open(self.path, "ab") as file:
            file.write(_line(line))

    def close(self) -> dict:
        """Write `log/run.json`: people per minute of this run, seconds per stage of all."""
        wall, count = time.perf_counter() - self.start, len(self.times)
        summary = self.about | {
            "wall_seconds": round(wall, 2),
            "samples_this_time": count,
            "per_minute": round(60 * count / wall, 3),
            "per_minute_once_loaded": self._once_loaded(),
            "driver_seconds_per_sample": round(self.driver_seconds / max(count, 1), 5),
            "load_at_end": round(os.getloadavg()[0], 2),
            "stages": stage_times(read_lines(self.path)),
            "stages_cpu": stage_times(read_lines(self.path), "cpu_seconds"),
            "files": {LINES: sha256_of(self.path)},
        }
        write_bytes(self.folder.log / SUMMARY, seal(summary))
        return summary

    def _once_loaded(self) -> float | None:
        """People per minute from the first outcome on; None for fewer than two."""
        if len(self.times) < 2:
            return None
        return round(60 * (len(self.times) - 1) / (self.times[-1] - self.times[0]), 3)


def read_lines(path: Path) -> list[dict]:
    """The whole lines of a log."""
    if not path.is_file():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def _line(content: dict) -> bytes:
    return (json.dumps(content, sort_keys=True) + "\n").encode()


def stage_times(lines: Iterable[dict], clock: str = "seconds") -> dict[str, dict[str, float]]:
    """Stage -> number of samples, and mean, standard deviation and largest of its seconds.

    Args:
        lines: of a log.
        clock: "seconds" or "cpu_seconds".
    """
    seconds: dict[str, list[float]] = {}
    for line in lines:
        for stage, value in line[clock].items():
            seconds.setdefault(stage, []).append(value)
    result = {}
    for stage, values in seconds.items():
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
        result[stage] = {
            "samples": len(values),
            "mean": round(mean, 4),
            "spread": round(spread, 4),
            "largest": max(values),
        }
    return result
