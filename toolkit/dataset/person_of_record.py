"""From an attribute record to a procedural person: the same record drives both kinds of image."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from toolkit.body.motion import load_clip
from toolkit.body.npz import load_body
from toolkit.cameras import Cameras, intrinsics
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
    SHOES,
    SKIN,
    TOPS,
    split_color,
)
from toolkit.people.palette import color, skin_color
from toolkit.people.person import Person
from toolkit.people.pose import stance
from toolkit.people.sample import PHOTO_PX, person_from_attributes

SKIN_DISTANCE = 0.6  # summed over RGB; the renderer's limit is 0.42, before it varies the dye
DYE_LOT = 0.3  # summed over RGB; what the renderer varies a colour by at most
MARGIN = 1.2  # the photo's half height over the body's: room for hats, shoes and loose clothes

FACES = {
    "smiling": {"smile": 0.7},
    "laughing": {"smile": 0.9, "jaw_open": 0.35},
    "frowning": {"frown": 0.8, "brow_down": 0.6},
    "neutral face": {"eye_wide": 0.2},
    "wide eyes": {"eye_wide": 0.9, "brow_up": 0.8},
    "open mouth": {"jaw_open": 0.5, "brow_up": 0.5},
}  # -> weights of the body's expressions


@dataclass(frozen=True)
class Casting:
    """What the people renderer is told.

    Attributes:
        people: names and values of `people.attributes`.
        clip: motion clip whose frame is the pose, or None for a relaxed stance.
        face: weights of named expressions, or None for the seed's friendly face.
        ignored: attributes of the record that the renderer cannot show.
    """

    people: dict
    clip: str | None
    face: dict[str, float] | None
    ignored: tuple[str, ...]


def cast(record: AttributeRecord) -> Casting:
    """Translate a record; what it leaves open stays open, for the person's seed to fill."""
    rng = np.random.default_rng([record.seed, 55, record.index])
    asked, values = record.required, record.values
    people = {"framing": "full", "gender": values["gender"], "age": float(AGES[values["age"]])}
    people["build"] = BUILDS[values["body shape"]]
    people |= _hair(values) | _clothes(values)
    people["skin"] = _skin(values, people["top_color"], rng)
    people["beard"] = BEARDS.get(values["facial details"], "none")
    people["glasses"] = GLASSES.get(values["glasses"], "none")
    clip, face = ACTIVITIES.get(values["activity"]), FACES.get(values["facial expression"])
    shown = {
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
    }
    shown |= {"activity"} if clip else set()
    shown |= {"facial expression"} if face else set()
    shown |= {"facial details"} if values["facial details"] in BEARDS else set()
    shown |= {"hair type"} if people["hair"] in ("afro", "curly") else set()
    shown |= {"pose"} if values["pose"] == "standing" else set()
    return Casting(people, clip, face, tuple(name for name in asked if name not in shown))


def _skin(values: dict[str, str], top_color: str, rng: np.random.Generator) -> float:
    """A skin tone in the ethnicity's range that can be told from the top, as far as there is one.

    The renderer dyes a top that looks like bare skin another colour.
    """
    tones = rng.uniform(*SKIN.get(values["ethnicity"], (0.0, 1.0)), 24).round(3)
    distance = [np.abs(color(top_color) - skin_color(tone)).sum() for tone in tones]
    far = [d > SKIN_DISTANCE for d in distance]
    return float(tones[np.argmax(far if any(far) else distance)])


def keeps_top_color(person: Person) -> bool:
    """False if the renderer dyed the person's top, see `_skin`."""
    told = color(person.attributes["top_color"])
    return float(np.abs(person.outfit.cloth["top"].color - told).sum()) < DYE_LOT


def _hair(values: dict[str, str]) -> dict:
    style = HAIR_STYLES[values["hair style"]]
    loose = style in ("short", "swept", "bob", "long")
    if loose and values["hair type"] == "coily":
        style = "afro"
    elif style in ("short", "swept") and values["hair type"] == "curly":
        style = "curly"
    dye = values["hair color"]
    return {"hair": style} | ({"hair_color": dye} if dye not in (NONE, ANY) else {})


def _clothes(values: dict[str, str]) -> dict:
    top_color, top = split_color("upper body", values["upper body"])
    shoe_color, shoe = split_color("shoes", values["shoes"])
    # a record says no word about coats, prints and patterns, so there are none
    told = {
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
        told |= {"hat": HATS[hat], "hat_color": hat_color}
    if values["lower body"] != NONE:
        bottom_color, bottom = split_color("lower body", values["lower body"])
        told |= {"bottom": BOTTOMS[bottom], "bottom_color": bottom_color}
    return told


def make_person(record: AttributeRecord, seed: int, *, split: str = "train") -> Person:
    """The procedural person of a record, in a photo that shows all of it.

    Args:
        record: from `sample_record`.
        seed: fills what the record leaves open; 0 .. 999999.
        split: whose seeds and prints are used, as in `people.sample`.
    """
    casting = cast(record)
    person = person_from_attributes(casting.people, seed, split=split)
    rng, changes = person.random(31), {}
    if casting.clip or record.values["pose"] == "standing":
        poses = load_clip(casting.clip).poses if casting.clip else stance(rng)[None]
        pose = torch.as_tensor(poses[int(rng.integers(len(poses)))], dtype=torch.float32).clone()
        pose[0] = person.pose[0]  # faces the camera as the seed says
        changes["pose"] = pose
    if casting.face is not None:
        names = [str(name) for name in load_body().extra["expression_names"]]
        changes["expression"] = torch.tensor([casting.face.get(n, 0.0) for n in names])
    person = replace(person, **changes)
    return replace(person, photo_camera=full_body_camera(person))


def full_body_camera(person: Person, fov_deg: float = 30.0) -> Cameras:
    """The photo's camera on +z, so far away that the whole body fits with a margin."""
    points = load_body()(person.betas, person.pose, person.transl).vertices
    low, high = points.amin(0), points.amax(0)
    center, tangent = (low + high) / 2, np.tan(np.deg2rad(fov_deg) / 2)
    reach = torch.maximum(points[:, 1] - center[1], center[1] - points[:, 1])
    reach = torch.maximum(reach, (points[:, 0] - center[0]).abs())
    distance = float((MARGIN * reach / tangent + points[:, 2]).max())
    view = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))[None].clone()
    view[0, :3, 3] = torch.tensor([-float(center[0]), float(center[1]), distance])
    return Cameras(view, intrinsics(fov_deg, PHOTO_PX, PHOTO_PX), PHOTO_PX, PHOTO_PX)
