"""LHM's picture preparation against golden crops, OpenCV's numbers, and by its properties."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from toolkit.cameras import orbit_cameras
from toolkit.coarse.lhm import images
from toolkit.errors import InputError

FIXTURES = Path(__file__).parent / "fixtures"
TOLERANCE = 1e-5  # we reach 0.0 on every crop


@pytest.fixture(scope="module")
def golden():
    with safe_open(str(FIXTURES / "lhm_image_golden.safetensors"), "pt") as file:
        return file.metadata(), {k: file.get_tensor(k).float() for k in file.keys()}


CASES = {
    "padded_1024": ("image", lambda x: images.resize_square(x, 1024)),
    "padded_1024_normalized": ("image", images.body_input),
    "resized_448": ("image", images.head_input),
    "odd_448": ("image_odd", lambda x: images.resize_square(x, 448)),
}


@pytest.mark.parametrize("name", CASES)
def test_resizing_is_the_references(name, golden):
    meta, tensors = golden
    source, resize = CASES[name]
    result = resize(tensors[f"input/{source}"])
    box = json.loads(meta[f"{name}_crop"])
    crop = result[..., box["y0"] : box["y0"] + box["h"], box["x0"] : box["x0"] + box["w"]]
    assert (crop - tensors[f"output/{name}"]).abs().max() < TOLERANCE
    assert (result.mean((0, 2, 3)) - tensors[f"output/{name}_mean"]).abs().max() < TOLERANCE
    deviation = result.std((0, 2, 3), unbiased=False)
    assert (deviation - tensors[f"output/{name}_std"]).abs().max() < TOLERANCE


@pytest.mark.parametrize("size", ["11x8", "23x17", "7x15", "46x34", "31x22"])
def test_area_resize_is_opencvs(size):
    """Numbers of cv2.resize(..., INTER_AREA), OpenCV 5.0.0, on a random float picture."""
    with np.load(FIXTURES / "cv2_area.npz", allow_pickle=False) as file:
        image, wanted = file["image"], file[size]
    got = images.area_resize(torch.from_numpy(image).permute(2, 0, 1), *map(int, size.split("x")))
    assert np.abs(got.permute(1, 2, 0).numpy() - wanted).max() < 1e-6


def person(height=400, width=300, rows=(60, 360), columns=(100, 180)):
    """A red block on green; picture and mask."""
    image, mask = torch.zeros(height, width, 3), torch.zeros(height, width)
    image[..., 1] = 1
    image[rows[0] : rows[1], columns[0] : columns[1]] = torch.tensor([1.0, 0, 0])
    mask[rows[0] : rows[1], columns[0] : columns[1]] = 1
    return image, mask


@pytest.mark.parametrize("source_px, size", [(1024, (1694, 1022)), (512, (840, 504))])
def test_framed_person_has_the_released_size_and_no_background(source_px, size):
    framed = images.frame_person(*person(), source_px=source_px)
    assert framed.shape == (1, 3, *size)
    assert framed[:, 1].sub(framed[:, 2]).abs().max() < 1e-5  # no green: only red and white
    red = framed[0, 1] < 0.5
    rows = torch.nonzero(red.any(1)).flatten()
    assert (rows[-1] - rows[0]) / size[0] > 0.97  # fills the height
    assert abs(float(torch.nonzero(red.any(0)).float().mean()) / size[1] - 0.5) < 0.02


def test_a_wide_person_gets_white_above_and_keeps_the_feet():
    framed = images.frame_person(*person(rows=(250, 390), columns=(20, 280)))
    red = framed[0, 1] < 0.5
    assert framed.shape == (1, 3, 1694, 1022)
    assert red[:1000].float().mean() < 0.5 and red[-200:].float().mean() > 0.5


@pytest.mark.parametrize("change", ["empty", "nan", "channels", "size"])
def test_bad_pictures_are_named(change):
    image, mask = person()
    if change == "empty":
        mask = torch.zeros_like(mask)
    elif change == "nan":
        image[0, 0, 0] = torch.nan
    elif change == "channels":
        image = image[..., :2]
    else:
        mask = mask[1:]
    with pytest.raises(InputError, match="wanted"):
        images.frame_person(image, mask)


def test_head_crop_is_a_square_around_the_box():
    image = torch.rand(200, 160, 3, generator=torch.Generator().manual_seed(0))
    head = images.crop_head(image, (60.0, 40.0, 100.0, 80.0))
    assert head.shape == (1, 3, 66, 66)
    assert torch.equal(head[0, :, 33, 33], image[60, 80])
    at_border = images.crop_head(image, (0.0, 0.0, 40.0, 40.0))
    assert at_border.shape == (1, 3, 53, 53)


@pytest.mark.parametrize(
    "box", [(-90, -90, -40, -40), (500, 20, 560, 80), (20, 20, 23, 23), (30, 30, 20, 20)]
)
def test_a_head_outside_of_the_photo_is_black(box):
    head = images.crop_head(torch.ones(100, 100, 3), box)
    assert head.shape == (1, 3, 448, 448) and head.abs().max() == 0


def test_head_box_is_where_the_camera_sees_the_points():
    camera = orbit_cameras([0.0], [0.0], radius_m=4.0, size=(200, 100))
    points = torch.tensor([[-0.1, 0.5, 0.0], [0.1, 0.8, 0.0]])
    left, top, right, bottom = images.head_box(points, camera)
    assert left < 50 < right and top < bottom < 100
    assert (left + right) / 2 == pytest.approx(50, abs=1e-3)
