"""What the depth lifter learns from: inputs and truths of real answers, and of imagined people."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import MissingFileError
from toolkit.photo.detection.keypoint_names import MIRROR
from toolkit.photo.smplify.lifter import (
    FLIP_POINT,
    FLIP_TURN,
    HIPS,
    MIRROR_JOINTS,
    NUM_JOINTS,
    describe,
    mirrored,
)
from toolkit.photo.smplify.pose_prior import pose_statistics
from toolkit.photo.smplify.reduced_body import ReducedBody
from toolkit.photo.smplify.unknowns import VIEW

Answers = dict[str, Tensor]  # what `tools.train.lift_samples` stored, by name


@dataclass(frozen=True)
class Pairs:
    """Inputs and truths of N people.

    Attributes:
        inputs: of `describe`.
        points: the net's 33 points in picture metres, hips at 0.
        turns: axis-angle per joint; row 0 is not used.
    """

    inputs: Float[Tensor, "N D"]
    points: Float[Tensor, "N 33 3"]
    turns: Float[Tensor, "N J 3"]

    def __getitem__(self, index: Tensor) -> "Pairs":
        return Pairs(self.inputs[index], self.points[index], self.turns[index])

    def __len__(self) -> int:
        return len(self.inputs)

    def mirrored(self) -> "Pairs":
        """The mirror people."""
        return Pairs(
            mirrored(self.inputs),
            self.points[:, MIRROR] * FLIP_POINT,
            self.turns[:, MIRROR_JOINTS] * FLIP_TURN,
        )

    @staticmethod
    def joined(*parts: "Pairs") -> "Pairs":
        """All people of several."""
        return Pairs(
            *(torch.cat([getattr(p, n) for p in parts]) for n in ("inputs", "points", "turns"))
        )


def load_answers(folder: Path, split: str) -> Answers:
    """All blocks of `tools.train.lift_samples`, one after the other.

    Raises:
        MissingFileError: there are none.
    """
    blocks = []
    for path in sorted(folder.glob(f"{split}_*.npz")):
        with np.load(path, allow_pickle=False) as data:
            blocks.append({k: torch.from_numpy(data[k]) for k in data.files})
    if not blocks:
        raise MissingFileError(
            f"{folder} holds no {split}_*.npz. "
            f"Make them with: python -m tools.train.lift_samples --split {split}"
        )
    return {k: torch.cat([b[k] for b in blocks]) for k in blocks[0]}


def true_points(
    small: ReducedBody, betas: Float[Tensor, "N B"], poses: Float[Tensor, "N J 3"]
) -> Float[Tensor, "N 33 3"]:
    """The net's 33 points on the bodies, pelvis at the origin, metres."""
    one = torch.vmap(lambda b, p: small.posed(b, p, surface=False)[0])
    return torch.cat(
        [one(b, p) for b, p in zip(betas.split(64), poses[:, :NUM_JOINTS].split(64), strict=True)]
    )


def pixels_of(
    points: Float[Tensor, "N 33 3"], pelvis: Float[Tensor, "N 3"], K: Float[Tensor, "N 3 3"]
) -> Float[Tensor, "N 33 2"]:
    """World points around the pelvis, projected to pixels."""
    cam = points @ VIEW + pelvis[:, None]
    return cam[..., :2] / cam[..., 2:] * K[:, None, [0, 1], [0, 1]] + K[:, None, :2, 2]


def pairs_of(answers: Answers, points: Float[Tensor, "N 33 3"]) -> Pairs:
    """Inputs, and the truth in the units of `describe` (metres as the picture suggests them)."""
    inputs, scale = describe(answers["keypoints"], answers["world"])
    hips = points[:, HIPS].mean(1)
    depth = (answers["pelvis"] + hips @ VIEW)[:, 2]
    factor = answers["K"][:, 0, 0] / depth * scale
    return Pairs(
        inputs,
        (points - hips[:, None]) * factor[:, None, None],
        answers["pose"][:, :NUM_JOINTS].float(),
    )


def imagined(
    answers: Answers,
    points: Float[Tensor, "N 33 3"],
    small: ReducedBody,
    *,
    num: int,
    seed: int,
    wide: float,
) -> Pairs:
    """Other poses, shapes and cameras, with the net's errors on random rendered people.

    Args:
        answers: of the net.
        points: the true points of the same people.
        small: the body model.
        num: how many people to imagine.
        seed: of the draws.
        wide: share of poses far beyond the usual ones of photos.
    """
    rng = torch.Generator().manual_seed(seed)
    donor, shape = torch.randint(len(points), (2, num), generator=rng)
    poses = other_poses(answers["pose"][:, :NUM_JOINTS], num, wide, rng)
    placed = true_points(small, answers["betas"][shape], poses)
    K, pelvis = torch.eye(3).repeat(num, 1, 1), torch.zeros(num, 3)
    K[:, 0, 0] = K[:, 1, 1] = 1000.0
    half_view = torch.deg2rad(10 + 10 * torch.rand(num, generator=rng))
    pelvis[:, 2] = 1.15 / half_view.tan()
    pelvis[:, :2] = 0.03 * torch.randn(num, 2, generator=rng) * pelvis[:, 2:]
    metres = (answers["pelvis"][:, 2] / answers["K"][:, 0, 0])[:, None, None]
    error = answers["keypoints"][..., :2] - pixels_of(points, answers["pelvis"], answers["K"])
    pixels = (
        pixels_of(placed, pelvis, K) + (error * metres)[donor] * (1000.0 / pelvis[:, 2:])[..., None]
    )
    world_error = answers["world"] - centered(points)
    made = {
        "keypoints": torch.cat([pixels, answers["keypoints"][donor][..., 2:]], dim=-1),
        "world": centered(placed) + world_error[donor],
        "pelvis": pelvis,
        "K": K,
        "pose": poses,
    }
    return pairs_of(made, placed)


def other_poses(
    known: Float[Tensor, "N J 3"], num: int, wide: float, rng: torch.Generator
) -> Float[Tensor, "M J 3"]:
    """Poses between two known ones; a share `wide` is bent at random and turned further away."""
    first, second = (known[torch.randint(len(known), (num,), generator=rng)] for _ in range(2))
    poses = torch.lerp(first, second, 0.5 * torch.rand(num, 1, 1, generator=rng))
    spread = pose_statistics()[1][1:]
    far = (torch.rand(num, 1, 1, generator=rng) < wide).float()
    size = far * (0.2 + 0.6 * torch.rand(num, 1, 1, generator=rng))
    poses[:, 1:] += size * spread * torch.randn(num, NUM_JOINTS - 1, 3, generator=rng)
    poses[:, 0, 1] += far[:, 0, 0] * torch.deg2rad(120 * torch.rand(num, generator=rng) - 60)
    return poses


def centered(points: Float[Tensor, "N 33 3"]) -> Float[Tensor, "N 33 3"]:
    """Points with the middle of the hips at the origin."""
    return points - points[:, HIPS].mean(1, keepdim=True)
