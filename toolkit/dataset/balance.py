"""Balanced records: each new record is chosen to even out what the set has so far.

For every factor in turn, the sampler takes the level that lowers most the squared deviations from
the targets, of single levels and of pairs, each divided by its target (Pearson's chi-square). Then
it goes through the factors again, given all others. So every prefix of the sequence is balanced,
and a set that exists already is topped up by the same rule.

Source: Pocock and Simon 1975, minimisation (there for clinical trials); with pairs, ours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from toolkit.dataset.factors import FACTORS, NUM_LEVELS, numbers_of, values_of
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.selection import choices_of
from toolkit.dataset.targets import Targets, make_targets
from toolkit.errors import fail

# A level meets one level of each other factor: so many pairs, hence the weight of the single one.
SINGLE_WEIGHT = len(FACTORS) - 1
ROUNDS = 2  # over all factors: the first fills the record, the others mend it
TRIES = 100  # orders of the factors, until one does not run into a dead end
Selection = Mapping[str, str | Iterable[str]]


def balanced_records(
    count: int,
    seed: int = 0,
    *,
    fixed: Selection | None = None,
    excluded: Selection | None = None,
    existing: Sequence[AttributeRecord] = (),
    gender_clothes: bool = False,
) -> list[AttributeRecord]:
    """Records with even shares of every value, and with as little dependence as the rules allow.

    The first records of a longer sequence are those of a shorter one, and topping up by n gives
    what the longer sequence would have had.

    Args:
        count: number of new records.
        seed: another seed breaks ties in other ways.
        fixed: attribute -> the value, or values, that are left to it.
        excluded: attribute -> the value, or values, that it must not have.
        existing: records that are there already; the new ones even out the whole. Their indices
            are continued.
        gender_clothes: as in `rules.conflicts`.

    Raises:
        InputError: a negative count, an unknown attribute or value, or a contradictory choice.
    """
    if count < 0:
        fail("count", got=count, wanted="0 or more", fix="Ask for at least one record.")
    choices = choices_of(fixed or {}, excluded or {})
    targets = make_targets(choices, gender_clothes=gender_clothes)
    tally, growth = Tally.of(existing), _Growth(targets)
    first = max((record.index for record in existing), default=-1) + 1
    records = []
    for index in range(first, first + count):
        rng = np.random.default_rng([seed, index])
        growth.update(tally, rng)
        numbers = _next_record(growth, rng)
        tally.add(numbers)
        records.append(AttributeRecord(index, seed, record_values(numbers)))
    return records


def record_values(numbers: Sequence[int]) -> dict[str, str]:
    """A record's values from the numbers of its levels, one per factor."""
    named = zip(FACTORS.values(), numbers, strict=True)
    return values_of({factor.name: factor.levels[n - factor.start] for factor, n in named})


@dataclass
class Tally:
    """How many records there are, with each level, and with each pair of levels."""

    count: int
    single: Float[np.ndarray, " L"]
    pair: Float[np.ndarray, "L L"]

    @classmethod
    def of(cls, records: Iterable[AttributeRecord]) -> "Tally":
        """Count records; a value that is no level of ours ("any" hat) is left out."""
        tally = cls(0, np.zeros(NUM_LEVELS), np.zeros((NUM_LEVELS, NUM_LEVELS)))
        for record in records:
            tally.add([n for n in numbers_of(record.values) if n >= 0])
        return tally

    def add(self, numbers: Sequence[int]) -> None:
        """Count one more record."""
        self.count += 1
        self.single[numbers] += 1
        self.pair[np.ix_(numbers, numbers)] += 1


def _next_record(growth: "_Growth", rng: np.random.Generator) -> list[int]:
    """Levels of the record that evens the tally out best, as far as a greedy search finds it."""
    for _ in range(TRIES):
        chosen = _fill(growth, rng)
        if chosen is not None:
            break
    else:
        fail(
            "Choice of attributes",
            got=f"no record that obeys every rule after {TRIES} tries",
            wanted="a choice that leaves more open",
            fix="Fix or exclude fewer values.",
        )
    for _ in range(ROUNDS - 1):
        for place in rng.permutation(len(chosen)):
            others = np.delete(chosen, place)
            chosen[place] = growth.best(free_levels(growth.targets, place, others), others)
    return [int(number) for number in chosen]


def _fill(growth: "_Growth", rng: np.random.Generator) -> np.ndarray | None:
    """A level for every factor, in random order; None at a dead end."""
    chosen = np.full(len(FACTORS), -1)
    for place in rng.permutation(len(FACTORS)):
        others = chosen[chosen >= 0]
        free = free_levels(growth.targets, place, others)
        if not len(free):
            return None
        chosen[place] = growth.best(free, others)
    return chosen


SPANS = [np.arange(f.start, f.span.stop) for f in FACTORS.values()]


def free_levels(targets: Targets, place: int, others: np.ndarray) -> np.ndarray:
    """Levels of a factor that go with those chosen for others."""
    span = SPANS[place]
    possible = targets.single[span] > 0
    return span[possible & targets.allowed[np.ix_(others, span)].all(0)]


class _Growth:
    """By how much the deviations from the targets grow with each level of a new record."""

    def __init__(self, targets: Targets):
        self.targets = targets
        self.per_single, self.per_pair = _inverse(targets.single), _inverse(targets.pair)

    def update(self, tally: Tally, rng: np.random.Generator) -> None:
        """Work out the growth for the record that comes after those of the tally."""
        # With m records after the new one, (P + x - m t)^2 / t is larger for x = 1 than for x = 0
        # by (2 (P - m t) + 1) / t. The 1 is damped where less than a whole record is due (m t < 1):
        # else 1 / t would keep rare levels out of a set until it is large.
        wanted = (tally.count + 1) * self.targets.single
        pairs = (tally.count + 1) * self.targets.pair
        own, own_pairs = np.minimum(1, 2 * wanted), np.minimum(0.5, 2 * pairs)
        self.single = (2 * (tally.single - wanted) + own) * self.per_single * SINGLE_WEIGHT
        self.single += 1e-6 * rng.random(NUM_LEVELS)  # breaks ties
        self.pair = (2 * (tally.pair - pairs) + own_pairs) * self.per_pair

    def best(self, free: np.ndarray, others: np.ndarray) -> int:
        """Of the free levels the one that adds least, given the levels of other factors."""
        return int(free[np.argmin(self.single[free] + self.pair[np.ix_(others, free)].sum(0))])


def _inverse(shares: np.ndarray) -> np.ndarray:
    """1 / share; 0 for what cannot occur, and is therefore never looked at."""
    return np.divide(1, shares, out=np.zeros_like(shares), where=shares > 0)
