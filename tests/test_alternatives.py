"""Alternatives share the photo and differ behind; bias and variance add up to the error."""

import numpy as np
import pytest
import torch

from experiments import coarse_baselines
from toolkit.body.motion import a_pose
from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError
from toolkit.measure.metrics import masked_psnr
from toolkit.measure.variance import split_error
from toolkit.people.alternatives import PHOTO_PX, sample_alternative_lights, sample_alternatives
from toolkit.people.draw.render import render_person
from toolkit.people.redraw import redraw_hidden, redraw_noise
from toolkit.people.sample import sample_person
from tools.train import learning_curve

FULL, UPPER = 9, 3  # validation people: a printed shirt behind; an upper-body photo
A_POSE = a_pose()


def back_of(person):
    camera = orbit_cameras([180.0], 0.0, radius_m=4.9, size=(96, 48), target=(0, -0.12, 0))
    return render_person(person, camera, pose=A_POSE, supersample=1).rgb


def photo_agreement_db(first, second):
    """PSNR of two people's photos from the first one's camera, inside both silhouettes."""
    a, b = (
        render_person(p, first.photo_camera.resized(PHOTO_PX, PHOTO_PX), supersample=2)
        for p in (first, second)
    )
    return float(masked_psnr(a.rgb, b.rgb, ((a.alpha + b.alpha) > 0).float())[0])


@pytest.fixture(scope="module")
def full():
    person = sample_person(FULL, "val")
    return person, sample_alternatives(person, 5)


def test_alternatives_share_the_photo_and_not_the_back(full):
    person, others = full
    assert min(photo_agreement_db(person, t) for t in others) >= 40
    backs = [back_of(p) for p in (person, *others)]
    assert max((b - backs[0]).abs().max() for b in backs[1:]) > 0.1
    assert len({t.attributes["back"] for t in others}) > 1
    for other in others:
        assert other.seed == person.seed and other.light is person.light
        assert {k: v for k, v in other.attributes.items() if k not in ("back", "hair")} == {
            k: v for k, v in person.attributes.items() if k not in ("back", "hair")
        }


def test_alternatives_are_the_same_again(full):
    person, others = full
    again = sample_alternatives(person, 5)
    assert [t.attributes for t in again] == [t.attributes for t in others]
    assert torch.equal(back_of(again[2]), back_of(others[2]))


def test_ink_of_the_chest_is_the_ink_of_the_back(full):
    person, others = full
    ink = person.outfit.cloth["top"].front.image[0, 0, :3]
    backs = [
        b
        for t in others
        if (b := t.outfit.cloth["top"].back) is not None and not b.label.startswith("picture")
    ]
    assert backs and all(np.array_equal(b.image[0, 0, :3], ink) for b in backs)


def test_legs_that_the_photo_shows_are_kept_and_others_drawn():
    person = sample_person(UPPER, "val")
    rng = np.random.default_rng(0)
    kept = redraw_hidden(person, rng, below="nothing")
    assert kept.outfit.cuts["bottom"] == person.outfit.cuts["bottom"]
    drawn = sample_alternatives(person, 2)
    shown = [tuple(t.outfit.cloth["bottom"].color) for t in drawn if "bottom" in t.outfit.cloth]
    assert len({*shown, tuple(person.outfit.cloth["bottom"].color)}) > 1


def test_nothing_agrees_with_an_impossible_tolerance(monkeypatch):
    monkeypatch.setattr("toolkit.people.alternatives.MAX_TRIES", 3)
    person = sample_person(1, "val")  # long hair moves some pixels
    with pytest.raises(InputError, match="tolerance"):
        sample_alternatives(person, 1, tolerance_db=1000)


def test_noise_changes_details_only(full):
    person, _ = full
    other = redraw_noise(person, np.random.default_rng(1))
    difference = (back_of(other) - back_of(person)).abs()
    assert 0 < difference.mean() < 0.02
    assert other.attributes == person.attributes
    assert other.outfit.cloth["top"].back is person.outfit.cloth["top"].back


def test_other_lights_leave_the_photo_alone():
    person = sample_person(1, "val")
    others = sample_alternative_lights(person, 1, tolerance_db=26)
    assert min(photo_agreement_db(person, t) for t in others) > 24
    assert all(t.outfit is person.outfit and t.mesh is person.mesh for t in others)
    assert not np.array_equal(others[0].light.direction, person.light.direction)


