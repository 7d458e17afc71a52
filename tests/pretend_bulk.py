"""A recipe of tiny stages, for the tests of the engines; as a script, a driver that can be killed.

python tests/pretend_bulk.py OUT '{"count": 24, "workers": 2, "seconds": 0.05}'
"""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.dataset.bulk.recipe import Needs, Packed, Rejected, Stage, Task
from toolkit.run.folder import digest


def first(models, state):
    time.sleep(models.seconds)
    return state | {"first": digest(str(state["index"]))}


def second(models, state):
    index = state["index"]
    if index in models.poison:
        raise ZeroDivisionError(f"poison {index}")
    if index in models.rejects:
        raise Rejected("odd", f"it is {index}", b"picture")
    if index in models.killers or (index in models.dies_once and not _was_here(models, index)):
        os.kill(os.getpid(), signal.SIGKILL)
    content = {"index": index, "metrics": {"square": index**2, "unknown": None}}
    if models.hashed:
        content["image_hash"] = digest(str(index // 2))  # two neighbours have one picture
    body = (state["first"] * (50 + index)).encode()
    return Packed({"json": json.dumps(content).encode(), "data.bin": body})


def _was_here(models, index):
    path = Path(models.marks) / str(index)
    known = path.exists()
    path.touch()
    return known


@dataclass(frozen=True)
class TinyRecipe:
    seconds: float = 0.0
    poison: tuple = ()
    rejects: tuple = ()
    killers: tuple = ()  # processes die at these samples, every time
    dies_once: tuple = ()  # or only the first time; `marks` is a folder that remembers
    marks: str = ""
    hashed: bool = False
    version: str = "1"
    cpus: float = 0.5
    stages: tuple = field(
        default=(Stage("first", first, "light"), Stage("second", second, "heavy")), repr=False
    )

    @property
    def needs(self):
        return {"light": Needs(self.cpus), "heavy": Needs(self.cpus)}

    def versions(self):
        return {"first": self.version, "second": "1"}

    def settings(self):
        return {"poison": list(self.poison)}

    def tasks(self, count):
        return [Task(i, digest(str(i), self.version), {"index": i}) for i in range(count)]

    def load(self, group):
        return self


def run(out, count, workers=1, engine="local", shard_size=5, **recipe):
    from toolkit.dataset.bulk.synthesize import synthesize

    recipe = {name: tuple(v) if isinstance(v, list) else v for name, v in recipe.items()}
    return synthesize(
        out, count, TinyRecipe(**recipe), engine=engine, workers=workers, shard_size=shard_size
    )


def bytes_of(folder):
    """Every file of a set, without its log."""
    files = {p.relative_to(folder).as_posix(): p for p in Path(folder).rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in files.items() if not name.startswith("log/")}


if __name__ == "__main__":
    run(sys.argv[1], **json.loads(sys.argv[2]))
