"""Diagnostics against values known beforehand."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError
from toolkit.gaussians import Gaussians
from toolkit.measure import block_matching, blur, drift, misalignment, sectors


def disc(height=200, width=160, centre=(100, 80), radius=60):
    y, x = np.mgrid[:height, :width]
    return (np.hypot(y - centre[0], x - centre[1]) < radius).astype(np.float32)


def texture(height=200, width=160, seed=0, sigma=1.5):
    noise = np.random.default_rng(seed).standard_normal((height, width))
    gray = 0.5 + 0.15 * (lambda n: n / n.std())(ndimage.gaussian_filter(noise, sigma))
    return np.repeat(np.clip(gray, 0, 1)[..., None], 3, -1).astype(np.float32)


def test_a_picture_is_aligned_with_itself():
    photo, mask = texture(), disc()
    result, field = misalignment.measure_misalignment(photo, mask, photo, mask)
    assert (result.iou, result.chamfer_px, result.l1, result.psnr_db) == (1, 0, 0, 100)
    assert len(field.points) > 20 and result.shift_px < 0.02


@pytest.mark.parametrize("shift", [(0, 3), (-4, 2), (1.5, -2.25)])
def test_shift_is_found_in_direction_and_size(shift):
    photo, mask = texture(), disc()
    moved = ndimage.shift(photo, (*shift, 0), order=3, mode="reflect")
    moved_mask = ndimage.shift(mask, shift, order=1)
    result, field = misalignment.measure_misalignment(moved, moved_mask, photo, mask)
    assert np.allclose(np.median(field.offsets, 0), shift[::-1], atol=0.25)
    assert abs(result.shift_px - np.hypot(*shift)) < 0.3
    assert abs(result.shift_percent - 100 * result.shift_px / 119) < 1e-3


def test_what_lies_far_from_the_person_is_not_searched_and_not_missed(monkeypatch):
    photo, mask = texture(420, 400), disc(420, 400, (230, 150), 60)
    moved, moved_mask = (np.roll(plane, (4, -3), (0, 1)) for plane in (photo, mask))
    near = block_matching.block_shifts(photo, moved, mask > 0.5, moved_mask > 0.5)
    window, corner = block_matching._window_around(mask > 0.5)
    assert corner.tolist() == [113, 33] and mask[window].sum() == mask.sum()
    everywhere = (slice(None), slice(None)), np.array([0, 0])
    monkeypatch.setattr(block_matching, "_window_around", lambda inside: everywhere)
    whole = block_matching.block_shifts(photo, moved, mask > 0.5, moved_mask > 0.5)
    assert len(near.points) > 20 and np.array_equal(near.points, whole.points)
    assert np.array_equal(near.offsets, whole.offsets)


def test_shifted_boxes_have_the_iou_and_the_contour_of_the_textbook():
    first, second = np.zeros((60, 60)), np.zeros((60, 60))
    first[10:50, 10:50] = 1
    second[10:50, 14:54] = 1
    assert misalignment.silhouette_iou(first, second) == pytest.approx(36 / 44)
    chamfer = misalignment.contour_chamfer(first, second)
    assert 1.0 < chamfer < 4.0  # top and bottom edges coincide, left and right are 4 px off
    assert misalignment.contour_chamfer(first, np.zeros((60, 60))) == np.hypot(60, 60)


def test_flat_person_has_no_shift_and_bad_sizes_are_named():
    flat = np.full((200, 160, 3), 0.5, np.float32)
    result, field = misalignment.measure_misalignment(flat, disc(), flat, disc())
    assert len(field.points) == 0 and np.isnan(result.shift_px)
    with pytest.raises(InputError, match="one picture size"):
        misalignment.measure_misalignment(flat[:100], disc(), flat, disc())
    with pytest.raises(InputError, match="empty mask"):
        misalignment.measure_misalignment(flat, disc(), flat, 0 * disc())


def test_blur_lowers_the_fine_bands_most():
    photo, mask = texture(), disc()
    soft = ndimage.gaussian_filter(photo, (1.5, 1.5, 0))
    before, after = (blur.band_contrast(p, mask) for p in (photo, soft))
    ratio = after / before
    assert (np.diff(ratio) > 0).all() and ratio[0] < 0.2 < ratio[3] < 1.01


def test_a_sine_lies_in_its_band_with_its_contrast():
    x = np.arange(160)
    for band, period in enumerate([3, 6, 12, 24]):
        gray = np.broadcast_to(0.5 + 0.2 * np.sin(2 * np.pi * x / period), (200, 160))
        bands = blur.band_contrast(np.repeat(gray[..., None], 3, -1), disc())
        assert bands.argmax() == band
        assert bands[band] == pytest.approx(0.2 / np.sqrt(2), rel=0.15)


def test_sharpness_does_not_see_the_outline():
    flat = np.where(disc()[..., None] > 0.5, np.float32([0.2, 0.3, 0.4]), np.float32(1))
    assert blur.band_contrast(flat, disc()).max() < 1e-6
    assert np.isnan(blur.band_contrast(flat, 0 * disc())).all()


def test_sharpness_by_sector_and_ratio():
    images = np.stack([texture(sigma=s) for s in (1, 1, 3, 3)])
    masks, azimuths = np.stack([disc()] * 4), [0, 20, 170, -150]
    before = blur.measure_sharpness(images, masks, azimuths)
    sector = before.by_sector()
    assert set(sector) == {"front", "back", "all"} and sector["front"] > 2 * sector["back"]
    table = blur.compare_sharpness(before, before, reference=sector["front"])
    assert table["ratio"]["back"] == 1 and table["to_reference"]["front"] == 1


def test_match_height_brings_the_person_to_size():
    image, mask = blur.match_height(texture(), disc(), 60)
    rows = np.flatnonzero((mask > 0.5).any(1))
    assert abs(rows[-1] - rows[0] + 1 - 60) <= 1 and image.shape[:2] == mask.shape


def test_reference_is_the_photo_at_the_size_of_the_render():
    photo, mask = texture(), disc()
    same = blur.reference_sharpness(photo, mask, mask)
    assert same == pytest.approx(blur.measure_sharpness([photo], [mask], [0]).fine[0], rel=1e-3)
    half = disc(100, 80, (50, 40), 30)
    assert blur.reference_sharpness(photo, mask, half) > 1.2 * same  # coarse texture turns fine


def test_sectors_of_an_orbit():
    cameras = orbit_cameras([0, 45, 90, 180, -90, 30], [5.0], radius_m=3)
    azimuths = sectors.azimuths_deg(cameras)
    names = [sectors.sector_of(a) for a in azimuths]
    assert names == ["front", "three-quarter", "side", "back", "side", "front"]
    means = sectors.mean_by_sector([1, 2, 3, 4, 5, 3], azimuths)
    assert means == {"front": 2, "three-quarter": 2, "side": 4, "back": 4, "all": 3}


def grid_of_gaussians(step_m=0.01):
    axis = torch.arange(6) * step_m
    means = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    n = len(means)
    return Gaussians.from_colors(
        means,
        torch.eye(4)[:1].repeat(n, 1),
        torch.full((n, 3), 0.005),
        torch.full((n,), 0.9),
        torch.rand(n, 3),
    )


def test_drift_of_identity_of_a_shift_and_of_a_swap():
    coarse = grid_of_gaussians()
    assert set(drift.measure_drift(coarse, coarse).to_dict().values()) == {0}
    way = torch.tensor([0, 0.002, 0])
    moved = drift.measure_drift(coarse, coarse.replace(means=coarse.means + way))
    assert moved.mean_mm == pytest.approx(2, rel=1e-4) and moved.not_self == 0
    assert moved.mean_spacings == pytest.approx(0.2, rel=1e-4)
    swapped = coarse.means.clone()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert drift.measure_drift(coarse, coarse.replace(means=swapped)).not_self == 2 / len(coarse)
    with pytest.raises(InputError, match="equal numbers"):
        drift.measure_drift(
            coarse,
            grid_of_gaussians().replace(
                **{
                    k: getattr(coarse, k)[:-1]
                    for k in ("means", "quats", "scales", "opacities", "sh")
                }
            ),
        )
