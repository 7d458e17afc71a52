"""The procedural person of an attribute record, so that one record drives both kinds of picture.

The vocabulary of the paper is richer than our people renderer. `plan_person` translates what the
renderer can show and lists the rest; `make_person` builds the person from that plan.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from toolkit.body.motion import load_clip
from toolkit.body.npz import load_body
from toolkit.cameras import Cameras, intrinsics
from toolkit.dataset.named_poses import named_pose
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.vocabulary import (
    ACTIVITIES,
    AGES,
    ANY,
    BEARDS,
    BOTTOMS,
    BUILDS,
    GLASSES,
    HAIR_STYLES,
    HATS,
    NONE,
    POSES,
    SHOES,
    SKIN,
    TOPS,
    split_color,
)
from toolkit.people.palette import color, skin_color
from toolkit.people.person import Person
from toolkit.people.sample import PHOTO_PX, person_from_attributes

# Two colours are compared by the sum of their absolute differences over R, G and B.
# The renderer changes the colour of a top that is nearer than 0.42 to the skin. It also varies each
# colour a little before that test, so we stay away from the skin by more.
SKIN_DISTANCE = 0.6
COLOR_VARIATION = 0.3  # the renderer varies a colour by less than this
MARGIN = 1.2  # the photo's half height over the body's: room for hats, shoes and loose clothes

FACES = {
    "smiling": {"smile": 0.7},
    "laughing": {"smile": 0.9, "jaw_open": 0.35},
    "frowning": {"frown": 0.8, "brow_down": 0.6},
    "neutral face": {"eye_wide": 0.2},
    "wide eyes": {"eye_wide": 0.9, "brow_up": 0.8},
    "open mouth": {"jaw_open": 0.5, "brow_up": 0.5},
}  # facial expression -> weights of the body model's expressions
DRAWN_BEARDS = ("stubble", "full beard")  # the renderer's moustache is hardly a shadow
ALWAYS_SHOWN = {
    "age",
    "gender",
    "ethnicity",
    "hair color",
    "hair style",
    "body shape",
    "upper body",
    "lower body",
    "shoes",
    "hat",
    "glasses",
}  # attributes that the renderer can show whatever their value


@dataclass(frozen=True)
class PersonPlan:
    """A record in the words of the people renderer.

    Attributes:
        attributes: names and values of `toolkit.people.attributes`.
        clip: the motion clip one of whose frames is the pose, or None for a pose of the seed.
        face: weights of named expressions, or None for the seed's friendly face.
        ignored: attributes of the record that the renderer cannot show.
    """

    attributes: dict
    clip: str | None
    face: dict[str, float] | None
    ignored: tuple[str, ...]


def plan_person(record: AttributeRecord) -> PersonPlan:
    """Translate a record into the words of the people renderer.

    What the record leaves open is left out; the person's seed decides it later.

    Args:
        record: from `sample_record`.
    """
    rng = np.random.default_rng([record.seed, 55, record.index])
    values = record.values
    attributes = {"framing": "full", "gender": values["gender"], "age": float(AGES[values["age"]])}
    attributes["build"] = BUILDS[values["body shape"]]
    attributes |= _hair(values) | _clothes(values)
    attributes["skin"] = _skin(values, attributes["top_color"], rng)
    attributes["beard"] = BEARDS.get(values["facial details"], "none")
    attributes["glasses"] = GLASSES.get(values["glasses"], "none")
    clip, face = ACTIVITIES.get(values["activity"]), FACES.get(values["facial expression"])
    shown = ALWAYS_SHOWN | ({"activity"} if clip else set())
    shown |= {"facial expression"} if face else set()
    shown |= {"facial details"} if values["facial details"] in DRAWN_BEARDS else set()
    shown |= {"hair type"} if attributes["hair"] in ("afro", "curly") else set()
    shown |= {"pose"} if values["pose"] in POSES else set()
    ignored = tuple(name for name in record.required if name not in shown)
    return PersonPlan(attributes, clip, face, ignored)


def _skin(values: dict[str, str], top_color: str, rng: np.random.Generator) -> float:
    """A skin tone in the ethnicity's range, different enough from the top's colour if one is.

    The renderer changes the colour of a top that would look like bare skin, and the picture would
    no longer match its record.
    """
    tones = rng.uniform(*SKIN.get(values["ethnicity"], (0.0, 1.0)), 24).round(3)
    distances = [np.abs(color(top_color) - skin_color(tone)).sum() for tone in tones]
    far_enough = [distance > SKIN_DISTANCE for distance in distances]
    # argmax of booleans is the first True; without any, take the tone that is farthest away
    return float(tones[np.argmax(far_enough if any(far_enough) else distances)])


def keeps_top_color(person: Person) -> bool:
    """False if the renderer changed the colour of the person's top because it looked like skin."""
    wanted = color(person.attributes["top_color"])
    difference = np.abs(person.outfit.cloth["top"].color - wanted).sum()
    return float(difference) < COLOR_VARIATION


