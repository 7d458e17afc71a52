"""Attribute records: the paper's groups, balance, consistency, and the people drawn from them."""

import json
from collections import Counter

import numpy as np
import pytest
import torch

from toolkit.body.npz import load_body
from toolkit.dataset.person_of_record import (
    full_body_camera,
    keeps_top_color,
    make_person,
    plan_person,
)
from toolkit.dataset.records import AttributeRecord, check_values, sample_record, sample_records
from toolkit.dataset.vocabulary import (
    ANY,
    ATTRIBUTES,
    BEARDS,
    EXPRESSIONS,
    GROUPS,
    NONE,
    PLACES,
    split_color,
)
from toolkit.errors import InputError
from toolkit.people.attributes import check_attributes

RECORDS = sample_records(700, seed=3)

PAPER = {  # the list of the paper, group by group
    "basic identity": {"age", "gender", "ethnicity"},
    "physical features": {"hair type", "hair color", "hair style", "facial details", "body shape"},
    "motion": {"pose", "activity"},
    "emotion": {"facial expression", "emotion"},
    "setting/environment": {"urban", "natural", "indoor", "outdoor"},
    "others": {"occupation", "lighting", "art style"},
    "clothing": {"upper body", "lower body", "shoes", "hat"},
    "accessories": {"glasses", "jewelry", "carried items"},
}


def test_groups_and_names_are_the_papers():
    assert {group: set(names) for group, names in GROUPS.items()} == PAPER


def test_record_does_not_depend_on_who_asks():
    assert sample_record(41, 3) == RECORDS[41] == sample_records(2, 3, start=40)[1]
    assert sample_record(41, 4).values != RECORDS[41].values


def test_every_prefix_is_balanced():
    """Attributes that no repair touches: counts differ by one at most, wherever one stops."""
    for name in ("age", "gender", "body shape", "art style"):
        for count in (10, 63, 350):
            counts = Counter(r.values[name] for r in RECORDS[:count])
            spread = [counts.get(value, 0) for value in ATTRIBUTES[name].values]
            assert max(spread) - min(spread) <= 1, (name, count)
    places = Counter(p for r in RECORDS for p in PLACES if r.values[p] != NONE)
    assert max(places.values()) - min(places.values()) <= 1


def test_none_and_any_come_in_their_shares():
    for name, word, share in (
        ("hat", NONE, 0.7),
        ("jewelry", NONE, 0.5),
        ("glasses", NONE, 0.6),
        ("occupation", ANY, 0.5),
        ("ethnicity", ANY, 0.1),
    ):
        found = np.mean([r.values[name] == word for r in RECORDS])
        assert abs(found - share) < 0.03, (name, found)


def test_attributes_are_independent():
    """Age does not hang on gender: the shuffles of two attributes do not follow each other."""
    table = Counter((r.values["gender"], r.values["age"]) for r in RECORDS)
    expected = len(RECORDS) / 2 / len(ATTRIBUTES["age"].values)
    assert sum((n - expected) ** 2 / expected for n in table.values()) < 30  # chi^2, 13 d.o.f.
    colors = [
        {name: split_color(name, r.values[name])[0] for name in ("upper body", "shoes")}
        for r in RECORDS
    ]
    same = np.mean([c["upper body"] == c["shoes"] for c in colors])
    assert same < 0.1, "rows of one length must not be shuffled alike"  # 1 in 26 by chance


@pytest.mark.parametrize("record", RECORDS[:200:7], ids=lambda r: str(r.index))
def test_records_are_consistent(record):
    v = check_values(record.values)
    assert sum(v[place] != NONE for place in PLACES) == 1
    assert v["gender"] == "man" or v["facial details"] not in BEARDS
    assert v["hair style"] != "bald" or v["hair color"] == v["hair type"] == NONE
    faces = EXPRESSIONS.get(v["emotion"], (v["facial expression"],))
    assert v["facial expression"] in (*faces, ANY)
    assert (v["lower body"] == NONE) == v["upper body"].endswith("dress")
    assert not {NONE, ANY} & set(record.required.values())


def test_json_round_trip():
    record = RECORDS[5]
    assert AttributeRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize(
    "change", [{"hat": "crown"}, {"upper body": "dotted hoodie"}, {"mood": "fine"}]
)
def test_unknown_values_are_refused(change):
    with pytest.raises(InputError):
        check_values(RECORDS[0].values | change)


def test_lacking_attribute_is_refused():
    with pytest.raises(InputError, match="age"):
        check_values({k: v for k, v in RECORDS[0].values.items() if k != "age"})


def test_negative_index():
    with pytest.raises(InputError):
        sample_record(-1)


@pytest.mark.parametrize(
    "value, parts",
    [
        ("light grey long-sleeved shirt", ("light grey", "long-sleeved shirt")),
        ("navy t-shirt", ("navy", "t-shirt")),
        ("red polo shirt", ("red", "polo shirt")),
    ],
)
def test_split_color(value, parts):
    assert split_color("upper body", value) == parts


def test_every_record_can_be_translated_for_the_renderer():
    for record in RECORDS:
        plan = plan_person(record)
        check_attributes(plan.attributes)
        assert set(plan.ignored) < set(record.required)


def test_the_plan_follows_the_record():
    record = next(
        r
        for r in RECORDS
        if r.values["hat"].endswith("beanie")
        and r.values["ethnicity"] == "Black"
        and r.values["facial details"] == NONE
    )
    attributes = plan_person(record).attributes
    assert attributes["hat"] == "beanie" and attributes["skin"] >= 0.65
    assert attributes["beard"] == "none"
    assert record.values["hat"] == f"{attributes['hat_color']} beanie"
    assert record.values["shoes"].startswith(attributes["shoe_color"])


def test_top_differs_from_skin_wherever_it_can():
    """The renderer changes a top that looks like skin; the plan avoids it, and notices the rest."""
    values = RECORDS[0].values | {"gender": "man", "lower body": "navy jeans"}

    def top(ethnicity, garment):
        changed = values | {"ethnicity": ethnicity, "upper body": garment}
        return [
            keeps_top_color(make_person(AttributeRecord(i, 0, check_values(changed)), i))
            for i in range(6)
        ]

    assert all(top("White", "navy sweater")) and all(top("any", "beige sweater"))
    assert not all(top("White", "beige sweater"))  # no light skin is far from beige


def test_activity_moves_the_person_and_the_camera_holds_it():
    running = next(r for r in RECORDS if r.values["activity"] == "running")
    still = next(r for r in RECORDS if r.values["pose"] == "standing")
    for record in (running, still):
        person = make_person(record, 7)
        assert person.attributes["framing"] == "full"
        points = load_body()(person.betas, person.pose, person.transl).vertices
        pixels, _ = full_body_camera(person).project(points)
        assert pixels.min() > 0.04 * 512 and pixels.max() < 0.96 * 512
        assert torch.allclose(
            person.photo_camera.viewmats[0, :3, :3], torch.diag(torch.tensor([1.0, -1, -1]))
        )
    assert make_person(running, 7).pose[1:].abs().max() > 0.4
    assert torch.equal(make_person(running, 7).pose, make_person(running, 7).pose)
