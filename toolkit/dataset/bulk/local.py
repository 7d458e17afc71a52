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
from toolkit.run.progress import silent

MAX_DEATHS = 3


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
    one_thread()
    with silent():
        return {group: recipe.load(group) for group in groups_of(recipe)}


def one_thread() -> None:
    """One thread per process: results must not depend on how many cores a machine has."""
    import torch

    torch.set_num_threads(1)


class _Pool:
    """Processes, each with a pipe, and the task that each of them is at."""

    def __init__(self, recipe: Recipe, out_dir: Path, size: int):
        self.recipe, self.out_dir, self.size = recipe, out_dir, size
        self.context = multiprocessing.get_context("spawn")  # torch does not survive a fork
        self.processes: dict[Connection, multiprocessing.process.BaseProcess] = {}
        self.busy: dict[Connection, Task] = {}

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        queue, deaths = deque(tasks), Counter()
        try:
            for _ in range(self.size):
                self._start()
            while queue or self.busy:
                for pipe in [p for p in self.processes if p not in self.busy][: len(queue)]:
                    self._give(pipe, queue.popleft())
                for pipe in wait(list(self.busy)):
                    task = self.busy.pop(pipe)
                    try:
                        result = pipe.recv()
                    except (EOFError, ConnectionError):  # the process is dead
                        deaths[task.index] += 1
                        if result := self._replace(pipe, task, deaths[task.index]):
                            yield result
                        else:
                            queue.appendleft(task)
                        continue
                    if isinstance(result, Exception):
                        raise result
                    yield result
        finally:
            for process in self.processes.values():
                process.kill()  # whatever it is at is made anew by the next run
                process.join()

    def _start(self) -> None:
        here, there = self.context.Pipe()
        process = self.context.Process(
            target=_work, args=(there, self.recipe, self.out_dir), daemon=True
        )
        process.start()
        there.close()  # else we would not see that the process is dead
        self.processes[here] = process

    def _give(self, pipe: Connection, task: Task) -> None:
        self.busy[pipe] = task
        try:
            pipe.send(task)
        except ConnectionError:
            pass  # it died while it was idle: `wait` will say so

    def _replace(self, pipe: Connection, task: Task, deaths: int) -> Outcome | None:
        """A new process for a dead one; the sample's outcome if it has killed too many."""
        process = self.processes.pop(pipe)
        process.join()
        pipe.close()
        self._start()
        if deaths < MAX_DEATHS:
            return None
        trace = f"{deaths} processes died at this sample, the last with code {process.exitcode}."
        return finish(Progressing(task, Failed("process", trace)), SetFolder(self.out_dir))


def _work(pipe: Connection, recipe: Recipe, out_dir: Path) -> None:
    """A process: takes tasks until the driver is gone."""
    # A driver that is killed cannot end its processes. Left alone, they would write into a set that
    # the next run is already at work on.
    threading.Thread(target=_die_with_driver, daemon=True).start()
    folder = SetFolder(out_dir)
    try:
        models, trouble = _load(recipe), None
    except Exception as error:
        models, trouble = {}, error  # raised in the driver, once it has given us a task
    while True:
        try:
            task = pipe.recv()
        except (EOFError, ConnectionError):  # the driver is gone
            return
        try:
            if trouble:
                raise trouble
            with silent():
                result = finish(advance(begin(task), recipe.stages, models), folder)
        except Exception as error:
            result = error
        try:
            pipe.send(result)
        except ConnectionError:
            return


def _die_with_driver() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
