"""The diagnosis: its split of an error is a partition, and its labels lie where they should."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments import diagnosis, diagnosis_bound, diagnosis_chain, diagnosis_error
from experiments.diagnosis_split import (
    CAUSES,
    PATCH_PX,
    REGIONS,
    Sight,
    draw_labels,
    region_labels,
    sight_labels,
    split_squares,
)
from experiments.document import UNMEASURED
from experiments.upper_bound import crude_start
from toolkit.body.anchors import sample_anchors
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig
from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError
from toolkit.evaluate.cases import Views
from toolkit.measure.metrics import masked_psnr
from toolkit.prior.orbit import Orbit, static_orbit, turntable_cameras
from toolkit.refine.turntable import pose_for_turntable
from toolkit.render.api import Render, render

NUM = len(REGIONS)


@pytest.fixture(scope="module")
def avatar():
    """Grey Gaussians on the mean body, solid from the turntable's distance."""
    body = load_body()
    rig = Rig.build(body, sample_anchors(body, 4000), torch.zeros(20))
    blank = SimpleNamespace(
        pose=a_pose(),
        transl=-rig.joints[0],
        cameras=turntable_cameras(static_orbit(4)),
        rgb=torch.full((4, 192, 96, 3), 0.5),
    )
    gaussians = crude_start(rig, blank)
    return Avatar(gaussians.replace(scales=gaussians.scales * 1.5), rig)


@pytest.fixture(scope="module")
def cameras():
    return turntable_cameras(static_orbit(4))


@pytest.fixture(scope="module")
def labels(avatar, cameras):
    return draw_labels(pose_for_turntable(avatar), region_labels(avatar.rig), NUM, cameras)


def as_views(drawn, cameras):
    azimuths = np.arange(len(cameras)) * 360 / len(cameras)
    return Views(cameras, drawn.rgb, drawn.alpha, azimuths, torch.zeros(17, 3))


def drawn_in(avatar, colors, cameras):
    with torch.no_grad():
        return render(pose_for_turntable(avatar).recolored(colors), cameras)


# --- labels ---


def test_every_joint_belongs_to_one_region():
    held = sorted(joint for joints in REGIONS.values() for joint in joints)
    assert held == [j for j in range(55)]


def test_regions_lie_where_a_body_has_them(avatar, cameras, labels):
    """Front view: head above torso above legs, and arms on both sides of the torso."""
    assert labels.shape == (4, 192, 96) and set(np.unique(labels)) == set(range(NUM))
    covered = drawn_in(avatar, torch.zeros(4000, 3), cameras).alpha[0, ..., 0].numpy() > 0.5
    places = [np.argwhere(covered & (labels[0] == i)) for i in range(NUM)]
    head, torso, arms, legs = (p.mean(0) for p in places)
    assert head[0] < torso[0] < legs[0]
    columns, middle = places[2][:, 1], 48
    assert columns.min() < middle - 15 and columns.max() > middle + 15
    assert abs(head[1] - middle) < 2 and abs(arms[1] - middle) < 2
    assert len(places[3]) > len(places[1]) > len(places[0]) > 0


def test_a_pixel_beside_the_avatar_takes_the_label_of_the_nearest(labels):
    assert labels[0, 0, 48] == 0 and labels[0, -1, 48] == 3  # above the head, below the feet


def test_sight_tells_seen_hidden_and_outside(avatar):
    """A camera in front that shows the upper half of the picture's height only."""
    full = orbit_cameras([0.0], 0.0, radius_m=5.0, fov_y_deg=25.0, size=(200, 100))
    camera = type(full)(full.viewmats, full.Ks, 100, 100)  # the lower half is cut off
    body = SimpleNamespace(pose=a_pose(), transl=-avatar.rig.joints[0], camera=camera)
    points = pose_for_turntable(avatar).means
    visible = (points[:, 2] > 0) & (points[:, 1] > 0.1)
    sights = sight_labels(avatar, body, visible)
    assert (sights[visible] == Sight.SEEN).all()
    assert (sights[~visible & (points[:, 1] > 0.1)] == Sight.HIDDEN).all()
    assert (sights[points[:, 1] < -0.1] == Sight.OUTSIDE).all()
    assert all((sights == sight).sum() > 200 for sight in Sight)


# --- the split ---


