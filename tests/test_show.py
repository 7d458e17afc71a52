"""Figures: right size, reproducible bytes, and the marks where they belong."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from toolkit import show
from toolkit.measure.misalignment import measure_misalignment


def person(height=240, width=200, shift=0):
    y, x = np.mgrid[:height, :width]
    mask = ((np.abs(x - width / 2 - shift) < 30) & (y > 20) & (y < 220)).astype(np.float32)
    color = np.stack([x / width, y / height, (x * y) % 37 / 37], -1)
    return np.where(mask[..., None] > 0, color, 1).astype(np.float32), mask


def stage(name, shift):
    (photo, mask), (rgb, alpha) = person(), person(shift=shift)
    result, field = measure_misalignment(rgb, alpha, photo, mask)
    views = np.random.default_rng(0).random((3, 192, 96, 3))
    return show.StageViews(name, rgb, alpha, views, result, field, {"front": 0.1, "back": 0.05})


@pytest.fixture(scope="module")
def compared():
    photo, mask = person()
    stages = [stage("coarse", 5), stage("refined", 1)]
    return show.compare_figure(photo, mask, stages, photo_sharpness=0.08)


def test_compare_is_1600_wide_and_its_file_reproducible(compared, tmp_path):
    for name in ("a.png", "b.png"):
        show.save_figure(compared, tmp_path / name)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1600, 1050)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_compare_says_what_was_measured(compared):
    words = " ".join(ax.get_xlabel() + ax.get_title() for ax in compared.axes)
    expected = stage("coarse", 5).misalignment
    assert f"IoU {expected.iou:.3f}" in words and f"PSNR {expected.psnr_db:.1f}" in words
    assert all(name in words for name in ("photo", "coarse", "refined", "front", "side", "back"))


def test_row_without_misalignment_is_allowed():
    truth = show.StageViews("truth", *person(), np.zeros((3, 8, 4, 3)), None, None, {})
    photo, mask = person()
    fig = show.compare_figure(photo, mask, [truth])
    assert not any("IoU" in ax.get_xlabel() for ax in fig.axes)


def test_invented_parts_are_outlined_and_named():
    photo, mask = person()
    invented = np.zeros((3, 8, 4), bool)
    invented[0, 4:] = True  # the front only
    views = np.ones((3, 8, 4, 3))
    row = show.StageViews("refined", photo, mask, views, None, None, {}, invented)
    fig = show.compare_figure(photo, mask, [row])
    marked = [ax.get_title() for ax in fig.axes if "invented" in ax.get_xlabel()]
    assert marked == ["front"]


def test_pixels_of_a_figure():
    fig = show.figure(40, 30)
    pixels = show.figure_pixels(fig)
    assert pixels.shape == (30, 40, 3)
    assert np.allclose(pixels / 255, to_rgb(show.PAPER), atol=0.01)


def test_overlay_marks_both_outlines():
    photo, mask = person()
    image = show.alignment_overlay(photo, mask, person(shift=10)[1])
    for color, column in ((show.PHOTO_COLOR, 71), (show.RENDER_COLOR, 81)):
        assert np.allclose(image[120, column] / 255, to_rgb(color), atol=0.01)


def test_difference_of_equal_is_white_and_signs_have_colours():
    first = np.full((4, 4, 3), 0.5, np.float32)
    assert (show.difference_map(first, first) == 255).all()
    brighter, darker = (show.difference_map(first, first + d)[0, 0] for d in (0.3, -0.3))
    assert brighter[0] > brighter[2] and darker[2] > darker[0]


def test_contact_sheet_keeps_every_pixel():
    images = [np.full((10, 8, 3), i, np.uint8) for i in range(5)]
    sheet = show.contact_sheet(images, columns=3, gap_px=2)
    assert sheet.shape == (2 * 12 + 2, 3 * 10 + 2, 3)
    assert sheet[15, 13].tolist() == [4, 4, 4] and sheet[3, 23].tolist() == [2, 2, 2]
    assert show.contact_sheet(images, columns=3, labels="abcde").shape[0] > sheet.shape[0]


def test_person_box_holds_the_person():
    _, mask = person()
    rows, columns = show.person_box(mask)
    assert mask[rows, columns].sum() == mask.sum()
    assert rows.stop - rows.start < 240 and columns.stop - columns.start < 200
