"""Sample people: identity, outfit, pose, light and the camera of their photo, from one number.

The splits share nothing: seeds lie in different ranges, outfit seeds are salted with the split, and
prints (texts, numbers, logo shapes, pictures) and pattern periods come from disjoint families
(`paint/print_families.py`).
"""

import numpy as np
import torch
from torch import Tensor

from toolkit.body.model import BodyOutput
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
NUM_SKIN = 13380  # the body's first vertices are its skin; eyes and helper layers follow


def sample_person(seed: int, split: str = "train") -> Person:
    """Sample a random person of a split.

    Args:
        seed: 0 .. 999999; numbers of the split's own range (from 2_000_000 for "test") work too.
        split: "train", "val" or "test".

    Returns:
        The same person for the same seed and split, on every machine.

    Raises:
        InputError: an unknown split, or a seed of another split's range.
    """
    return person_from_attributes({}, seed, split=split)


def person_from_attributes(attributes: dict, seed: int, *, split: str = "train") -> Person:
    """Sample a person with some attributes given; the seed decides all others.

    Args:
        attributes: any of the names in `attributes.CHOICES` and `RANGES`, with their values.
        seed: as in `sample_person`.
        split: whose seeds and print families are used.

    Raises:
        InputError: an unknown attribute, value, split or seed.
    """
    seed = _absolute_seed(seed, split)
    # Every part has a generator of its own, so that a change of one part (say, the light) does not
    # shift the random numbers of the others.
    rng = np.random.default_rng([seed, 1])
    attributes = {**sample_attributes(rng), **check_attributes(attributes)}
    betas = _betas(attributes, np.random.default_rng([seed, 2]))
    transl = -load_body().rest_joints(betas)[0]  # puts the pelvis joint at the origin
    pose = sample_pose(np.random.default_rng([seed, 3]))
    face = _expression(np.random.default_rng([seed, 7]))
    posed = load_body()(betas, pose, transl)
    camera = _photo_camera(posed, attributes["framing"], np.random.default_rng([seed, 6]))
    return Person(
        seed,
        split,
        attributes,
        betas,
        pose,
        transl,
        face,
        build_outfit(attributes, seed, split),
        sample_light(np.random.default_rng([seed, 4])),
        camera,
    )


def _absolute_seed(seed: int, split: str) -> int:
    """The seed in its split's own range."""
    if split not in FIRST_SEED:
        fail("split", got=repr(split), wanted=f"one of {list(FIRST_SEED)}", fix="Check the name.")
    first = FIRST_SEED[split]
    seed = int(seed) + (first if 0 <= seed < SEEDS_PER_SPLIT else 0)
    if not first <= seed < first + SEEDS_PER_SPLIT:
        fail(
            "seed",
            got=seed,
            wanted=f"0..{SEEDS_PER_SPLIT - 1} or {first}.. for {split!r}",
            fix="Every split has seeds of its own: change the seed or the split.",
        )
    return seed


def _betas(attributes: dict, rng: np.random.Generator) -> Tensor:
    """Body shape: steps along the body's named directions, plus individual variation."""
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
    """A friendly face (smile, open eyes, raised brows), as weights of the body's expressions."""
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


def _photo_camera(posed: BodyOutput, framing: str, rng: np.random.Generator) -> Cameras:
    """A square camera on +z, axis-parallel, that frames the "full" or the "upper" body."""
    points = posed.vertices[:NUM_SKIN]
    low, high = points.amin(0), points.amax(0)  # (3,), corners of the box around the body
    if framing == "upper":
        low[1] = posed.joints[0, 1] + float(rng.uniform(-0.15, 0.12))  # from about the pelvis up
    fov_deg = float(rng.uniform(20, 40))
    # What the picture must hold from top to bottom, with a margin of 12 to 40 %. Spread arms may
    # leave the picture: only 62 % of the width must fit.
    span = float(max(high[1] - low[1], 0.62 * (high[0] - low[0]))) * float(rng.uniform(1.12, 1.4))
    distance = span / 2 / np.tan(np.deg2rad(fov_deg) / 2) + float(high[2]) * 0.5
    center = (low + high) / 2 + torch.from_numpy(rng.normal(0, 0.02, 3)).float()
    # Looks along -z. The translation is minus the rotated camera centre (center, distance).
    view = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))[None].clone()
    view[0, :3, 3] = torch.tensor([-float(center[0]), float(center[1]), distance])
    return Cameras(view, intrinsics(fov_deg, PHOTO_PX, PHOTO_PX), PHOTO_PX, PHOTO_PX)
