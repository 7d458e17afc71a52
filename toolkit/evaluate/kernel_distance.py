"""KID: how far the distribution of an avatar's views lies from that of the true views."""

import numpy as np
from jaxtyping import Float

from toolkit.evaluate.stats import LEVEL, NUM_DRAWS


def kid(
    avatars: list[Float[np.ndarray, "V D"]],
    true: list[Float[np.ndarray, "V D"]],
    generator: np.random.Generator,
) -> dict[str, float] | None:
    """Kernel distance of renders and truth, times 1000, with a bootstrap interval over people.

    It is unbiased, so it may be below zero. Only views of different people are compared: a render
    resembles the truth of the same person, and two views of one person resemble each other, without
    saying anything about the two distributions.

    Args:
        avatars: features of each person's rendered views, one array per person.
        true: features of the true views, the people in the same order.
        generator: draws the people.

    Returns:
        {mean, low, high}; None for fewer than two people.

    Source: Binkowski et al. 2018 (KID), kernel (x y / D + 1)^3; Gretton et al. 2012, Lemma 6.
    """
    if len(avatars) < 2:
        return None
    mean, draws = _resampled(1e3 * _pair_terms(avatars, true)[None], generator)
    return {"mean": float(mean[0]), **_percentiles(draws[:, 0])}


def kid_change_percent(
    before: list[Float[np.ndarray, "V D"]],
    after: list[Float[np.ndarray, "V D"]],
    true: list[Float[np.ndarray, "V D"]],
    generator: np.random.Generator,
) -> dict[str, float] | None:
    """Change of KID in percent; every draw takes the same people before and after.

    Args:
        before: features of each person's views, one array per person.
        after: the same of the avatars that are compared.
        true: features of the true views.
        generator: draws the people.

    Returns:
        {mean, low, high}; None for fewer than two people, or where KID before is not above zero.
    """
    if not len(before) == len(after) == len(true) or len(before) < 2:
        return None
    pairs = np.stack([_pair_terms(features, true) for features in (before, after)])
    (first, second), draws = _resampled(pairs, generator)
    draws = draws[draws[:, 0] > 0]  # draws without a gap before have no change in percent
    if first <= 0 or len(draws) < NUM_DRAWS / 2:
        return None
    change = 100 * (draws[:, 1] / draws[:, 0] - 1)
    return {"mean": float(100 * (second / first - 1)), **_percentiles(change)}


def _resampled(
    pairs: Float[np.ndarray, "K P P"], generator: np.random.Generator
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "R K"]]:
    """Means over pairs of different people, and the same of each bootstrap draw.

    scipy's bootstrap resamples single observations. A pair of people needs two, so it is done here:
    a person who is drawn n times weighs each of its pairs n times.
    """
    num = pairs.shape[1]
    # a person is never paired with itself: that makes the estimate unbiased
    different, draws = ~np.eye(num, dtype=bool), []
    for counts in generator.multinomial(num, [1 / num] * num, size=NUM_DRAWS):
        weight = np.outer(counts, counts) * different
        if weight.any():  # not if one person was drawn every time
            draws.append((weight * pairs).sum((1, 2)) / weight.sum())
    return pairs[:, different].mean(1), np.array(draws)


def _pair_terms(
    avatars: list[Float[np.ndarray, "V D"]], true: list[Float[np.ndarray, "V D"]]
) -> Float[np.ndarray, "P P"]:
    """k(x,x') + k(y,y') - k(x,y') - k(x',y), averaged over the views of each pair of people."""
    groups = (avatars, true)
    # which person each view shows, and a matrix (V_all,P) that averages a person's views
    owner = [np.repeat(np.arange(len(group)), [len(v) for v in group]) for group in groups]
    members = [np.eye(len(avatars))[o] / np.bincount(o)[o][:, None] for o in owner]
    x, y = np.concatenate(avatars), np.concatenate(true)

    def mean_kernel(a: np.ndarray, b: np.ndarray, i: int, j: int) -> np.ndarray:
        return members[i].T @ ((a @ b.T / a.shape[1] + 1) ** 3) @ members[j]

    cross = mean_kernel(x, y, 0, 1)
    return mean_kernel(x, x, 0, 0) + mean_kernel(y, y, 1, 1) - cross - cross.T


def _percentiles(draws: Float[np.ndarray, " R"]) -> dict[str, float]:
    """Ends of the interval, from the bootstrap's draws."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"low": float(low), "high": float(high)}
