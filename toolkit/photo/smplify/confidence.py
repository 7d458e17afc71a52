"""How far each of the 33 points can be trusted, and which joints the photo shows at all."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toolkit.body.model import JOINT_NAMES
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES

# The 33 points are not equally sure in the net nor equally well defined on the body.
_RELIABILITY = {
    "inner": 0.0,
    "outer": 0.0,
    "foot_index": 0.5,
    "shoulder": 1.0,
    "hip": 1.0,
    "elbow": 1.0,
    "wrist": 1.0,
    "knee": 1.0,
    "ankle": 1.0,
    "nose": 0.7,
    "ear": 0.7,
    "heel": 0.5,
    "index": 0.3,
    "pinky": 0.3,
    "eye": 0.4,
    "mouth": 0.3,
    "thumb": 0.1,
}


def reliability() -> Float[Tensor, " 33"]:
    """Weight of each of the 33 points."""
    return torch.tensor(
        [
            next(weight for kind, weight in _RELIABILITY.items() if kind in name)
            for name in KEYPOINT_NAMES
        ]
    )


def confidence(scores: Float[Tensor, " 33"]) -> Float[Tensor, " 33"]:
    """Weight of a detected score in [0, 1]: below 0.4 most points are not even in the picture."""
    return ((scores - 0.4) / 0.5).clamp(0, 1) ** 2


def seen_joints(scores: Float[Tensor, " 33"], least: float = 0.5) -> Bool[Tensor, " 55"]:
    """Joints that the photo shows, from the scores of the points on and around them."""

    def sure(*names):
        return any(scores[KEYPOINT_NAMES.index(name)] > least for name in names)

    face = sure("nose", "left_ear", "right_ear", "left_eye", "right_eye")
    trunk = sure("left_hip", "right_hip")
    chest = sure("left_shoulder", "right_shoulder")
    seen = {
        "pelvis": trunk,
        "spine1": trunk,
        "spine2": chest,
        "spine3": chest,
        "neck": chest or face,
        "head": face,
        "jaw": face,
    }
    for side in ("left", "right"):
        seen |= {
            f"{side}_{j}": sure(f"{side}_{j}")
            for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
        }
        seen |= {
            f"{side}_foot": sure(f"{side}_foot_index"),
            f"{side}_eye": face,
            f"{side}_collar": sure(f"{side}_shoulder"),
        }

    def lookup(name):
        side = name.split("_")[0]
        return seen[name] if name in seen else seen[f"{side}_wrist"]  # fingers follow the wrist

    return torch.tensor([lookup(name) for name in JOINT_NAMES])
