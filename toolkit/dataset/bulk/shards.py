"""From finished samples to shards, in the order of the records.

A shard covers a fixed range of records. It is written as soon as every record of its range has an
outcome and all earlier shards are there, so its bytes do not depend on which worker was fast.
"""

import json
from collections.abc import Sequence

from toolkit.dataset.bulk.folder import SetFolder, write_bytes
from toolkit.dataset.bulk.make import reject
from toolkit.dataset.bulk.manifest import Manifest, Shard, sha256, sha256_of
from toolkit.dataset.bulk.near import Pictures
from toolkit.dataset.bulk.recipe import Rejected, Task
from toolkit.dataset.bulk.tars import END, join, read_members, read_samples, repack
from toolkit.errors import fail


class ShardWriter:
    """Writes the shards of one run, and knows which tasks are done."""

    def __init__(
        self, folder: SetFolder, manifest: Manifest, tasks: Sequence[Task], shard_size: int
    ):
        """Look at what earlier runs have left.

        Args:
            folder: of the set.
            manifest: of the earlier runs; it is brought up to date with every shard.
            tasks: all samples of the set, in order.
            shard_size: records per shard.

        Raises:
            InputError: a shard is not what the manifest says.
        """
        self.folder, self.manifest, self.tasks = folder, manifest, tasks
        self.shard_size = shard_size
        self._check_shards()
        self._reopen_last()
        covered = manifest.shards[-1].last if manifest.shards else 0
        self.pictures = Pictures()
        for shard in manifest.shards:
            for name, data in read_members(folder.path / shard.file, ".json"):
                self.pictures.add(name.split(".")[0], json.loads(data))
        self.outcomes = dict.fromkeys(range(covered), "made")
        for task in tasks[covered:]:
            if kind := folder.outcome(task):
                self.outcomes[task.index] = kind

    @property
    def missing(self) -> list[Task]:
        """What is still to be made."""
        return [task for task in self.tasks if task.index not in self.outcomes]

    def done(self, index: int, kind: str) -> None:
        """Take note of an outcome, and write the shards that are complete now."""
        self.outcomes[index] = kind
        self.write()

    def write(self) -> None:
        """Write every shard whose records have all an outcome."""
        while span := self._next():
            packed, samples = [], {}
            for task in span:
                if self._accept(task):
                    packed.append(self.folder.sample(task).read_bytes().removesuffix(END))
                    samples[task.name] = task.key
            first, last = span[0].index, span[-1].index + 1
            file = f"shards/people-{first // self.shard_size:06d}.tar"
            data = join(packed)
            write_bytes(self.folder.path / file, data)
            shard = Shard(file, first, last, samples, sha256(data), len(data))
            self.manifest.shards.append(shard)
            self.manifest.save(self.folder)  # only now may the single samples go
            for task in span:
                self.folder.sample(task).unlink(missing_ok=True)

    def _next(self) -> Sequence[Task]:
        """Tasks of the next shard, if all of them have an outcome."""
        first = self.manifest.shards[-1].last if self.manifest.shards else 0
        span = self.tasks[first : first + self.shard_size]
        return span if all(task.index in self.outcomes for task in span) else ()

    def _accept(self, task: Task) -> bool:
        """Whether a sample goes into the shard; only here are samples compared with each other."""
        path = self.folder.sample(task)
        if not path.is_file():
            return False
        content = {n.split(".", 1)[1]: d for n, d in read_members(path)}
        row = json.loads(content["json"])
        if twin := self.pictures.twin_of(row):
            thumbnail = content.get("thumb_photo.jpg", b"")
            reject(task, Rejected("near-duplicate", f"of {twin}", thumbnail), self.folder)
            return False
        self.pictures.add(task.name, row)
        return True

    def _check_shards(self) -> None:
        """Every shard must be as it was written; from one that is gone on, all are made again."""
        for place, shard in enumerate(self.manifest.shards):
            path = self.folder.path / shard.file
            if not path.is_file():
                del self.manifest.shards[place:]
                self.manifest.save(self.folder)
                return
            if path.stat().st_size != shard.bytes or sha256_of(path) != shard.sha256:
                fail(
                    f"Shard {path}",
                    got="a file that was cut off or changed",
                    wanted="the bytes that dataset.json names",
                    fix="Delete this file and run the same command: its samples are made again, "
                    "the other shards stay.",
                )

    def _reopen_last(self) -> None:
        """Take the last shard apart if more records belong into it now."""
        if not self.manifest.shards:
            return
        last = self.manifest.shards[-1]
        if last.last >= min(last.first + self.shard_size, len(self.tasks)):
            return
        tasks = {task.name: task for task in self.tasks[last.first : last.last]}
        for name, parts in read_samples(self.folder.path / last.file):
            write_bytes(self.folder.sample(tasks[name]), join([repack(name, parts)]))
        self.manifest.shards.pop()
        self.manifest.save(self.folder)
