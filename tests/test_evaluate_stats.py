"""Statistics against scipy, brute force and known values."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from toolkit.evaluate.kernel_distance import kid
from toolkit.evaluate.stats import (
    in_sector,
    mean_interval,
    paired_change,
    person_values,
    sign_flip_p,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_sectors_cover_every_view_once_and_side_back_is_both():
    azimuths = np.arange(-180, 180, 15.0)
    names = ("front", "three_quarter", "side", "back")
    parts = np.stack([in_sector(azimuths, s) for s in names])
    assert (parts.sum(0) == 1).all() and in_sector(azimuths, "all").all()
    assert (in_sector(azimuths, "side_back") == parts[2] | parts[3]).all()
    assert in_sector([0, 30, 45, 60, 90, 120, 180, 350], "front").tolist() == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
        True,
    ]


def test_a_persons_values_are_means_of_the_sector_and_ratios_of_sums():
    views = {
        "azimuths_deg": [0, 90, 180],
        "psnr": [30.0, 20.0, 10.0],
        "face_distance": [0.5, None, None],
        "energy": [[1, 1, 2, 2], [3, 1, 2, 2], [None] * 4],
        "energy_true": [[4, 4, 4, 4], [4, 4, 4, 4], [None] * 4],
        "features": [[0], [0], [0]],
    }
    everything = person_values(views, "all")
    assert everything["psnr"] == 20 and everything["face_distance"] == 0.5
    assert everything["sharpness"] == pytest.approx(6 / 16)
    assert everything["sharpness_octave_1"] == 0.5 and everything["sharpness_octave_4"] == 0.5
    back = person_values(views, "back")
    assert back == {"psnr": 10}  # no face, no spectrum: left out, not zero


def test_interval_shrinks_with_people_and_contains_the_truth():
    few, many = (mean_interval(rng(1).normal(5, 1, n), rng()) for n in (10, 400))
    for result in (few, many):
        assert result["low"] < result["mean"] < result["high"]
    assert many["high"] - many["low"] < 0.4 * (few["high"] - few["low"])
    assert many["high"] - many["low"] == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert mean_interval([3.0, 3.0], rng()) == {"mean": 3, "low": 3, "high": 3}


@pytest.mark.parametrize("num", [5, 9])
def test_the_paired_test_is_scipys(num):
    d = rng(num).normal(0.5, 1, num)
    theirs = permutation_test(
        (d, np.zeros(num)),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert sign_flip_p(d, rng()) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_a_clear_change_of_many_people_is_seen_and_none_is_not():
    people = {f"p{i}": v for i, v in enumerate(rng(3).normal(20, 4, 40))}
    better = {p: v + 0.5 + 0.1 * rng(i).normal() for i, (p, v) in enumerate(people.items())}
    change = paired_change(people, better, rng())
    assert change["p"] < 0.001 and 0.45 < change["low"] < change["high"] < 0.55
    shuffled = {p: v + rng(i + 99).normal() for i, (p, v) in enumerate(people.items())}
    assert paired_change(people, shuffled, rng())["p"] > 0.05
    assert paired_change({"a": 1.0}, {"a": 2.0, "b": 3.0}, rng()) is None


def test_kid_is_the_unbiased_estimator_for_one_view_a_person():
    x, y = rng(0).normal(size=(9, 5)), rng(1).normal(0.3, 1, (9, 5))

    def k(a, b):
        return (a @ b / 5 + 1) ** 3

    terms = [
        k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i])
        for i in range(9)
        for j in range(9)
        if i != j
    ]
    distance = kid([v[None] for v in x], [v[None] for v in y], rng())
    assert distance["mean"] == pytest.approx(1000 * np.mean(terms))
    assert distance["low"] < distance["mean"] < distance["high"]


def test_kid_tells_another_distribution_from_the_same():
    def draw(seed, shift):
        return [rng((seed, i)).normal(shift, 1, (4, 16)) for i in range(40)]

    truth = draw(0, 0.0)
    same, other = kid(draw(1, 0.0), truth, rng()), kid(draw(2, 0.4), truth, rng())
    assert same["low"] < 0 < same["high"] < other["low"]
    assert kid(truth[:1], truth[:1], rng()) is None
