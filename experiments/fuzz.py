"""Damaged files for every reader: how often each was read, refused, or did what it must not do.

    python -m experiments.fuzz                  # ten minutes, writes the table
    python -m experiments.fuzz --seconds 5 --out runs/fuzz.json        # a trial

Hypothesis draws the damage (`experiments.fuzz_mutate`). A reader must give a result or raise a
`ToolkitError` within `HANG_S` seconds, and leave no file behind. Each reader runs in a process of
its own, so that a crash in a library's C code is counted and ends nothing else. What went wrong
lies in runs/fuzz afterwards, with the file that did it.
"""

import multiprocessing
import os
import re
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Annotated

import typer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tqdm import tqdm

from experiments.document import RELIABILITY_PAGE, Out, TableOnly, markdown_table, number, publish
from experiments.fuzz_mutate import Edit, damaged
from experiments.fuzz_targets import TARGETS, Target
from toolkit.errors import ToolkitError
from toolkit.run.folder import read_json, write_json
from tools.command import run

GOAL = 1_000_000
HANG_S, DEAD_S = 10.0, 60.0  # an exception ends a slow reader; a process that sleeps in C is killed
BATCH = 2000  # executions with one seed of hypothesis
CHECKED = (b"\x89PNG", b"PK\x03\x04")  # files with checksums inside
FOLDER = Path("runs/fuzz")
COUNTS = ("executions", "read", "refused", "crashes", "hangs", "partial outputs")
EDITS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1)),
    min_size=1,
    max_size=4,
)


class Hang(BaseException):
    """Raised by the alarm; no reader catches it."""


def _alarm(*_: object) -> None:
    raise Hang


