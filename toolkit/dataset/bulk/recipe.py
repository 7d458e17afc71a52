"""What the engines run: stages, which are plain functions on one sample, and who defines them.

The engines know nothing of people. They pass a sample's state from stage to stage; the last stage
returns a `Packed`. The state must be picklable at the end of a group of stages, since the next
group may run in another process or on another machine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Stage:
    """One step of the work on one sample.

    Attributes:
        name: for times and errors.
        run: (models of the group, state) -> state; depends on nothing else.
        group: stages of a group share models and run in the same process.
    """

    name: str
    run: Callable[[Any, Any], Any]
    group: str


@dataclass(frozen=True)
class Needs:
    """What one process of a group occupies, for the scheduler of a cluster.

    Attributes:
        cpus: cores.
        gpus: share of a GPU, e.g. 0.25: four processes on one.
    """

    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True)
class Task:
    """One sample to be made.

    Attributes:
        index: of its record.
        key: digest of the record, the seeds and every stage's version; names its result.
        start: the state that the first stage is given.
    """

    index: int
    key: str
    start: Any

    @property
    def name(self) -> str:
        """Id of the sample: unique in this set and, by the key, among others."""
        return f"{self.index:06d}-{self.key[:8]}"


@dataclass(frozen=True)
class Packed:
    """A finished sample.

    Attributes:
        members: ending -> file; "json" holds what the index says about the sample.
    """

    members: dict[str, bytes]


@dataclass
class Rejected(Exception):
    """A sample that is well computed and not good enough.

    Attributes:
        reason: a few words, the same for all samples with this fault: rejects are counted by it.
        detail: what was measured.
        thumbnail: a small JPEG, or nothing.
    """

    reason: str
    detail: str = ""
    thumbnail: bytes = field(default=b"", repr=False)

    def __reduce__(self) -> tuple:  # an Exception with three arguments does not pickle by itself
        return Rejected, (self.reason, self.detail, self.thumbnail)


class Recipe(Protocol):
    """Stages with their models and versions.

    Attributes:
        stages: in order; those of a group stand together.
        needs: group -> what a process of it occupies.
    """

    stages: Sequence[Stage]
    needs: dict[str, Needs]

    def versions(self) -> dict[str, str]:
        """Stage -> digest of its code, settings and weights."""

    def settings(self) -> dict:
        """What the bytes of the set depend on, JSON-able; without the number of samples."""

    def tasks(self, count: int) -> list[Task]:
        """The first `count` samples."""

    def load(self, group: str) -> Any:
        """The models of a group."""


def groups_of(recipe: Recipe) -> list[str]:
    """Groups in order."""
    return list(dict.fromkeys(stage.group for stage in recipe.stages))
