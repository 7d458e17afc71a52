"""One record drawn by chance, obeying the rules: for a single person, where nothing is to balance.

It is also what balance is measured against, see `experiments/balance.py`.
"""

import numpy as np
from jaxtyping import Int

from toolkit.dataset.balance import SPANS, TRIES, Selection, free_levels, record_values
from toolkit.dataset.factors import FACTORS
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.selection import choices_of
from toolkit.dataset.targets import Targets, make_targets
from toolkit.errors import fail


def sample_record(
    index: int = 0,
    seed: int = 0,
    *,
    fixed: Selection | None = None,
    excluded: Selection | None = None,
    gender_clothes: bool = False,
) -> AttributeRecord:
    """One record: each factor in random order, among the levels that go with those before.

    Args:
        index: another index is another draw, >= 0.
        seed: another seed as well.
        fixed: attribute -> the value, or values, that are left to it.
        excluded: attribute -> the value, or values, that it must not have.
        gender_clothes: as in `rules.conflicts`.

    Raises:
        InputError: a negative index, an unknown attribute or value, or a contradictory choice.
    """
    if index < 0:
        fail("index", got=index, wanted="0 or more", fix="Count from 0.")
    targets = make_targets(choices_of(fixed or {}, excluded or {}), gender_clothes=gender_clothes)
    rng = np.random.default_rng([seed, 99, index])
    for _ in range(TRIES):
        numbers = _draw(targets, rng)
        if numbers is not None:
            return AttributeRecord(index, seed, record_values(numbers))
    fail(
        "Choice of attributes",
        got=f"no record that obeys every rule after {TRIES} tries",
        wanted="a choice that leaves more open",
        fix="Fix or exclude fewer values.",
    )


def _draw(targets: Targets, rng: np.random.Generator) -> Int[np.ndarray, " F"] | None:
    """Numbers of levels, one per factor; None at a dead end."""
    chosen = np.full(len(FACTORS), -1)
    for place in rng.permutation(len(FACTORS)):
        free = free_levels(targets, place, chosen[chosen >= 0])
        if not len(free):
            return None
        shares = targets.single[free]
        chosen[place] = rng.choice(free, p=shares / shares.sum())
    return chosen


def independent_draw(targets: Targets, rng: np.random.Generator) -> Int[np.ndarray, " F"]:
    """Every factor by itself, rules ignored: the numbers may contradict each other.

    Args:
        targets: their shares of single levels are drawn from.
        rng: random numbers.
    """
    return np.array([rng.choice(s, p=targets.single[s] / targets.single[s].sum()) for s in SPANS])
