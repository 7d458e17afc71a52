"""A cluster in a simulation: how the number of people per minute grows with the workers, and stops.

Each worker makes one sample after the other. Three things keep a thousand workers from being a
thousand times as fast: the driver, which takes every finished sample one after the other; slow
machines; and machines that die, whose sample is lost and whose models are loaded again. The end of
a run costs, too: the last samples leave most workers idle.

Source: SimPy's process interaction; the costs are measured, see `experiments/synthesize.py`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from toolkit.errors import MissingCapabilityError, fail

if TYPE_CHECKING:
    import simpy


@dataclass(frozen=True)
class Costs:
    """What the simulation is fed with.

    Attributes:
        seconds: mean time of a sample in a worker.
        spread: standard deviation of that time, seconds.
        driver_seconds: of a sample in the driver, which does one at a time.
        loading_seconds: until a new worker is ready.
    """

    seconds: float
    spread: float
    driver_seconds: float
    loading_seconds: float

    @property
    def knee(self) -> float:
        """Number of workers that keep the driver busy all the time; more do not help."""
        return self.seconds / self.driver_seconds


@dataclass(frozen=True)
class Troubles:
    """What goes wrong.

    Attributes:
        deaths_per_hour: of each worker.
        slow_share: of the workers, in [0, 1].
        slowness: factor on the times of these.
    """

    deaths_per_hour: float = 0.0
    slow_share: float = 0.0
    slowness: float = 1.0


@dataclass(frozen=True)
class Simulated:
    """What came out.

    Attributes:
        per_minute: samples per minute of the whole run.
        efficiency: of that, against as many workers without troubles, driver or end; in [0, 1].
        deaths: workers that died.
        driver_busy: share of the run in which the driver was busy.
    """

    per_minute: float
    efficiency: float
    deaths: int
    driver_busy: float


def simulate(
    workers: int, count: int, costs: Costs, troubles: Troubles | None = None, *, seed: int = 0
) -> Simulated:
    """Run a cluster in simulated time.

    Args:
        workers: 1 or more.
        count: samples of the run.
        costs: of a sample.
        troubles: none if left out.
        seed: of the times and the deaths.

    Raises:
        InputError: no workers or no samples.
        MissingCapabilityError: SimPy is not installed.
    """
    if workers < 1 or count < 1:
        fail(
            "simulate", got=f"{workers} workers, {count} samples", wanted="1 or more", fix="Raise."
        )
    try:
        import simpy
    except ImportError:
        fail(
            "simulate",
            got="no package simpy",
            wanted="SimPy",
            fix="Install it with: pip install simpy",
            kind=MissingCapabilityError,
        )
    cluster = _Cluster(simpy.Environment(), count, costs, troubles or Troubles(), seed)
    cluster.driver = simpy.Resource(cluster.env)
    for worker in range(workers):
        cluster.env.process(cluster.work(worker, workers))
    cluster.finished = cluster.env.event()
    cluster.env.run(cluster.finished)
    wall = cluster.env.now
    return Simulated(
        60 * count / wall,
        count * costs.seconds / workers / wall,
        cluster.deaths,
        count * costs.driver_seconds / wall,
    )


class _Cluster:
    """What the workers share."""

    def __init__(
        self, env: "simpy.Environment", count: int, costs: Costs, troubles: Troubles, seed: int
    ):
        self.env, self.costs, self.troubles = env, costs, troubles
        self.waiting = self.left = count
        self.deaths, self.seed = 0, seed
        # a log-normal time: never negative, and with a long tail; of these mean and spread
        self.sigma = math.sqrt(math.log(1 + (costs.spread / costs.seconds) ** 2))
        self.mu = math.log(costs.seconds) - self.sigma**2 / 2

    def work(self, worker: int, workers: int) -> Iterator["simpy.Event"]:
        """A worker: loads its models, then makes samples; may die and start anew."""
        rng = np.random.default_rng([self.seed, worker])
        slow = worker < round(self.troubles.slow_share * workers)
        factor = self.troubles.slowness if slow else 1.0
        yield self.env.timeout(self.costs.loading_seconds)
        death = self._next_death(rng)
        while self.waiting:
            self.waiting -= 1
            seconds = factor * rng.lognormal(self.mu, self.sigma)
            if self.env.now + seconds > death:
                yield self.env.timeout(max(death - self.env.now, 0))
                self.deaths += 1
                self.waiting += 1  # the sample is lost: somebody makes it again
                yield self.env.timeout(self.costs.loading_seconds)
                death = self._next_death(rng)
                continue
            yield self.env.timeout(seconds)
            with self.driver.request() as turn:
                yield turn
                yield self.env.timeout(self.costs.driver_seconds)
            self.left -= 1
            if not self.left:
                self.finished.succeed()

    def _next_death(self, rng: np.random.Generator) -> float:
        rate = self.troubles.deaths_per_hour / 3600
        return self.env.now + rng.exponential(1 / rate) if rate else math.inf