def test_the_split_is_a_partition(cameras):
    """Random pictures, coverages and labels: the parts sum to the whole, label by label."""
    g = torch.Generator().manual_seed(0)
    rgb, alpha = torch.rand(2, 4, 32, 24, 3, generator=g), torch.rand(2, 4, 32, 24, 1, generator=g)
    small = cameras.resized(24, 32)
    labels = torch.randint(0, 5, (4, 32, 24), generator=g).numpy()
    drawn = Render(rgb[0], alpha[0], torch.zeros(4, 32, 24, 1))
    truth = Views(small, rgb[1], alpha[1], np.zeros(4), torch.zeros(17, 3))
    sums, pixels = split_squares(drawn, truth, labels, 6)
    union = (alpha.amax(0) > 0.5)[..., 0].numpy()
    squares = (rgb[0] - rgb[1]).square().mean(-1).numpy()
    assert (sums >= 0).all() and sums[:5].min() > 0
    assert not sums[5].any() and pixels.sum() == union.sum()
    for label in range(5):
        chosen = union & (labels == label)
        assert pixels[label] == chosen.sum()
        assert sums[label].sum() == pytest.approx(squares[chosen].sum(), rel=1e-5)
    # the same number as the metric that the evaluation uses
    psnr = masked_psnr(rgb[0].reshape(1, -1, 24, 3), rgb[1].reshape(1, -1, 24, 3),
                       torch.from_numpy(union).reshape(1, -1, 24))  # fmt: skip
    assert -10 * np.log10(sums.sum() / pixels.sum()) == pytest.approx(float(psnr), abs=1e-3)


CHANGES = {"shade": (-0.3, -0.3, -0.3), "hue": (0.3, -0.3, 0.0)}  # the second has no grey part


@pytest.mark.parametrize("region", ["head", "torso", "legs"])
@pytest.mark.parametrize("cause", CHANGES)
def test_a_wrong_colour_is_found_in_its_place_and_by_its_cause(
    avatar, cameras, labels, region, cause
):
    number, colors = list(REGIONS).index(region), torch.full((4000, 3), 0.5)
    grey = drawn_in(avatar, colors, cameras)
    painted = torch.where(
        region_labels(avatar.rig)[:, None] == number, colors + torch.tensor(CHANGES[cause]), colors
    )
    wrong = drawn_in(avatar, painted, cameras)
    sums, _ = split_squares(wrong, as_views(grey, cameras), labels, NUM)
    shares = sums / sums.sum()
    assert not shares[:, 0].any()  # nothing moved
    assert shares.sum(1)[number] > 0.9
    assert CAUSES[shares.sum(0).argmax()] == cause and shares.sum(0).max() > 0.75


