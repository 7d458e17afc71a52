"""The engine of one machine: samples are made here, or in a few processes.

Each process has a pipe of its own. So when one dies (killed, out of memory, a crash in a compiled
library), we know which sample it was at. It is tried again in a new process, and is put into
quarantine after `MAX_DEATHS`.
"""

import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.make import Failed, Outcome, Progressing, advance, begin, finish
from toolkit.dataset.bulk.recipe import Recipe, Task, groups_of
from toolkit.errors import MissingCapabilityError, fail
from toolkit.run.progress import silent

MAX_DEATHS = 3  # at one sample
MAX_DEATHS_LOADING = 10  # of processes that had no sample yet, in a row


def run_local(
    recipe: Recipe, tasks: Sequence[Task], out_dir: Path, *, workers: int
) -> Iterator[Outcome]:
    """Make samples, in any order; each outcome is on the disk when it is yielded.

    Args:
        recipe: picklable if there are several workers.
        tasks: what is to be made.
        out_dir: of the set.
        workers: processes; 1 works in this one.

    Raises:
        ToolkitError: what every other sample would fail with, too, e.g. a full disk.
    """
    if workers == 1:
        folder, models = SetFolder(out_dir), _load(recipe)
        for task in tasks:
            with silent():
                yield finish(advance(begin(task), recipe.stages, models), folder)
        return
    yield from _Pool(recipe, out_dir, min(workers, len(tasks))).run(tasks)


def _load(recipe: Recipe) -> dict:
    with silent():
        return {group: recipe.load(group) for group in groups_of(recipe)}


class _Pool:
    """Processes, each with a pipe, and what each of them is at: a task, or loading its models."""

    def __init__(self, recipe: Recipe, out_dir: Path, size: int):
        self.recipe, self.out_dir, self.size = recipe, out_dir, size
        self.context = multiprocessing.get_context("spawn")  # torch does not survive a fork
        self.processes: dict[Connection, multiprocessing.process.BaseProcess] = {}
        self.tasks: dict[Connection, Task | None] = {}
        self.deaths: Counter[int | None] = Counter()

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        queue = deque(tasks)
        try:
            for _ in range(self.size):
                self._start()
            while queue or any(self.tasks.values()):
                for pipe in wait(list(self.tasks)):
                    if result := self._hear(pipe, queue):
                        yield result
        finally:
            for process in self.processes.values():
                process.kill()  # whatever it is at is made anew by the next run
                process.join()

    def _hear(self, pipe: Connection, queue: deque[Task]) -> Outcome | None:
        """Take a process's outcome and give it the next task; replace it if it is dead."""
        task = self.tasks.pop(pipe)
        try:
            result = pipe.recv()
        except (EOFError, ConnectionError):
            result = self._replace(pipe, task)
            if task and not result:
                queue.appendleft(task)
            return result
        if isinstance(result, Exception):
            raise result
        self.deaths[None] = 0  # it could load its models
        if queue:
            self._give(pipe, queue.popleft())
        return result

    def _start(self) -> None:
        here, there = self.context.Pipe()
        process = self.context.Process(
            target=_work, args=(there, self.recipe, self.out_dir), daemon=True
        )
        process.start()
        there.close()  # else we would not see that the process is dead
        self.processes[here], self.tasks[here] = process, None

    def _give(self, pipe: Connection, task: Task) -> None:
        self.tasks[pipe] = task
        try:
            pipe.send(task)
        except ConnectionError:
            pass  # it died while it was idle: `wait` will say so

    def _replace(self, pipe: Connection, task: Task | None) -> Outcome | None:
        """A new process for a dead one; the sample's outcome if it has killed too many."""
        process = self.processes.pop(pipe)
        process.join()
        pipe.close()
        key = task.index if task else None
        self.deaths[key] += 1
        what = f"{self.deaths[key]} processes died here, the last with code {process.exitcode}"
        if task is None and self.deaths[None] >= MAX_DEATHS_LOADING:
            fail(
                "Workers",
                got=what,
                wanted="processes that can load the models",
                fix="Code -9 is mostly a lack of memory: try fewer --workers.",
                kind=MissingCapabilityError,
            )
        self._start()
        if task is None or self.deaths[key] < MAX_DEATHS:
            return None
        return finish(Progressing(task, Failed("process", what)), SetFolder(self.out_dir))


def _work(pipe: Connection, recipe: Recipe, out_dir: Path) -> None:
    """A process: takes tasks until the driver is gone."""
    # A driver that is killed cannot end its processes. Left alone, they would write into a set that
    # the next run is already at work on.
    threading.Thread(target=_die_with_driver, daemon=True).start()
    folder = SetFolder(out_dir)
    try:
        models, result = _load(recipe), None  # None says that we are ready for a task
    except Exception as error:
        models, result = {}, error
    while True:
        try:
            pipe.send(result)
        except ConnectionError:
            return
        try:
            task = pipe.recv()
        except (EOFError, ConnectionError):  # the driver is gone
            return
        try:
            with silent():
                result = finish(advance(begin(task), recipe.stages, models), folder)
        except Exception as error:
            result = error


def _die_with_driver() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
