"""The engine of a cluster: Ray Data streams the samples through actors that hold the models.

Each group of stages is a pool of actors; Ray Data lets the samples flow from pool to pool, with as
many under way as fit into memory, and starts an actor again when its machine dies. It may run a
task twice. That does no harm: a sample's file has one name and one content, see `make`.

All machines must see the set's folder under the same path.
"""

import logging
import os
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.make import FATAL, Outcome, advance, begin, finish
from toolkit.dataset.bulk.recipe import Needs, Recipe, Task, groups_of
from toolkit.errors import MissingCapabilityError, fail
from toolkit.run.progress import silent


class Actor:
    """A process of one group; rows go in and out as pickles."""

    def __init__(self, recipe: Recipe, group: str, versions: dict[str, str], out_dir: Path):
        """Load the models of the group.

        Args:
            recipe: whose stages are run.
            group: which of them.
            versions: that the driver has; the code on this machine must be the same.
            out_dir: of the set, where the last group writes.
        """
        here = recipe.versions()
        if here != versions:
            differing = sorted(name for name in versions if versions[name] != here.get(name))
            self.trouble = f"other code or weights on {os.uname().nodename}: {differing}"
            return
        self.trouble, self.folder = "", SetFolder(out_dir)
        self.stages = [stage for stage in recipe.stages if stage.group == group]
        self.is_last = group == groups_of(recipe)[-1]
        with silent():
            self.models = {group: recipe.load(group)}

    def __call__(self, row: dict) -> dict:
        """Run the group's stages on one sample."""
        value = pickle.loads(row["sample"])
        if isinstance(value, Exception):
            return row
        try:
            if self.trouble:
                raise MissingCapabilityError(self.trouble)
            with silent():
                value = advance(value, self.stages, self.models)
            if self.is_last:
                value = finish(value, self.folder)
        except FATAL as error:  # Ray would try again for ever; the driver raises it
            value = error
        return {"sample": pickle.dumps(value)}


def run_ray(
    recipe: Recipe, tasks: Sequence[Task], out_dir: Path, *, workers: int
) -> Iterator[Outcome]:
    """Make samples on the cluster that `RAY_ADDRESS` names, or on this machine.

    Args:
        recipe: picklable.
        tasks: what is to be made.
        out_dir: of the set, on a disk that all machines share.
        workers: actors of each group.

    Raises:
        MissingCapabilityError: Ray is not installed, there are no machines for what a group needs,
            or a machine has other code.
        DiskError: a machine could not write.
    """
    ray = _connect(recipe)
    out_dir, versions = Path(out_dir).absolute(), recipe.versions()
    rows = [{"sample": pickle.dumps(begin(task))} for task in tasks]
    # small blocks: a machine that dies costs few samples, and outcomes arrive one by one
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    for group in groups_of(recipe):
        needs = recipe.needs[group]
        data = data.map(
            Actor,
            fn_constructor_args=(recipe, group, versions, out_dir),
            concurrency=(1, workers) if workers > 1 else 1,
            num_cpus=needs.cpus,
            num_gpus=needs.gpus or None,
        )
    for row in data.iter_rows():
        value = pickle.loads(row["sample"])
        if isinstance(value, Exception):
            raise value
        yield value


def _connect(recipe: Recipe) -> "module":  # noqa: F821 - the module `ray`
    """Ray, connected to a cluster that has what the recipe needs."""
    try:
        import ray
        import ray.data
    except ImportError:
        fail(
            "engine ray",
            got="no package ray",
            wanted="Ray Data",
            fix="Install it with: pip install 'toolkit[scale]', or use --engine local.",
            kind=MissingCapabilityError,
        )
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # our own bar counts samples
    context.max_errored_blocks = 0
    _check_resources(ray.cluster_resources(), recipe.needs)
    return ray


def _check_resources(has: dict[str, float], needs: dict[str, Needs]) -> None:
    """One actor of each group must fit at the same time, else Ray would wait for ever."""
    for name, wanted in (
        ("CPU", sum(n.cpus for n in needs.values())),
        ("GPU", sum(n.gpus for n in needs.values())),
    ):
        if has.get(name, 0) < wanted:
            fail(
                "engine ray",
                got=f"a cluster with {has.get(name, 0):g} {name}",
                wanted=f"{wanted:g} {name} for one process of each group of stages",
                fix="Add machines, or use --engine local.",
                kind=MissingCapabilityError,
            )
