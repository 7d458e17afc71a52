"""Attribute records: the paper's groups, what is refused, and the people drawn from records."""

import json

import pytest
import torch

from toolkit.body.npz import load_body
from toolkit.dataset.balance import balanced_records
from toolkit.dataset.person_of_record import (
    full_body_camera,
    keeps_top_color,
    make_person,
    plan_person,
)
from toolkit.dataset.records import AttributeRecord, check_values
from toolkit.dataset.vocabulary import GROUPS, NONE, split_color
from toolkit.errors import InputError
from toolkit.people.attributes import check_attributes

RECORDS = balanced_records(300, seed=3)

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
