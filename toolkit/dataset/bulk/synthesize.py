"""The whole job: records to a finished data set; a killed run goes on with the same command."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from toolkit.dataset.bulk.card import write_card
from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.index import write_index
from toolkit.dataset.bulk.local import run_local
from toolkit.dataset.bulk.log import RunLog
from toolkit.dataset.bulk.make import Outcome
from toolkit.dataset.bulk.manifest import Manifest, sha256_of
from toolkit.dataset.bulk.recipe import Recipe, Task
from toolkit.dataset.bulk.shards import ShardWriter
from toolkit.dataset.bulk.sheet import write_sheet
from toolkit.errors import fail
from toolkit.run.progress import Progress

SHARD_SIZE = 128
ENGINES = ("local", "ray")


def synthesize(
    out_dir: str | os.PathLike,
    count: int,
    recipe: Recipe,
    *,
    engine: str = "local",
    workers: int = 1,
    shard_size: int = SHARD_SIZE,
) -> Manifest:
    """Make a data set, or finish one, or top one up.

    A set's bytes depend on the recipe and the count alone: not on the engine, the number of
    workers, the order in which they finish, or how often the run was killed. Only `log/` differs.

    Args:
        out_dir: folder of the set.
        count: number of records; some may be rejected. More than last time tops the set up.
        recipe: what is made, e.g. `PeopleRecipe`.
        engine: "local", or "ray" for a cluster.
        workers: processes of the local engine, or of each group of stages on the cluster.
        shard_size: records per shard.

    Returns:
        What `dataset.json` holds.

    Raises:
        DiskError: the folder cannot be written, or the disk is full.
        InputError: a bad argument, or a folder that holds a set of other settings or code.
    """
    _check(count, engine, workers)
    folder = SetFolder(out_dir)
    if folder.path.is_file():
        fail("Output folder", got=f"the file {folder.path}", wanted="a folder", fix="Change --out.")
    with folder.locked():
        manifest = _open(folder, recipe, count, shard_size)
        shards = ShardWriter(folder, manifest, recipe.tasks(count), shard_size)
        missing = shards.missing
        if not (missing or not manifest.finished or manifest.count != count):
            return manifest
        manifest.count, manifest.finished = count, False
        manifest.save(folder)
        log = RunLog(folder, engine=engine, workers=workers)
        shards.write()
        for outcome in _with_bar(_run(engine, recipe, missing, folder.path, workers), len(missing)):
            start = time.process_time()
            log.add(outcome)
            shards.done(outcome.index, outcome.kind)
            log.driver_seconds += time.process_time() - start
        log.close()
        finish(folder, manifest)
    return manifest


def finish(folder: SetFolder, manifest: Manifest) -> None:
    """Index, sheet and card of a set whose shards are complete, and the checksums of all."""
    notes = [json.loads(p.read_bytes()) for p in sorted(folder.rejects.glob("*.json"))]
    manifest.rejected = dict(sorted(Counter(note["reason"] for note in notes).items()))
    manifest.failed = len(list(folder.quarantine.glob("*.json")))
    write_index(folder, manifest)
    write_sheet(folder, manifest)
    write_card(folder, manifest)
    folder.tidy()
    manifest.files = {
        path.relative_to(folder.path).as_posix(): sha256_of(path) for path in folder.others()
    }
    manifest.finished = True
    manifest.save(folder)


def _check(count: int, engine: str, workers: int) -> None:
    if count < 1 or workers < 1:
        fail("synthesize", got=f"count {count}, workers {workers}", wanted="1 or more", fix="Raise")
    if engine not in ENGINES:
        fail("engine", got=repr(engine), wanted=f"one of {', '.join(ENGINES)}", fix="Try local.")


def _open(folder: SetFolder, recipe: Recipe, count: int, shard_size: int) -> Manifest:
    """The manifest of an earlier run of the same recipe, or a new one."""
    settings = recipe.settings() | {"shard_size": shard_size}
    fresh = Manifest(settings, recipe.versions())
    if not folder.manifest.is_file():
        return fresh
    old = Manifest.load(folder)
    if old.sources:
        differing = ["it is a merged set"]
    else:
        parts = (("settings", old.settings, settings), ("version", old.versions, fresh.versions))
        differing = [
            f"{part} of {name}" if part == "version" else name
            for part, before, now in parts
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
    if differing:
        fail(
            f"{folder.path}",
            got=f"a set that differs in: {', '.join(differing)}",
            wanted="an empty folder, or a set of the same settings and the same code",
            fix="Choose another --out; `dataset merge` joins two sets.",
        )
    if count < old.count:
        fail(
            "count",
            got=count,
            wanted=f"at least {old.count}, which {folder.path} has already",
            fix="Choose another --out for a smaller set.",
        )
    return old


def _run(
    engine: str, recipe: Recipe, tasks: Sequence[Task], out_dir: Path, workers: int
) -> Iterator[Outcome]:
    if not tasks:
        return iter(())
    if engine == "ray":
        from toolkit.dataset.bulk.on_ray import run_ray

        return run_ray(recipe, tasks, out_dir, workers=workers)
    return run_local(recipe, tasks, out_dir, workers=workers)


def _with_bar(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """A bar with the time that is left, and with what was not good enough."""
    lost = Counter()
    with Progress("people", total) as tick:
        tick.bar.bar_format = (
            "{desc} {bar:24} {n_fmt}/{total_fmt} {elapsed}, {remaining} left{postfix}"
        )
        for outcome in outcomes:
            lost[outcome.kind] += 1
            kinds = {k: lost[k] for k in ("rejected", "failed") if lost[k]}
            tick.bar.set_postfix(kinds, refresh=False)
            yield outcome
            tick()
