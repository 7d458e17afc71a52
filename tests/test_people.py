"""Procedural people: the same seed gives the same person, splits never meet, pictures agree."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from toolkit.body.motion import a_pose
from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError
from toolkit.people.attributes import CHOICES
from toolkit.people.draw.photo import photo_camera, photo_of
from toolkit.people.draw.render import render_person
from toolkit.people.dress.outfit import build_outfit
from toolkit.people.outlines import neckline
from toolkit.people.paint import print_families
from toolkit.people.random_attributes import sample_attributes
from toolkit.people.sample import person_from_attributes, sample_person


def cameras(azimuths=(0.0,), size=(96, 48)):
    return orbit_cameras(list(azimuths), 0.0, radius_m=4.8, size=size, target=(0, -0.1, 0))


@pytest.fixture(scope="module")
def person():
    return sample_person(3)


@pytest.fixture(scope="module")
def views(person):
    return render_person(person, cameras((0.0, 90.0, 180.0)), pose=a_pose(), supersample=2)


def test_same_seed_same_person(person, views):
    again = render_person(
        sample_person(3), cameras((0.0, 90.0, 180.0)), pose=a_pose(), supersample=2
    )
    for name in ("rgb", "alpha", "depth", "normals"):
        assert torch.equal(getattr(again, name), getattr(views, name)), name
    assert sample_person(3).attributes == person.attributes


def test_other_seed_other_person(person, views):
    other = render_person(sample_person(4), cameras((0.0,)), pose=a_pose(), supersample=2)
    assert (other.rgb[0] - views.rgb[0]).abs().mean() > 0.01
    assert not torch.equal(sample_person(4).betas, person.betas)


def test_ranges_and_shapes(views):
    assert views.rgb.shape == (3, 96, 48, 3) and views.alpha.shape == (3, 96, 48, 1)
    assert views.depth.shape == (3, 96, 48) and views.normals.shape == (3, 96, 48, 3)
    assert views.rgb.min() >= 0 and views.rgb.max() <= 1
    assert 0.1 < views.alpha.mean() < 0.4


def test_alpha_depth_and_normals_agree(views):
    covered = views.alpha[..., 0] > 0
    assert torch.equal(covered, views.depth > 0)
    assert (views.depth[covered] - 4.8).abs().max() < 0.8
    assert (views.rgb[~covered] == 1).all()
    inside = views.alpha[..., 0] == 1
    assert (views.normals[inside].norm(dim=-1) - 1).abs().max() < 1e-3


def test_normals_face_the_camera(views):
    """Mean normals of covered pixels point to where the camera is: +z, +x, -z."""
    toward = torch.tensor([[0, 0, 1.0], [1, 0, 0], [0, 0, -1]])
    for view in range(3):
        inside = views.alpha[view, ..., 0] == 1
        assert (views.normals[view][inside] @ toward[view]).mean() > 0.4


def test_back_mask_mirrors_the_front_mask(person):
    far = orbit_cameras(
        [0.0, 180.0], 0.0, radius_m=200.0, fov_y_deg=0.62, size=(96, 48), target=(0, -0.1, 0)
    )
    alpha = render_person(person, far, pose=a_pose(), supersample=2).alpha[..., 0]
    assert (alpha[0] - alpha[1].flip(-1)).abs().mean() < 0.01


def test_moving_the_camera_moves_the_person(person):
    moved = render_person(
        person,
        cameras(),
        pose=a_pose(),
        supersample=1,
        transl=person.transl + torch.tensor([0.1, 0, 0]),
    )
    still = render_person(person, cameras(), pose=a_pose(), supersample=1)
    column = torch.arange(48.0)
    centre = [(v.alpha[0, ..., 0].sum(0) * column).sum() / v.alpha.sum() for v in (still, moved)]
    assert 1.5 < centre[1] - centre[0] < 7


def test_pelvis_is_at_the_origin_and_photo_camera_is_axis_parallel(person):
    from toolkit.body.npz import load_body

    joints = load_body()(person.betas, person.pose, person.transl).joints
    assert joints[0].abs().max() < 1e-4
    rotation = person.photo_camera.viewmats[0, :3, :3]
    assert torch.equal(rotation, torch.diag(torch.tensor([1.0, -1.0, -1.0])))


def test_photo_is_framed_and_repeatable(person):
    photo, views = photo_of(person, (128, 96), supersample=1)
    again, _ = photo_of(person, (128, 96), supersample=1)
    assert photo.shape == (128, 96, 3) and photo.dtype == np.uint8
    assert np.array_equal(photo, again)
    assert 0.04 < views.alpha.mean() < 0.7
    outside = views.alpha[0, ..., 0].numpy() == 0
    assert photo[outside].std() > 2  # there is a place behind the person


def test_photo_camera_keeps_the_vertical_view(person):
    wide = photo_camera(person.photo_camera, (256, 384))
    pixel, _ = wide.project(torch.zeros(1, 3))
    square, _ = person.photo_camera.project(torch.zeros(1, 3))
    assert torch.allclose(pixel[0, 0, 1] / 256, square[0, 0, 1] / 512, atol=1e-5)
    assert torch.allclose(pixel[0, 0, 0] - 192, (square[0, 0, 0] - 256) / 2, atol=1e-3)


def test_attributes_are_followed():
    chosen = {"gender": "woman", "top": "dress", "hair": "long", "hat": "none", "coat": "none"}
    person = person_from_attributes(chosen, 5)
    assert {k: person.attributes[k] for k in chosen} == chosen
    assert "skirt" in person.outfit.cuts and "curtain" in person.outfit.cuts
    json.dumps(person.attributes)
    red = person_from_attributes(chosen | {"top_color": "red", "top_pattern": "plain"}, 5)
    rgb = render_person(red, cameras(), pose=a_pose(), supersample=1)
    middle = rgb.rgb[0, 30:50, 20:28].mean((0, 1))
    assert middle[0] > 1.8 * middle[1]


@pytest.mark.parametrize("style", sorted(CHOICES["hair"]))
def test_every_hair_style_renders(style):
    person = person_from_attributes({"hair": style, "framing": "full"}, 9)
    view = render_person(person, cameras(size=(48, 32)), supersample=1)
    assert torch.isfinite(view.rgb).all() and view.alpha.mean() > 0.05


@pytest.mark.parametrize("bad", [{"top": "toga"}, {"nose": "long"}, {"age": 300}])
def test_unknown_attributes_are_refused(bad):
    with pytest.raises(InputError, match="Attribute"):
        person_from_attributes(bad, 0)


def test_splits_have_their_own_seeds():
    assert sample_person(0, "test").seed == 2_000_000
    assert sample_person(2_000_000, "test").seed == 2_000_000
    with pytest.raises(InputError, match="seed"):
        sample_person(1_500_000, "train")
    with pytest.raises(InputError, match="split"):
        sample_person(0, "holdout")


@pytest.mark.parametrize("table", ["TEXTS", "LOGOS", "PICTURES", "PERIODS_M"])
def test_print_families_are_disjoint(table):
    families = [set(family) for family in getattr(print_families, table).values()]
    assert sum(map(len, families)) == len(set().union(*families))


def test_worn_prints_come_from_their_split():
    def labels(split):
        for seed in range(80):
            drawn = sample_attributes(np.random.default_rng(seed))
            yield from build_outfit(drawn, seed, split).prints

    worn = {split: set(labels(split)) for split in ("train", "test")}
    assert worn["train"] and worn["test"] and not worn["train"] & worn["test"]


def test_backs_differ_from_fronts():
    """At least 40 % of tops show something on the back that the front does not."""
    people = [sample_attributes(np.random.default_rng(seed)) for seed in range(300)]
    different = [p["back"] != "none" or p["top"] == "hoodie" for p in people]
    assert np.mean(different) >= 0.4


def test_same_attributes_give_another_outfit_in_another_split():
    person = sample_person(0)
    test = person_from_attributes(person.attributes, 0, split="test")
    assert dataclasses.asdict(test.outfit.skin)["seed"] != person.outfit.skin.seed


def test_neckline_is_lower_in_a_wide_neck():
    front = np.array([[0.0, 0.50, 0.09]])
    assert neckline(front, "high")[0] > neckline(front, "crew")[0] > neckline(front, "wide")[0]
