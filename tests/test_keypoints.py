"""One person is found where there is one; cats, noise and crowds give one clear error."""

import re

import matplotlib.cbook
import numpy as np
import pytest
import skimage.data

from toolkit.errors import InputError
from toolkit.photo.detection.candidates import square_iou, upright_roi
from toolkit.photo.detection.choice import Choice
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES, MIRROR
from toolkit.photo.detection.keypoints import detect
from toolkit.photo.detection.mask import guided_filter
from toolkit.photo.detection.roi import Roi, crop, paste
from toolkit.photo.load import load_photo


@pytest.fixture(scope="module")
def astronaut():
    return (skimage.data.astronaut() / 255.0).astype(np.float32)


@pytest.fixture(scope="module")
def hopper():
    return load_photo(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


@pytest.fixture(scope="module")
def detection(astronaut):
    return detect(astronaut)


def point(detection, name):
    return detection.keypoints[KEYPOINT_NAMES.index(name)]


def test_roi_round_trip():
    roi = Roi(np.array([40.0, 70.0]), 55.0, 0.4)
    points = np.random.default_rng(0).random((20, 2)) * 100
    np.testing.assert_allclose(roi.to_image(roi.to_crop(points)), points)


def test_upright_roi_turns_the_body_up():
    roi = upright_roi(np.array([50.0, 50.0]), np.array([70.0, 50.0]))  # head to the right
    np.testing.assert_allclose(roi.to_crop(np.array([[70.0, 50.0]])), [[0.5, 0.1]])


def test_square_iou_of_known_squares():
    a, b = Roi(np.zeros(2), 2.0), Roi(np.array([1.0, 0.0]), 2.0)
    assert square_iou(a, a) == 1.0 and square_iou(a, b) == pytest.approx(1 / 3)


@pytest.mark.parametrize("side", [64, 300])
def test_crop_then_paste_gives_the_picture_back(side):
    y, x = np.mgrid[:side, :side] / side
    image = np.stack([x, y, 0.5 * np.sin(6 * x) + 0.5], -1).astype(np.float32)
    roi = Roi(np.array([side / 2, side / 2]), side * 0.8, 0.3)
    back = paste(crop(image, roi, 96)[..., 0], roi, (side, side))
    inside = slice(side // 3, 2 * side // 3)
    np.testing.assert_allclose(back[inside, inside], image[inside, inside, 0], atol=0.02)


def test_guided_filter_moves_a_blurred_edge_to_the_picture_edge():
    image = np.zeros((60, 60, 3), np.float32)
    image[:, 30:] = 0.8
    mask = np.clip((np.arange(60) - 26) / 10, 0, 1) * np.ones((60, 1))
    sharp = guided_filter(image, mask.astype(np.float32), radius=8)
    assert sharp[30, 27] < 0.2 and sharp[30, 32] > 0.7
    flat = guided_filter(np.zeros_like(image), mask.astype(np.float32), radius=4, shrink=2)
    assert np.isfinite(flat).all() and flat.shape == mask.shape


def test_astronaut_is_one_person_with_face_and_shoulders(detection, astronaut):
    # Read off the photo by eye: nose near (222, 125), shoulders left and right of the neck ring.
    assert np.hypot(*(point(detection, "nose")[:2] - [222, 125])) < 15
    assert point(detection, "left_shoulder")[0] > point(detection, "right_shoulder")[0]
    assert point(detection, "nose")[2] > 0.8 and point(detection, "left_ankle")[2] == 0
    assert detection.mask.shape == astronaut.shape[:2]
    assert detection.mask[125, 222] > 0.9 and detection.mask[350, 200] > 0.9
    assert detection.mask[50, 420] < 0.1 and detection.mask[20, 20] < 0.1
    assert detection.box[3] == 512 and detection.box[1] < 40


def test_world_points_have_the_documented_axes(detection):
    assert point(detection, "left_shoulder")[0] > 0
    names = {
        n: detection.world[KEYPOINT_NAMES.index(n)]
        for n in ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_ear")
    }
    assert names["left_shoulder"][0] > names["right_shoulder"][0]
    assert names["nose"][1] > names["left_shoulder"][1] > names["left_hip"][1]
    assert names["nose"][2] > names["left_ear"][2]  # she looks at the camera, and z points there
    assert np.abs(names["left_hip"] + names["right_hip"]).max() < 0.15


def test_hopper_is_one_person(hopper):
    detection = detect(hopper)
    assert point(detection, "left_shoulder")[0] > point(detection, "right_shoulder")[0] + 200
    assert 0.4 < detection.mask.mean() < 0.75


def test_mirror_image_gives_mirrored_points(detection, astronaut):
    mirrored = detect(astronaut[:, ::-1])
    back = mirrored.keypoints[MIRROR] * [-1, 1, 1] + [512, 0, 0]
    sure = (detection.keypoints[:, 2] > 0.5) & (back[:, 2] > 0.5)
    assert sure.sum() >= 10
    assert np.median(np.linalg.norm((back - detection.keypoints)[sure, :2], axis=1)) < 10


def test_alpha_replaces_the_mask(detection, astronaut):
    alpha = (detection.mask > 0.5).astype(np.float32)
    np.testing.assert_array_equal(detect(astronaut, alpha).mask, alpha)


@pytest.fixture(scope="module")
def two(astronaut, hopper):
    """The astronaut on the left of Grace Hopper; two columns of 512 pixels."""
    return np.concatenate([astronaut, hopper[:512, :512]], axis=1)


def test_two_people_are_refused_with_their_boxes(two):
    with pytest.raises(InputError, match=r"2 people of similar size.*--person.*crop") as error:
        detect(two, pixel=3.0)
    (left, _, _, _), (_, _, right, _) = (
        [int(side) for side in box.split(",")]
        for box in re.findall(r"box (\d+,\d+,\d+,\d+)", str(error.value))
    )
    assert left < 3 * 200 and 3 * 700 < right < 3 * 1024  # in pixels of the file


@pytest.mark.parametrize(
    ("choice", "side"),
    [
        (Choice(number=1), "left"),
        (Choice(number=2), "right"),
        (Choice(box=(20, 10, 400, 500)), "left"),
        (Choice(box=(560, 60, 1020, 500)), "right"),
    ],
)
def test_the_chosen_one_of_two_people_is_taken(two, choice, side):
    mask = detect(two, choice=choice).mask > 0.5
    share = mask[:, :512].sum() / mask.sum()
    assert share > 0.98 if side == "left" else share < 0.02


def test_transparency_is_cut_to_the_chosen_person(two):
    opaque = np.ones(two.shape[:2], np.float32)
    opaque[:100] = 0
    mask = detect(two, opaque, Choice(number=2)).mask
    assert mask[:, :512].sum() < 0.02 * mask.sum() and mask[:100].max() == 0 and mask.max() == 1


@pytest.mark.parametrize(
    ("choice", "message"),
    [(Choice(number=3), r"a number up to 2.*--box"), (Choice(box=(0, 0, 30, 30)), "nobody in it")],
)
def test_a_choice_of_nobody_is_refused(two, choice, message):
    with pytest.raises(InputError, match=message):
        detect(two, choice=choice)


@pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "40,10,20,480", "nan,0,9,9"])
def test_a_bad_box_is_refused(box):
    with pytest.raises(InputError, match="x0,y0,x1,y1"):
        Choice.parse(None, box)
    with pytest.raises(InputError, match="one of them"):
        Choice.parse(1, "0,0,9,9")


