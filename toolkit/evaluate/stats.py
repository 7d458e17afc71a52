"""From views to people, from people to intervals and tests. The person is the unit everywhere.

Views of one person are not independent: twelve views of one good avatar are no twelve successes. So
every interval resamples people.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import bootstrap, permutation_test

from toolkit.measure.sectors import sector_of

SECTORS = ("front", "three_quarter", "side", "back", "side_back", "all")
NUM_DRAWS, LEVEL = 2000, 0.95  # of the bootstrap
NUM_FLIPS = 9999  # random flips of signs; for up to 13 people (2^13 < 9999) all are tried
NOT_A_MEASURE = ("energy", "energy_true", "features", "azimuths_deg")

Values = Sequence[float] | Float[np.ndarray, " P"]  # one per person


def in_sector(
    azimuths_deg: Sequence[float] | Float[np.ndarray, " C"], sector: str
) -> Bool[np.ndarray, " C"]:
    """Which views belong to a sector.

    Args:
        azimuths_deg: of the views; 0 is the photo's side.
        sector: one of `SECTORS`; `side_back` is side and back together.
    """
    names = np.array([sector_of(a).replace("-", "_") for a in azimuths_deg])
    if sector == "all":
        return np.ones(len(names), bool)
    return np.isin(names, ("side", "back") if sector == "side_back" else (sector,))


def person_values(views: Mapping[str, list], sector: str) -> dict[str, float]:
    """Means of one person's views in a sector, and ratios of energy.

    `sharpness` is the energy of the two finest octaves over the truth's, `sharpness_octave_k` that
    of one octave, 1 the finest. The sums over views are divided, not view by view: so a dark view
    with hardly any energy cannot dominate.

    Args:
        views: what `score_views` returned.
        sector: one of `SECTORS`.

    Returns:
        Measure -> value; measures without a view in the sector are left out.
    """
    chosen = in_sector(views["azimuths_deg"], sector)
    values = {}
    for name, column in views.items():
        if name in NOT_A_MEASURE:
            continue
        column = np.array(column, np.float64)[chosen]  # None becomes NaN
        if np.isfinite(column).any():
            values[name] = float(np.nanmean(column))
    avatar, true = (np.array(views[k], np.float64)[chosen] for k in ("energy", "energy_true"))
    valid = np.isfinite(avatar).all(1) & np.isfinite(true).all(1)
    if valid.any():
        avatar, true = avatar[valid].sum(0), true[valid].sum(0)
        values["sharpness"] = float(avatar[:2].sum() / max(true[:2].sum(), 1e-12))
        values |= {
            f"sharpness_octave_{k + 1}": float(avatar[k] / max(true[k], 1e-12))
            for k in range(len(avatar))
        }
    return values


def mean_interval(values: Values, generator: np.random.Generator) -> dict[str, float]:
    """Mean over people with its percentile bootstrap interval.

    Args:
        values: one per person.
        generator: draws the people.

    Returns:
        {mean, low, high}.

    Source: Efron & Tibshirani 1993, ch. 13.
    """
    values = np.asarray(values, np.float64)  # (P,)
    return {"mean": float(values.mean()), **_bootstrap((values,), np.mean, generator)}


def _bootstrap(
    columns: tuple[Float[np.ndarray, " P"], ...],
    statistic: Callable[..., np.ndarray],
    generator: np.random.Generator,
) -> dict[str, float]:
    """Ends of the percentile interval; every draw takes the same people from all columns."""
    if len(columns[0]) < 2:  # scipy refuses to resample one person; the interval is a point
        value = float(statistic(*columns, axis=0))
        return {"low": value, "high": value}
    ends = bootstrap(
        columns,
        statistic,
        n_resamples=NUM_DRAWS,
        confidence_level=LEVEL,
        method="percentile",
        paired=True,  # the same people in every column
        rng=generator,
    ).confidence_interval
    return {"low": float(ends.low), "high": float(ends.high)}


def sign_flip_p(differences: Values, generator: np.random.Generator) -> float:
    """Two-sided p of a paired permutation test of the mean; exact for few people.

    If the change had no effect, each person's difference could as well have the other sign. p is
    the share of sign flips whose mean is at least as far from zero.

    Args:
        differences: one per person.
        generator: draws the flips.

    Source: Fisher 1935; the +1 for random flips is that of Phipson & Smyth 2010.
    """
    test = permutation_test(
        (np.asarray(differences, np.float64),),
        np.mean,
        vectorized=True,
        permutation_type="samples",  # with one sample: random signs
        n_resamples=NUM_FLIPS,
        rng=generator,
    )
    return float(test.pvalue)


def paired_change(
    first: dict[str, float], second: dict[str, float], generator: np.random.Generator
) -> dict | None:
    """`second - first`, person by person.

    Args:
        first: person -> value.
        second: person -> value; people that only one of the two has are left out.
        generator: draws people and flips.

    Returns:
        {mean, low, high, p, people}; None for fewer than two people.
    """
    people = sorted(first.keys() & second.keys())
    if len(people) < 2:
        return None
    change = np.array([second[p] - first[p] for p in people])
    return mean_interval(change, generator) | {
        "p": sign_flip_p(change, generator),
        "people": len(people),
    }


def ratio_interval(
    numerator: Values, denominator: Values, generator: np.random.Generator
) -> dict[str, float]:
    """Ratio of two means over the same people with its percentile bootstrap interval.

    Args:
        numerator: one per person.
        denominator: one per person, in the same order.
        generator: draws the people.

    Returns:
        {mean, low, high}.
    """
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)

    def ratio(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray | np.floating:
        return a.mean(axis) / b.mean(axis)

    return {"mean": float(ratio(top, bottom, 0)), **_bootstrap((top, bottom), ratio, generator)}
