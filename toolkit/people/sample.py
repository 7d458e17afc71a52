"""Draw people: identity, outfit, pose, light and the camera of their photo, from one number.

Splits never meet: seeds lie in different ranges, outfit seeds are salted with the split, and
prints (texts, numbers, logo shapes, pictures) and pattern periods come from disjoint families
(`prints.TEXTS`, `LOGOS`, `PICTURES`, `PERIODS_M`).
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from toolkit.body.npz import load_body
from toolkit.cameras import Cameras, intrinsics
from toolkit.errors import fail
from toolkit.people.attributes import check_attributes
from toolkit.people.draw.light import sample_light
from toolkit.people.dress.outfit import build_outfit
from toolkit.people.person import Person
from toolkit.people.pose import sample_pose
from toolkit.people.random_attributes import sample_attributes

FIRST_SEED = {"train": 0, "val": 1_000_000, "test": 2_000_000}
SEEDS_PER_SPLIT = 1_000_000
PHOTO_PX = 512


def sample_person(seed: int, split: str = "train") -> Person:
    """A random person of a split.

    Args:
        seed: 0 .. 999999; the split's own range (e.g. from 2_000_000 for "test") works too.
        split: "train", "val" or "test".

    Raises:
        InputError: an unknown split, or a seed of another split's range.
    """
    return person_from_attributes({}, seed, split=split)


def person_from_attributes(attributes: dict, seed: int, *, split: str = "train") -> Person:
    """A person that looks as told; what is not told comes from the seed.

    Args:
        attributes: names and values of `attributes.CHOICES` and `RANGES`.
        seed: as in `sample_person`.
        split: whose print families may be used.

    Raises:
        InputError: an unknown attribute, value, split or seed.
    """
    seed = _absolute_seed(seed, split)
    rng = np.random.default_rng([seed, 1])
    attributes = {**sample_attributes(rng), **check_attributes(attributes)}
    betas = _betas(attributes, np.random.default_rng([seed, 2]))
    transl = -load_body().rest_joints(betas)[0]
    pose = sample_pose(np.random.default_rng([seed, 3]))
    face = _expression(np.random.default_rng([seed, 7]))
    person = Person(
        seed,
        split,
        attributes,
        betas,
        pose,
        transl,
        face,
        build_outfit(attributes, seed, split),
        sample_light(np.random.default_rng([seed, 4])),
        _placeholder_camera(),
    )
    camera = _photo_camera(person, np.random.default_rng([seed, 6]))
    return replace(person, photo_camera=camera)


def _absolute_seed(seed: int, split: str) -> int:
    if split not in FIRST_SEED:
        fail("split", got=repr(split), wanted=f"one of {list(FIRST_SEED)}", fix="Check the name.")
    first = FIRST_SEED[split]
    seed = int(seed) + (first if 0 <= seed < SEEDS_PER_SPLIT else 0)
    if not first <= seed < first + SEEDS_PER_SPLIT:
        fail(
            "seed",
            got=seed,
            wanted=f"0..{SEEDS_PER_SPLIT - 1} or {first}.. for {split!r}",
            fix="A seed belongs to one split only.",
        )
    return seed


def _betas(attributes: dict, rng: np.random.Generator) -> Tensor:
    """Body shape: the named directions of the attributes plus individual variation."""
    body = load_body()
    weight = {"slim": 0.2, "average": 0.38, "athletic": 0.38, "heavy": 0.72}[attributes["build"]]
    muscle = {"slim": 0.4, "average": 0.5, "athletic": 0.8, "heavy": 0.5}[attributes["build"]]
    muscle -= 0.1 * (attributes["gender"] == "woman")
    named = {
        "gender": float(attributes["gender"] == "man") * 0.9 + 0.05,
        "age": (attributes["age"] - 25) / 65,
        "muscle": muscle + rng.normal(0, 0.08),
        "weight": weight + rng.normal(0, 0.06),
        "height": 0.5 + rng.normal(0, 0.14),
    }
    named = {name: float(np.clip(value, 0, 1)) for name, value in named.items()}
    betas = body.named_betas(**named)
    noise = torch.from_numpy(rng.normal(0, 0.45, body.num_betas).astype(np.float32))
    return (betas + noise).float()


def _expression(rng: np.random.Generator) -> Tensor:
    """A friendly face: a smile of some size, open eyes, raised brows."""
    names = [str(name) for name in load_body().extra["expression_names"]]
    face = np.zeros(len(names), np.float32)
    for name, low, high in (
        ("smile", 0.0, 0.6),
        ("eye_wide", 0.15, 0.6),
        ("brow_up", 0.1, 0.5),
        ("brow_outer_up", 0.0, 0.4),
        ("press", 0.0, 0.15),
    ):
        face[names.index(name)] = rng.uniform(low, high)
    return torch.from_numpy(face)


def _placeholder_camera() -> Cameras:
    view = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))[None].clone()
    view[0, 2, 3] = 3.0
    return Cameras(view, intrinsics(30.0, PHOTO_PX, PHOTO_PX), PHOTO_PX, PHOTO_PX)


def _photo_camera(person: Person, rng: np.random.Generator) -> Cameras:
    """A square camera on +z, axis-parallel, that frames the body or the upper body."""
    posed = load_body()(person.betas, person.pose, person.transl)
    points = posed.vertices[:13380]
    low, high = points.amin(0), points.amax(0)
    if person.attributes["framing"] == "upper":
        low[1] = posed.joints[0, 1] + float(rng.uniform(-0.15, 0.12))
    fov_deg = float(rng.uniform(20, 40))
    span = float(max(high[1] - low[1], 0.62 * (high[0] - low[0]))) * float(rng.uniform(1.12, 1.4))
    distance = span / 2 / np.tan(np.deg2rad(fov_deg) / 2) + float(high[2]) * 0.5
    center = (low + high) / 2 + torch.from_numpy(rng.normal(0, 0.02, 3)).float()
    view = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))[None].clone()
    view[0, :3, 3] = torch.tensor([-float(center[0]), float(center[1]), distance])
    return Cameras(view, intrinsics(fov_deg, PHOTO_PX, PHOTO_PX), PHOTO_PX, PHOTO_PX)