class Trial:
    """One reader, its files and what came of each execution."""

    def __init__(self, target: Target, folder: Path):
        self.target, self.folder, self.seeds = target, folder, target.seeds()
        self.counts = dict.fromkeys(COUNTS, 0)
        self.kinds: dict[str, int] = {}  # of crashes, by the place in the code
        folder.mkdir(parents=True, exist_ok=True)

    def execute(self, edits: list[Edit]) -> None:
        """Damage every file, also behind its checksums if it has any, and read it."""
        for which, data in enumerate(self.seeds):
            for inside in (False, True) if data.startswith(CHECKED) else (False,):
                self._execute(which, edits, inside)

    def _execute(self, which: int, edits: list[Edit], inside: bool) -> None:
        data = damaged(self.seeds, which, edits, inside)
        endings = self.target.endings
        path = self.folder / f"input{endings[which % len(self.seeds) % len(endings)]}"
        path.write_bytes(data)
        outcome = self._read(path)
        path.unlink()
        if left := [p for p in self.folder.iterdir() if p.name != "failures"]:
            outcome = "partial outputs"
            for file in left:
                file.unlink()
        if outcome in COUNTS[3:] and self.counts[outcome] < 20:
            kept = self.folder / "failures" / f"{outcome} {self.counts[outcome]}{path.suffix}"
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(data)
        self.counts["executions"] += 1
        self.counts[outcome] += 1

    def _read(self, path: Path) -> str:
        signal.setitimer(signal.ITIMER_REAL, HANG_S)
        try:
            self.target.read(path)
            return "read"
        except ToolkitError as error:
            lines = f"{error}".strip().splitlines()
            return "refused" if len(lines) == 1 else self._crash("a message of several lines")
        except Hang:
            return "hangs"
        except Exception as error:  # noqa: BLE001  this is what is looked for
            frame = traceback.extract_tb(error.__traceback__)[-1]
            return self._crash(f"{type(error).__name__} in {Path(frame.filename).name}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _crash(self, kind: str) -> str:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        return "crashes"


def batch(trial: Callable[[list[Edit]], object], number: int, examples: int) -> None:
    """Let hypothesis draw so many damages; the same number draws the same.

    Args:
        trial: gets the damage.
        number: of the batch, the seed.
        examples: how many.
    """

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(EDITS)
    def draw(edits: list[Edit]) -> None:
        trial(edits)

    draw()


def _cpu_s() -> float:
    """CPU time of this process and of those that it started and ended."""
    return sum(os.times()[:4])


def _peak_mb() -> float:
    """Most memory that this process has held, MB; on Linux without what its parent held."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    held = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return (held or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss])[0] / 1024


def _work(index: int, seconds: float, first: int, done: Synchronized, folder: Path) -> None:
    """One process: batches until the CPU time is used up; the counts go to a file."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and others comment on every file
    signal.signal(signal.SIGALRM, _alarm)
    trial = Trial(TARGETS[index], folder)
    start, peak, number = _cpu_s(), 0.0, first

    def one(edits: list[Edit]) -> None:
        nonlocal peak
        if _cpu_s() - start < seconds:
            trial.execute(edits)
            done.value = trial.counts["executions"]
            if not peak and done.value >= 100:  # imports and first calls are done
                peak = _peak_mb()

    while _cpu_s() - start < seconds:
        batch(one, number, BATCH)
        number += 1
        spent = _cpu_s() - start
        memory = {"peak_mb": _peak_mb(), "grown_mb": _peak_mb() - peak, "cpu_s": spent}
        write_json(folder.with_suffix(".json"), trial.counts | memory | {"kinds": trial.kinds})


def fuzz(index: int, seconds: float) -> dict:
    """Run one reader in a process; a process that dies or stands still is counted."""
    target = TARGETS[index]
    folder = FOLDER / re.sub(r"\W+", "_", target.name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".json").unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    done = context.Value("Q", 0)
    process = context.Process(target=_work, args=(index, seconds, 1000 * index, done, folder))
    process.start()
    last, since = 0, time.monotonic()
    while process.is_alive():
        process.join(0.5)
        if done.value != last:
            last, since = done.value, time.monotonic()
        elif last and time.monotonic() - since > DEAD_S:
            process.kill()
    result = folder.with_suffix(".json")
    row = read_json(result) if result.is_file() else dict.fromkeys(COUNTS, 0) | {"kinds": {}}
    if process.exitcode != 0:  # the input that did it still lies in the folder
        kind = "hangs" if process.exitcode == -signal.SIGKILL else "crashes"
        row[kind] += 1
        row["executions"] = done.value + 1
        row["kinds"][f"the process ended with {process.exitcode}"] = 1
    return row


def measure(seconds: float) -> dict:
    """All readers, one after the other."""
    return {
        target.name: fuzz(index, seconds) | {"files": len(target.seeds())}
        for index, target in enumerate(tqdm(TARGETS, desc="readers"))
    }


def tables(numbers: dict) -> dict[str, str]:
    """A row per reader, and the sum."""
    numbers = {t.name: numbers[t.name] for t in TARGETS if t.name in numbers}  # JSON sorts them
    heads = ["reader", "files damaged", *COUNTS, "peak memory, MB", "of it after the first 100, MB"]
    rows = [
        [name, str(row["files"]), *(f"{row[c]:,}" for c in COUNTS)]
        + [number(row.get("peak_mb"), 0), number(row.get("grown_mb"), 0)]
        for name, row in numbers.items()
    ]
    sums = {c: sum(row[c] for row in numbers.values()) for c in COUNTS}
    rows.append(["all", "", *(f"{sums[c]:,}" for c in COUNTS), "", ""])
    total, minutes = sums["executions"], sum(row.get("cpu_s", 0) for row in numbers.values()) / 60
    verdict = "met" if total >= GOAL else "**missed**"
    text = f"{total:,} executions in {minutes:.0f} CPU minutes; the goal of {GOAL:,} is {verdict}. "
    wrong = sum(sums[c] for c in COUNTS[3:])
    text += f"Crashes, hangs and partial outputs: {wrong} (goal: none).\n\n"
    kinds = [
        f"- {name}: {k}, {n} times" for name, r in numbers.items() for k, n in r["kinds"].items()
    ]
    return {"": text + markdown_table(heads, rows) + "".join(f"\n{line}" for line in kinds)}


def main(
    seconds: Annotated[float, typer.Option(help="CPU time for each reader")] = 60.0,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Measure and write docs/results/fuzz.json with its table in docs/reliability.md."""
    publish(
        "fuzz",
        lambda: measure(seconds),
        tables,
        table_only=table_only,
        out=out,
        page=RELIABILITY_PAGE,
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
