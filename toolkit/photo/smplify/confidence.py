"""How much each of the 33 detected points can be trusted, and which joints the photo shows."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toolkit.body.model import JOINT_NAMES
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES

# Neither does the net find all 33 points equally well, nor are all equally well defined on a body.
# The first entry whose word is part of the point's name counts, so "inner" goes before "eye".
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
    """Fixed weight of each of the 33 points, in [0, 1]."""
    return torch.tensor(
        [
            next(weight for kind, weight in _RELIABILITY.items() if kind in name)
            for name in KEYPOINT_NAMES
        ]
    )


def confidence(scores: Float[Tensor, " 33"]) -> Float[Tensor, " 33"]:
    """Weight in [0, 1] of a detected score: 0 up to 0.4, where few points are in the photo."""
    return ((scores - 0.4) / 0.5).clamp(0, 1) ** 2


def seen_joints(scores: Float[Tensor, " 33"], min_score: float = 0.5) -> Bool[Tensor, " 55"]:
    """The joints that the photo shows, judged by the scores of the points on and around them."""

    def shown(*names: str) -> bool:
        return any(scores[KEYPOINT_NAMES.index(name)] > min_score for name in names)

    face = shown("nose", "left_ear", "right_ear", "left_eye", "right_eye")
    trunk = shown("left_hip", "right_hip")
    chest = shown("left_shoulder", "right_shoulder")
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
            f"{side}_{j}": shown(f"{side}_{j}")
            for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
        }
        seen |= {
            f"{side}_foot": shown(f"{side}_foot_index"),
            f"{side}_eye": face,
            f"{side}_collar": shown(f"{side}_shoulder"),
        }

    def lookup(name: str) -> bool:
        side = name.split("_")[0]
        return seen[name] if name in seen else seen[f"{side}_wrist"]  # what is left are fingers

    return torch.tensor([lookup(name) for name in JOINT_NAMES])
