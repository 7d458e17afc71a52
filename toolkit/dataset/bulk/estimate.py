"""What a run will cost: measured here by a warm-up of three people, or from published figures."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.dataset.bulk.make import advance, begin
from toolkit.dataset.bulk.published import NOT_PUBLISHED, PUBLISHED, Published
from toolkit.dataset.bulk.recipe import Packed, Recipe, groups_of
from toolkit.dataset.bulk.tars import repack
from toolkit.errors import fail
from toolkit.run.progress import Progress, silent

WARM_UP = 3  # the first of them loads compiled code and is not counted


@dataclass(frozen=True)
class Estimate:
    """What a run will cost.

    Attributes:
        count: records.
        workers: processes that work at the same time; never more than this machine has cores.
        seconds: stage -> mean seconds per sample, measured here.
        loading_seconds: until a process has its models, and compiled code.
        bytes_per_sample: of a shard.
        published: stages that this machine does not run, with published figures.
    """

    count: int
    workers: int
    seconds: dict[str, float]
    loading_seconds: float
    bytes_per_sample: float
    published: tuple[Published, ...] = ()

    @property
    def wall_seconds(self) -> float:
        """Time of the measured stages, shared by the workers, and the loading of models once."""
        return self.loading_seconds + self.count * sum(self.seconds.values()) / self.workers

    @property
    def gpu_hours(self) -> float:
        """Of the published stages."""
        return self.count * sum(stage.seconds for stage in self.published) / 3600


def estimate_run(recipe: Recipe, count: int, *, workers: int = 1) -> Estimate:
    """Make three samples, write nothing, and extrapolate.

    With models that need a GPU nothing is made: the figures are published ones.

    Args:
        recipe: what is made.
        count: records of the run.
        workers: of the run.

    Raises:
        InputError: `count` or `workers` below 1, or no sample came out.
    """
    if count < 1 or workers < 1:
        fail("estimate", got=f"count {count}, workers {workers}", wanted="1 or more", fix="Raise.")
    workers = min(workers, os.cpu_count() or 1, count)
    on_gpu = {group for group, needs in recipe.needs.items() if needs.gpus}
    if on_gpu:
        stages = {stage.name for stage in recipe.stages if stage.group in on_gpu}
        published = tuple(p for p in PUBLISHED if p.stage in stages)
        return Estimate(count, workers, {}, 0.0, 0.0, published)
    samples, loading = _warm_up(recipe)
    seconds = {
        stage.name: sum(s.seconds.get(stage.name, 0.0) for s in samples) / len(samples)
        for stage in recipe.stages
    }
    sizes = [
        len(repack(s.task.name, s.state.members)) for s in samples if isinstance(s.state, Packed)
    ]
    if not sizes:
        fail("estimate", got="no sample", wanted="one that passes", fix="Try to synthesize 3.")
    return Estimate(count, workers, seconds, loading, sum(sizes) / len(sizes))


def _warm_up(recipe: Recipe) -> tuple[Sequence[Any], float]:
    """Samples without the first, and the seconds until that one was made."""
    start = time.perf_counter()
    with Progress("warm-up", WARM_UP) as tick, silent():
        models = {group: recipe.load(group) for group in groups_of(recipe)}
        samples, loading = [], 0.0
        for task in recipe.tasks(WARM_UP):
            samples.append(advance(begin(task), recipe.stages, models))
            loading = loading or time.perf_counter() - start
            tick()
    return samples[1:], loading - sum(samples[1].seconds.values())


def describe(estimate: Estimate) -> str:
    """Lines for the terminal."""
    lines = [f"{estimate.count} people, {estimate.workers} at a time"]
    for stage, seconds in estimate.seconds.items():
        lines.append(f"  {stage:<10} {seconds:8.2f} s per person, measured here and now")
    for stage in estimate.published:
        lines.append(
            f"  {stage.stage:<10} {stage.seconds:8.2f} s per person: {stage.model}, {stage.gpu}"
        )
        lines.append(f"             {stage.source}")
    if estimate.published:
        lines.append(f"  no published figure: {', '.join(NOT_PUBLISHED)}")
        lines.append(f"GPU hours: {estimate.gpu_hours:,.0f}")
    else:
        wall = estimate.wall_seconds
        lines.append(f"time: {_span(wall)}, {60 * estimate.count / wall:.1f} people per minute")
        total = estimate.count * estimate.bytes_per_sample
        lines.append(f"size: {total / 1e9:.2f} GB, {estimate.bytes_per_sample / 1e3:.0f} kB each")
    return "\n".join(lines)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
