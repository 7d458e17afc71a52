"""From views to people, from people to intervals and tests. The person is the unit everywhere.

Views of one person are not independent, so every interval resamples people, and KID compares views
of *different* people only.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.stats import bootstrap, permutation_test

from toolkit.measure.sectors import sector_of

SECTORS = ("front", "three_quarter", "side", "back", "side_back", "all")
NUM_DRAWS, LEVEL = 2000, 0.95  # of the bootstrap
NUM_FLIPS = 9999  # random flips of signs; up to 13 people every flip is tried instead
NOT_A_MEASURE = ("energy", "energy_true", "features", "azimuths_deg")


def in_sector(azimuths_deg, sector: str) -> np.ndarray:
    """Which views belong to a sector; `side_back` is side and back together."""
    names = np.array([sector_of(a).replace("-", "_") for a in azimuths_deg])
    if sector == "all":
        return np.ones(len(names), bool)
    return np.isin(names, ("side", "back") if sector == "side_back" else (sector,))


def person_values(views: dict, sector: str) -> dict[str, float]:
    """Means of one person's views in a sector, and energy ratios; measures without a view drop out.

    `sharpness` is the energy of the two finest octaves over the truth's, `sharpness_octave_k` that
    of one octave, 1 the finest; sums over views are divided, so that a dark view cannot dominate.
    """
    chosen = in_sector(views["azimuths_deg"], sector)
    values = {}
    for name, column in views.items():
        if name in NOT_A_MEASURE:
            continue
        column = np.array(column, np.float64)[chosen]
        if np.isfinite(column).any():
            values[name] = float(np.nanmean(column))
    ours, true = (np.array(views[k], np.float64)[chosen] for k in ("energy", "energy_true"))
    fine = np.isfinite(ours).all(1) & np.isfinite(true).all(1)
    if fine.any():
        ours, true = ours[fine].sum(0), true[fine].sum(0)
        values["sharpness"] = float(ours[:2].sum() / max(true[:2].sum(), 1e-12))
        values |= {
            f"sharpness_octave_{k + 1}": float(ours[k] / max(true[k], 1e-12))
            for k in range(len(ours))
        }
    return values


def interval(values, generator: np.random.Generator) -> dict[str, float]:
    """Mean over people with its percentile bootstrap interval.

    Source: Efron & Tibshirani 1993, ch. 13.
    """
    values = np.asarray(values, np.float64)
    return {"mean": float(values.mean()), **_bootstrap((values,), np.mean, generator)}


def _bootstrap(
    columns: tuple, statistic: Callable, generator: np.random.Generator
) -> dict[str, float]:
    """Ends of the percentile interval; the columns' people are drawn together."""
    if len(columns[0]) < 2:  # scipy refuses to resample one person; the interval is a point
        value = float(statistic(*columns, axis=0))
        return {"low": value, "high": value}
    found = bootstrap(
        columns,
        statistic,
        n_resamples=NUM_DRAWS,
        confidence_level=LEVEL,
        method="percentile",
        paired=True,
        rng=generator,
    ).confidence_interval
    return {"low": float(found.low), "high": float(found.high)}


def _ends(draws: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"low": float(low), "high": float(high)}


def sign_flip_p(differences, generator: np.random.Generator) -> float:
    """Two-sided p of a paired permutation test of the mean: exact for few people.

    Source: Fisher 1935; the +1 for random flips is that of Phipson & Smyth 2010.
    """
    test = permutation_test(
        (np.asarray(differences, np.float64),),
        np.mean,
        vectorized=True,
        permutation_type="samples",
        n_resamples=NUM_FLIPS,
        rng=generator,
    )
    return float(test.pvalue)


def paired(
    first: dict[str, float], second: dict[str, float], generator: np.random.Generator
) -> dict | None:
    """`second - first` over the people that both have: mean, interval, p and their number."""
    people = sorted(first.keys() & second.keys())
    if len(people) < 2:
        return None
    change = np.array([second[p] - first[p] for p in people])
    return interval(change, generator) | {
        "p": sign_flip_p(change, generator),
        "people": len(people),
    }


def kid(
    ours: list[Float[np.ndarray, "V D"]],
    true: list[Float[np.ndarray, "V D"]],
    generator: np.random.Generator,
) -> dict[str, float] | None:
    """Kernel distance of renders and truth, times 1000, with a bootstrap interval over people.

    Unbiased, so it may be below zero. Only views of different people are compared: one person's
    render and truth, or two of its views, would count likeness as sameness of distribution.

    Args:
        ours, true: features of each person's views, one array a person, in the same order.

    Source: Binkowski et al. 2018 (KID), kernel (x y / D + 1)^3; Gretton et al. 2012, Lemma 6.
    """
    if len(ours) < 2:
        return None
    mean, draws = _resampled(1e3 * _pair_terms(ours, true)[None], generator)
    return {"mean": float(mean[0]), **_ends(draws[:, 0])}


def kid_change_percent(
    before: list, after: list, true: list, generator: np.random.Generator
) -> dict[str, float] | None:
    """Change of KID in percent; the same people are drawn for both. None if there is no gap."""
    if not len(before) == len(after) == len(true) or len(before) < 2:
        return None
    pairs = np.stack([_pair_terms(features, true) for features in (before, after)])
    (first, second), draws = _resampled(pairs, generator)
    draws = draws[draws[:, 0] > 0]
    if first <= 0 or len(draws) < NUM_DRAWS / 2:
        return None
    change = 100 * (draws[:, 1] / draws[:, 0] - 1)
    return {"mean": float(100 * (second / first - 1)), **_ends(change)}


def _resampled(pairs: Float[np.ndarray, "K P P"], generator: np.random.Generator):
    """Means (K,) over pairs of different people, and the same of bootstrap draws (R,K)."""
    num = pairs.shape[1]
    off, draws = ~np.eye(num, dtype=bool), []
    for counts in generator.multinomial(num, [1 / num] * num, size=NUM_DRAWS):
        weight = np.outer(counts, counts) * off
        if weight.any():
            draws.append((weight * pairs).sum((1, 2)) / weight.sum())
    return pairs[:, off].mean(1), np.array(draws)


def ratio_interval(numerator, denominator, generator: np.random.Generator) -> dict[str, float]:
    """Ratio of two means over the same people with its percentile bootstrap interval."""
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)

    def ratio(a, b, axis):
        return a.mean(axis) / b.mean(axis)

    return {"mean": float(ratio(top, bottom, 0)), **_bootstrap((top, bottom), ratio, generator)}


def _pair_terms(ours, true) -> Float[np.ndarray, "P P"]:
    """k(x,x') + k(y,y') - k(x,y') - k(x',y), averaged over the views of each pair of people."""
    owner = [np.repeat(np.arange(len(group)), [len(v) for v in group]) for group in (ours, true)]
    members = [np.eye(len(ours))[o] / np.bincount(o)[o][:, None] for o in owner]
    x, y = np.concatenate(ours), np.concatenate(true)

    def mean_kernel(a, b, i: int, j: int) -> np.ndarray:
        return members[i].T @ ((a @ b.T / a.shape[1] + 1) ** 3) @ members[j]

    cross = mean_kernel(x, y, 0, 1)
    return mean_kernel(x, x, 0, 0) + mean_kernel(y, y, 1, 1) - cross - cross.T
