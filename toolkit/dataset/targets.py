"""How often each level, and each pair of levels, should occur: what balance means under the rules.

Every level is wanted in its share. Where a rule forces a level ("no hair colour" on the bald), its
share follows from that of the factor which forces it, and the others share what is left. Two
factors are wanted independent. Where rules forbid some pairs this is impossible; then they are
wanted *quasi-independent*: the share of a pair is a product a_i b_j on every pair that is allowed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float

from toolkit.dataset.factors import FACTORS, FORCED, NUM_LEVELS, Factor
from toolkit.dataset.rules import allowed_pairs
from toolkit.errors import fail

SWEEPS = 300  # of the proportional fit; it stops at once when the shares are met


@dataclass(frozen=True)
class Targets:
    """What a set is balanced against.

    Attributes:
        allowed: pairs of levels that can meet.
        single: wanted share of each level.
        pair: wanted share of each pair of levels of two factors; 0 within a factor.
    """

    allowed: Bool[np.ndarray, "L L"]
    single: Float[np.ndarray, " L"]
    pair: Float[np.ndarray, "L L"]


def make_targets(
    choices: Mapping[str, tuple[str, ...]] | None = None, *, gender_clothes: bool = False
) -> Targets:
    """The targets of a set.

    Args:
        choices: factor -> the levels that are left to it; a factor that is not named keeps all.
        gender_clothes: as in `rules.conflicts`.

    Raises:
        InputError: the choices contradict each other or a rule.
    """
    return _make_targets(tuple(sorted((choices or {}).items())), gender_clothes)


@lru_cache(maxsize=16)  # the same choice is asked for record by record
def _make_targets(
    choices: tuple[tuple[str, tuple[str, ...]], ...], gender_clothes: bool
) -> Targets:
    allowed = allowed_pairs(gender_clothes=gender_clothes)
    left = _levels_left(allowed, dict(choices))
    allowed = allowed & left[:, None] & left[None, :]
    single = _single_shares(left)
    targets = Targets(allowed, single, _pair_shares(allowed, single))
    for array in (targets.allowed, targets.single, targets.pair):
        array.setflags(write=False)  # shared by all callers
    return targets


def _levels_left(
    allowed: Bool[np.ndarray, "L L"], choices: Mapping[str, tuple[str, ...]]
) -> Bool[np.ndarray, " L"]:
    """Levels that some record with these choices can have.

    Source: Mackworth 1977, arc consistency.
    """
    left = np.ones(NUM_LEVELS, bool)
    for name, levels in choices.items():
        left[FACTORS[name].span] = [level in levels for level in FACTORS[name].levels]
    while True:
        before = left.copy()
        for factor in FACTORS.values():
            left &= allowed[:, factor.span] @ left[factor.span]
        if (before == left).all():
            break
    if not all(left[factor.span].any() for factor in FACTORS.values()):
        fail(
            "Choice of attributes",
            got="; ".join(f"{name}: {', '.join(levels)}" for name, levels in choices.items()),
            wanted="a choice that leaves every attribute a value",
            fix="Two of them exclude each other, such as a bald head and a hair colour.",
        )
    return left


def _single_shares(left: Bool[np.ndarray, " L"]) -> Float[np.ndarray, " L"]:
    """Wanted share of each level: as listed, less what is excluded, plus what is forced."""
    single = np.zeros(NUM_LEVELS)
    for factor in FACTORS.values():
        free = np.where(left[factor.span], factor.shares, 0)
        # only levels without a share of their own are left: all alike
        single[factor.span] = free / free.sum() if free.sum() else _even(left[factor.span])
    for rule in FORCED:  # a chain (dress, no lower body, no colour of it) stands in this order
        factor, by = FACTORS[rule.factor], FACTORS[rule.by]
        forced = sum(single[by.number(level)] for level in rule.levels)
        single[factor.span] *= 1 - forced
        single[factor.number(rule.level)] += forced
    return single


def _even(left: Bool[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    return left / max(left.sum(), 1)


def _pair_shares(
    allowed: Bool[np.ndarray, "L L"], single: Float[np.ndarray, " L"]
) -> Float[np.ndarray, "L L"]:
    """Wanted share of each pair: a product where everything is allowed, else as near as it gets."""
    pair = np.zeros((NUM_LEVELS, NUM_LEVELS))
    for first, second in pairs_of_factors():
        block = np.ix_(
            range(*first.span.indices(NUM_LEVELS)), range(second.start, second.span.stop)
        )
        table = quasi_independent(single[first.span], single[second.span], allowed[block])
        pair[block], pair[second.span, first.span] = table, table.T
    return pair


def pairs_of_factors() -> list[tuple[Factor, Factor]]:
    """Every two factors once."""
    factors = list(FACTORS.values())
    return [(a, b) for i, a in enumerate(factors) for b in factors[i + 1 :]]


def quasi_independent(
    rows: Float[np.ndarray, " R"],
    columns: Float[np.ndarray, " C"],
    allowed: Bool[np.ndarray, "R C"],
) -> Float[np.ndarray, "R C"]:
    """The table a_i b_j on the allowed cells whose sums are the given ones.

    Args:
        rows: sum of each row.
        columns: sum of each column; same total.
        allowed: cells that may be filled.

    Returns:
        The table; where the sums cannot be met, the last one of the fit.

    Source: Agresti 2013, Categorical Data Analysis, section 11.3; iterative proportional fitting.
    """
    table = np.outer(rows, columns) * allowed
    if allowed[np.ix_(rows > 0, columns > 0)].all():
        return table / max(rows.sum(), 1e-300)
    for _ in range(SWEEPS):
        table = table * _ratio(rows, table.sum(1))[:, None]
        table = table * _ratio(columns, table.sum(0))[None, :]
        if np.abs(table.sum(1) - rows).max() < 1e-9 * rows.sum():
            break
    return table


def _ratio(wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)