def test_power_law_is_found_again():
    steps = np.linspace(400, 15_000, 37)
    floor, scale, power = learning_curve.fit_power_law(steps, 0.17 + 0.5 * steps**-0.25)
    assert (floor, scale, power) == pytest.approx((0.17, 0.5, 0.25), rel=0.02)
    noise = np.random.default_rng(0).normal(0, 0.004, 37)
    floor, scale, power = learning_curve.fit_power_law(steps, 0.17 + 0.5 * steps**-0.25 + noise)
    assert floor + scale * 15_000**-power == pytest.approx(0.17 + 0.5 * 15_000**-0.25, abs=0.004)


def random_truths(num, generator, spread=0.1):
    centre = torch.rand(2, 6, 5, 3, generator=generator)
    return centre, centre + spread * torch.randn(num, 2, 6, 5, 3, generator=generator)


def test_bias_and_variance_add_up_to_the_error():
    generator = torch.Generator().manual_seed(0)
    _, truths = random_truths(7, generator)
    b, mask = torch.rand(2, 6, 5, 3, generator=generator), torch.ones(2, 6, 5)
    split = split_error(b, truths, mask)
    error = (b - truths).square().mean((0, 2, 3, 4))
    torch.testing.assert_close(split.total, error)


def test_the_mean_has_no_bias_and_a_sample_twice_the_variance():
    generator = torch.Generator().manual_seed(1)
    centre, truths = random_truths(400, generator)
    mask = torch.ones(2, 6, 5)
    best = split_error(centre, truths, mask)
    assert best.irreducible > 0.99 and abs(best.ceiling_db) < 0.05
    assert best.sampler_db == pytest.approx(-3.0, abs=0.1)
    torch.testing.assert_close(best.variance, torch.full((2,), 0.01), rtol=0.1, atol=0)
    one = split_error(truths[0], truths[1:], mask)
    assert one.irreducible == pytest.approx(0.5, abs=0.05)
    assert one.ceiling_db == pytest.approx(3.0, abs=0.4)


def test_few_truths_do_not_look_like_bias():
    """The mean of two truths is off itself; on average the estimate must not count that."""
    biases = []
    for seed in range(60):
        centre, truths = random_truths(2, torch.Generator().manual_seed(seed))
        biases.append(split_error(centre, truths, torch.ones(2, 6, 5)).bias.mean())
    assert abs(float(torch.stack(biases).mean())) < 2e-4  # the naive one: 5e-3


def test_split_error_refuses_one_truth():
    with pytest.raises(InputError, match="M >= 2"):
        split_error(torch.zeros(1, 4, 4, 3), torch.zeros(1, 1, 4, 4, 3), torch.ones(1, 4, 4))


def test_mirrored_front_paints_the_back_like_the_front():
    from toolkit.body.anchors import sample_anchors
    from toolkit.body.npz import load_body
    from toolkit.coarse.observation import lay_out
    from toolkit.gaussians import Gaussians

    anchors = sample_anchors(load_body(), num=2000)
    layout, n = lay_out(anchors, 64), 2000
    front = layout.normals[:, 2] > 0
    red, blue = torch.tensor([0.8, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.8])
    colors = torch.where((layout.points[:, 1] > 0.2)[:, None], red, blue)
    colors = torch.where(front[:, None], colors, torch.tensor([0.5, 0.5, 0.5]))
    gaussians = Gaussians.from_colors(
        layout.points,
        torch.eye(4)[:1].expand(n, 4),
        torch.full((n, 3), 0.01),
        torch.ones(n),
        colors,
    )
    painted = coarse_baselines.mirror_front(gaussians, front, layout).colors
    assert torch.allclose(painted[front], colors[front], atol=1e-5)
    clear = ~front & ((layout.points[:, 1] - 0.2).abs() > 0.05)
    wanted = torch.where((layout.points[:, 1] > 0.2)[:, None], red, blue)
    assert ((painted - wanted).abs().amax(1) < 1e-3)[clear].float().mean() > 0.99


def test_nearest_front_finds_itself():
    fronts = np.random.default_rng(0).random((5, 8, 4, 3)).astype(np.float32)
    library = coarse_baselines.FrontLibrary(fronts, [3, 1, 4, 15, 9])
    query = torch.from_numpy(fronts[3]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert library.nearest(query, rows=16) == 15
    query[10:] = 0  # below what the photo shows
    assert library.nearest(query, rows=8) == 15