def _hair(values: dict[str, str]) -> dict[str, str]:
    """Style and colour; the renderer has no hair type, but two styles with curls."""
    style = HAIR_STYLES[values["hair style"]]
    is_loose = style in ("short", "swept", "bob", "long")
    if is_loose and values["hair type"] == "coily":
        style = "afro"
    elif style in ("short", "swept") and values["hair type"] == "curly":
        style = "curly"
    hair_color = values["hair color"]
    return {"hair": style} | ({"hair_color": hair_color} if hair_color not in (NONE, ANY) else {})


def _clothes(values: dict[str, str]) -> dict[str, str]:
    """Garments and their colours."""
    top_color, top = split_color("upper body", values["upper body"])
    shoe_color, shoe = split_color("shoes", values["shoes"])
    # a record says nothing about coats, prints and patterns, so nobody wears any
    clothes = {
        "top": TOPS[top],
        "top_color": top_color,
        "top_pattern": "plain",
        "coat": "none",
        "front": "none",
        "back": "none",
        "bottom_pattern": "plain",
        "shoes": SHOES[shoe],
        "shoe_color": shoe_color,
        "hat": "none",
    }
    if values["hat"] != NONE:
        hat_color, hat = split_color("hat", values["hat"])
        clothes |= {"hat": HATS[hat], "hat_color": hat_color}
    if values["lower body"] != NONE:
        bottom_color, bottom = split_color("lower body", values["lower body"])
        clothes |= {"bottom": BOTTOMS[bottom], "bottom_color": bottom_color}
    return clothes


def make_person(record: AttributeRecord, seed: int, *, split: str = "train") -> Person:
    """The procedural person of a record, in a photo that shows the whole body.

    Args:
        record: from `sample_record`.
        seed: fills what the record leaves open; 0 .. 999999.
        split: "train", "val" or "test": whose seeds and prints are used.
    """
    plan = plan_person(record)
    person = person_from_attributes(plan.attributes, seed, split=split)
    rng, changes = person.random(31), {}
    if plan.clip or record.values["pose"] in POSES:
        # (T, 55, 3): all frames of the clip, or one pose
        pose_name = record.values["pose"]
        poses = load_clip(plan.clip).poses if plan.clip else named_pose(pose_name, rng)[None]
        pose = torch.as_tensor(poses[int(rng.integers(len(poses)))], dtype=torch.float32).clone()
        pose[0] = person.pose[0]  # the seed's global orientation: how far the person is turned
        changes["pose"] = pose
    if record.values["body shape"] == "athletic":
        changes |= _muscular(person)
    if plan.face is not None:
        names = [str(name) for name in load_body().extra["expression_names"]]
        changes["expression"] = torch.tensor([plan.face.get(name, 0.0) for name in names])
    person = replace(person, **changes)
    return replace(person, photo_camera=full_body_camera(person))


def _muscular(person: Person) -> dict[str, torch.Tensor]:
    """Shape and place of the person with broader shoulders and a deeper chest.

    The renderer's own "athletic" differs from "average" by 5 mm at most, which nobody sees.
    """
    body = load_body()
    betas = person.betas + body.named_betas(muscle=1.0) - body.named_betas(muscle=0.0)
    return {"betas": betas, "transl": -body.rest_joints(betas)[0]}


def full_body_camera(person: Person, fov_deg: float = 30.0) -> Cameras:
    """The photo's camera on +z, just so far away that the whole body fits with a margin.

    Args:
        person: in its pose.
        fov_deg: vertical field of view.
    """
    points = load_body()(person.betas, person.pose, person.transl).vertices  # (V, 3) in metres
    low, high = points.amin(0), points.amax(0)
    center, tangent = (low + high) / 2, np.tan(np.deg2rad(fov_deg) / 2)
    # A point (x, y, z) is in the square photo if |y - center|, and |x - center|, are at most
    # (distance - z) * tangent. Solve for the distance, and take the point that needs the largest.
    reach = torch.maximum(points[:, 1] - center[1], center[1] - points[:, 1])
    reach = torch.maximum(reach, (points[:, 0] - center[0]).abs())
    distance = float((MARGIN * reach / tangent + points[:, 2]).max())
    # world (y up) to OpenCV camera (y down, z forward): half a turn about x
    view = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))[None].clone()
    view[0, :3, 3] = torch.tensor([-float(center[0]), float(center[1]), distance])
    return Cameras(view, intrinsics(fov_deg, PHOTO_PX, PHOTO_PX), PHOTO_PX, PHOTO_PX)
