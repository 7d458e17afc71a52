"""Isolated pieces of a render are counted, the person and its parts are not."""

import numpy as np

from toolkit.measure.debris import count_debris


def person():
    alpha = np.zeros((200, 100), np.float32)
    alpha[20:180, 30:70] = 1
    return alpha


def test_a_whole_person_has_no_debris():
    assert count_debris(person()) == 0
    assert count_debris(np.zeros((20, 20), np.float32)) == 0


def test_specks_are_counted_and_a_large_part_is_not():
    alpha = person()
    alpha[5:7, 5:7] = 0.9
    alpha[190, 90] = 0.3
    alpha[195, 10] = 0.2  # too faint to see
    alpha[40:80, 80:90] = 1  # an arm that leaves the picture and comes back
    assert count_debris(alpha) == 2


def test_pieces_that_touch_at_a_corner_are_one():
    alpha = person()
    alpha[18:20, 28:30] = 1
    assert count_debris(alpha) == 0