def test_bands_narrower_than_a_patch_are_fine_detail(avatar, cameras, labels):
    grey = drawn_in(avatar, torch.full((4000, 3), 0.5), cameras)
    bands = 0.2 * (-1.0) ** (torch.arange(192) // (PATCH_PX // 4))
    wrong = Render(grey.rgb + grey.alpha * bands[:, None, None], grey.alpha, grey.depth)
    sums, _ = split_squares(wrong, as_views(grey, cameras), labels, NUM)
    shares = sums.sum(0) / sums.sum()
    assert CAUSES[shares.argmax()] == "fine" and shares.max() > 0.9


def test_a_thicker_body_is_an_outline(avatar, cameras, labels):
    dark = torch.full((4000, 3), 0.1)
    thin = drawn_in(avatar, dark, cameras)
    gaussians = avatar.gaussians
    thick = Avatar(gaussians.replace(scales=gaussians.scales * 2), avatar.rig)
    sums, _ = split_squares(drawn_in(thick, dark, cameras), as_views(thin, cameras), labels, NUM)
    assert sums[:, 0].sum() > 0.95 * sums.sum() > 0


# --- summaries and tables ---


def error_person(clothes, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.random((NUM, len(Sight)))
    return {
        "squares": rng.random((NUM, len(Sight), len(CAUSES))).tolist(),
        "pixels": (pixels / pixels.sum()).tolist(),
        "clothes": clothes,
    }


def test_shares_of_the_error_sum_to_one_along_every_axis():
    persons = [error_person(c, i) for i, c in enumerate(("plain", "plain", "pattern"))]
    numbers = diagnosis_error.summarise(persons)
    for axis, parts in zip(diagnosis_error.AXES, (NUM, len(Sight), len(CAUSES)), strict=True):
        means = [share["mean"] for share in numbers["shares"][axis]]
        assert len(means) == parts and sum(means) == pytest.approx(1)
    assert {k: v["people"] for k, v in numbers["clothes"].items()} == {"plain": 2, "pattern": 1}
    assert np.sum(numbers["pixels"]) == pytest.approx(1)
    table = diagnosis_error.table(numbers)
    assert all(words in table for words in (*REGIONS, *CAUSES, *diagnosis_error.SIGHTS.values()))


def test_tables_do_not_depend_on_the_order_of_keys():
    """What is read back from a JSON file has its keys sorted."""
    persons = [error_person(c, i) for i, c in enumerate(diagnosis_error.CLOTHES)]
    row = {m: {"mean": 0.5} for m in diagnosis_bound.MEASURES}
    ways = {way: row for way in ("coarse", *diagnosis_bound.WAYS)}
    bound = {"people": 1, "rows": {str(num): ways for num in diagnosis_bound.COUNTS}}
    pairs = ((diagnosis_error, diagnosis_error.summarise(persons)), (diagnosis_bound, bound))
    for module, numbers in pairs:
        read_back = json.loads(json.dumps(numbers, sort_keys=True))
        assert module.table(read_back) == module.table(numbers)
    lines = diagnosis_bound.table(bound).splitlines()
    assert len(lines) == 4 + len(ways) * len(diagnosis_bound.COUNTS)
    assert "20,000 Gaussians: coarse" in lines[4]


def test_clothes_are_told_apart_by_attributes():
    plain = {"back": "none", "top_pattern": "plain", "bottom_pattern": "plain"}
    assert diagnosis_error.clothes_of(plain) == "plain"
    assert diagnosis_error.clothes_of(plain | {"bottom_pattern": "dots"}) == "pattern"
    assert diagnosis_error.clothes_of(plain | {"top_pattern": "dots", "back": "yoke"}) == "print"


def test_the_chain_says_which_step_loses_what():
    """Two people whose gain shrinks at known steps."""

    def row(coarse, refined):
        return {
            "coarse": {"psnr": 20.0, "perceptual": coarse, "sharpness": 0.4},
            "refined": {"psnr": 20.0 + refined, "perceptual": coarse * 0.8, "sharpness": 0.4},
        }

    steps = dict.fromkeys(diagnosis_chain.STEPS, 1.0) | {"estimated": 0.25}
    persons = [{s: row(c, gain) for s, gain in steps.items()} for c in (0.5, 0.6)]
    rows = {step: diagnosis_chain.summary(persons, step) for step in diagnosis_chain.STEPS}
    assert rows["frames"]["left"]["mean"] == pytest.approx(0.8)
    lines = diagnosis_chain.table({"people": 2, "rows": rows}).splitlines()[-len(steps) :]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    assert cells[0][-2:] == ["", ""] and cells[-1][-2:] == ["+0.75", "+0.0"]
    assert all(c[-2:] == ["+0.00", "+0.0"] for c in cells[1:-1])
    assert cells[-1][5].startswith("+0.25") and cells[-1][6].startswith("-20.0")


def test_views_in_between_lie_in_between():
    orbit = Orbit(torch.tensor([0.0, 90.0, 200.0]), torch.tensor([0.0, 10.0, -4.0]))
    middle = diagnosis_bound.between(orbit)
    assert middle.azimuths_deg.tolist() == [45.0, 145.0, 280.0]
    assert middle.elevations_deg.tolist() == [5.0, 3.0, -2.0]


def test_records_are_kept_and_made_anew_with_another_key(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.diagnosis_people.FOLDER", tmp_path)
    seen = []

    def person(seed, folder):
        seen.append(seed)
        return {"seed": seed}

    each = diagnosis_error.each_person
    assert each("x", 2, "a", person) == each("x", 2, "a", person) == [{"seed": 0}, {"seed": 1}]
    assert seen == [0, 1]
    each("x", 3, "a", person)
    each("x", 1, "b", person)
    assert seen == [0, 1, 2, 0]


def test_parts_are_chosen_by_name_and_a_missing_one_says_so():
    assert diagnosis.chosen_parts("bound,error") == ["error", "bound"]
    with pytest.raises(InputError, match="chain"):
        diagnosis.chosen_parts("error,chains")
    assert diagnosis.tables({}) == dict.fromkeys(diagnosis.PARTS, UNMEASURED)
