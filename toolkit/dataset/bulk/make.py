"""Make one sample: run the stages on it and write what came out. Both engines call this.

Nothing here depends on which process runs it, or on how often: the file's name is the sample's key,
and its content depends on the key alone. So a sample that is made twice is there once.
"""

import re
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from toolkit.dataset.bulk.folder import DiskError, SetFolder, as_json, write_bytes
from toolkit.dataset.bulk.recipe import Packed, Rejected, Stage, Task
from toolkit.dataset.bulk.tars import join, repack
from toolkit.errors import MissingCapabilityError, MissingFileError

ATTEMPTS = 2  # at a sample whose stages raise: the first failure may have been chance
FATAL = (DiskError, MissingFileError, MissingCapabilityError)  # every sample would fail in this way


@dataclass
class Progressing:
    """A sample between two groups of stages; picklable if its state is.

    Attributes:
        task: what is to be made.
        state: what the next stage is given, or the `Packed`, `Rejected` or `Failed` at the end.
        seconds: stage -> time that it took.
        cpu_seconds: stage -> time of this process, which other programs do not make longer.
    """

    task: Task
    state: Any
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """A poison sample: its stages raise.

    Attributes:
        stage: that raised.
        trace: the traceback, or what else is known.
    """

    stage: str
    trace: str


@dataclass(frozen=True)
class Outcome:
    """What became of a task, for the log.

    Attributes:
        index: of the task.
        kind: "made", "rejected" or "failed".
        seconds, cpu_seconds: stage -> time that it took.
    """

    index: int
    kind: str
    seconds: dict[str, float]
    cpu_seconds: dict[str, float]


def begin(task: Task) -> Progressing:
    """A sample before its first stage."""
    return Progressing(task, task.start)


def advance(sample: Progressing, stages: Iterable[Stage], models: dict[str, Any]) -> Progressing:
    """Run stages on a sample until one rejects it or fails.

    Args:
        sample: whose state the first of the stages takes.
        stages: in order.
        models: group -> its models.

    Raises:
        DiskError, MissingFileError, MissingCapabilityError: every other sample would fail, too.
    """
    state, seconds, cpu_seconds = sample.state, dict(sample.seconds), dict(sample.cpu_seconds)
    for stage in stages:
        if isinstance(state, Rejected | Failed):
            break
        start, cpu_start = time.perf_counter(), time.process_time()
        state = _attempt(stage, models[stage.group], state)
        seconds[stage.name] = round(time.perf_counter() - start, 4)
        cpu_seconds[stage.name] = round(time.process_time() - cpu_start, 4)
    return Progressing(sample.task, state, seconds, cpu_seconds)


def _attempt(stage: Stage, models: object, state: object) -> object:
    for attempt in range(ATTEMPTS):
        try:
            return stage.run(models, state)
        except Rejected as rejected:
            return rejected
        except FATAL:
            raise
        except Exception:  # whatever a stage may raise: one sample must not end the run
            if attempt + 1 == ATTEMPTS:
                # addresses differ from run to run, and the note must not
                return Failed(stage.name, re.sub(r"0x[0-9a-f]+", "0x", traceback.format_exc()))
    raise AssertionError("unreachable")


def finish(sample: Progressing, folder: SetFolder) -> Outcome:
    """Write the result of a sample: its file, or why there is none.

    Raises:
        DiskError: it cannot be written.
    """
    task, state = sample.task, sample.state
    about = {"index": task.index, "key": task.key}
    if isinstance(state, Packed):
        write_bytes(folder.sample(task), join([repack(task.name, state.members)]))
        return _outcome(sample, "made")
    if isinstance(state, Failed):
        about |= {"stage": state.stage, "traceback": state.trace}
        write_bytes(folder.note(task, failed=True), as_json(about))
        return _outcome(sample, "failed")
    reject(task, state, folder)
    return _outcome(sample, "rejected")


def _outcome(sample: Progressing, kind: str) -> Outcome:
    return Outcome(sample.task.index, kind, sample.seconds, sample.cpu_seconds)


def reject(task: Task, why: Rejected, folder: SetFolder) -> None:
    """Write down why a sample is not in the set."""
    note = folder.note(task, failed=False)
    if why.thumbnail:
        write_bytes(note.with_suffix(".jpg"), why.thumbnail)
    about = {"index": task.index, "key": task.key, "reason": why.reason, "detail": why.detail}
    write_bytes(note, as_json(about))  # last: who finds it can rely on the picture
