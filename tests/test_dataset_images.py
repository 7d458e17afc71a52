"""Checks of pictures: exactly one person, whole body in the frame, sharp, not seen before."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from toolkit.dataset import images_diffusers
from toolkit.dataset.balance import balanced_records
from toolkit.dataset.image_check import blurred, check_image, cut_off, differing_bits, image_hash
from toolkit.dataset.images_diffusers import DiffusionImages
from toolkit.dataset.images_procedural import ProceduralImages
from toolkit.dataset.prompts_templates import TemplateWriter
from toolkit.errors import InputError, MissingCapabilityError
from toolkit.photo.detection.keypoints import detect
from toolkit.run.files import sample_path

RECORDS = balanced_records(3, seed=1)


@pytest.fixture(scope="module")
def pictures():
    maker = ProceduralImages((384, 384), supersample=2)
    return [maker.draw(TemplateWriter().write(r), seed=r.index).image for r in RECORDS]


@pytest.fixture(scope="module")
def found(pictures):
    return detect(pictures[0].astype(np.float32) / 255)


def test_our_people_and_a_real_photo_pass(pictures):
    assert [check_image(image) for image in pictures[:2]] == [None, None]
    assert check_image(np.asarray(Image.open(sample_path("person.jpg")).convert("RGB"))) is None


def test_nobody(pictures):
    corner = np.asarray(Image.fromarray(pictures[0][:64, :64]).resize((256, 256)))
    assert check_image(corner).reason == "nobody"


def test_two_people_side_by_side(pictures):
    fault = check_image(np.concatenate([pictures[0], pictures[1]], axis=1))
    assert fault.reason == "several people" and "2 people" in fault.detail


def test_feet_or_head_out_of_the_frame(pictures, found):
    """The lower legs are cut off; with the detection of the whole picture, so is its border."""
    x0, y0, x1, y1 = found.box.astype(int)
    no_feet = pictures[0][: y0 + int(0.75 * (y1 - y0))]
    fault = check_image(no_feet)
    assert fault.reason == "body not in the picture" and "foot" in fault.detail
    assert cut_off(pictures[0], found) is None
    at_border = replace(found, box=np.array([x0, y0, x1, pictures[0].shape[0]], float))
    assert "0 pixels to the border" in cut_off(pictures[0], at_border).detail


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_picture_is_no_upright_person(quarter_turns):
    image = np.asarray(Image.open(sample_path("person.jpg")).convert("RGB"))
    assert check_image(image) is None
    fault = check_image(np.rot90(image, quarter_turns).copy())
    assert fault.reason in ("not upright", "nobody"), fault


def test_a_person_who_is_too_small(pictures):
    canvas = np.full((384, 384, 3), 200, np.uint8)
    canvas[150:234, 150:234] = np.asarray(Image.fromarray(pictures[0]).resize((84, 84)))
    assert check_image(canvas).reason in ("person too small", "nobody")


@pytest.mark.parametrize("sigma, is_sharp", [(0, True), (0.5, True), (2.5, False), (4, False)])
def test_blur_is_noticed(pictures, found, sigma, is_sharp):
    soft = gaussian_filter(pictures[0].astype(float), (sigma, sigma, 0)).astype(np.uint8)
    fault = blurred(soft, found)
    assert (fault is None) == is_sharp and (is_sharp or fault.reason == "blurred")


def test_blur_is_measured_at_one_size(found, pictures):
    """The same soft picture enlarged is still soft, and a sharp one still sharp."""
    for sigma in (0, 3):
        soft = gaussian_filter(pictures[0].astype(float), (sigma, sigma, 0)).astype(np.uint8)
        large = np.asarray(Image.fromarray(soft).resize((1152, 1152), Image.Resampling.LANCZOS))
        detection = replace(found, box=found.box * 3)
        assert (blurred(large, detection) is None) == (sigma == 0)


def test_a_near_duplicate_has_nearly_the_same_hash(pictures):
    image = Image.fromarray(pictures[0])
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    brighter = (pictures[0] * 0.9).astype(np.uint8)
    variants = [Image.open(buffer), image.resize((200, 200)), Image.fromarray(brighter)]
    own = image_hash(pictures[0])
    assert all(differing_bits(own, image_hash(np.asarray(v))) <= 6 for v in variants)
    others = [differing_bits(own, image_hash(other)) for other in pictures[1:]]
    assert min(others) > 10 and len(own) == 16
    assert differing_bits(own, own) == 0 and differing_bits("0" * 16, "f" * 16) == 64


class Offloaded:
    """A pipeline that only remembers where it was told to work."""

    def __init__(self):
        self.devices = []

    def __call__(self, prompt, height, width, num_inference_steps):
        raise NotImplementedError

    def set_progress_bar_config(self, disable):
        pass

    def enable_model_cpu_offload(self, gpu_id=None, device=None):
        self.devices.append(str(device))


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """A machine with two GPUs and the weights of one preset; gives back the pipeline."""
    pipeline = Offloaded()
    monkeypatch.setattr(
        torch, "cuda", SimpleNamespace(is_available=lambda: True, device_count=lambda: 2)
    )
    monkeypatch.setattr(images_diffusers, "require", lambda name: tmp_path)
    monkeypatch.setattr(images_diffusers, "load_pipeline", lambda folder, dtype: pipeline)
    monkeypatch.delenv("TOOLKIT_DEVICE", raising=False)
    return pipeline


@pytest.mark.parametrize(
    "given, variable, used",
    [
        ("cuda", None, ["cuda"]),
        ("cuda:1", None, ["cuda:1"]),
        ("cpu", None, []),
        (None, None, ["cuda"]),
        (None, "cuda:1", ["cuda:1"]),
        (None, "cpu", []),
    ],
)
def test_pictures_are_drawn_on_the_gpu_that_is_named(two_gpus, monkeypatch, given, variable, used):
    if variable:
        monkeypatch.setenv("TOOLKIT_DEVICE", variable)
    DiffusionImages.load("flux.1-dev", device=given)
    assert two_gpus.devices == used


@pytest.mark.parametrize(
    "device, error",
    [("cuda:2", MissingCapabilityError), ("gpu", InputError), ("cuda:x", InputError)],
)
def test_a_device_that_does_not_exist_is_refused(two_gpus, device, error):
    with pytest.raises(error, match="Preset flux.1-dev.*wanted"):
        DiffusionImages.load("flux.1-dev", device=device)
    assert not two_gpus.devices