def test_a_person_is_found_in_a_box_that_the_search_missed(astronaut):
    picture = np.full((900, 1600, 3), 0.6, np.float32)
    picture[700:860, 60:220] = crop(astronaut, Roi(np.array([256.0, 256.0]), 512.0), 160)
    found = detect(picture, choice=Choice(box=(60, 700, 220, 860)))
    assert found.box[0] > 50 and found.box[1] > 690 and found.box[2] < 230


def test_tiny_person_is_refused(astronaut):
    picture = np.full((800, 800, 3), 0.7, np.float32)
    picture[300:380, 300:380] = astronaut[:480, :480].reshape(80, 6, 80, 6, 3).mean(axis=(1, 3))
    with pytest.raises(InputError, match="at least 96"):
        detect(picture)


def test_face_alone_is_refused(astronaut):
    with pytest.raises(InputError, match="face without shoulders"):
        detect(astronaut[50:220, 100:290])


@pytest.mark.parametrize("name", ["chelsea", "coffee", "noise"])
def test_no_person_is_refused(name):
    noise = np.random.default_rng(0).random((300, 300, 3))
    image = noise if name == "noise" else getattr(skimage.data, name)() / 255.0
    with pytest.raises(InputError, match="no person found"):
        detect(image.astype(np.float32))
