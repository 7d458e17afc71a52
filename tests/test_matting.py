"""Matting: true coverage of pictures whose colours are known is found again, and seldom changed."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from toolkit.photo.detection.matting import refine_coverage, solve_coverage


def disc(side: int = 80, radius: float = 25.0) -> np.ndarray:
    """Exact-looking coverage of a disc."""
    y, x = np.indices((side, side)) - side / 2 + 0.5
    return (radius - np.hypot(x, y) + 0.5).clip(0, 1)


def composite(alpha: np.ndarray, seed: int = 0) -> np.ndarray:
    """A reddish person before a bluish backdrop, both smoothly shaded, with a little noise."""
    rng = np.random.default_rng(seed)
    shade = 0.15 * gaussian_filter(rng.normal(size=alpha.shape), 6) / 0.05
    person = np.array([0.8, 0.3, 0.2]) * (1 + shade[..., None])
    backdrop = np.array([0.2, 0.4, 0.7]) * (1 - shade[..., None])
    picture = alpha[..., None] * person + (1 - alpha[..., None]) * backdrop
    return (picture + rng.normal(0, 0.003, picture.shape)).clip(0, 1)


@pytest.mark.parametrize("offset", [-1.5, 1.5])
def test_a_rim_that_is_off_by_a_pixel_is_found_again(offset):
    truth, wrong = disc(), disc(radius=25 + offset)
    found = refine_coverage(composite(truth), wrong, np.zeros(truth.shape, bool))
    assert np.abs(found - truth).mean() < 0.3 * np.abs(wrong - truth).mean()
    assert found.min() >= 0 and found.max() <= 1


def test_an_unsure_gap_is_opened_and_a_sure_one_stays():
    truth = disc()
    truth[30:50, 36:46] = 0  # a gap as between an arm and the trunk; the mask is blind to it
    mask, unsure = disc(), np.zeros(truth.shape, bool)
    unsure[26:54, 32:50] = True
    picture = composite(truth)
    # a hole tells its colours to nobody but through the lines in colour space; the rim alone cannot
    closed = refine_coverage(picture, mask, np.zeros(truth.shape, bool))
    assert closed[32:48, 38:44].min() == 1
    truth[30:50, 40:80] = mask[30:50, 40:80] = 0  # now the gap opens to the backdrop
    mask[30:50, 40:62] = 1
    unsure = (mask > 0.5) & (truth < 0.5)
    opened = refine_coverage(composite(truth), mask, unsure)
    assert opened[32:48, 42:60].mean() < 0.1


def test_far_from_the_rim_the_mask_is_rounded_and_nothing_else():
    mask = 0.9 * disc() + 0.04
    found = refine_coverage(composite(disc()), mask, np.zeros(mask.shape, bool))
    y, x = np.indices(mask.shape) - 39.5
    radius = np.hypot(x, y)
    assert (found[radius < 21] == 1).all() and (found[radius > 29] == 0).all()


def test_a_large_picture_is_solved_at_a_smaller_size():
    truth = disc(1500, 500.0)
    found = refine_coverage(composite(truth), disc(1500, 504.0), np.zeros(truth.shape, bool))
    assert found.shape == truth.shape
    assert np.abs(found - truth).mean() < 0.5 * np.abs(disc(1500, 504.0) - truth).mean()


def test_flat_pictures_and_pictures_without_a_rim_are_left_alone():
    inside, flat = disc() > 0.5, np.full((80, 80, 3), 0.5)
    unknown = np.zeros_like(inside)
    unknown[30:50, 10:20] = True
    found = solve_coverage(flat, inside, unknown)
    assert np.isfinite(found).all() and (found[~unknown] == inside[~unknown]).all()
    for whole in (np.ones_like(inside), np.zeros_like(inside)):
        assert (solve_coverage(flat, whole, unknown) == whole).all()
