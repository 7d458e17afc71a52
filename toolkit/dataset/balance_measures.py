"""How balanced a set is: shares against their targets, and dependence of every two factors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats.contingency import association

from toolkit.dataset.balance import Tally
from toolkit.dataset.factors import FACTORS, levels_of
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.rules import contradictions
from toolkit.dataset.targets import Targets, make_targets, pairs_of_factors, quasi_independent
from toolkit.errors import fail

Table = Float[np.ndarray, "R C"]


@dataclass(frozen=True)
class BalanceReport:
    """The balance of a set of records.

    Attributes:
        deviations: factor -> largest |share - target| of its levels, in [0, 1].
        cramers_v: (factor, factor) -> Cramer's V, in [0, 1]; 0 is no dependence beyond the rules.
        contradictory: share of records that break a rule.
    """

    deviations: dict[str, float]
    cramers_v: dict[tuple[str, str], float]
    contradictory: float

    @property
    def largest_deviation(self) -> tuple[str, float]:
        """The factor whose shares are farthest from their targets, and how far."""
        return max(self.deviations.items(), key=lambda item: item[1])

    @property
    def largest_v(self) -> tuple[tuple[str, str], float]:
        """The two factors that depend most on each other, and how much."""
        return max(self.cramers_v.items(), key=lambda item: item[1])

    @property
    def mean_v(self) -> float:
        """Mean Cramer's V of all pairs."""
        return float(np.mean([*self.cramers_v.values()]))


def measure_balance(
    records: Sequence[AttributeRecord],
    targets: Targets | None = None,
    *,
    gender_clothes: bool = False,
) -> BalanceReport:
    """Measure a set of records.

    Args:
        records: at least one.
        targets: what it should have; None takes that of a set in which nothing was fixed.
        gender_clothes: as in `rules.conflicts`.

    Raises:
        InputError: no records.
    """
    if not records:
        fail("Balance", got="no records", wanted="at least one", fix="Make some records first.")
    targets = targets or make_targets(gender_clothes=gender_clothes)
    tally = Tally.of(records)
    away = np.abs(tally.single / tally.count - targets.single)
    broken = [bool(contradictions(r.values, gender_clothes=gender_clothes)) for r in records]
    return BalanceReport(
        {factor.name: float(away[factor.span].max()) for factor in FACTORS.values()},
        {
            (a.name, b.name): cramers_v(tally.pair[a.span, b.span], targets.allowed[a.span, b.span])
            for a, b in pairs_of_factors()
        },
        float(np.mean(broken)),
    )


def cramers_v(table: Table, allowed: Bool[np.ndarray, "R C"] | None = None) -> float:
    """How much two factors depend on each other, beyond what the rules force.

    Args:
        table: number of records with each pair of levels.
        allowed: pairs that the rules allow; None allows all. With forbidden pairs, "expected"
            means quasi-independence on the allowed ones, and the others do not count.

    Returns:
        Cramer's V, in [0, 1]; 0 where a factor has one level only.

    Source: Cramer 1946; Agresti 2013, section 11.3, for forbidden cells.
    """
    allowed = np.ones(table.shape, bool) if allowed is None else allowed
    table = table * allowed
    rows, columns = table.sum(1) > 0, table.sum(0) > 0
    table, allowed = table[rows][:, columns], allowed[rows][:, columns]
    if min(table.shape, default=0) < 2:
        return 0.0
    if allowed.all():
        return float(association(table.astype(int), method="cramer"))
    expected = quasi_independent(table.sum(1), table.sum(0), allowed)
    filled = expected > 0
    chi2 = ((table - expected)[filled] ** 2 / expected[filled]).sum()
    return float(min(np.sqrt(chi2 / table.sum() / (min(table.shape) - 1)), 1.0))


def shares(records: Sequence[AttributeRecord]) -> dict[str, dict[str, float]]:
    """Share of each level of each factor in a set, for tables and plots."""
    rows = [levels_of(record.values) for record in records]
    return {
        name: {
            level: sum(row[name] == level for row in rows) / max(len(rows), 1)
            for level in factor.levels
        }
        for name, factor in FACTORS.items()
    }
