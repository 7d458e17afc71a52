"""People in poses that are hard for a refit: limbs before the body, at the head, or towards us."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from toolkit.cameras import Cameras
from toolkit.people.person import Person
from toolkit.people.pose import stance
from toolkit.people.sample import person_from_attributes

# Pose -> joint: degrees about x, y, z that replace the stance's. A turn of the left arm about z by
# a positive angle raises it; of a leg about x by a negative one swings it forward.
HARD_POSES: dict[str, dict[int, tuple[float, float, float]]] = {
    "raised hands": {16: (0, 0, 35), 17: (0, 0, -35), 18: (0, 0, 60), 19: (0, 0, -60)},
    "crossed legs": {1: (6, 0, -13), 2: (-6, 0, 13)},
    "arm at the head": {17: (0, 0, -30), 19: (0, 0, -135)},
    "seated": {1: (-80, 0, 4), 2: (-80, 0, -4), 4: (85, 0, 0), 5: (85, 0, 0)},
    "kicking": {2: (-70, 0, -5), 5: (25, 0, 0), 16: (0, 0, -30), 17: (0, 0, 30)},
    "large sleeves": {16: (0, 0, -30), 17: (0, 0, 30), 18: (0, -60, 0), 19: (0, 60, 0)},
}
WIDER = 0.8  # focal length over the usual one: raised hands stay in the picture


def hard_person(index: int, split: str = "val") -> tuple[str, Person]:
    """The name of a hard pose, and a person in it; poses take turns."""
    name = list(HARD_POSES)[index % len(HARD_POSES)]
    given = {"framing": "full"} | ({"top": "hoodie"} if name == "large sleeves" else {})
    person = person_from_attributes(given, index, split=split)
    pose = torch.from_numpy(posed(name, person.random(5))).float()
    camera = person.photo_camera
    Ks = camera.Ks.clone()
    Ks[:, [0, 1], [0, 1]] *= WIDER
    wider = Cameras(camera.viewmats, Ks, camera.width, camera.height)
    return name, replace(person, pose=pose, photo_camera=wider)


def posed(name: str, rng: np.random.Generator) -> Float[np.ndarray, "55 3"]:
    """A relaxed stance with the joints of a hard pose, a few degrees varied."""
    pose = stance(rng)
    for joint, degrees in HARD_POSES[name].items():
        pose[joint] = np.deg2rad(np.array(degrees) + rng.normal(0, 3, 3))
    pose[0, 1] = np.deg2rad(rng.normal(0, 8))
    return pose
