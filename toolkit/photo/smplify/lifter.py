"""The lifter: a small network from 33 detected points to their depths and to the joints' rotations.

    points in pixels, net's metres --describe--> 198 numbers --Lifter--> 3D points, pose, spreads

The landmark net's own metres are about right across the picture and wrong along the view. The
lifter (a residual MLP) learned that error on rendered people, whose bodies are known. It works in
"picture metres": pixels times one scale per photo, so that neither focal length nor distance
matters.
Source: Martinez et al. 2017 (lifting by a residual MLP); Kendall and Gal 2017, eq 5 (uncertainty).
"""

import os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from toolkit.body.model import JOINT_NAMES
from toolkit.errors import fail
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES, MIRROR
from toolkit.photo.detection.keypoints import Detection
from toolkit.run.files import atomic_path, model_path

MADE_BY = "python -m tools.train.lift"
NUM_JOINTS = 22
HIPS = [KEYPOINT_NAMES.index(n) for n in ("left_hip", "right_hip")]
# Index of each joint's partner when left and right change places, as in `keypoint_names.MIRROR`.
MIRROR_JOINTS = [
    JOINT_NAMES.index(n.replace("left", "\0").replace("right", "left").replace("\0", "right"))
    for n in JOINT_NAMES[:NUM_JOINTS]
]
# A reflection at x = 0 turns an axis-angle (x, y, z) into (x, -y, -z).
FLIP_POINT, FLIP_TURN = torch.tensor([-1.0, 1.0, 1.0]), torch.tensor([1.0, -1.0, -1.0])
# No answer is trusted more than this, or one confident error would decide the whole fit.
MIN_SPREAD_M, MIN_SPREAD_RAD = 0.005, 0.03


@dataclass(frozen=True)
class Lifted:
    """The lifter's estimate of one person; a spread is one standard deviation.

    Attributes:
        points_px: x to the right, y up, z towards the camera, from the middle of the hips; in
            pixels of the photo at the hips' distance.
        spread_px: spread of each coordinate, in the same pixels.
        pose: axis-angle rotation of each joint in radians; row 0, which turns the whole body, is 0.
        pose_spread: spread about each axis in radians; very large in row 0, which is unknown.
    """

    points_px: Float[Tensor, "33 3"]
    spread_px: Float[Tensor, "33 3"]
    pose: Float[Tensor, "22 3"]
    pose_spread: Float[Tensor, "22 3"]


class Lifter(nn.Module):
    """Residual MLP from a description (see `describe`) to points and joints with their spreads."""

    def __init__(self, width: int = 256, blocks: int = 2, dropout: float = 0.0):
        super().__init__()
        # 6 numbers per point: x, y in the picture; x, y, z in metres; score.
        self.first = nn.Linear(6 * 33, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, width),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(width, width),
                nn.Dropout(dropout),
            )
            for _ in range(blocks)
        )
        self.last = nn.Linear(width, 6 * 33 + 6 * NUM_JOINTS)
        # With zeros here the untrained lifter repeats the landmark net's own metres.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self, description: Float[Tensor, "B F"]
    ) -> tuple[Float[Tensor, "B 33 6"], Float[Tensor, "B 22 6"]]:
        """Points (metres) and joint rotations (radians): three values, then three log spreads.

        The points are the landmark net's own metres plus a learned correction.
        """
        x = self.first(description)
        for block in self.blocks:
            x = x + block(x)
        points, turns = self.last(x).split([6 * 33, 6 * NUM_JOINTS], dim=1)
        points, turns = points.unflatten(1, (33, 6)), turns.unflatten(1, (NUM_JOINTS, 6))
        # The description's middle part. The constants put first answers at a plausible size:
        # exp(-3) m = 5 cm, exp(-1.5) rad = 13 degrees.
        world = description[:, 2 * 33 : 5 * 33].unflatten(1, (33, 3))
        return torch.cat([0.1 * points[..., :3] + world, points[..., 3:] - 3], dim=-1), torch.cat(
            [turns[..., :3], turns[..., 3:] - 1.5], dim=-1
        )

    def symmetric(self, description: Float[Tensor, "B F"]) -> tuple[Tensor, Tensor]:
        """The mean of the answers for a person and for its mirror image: no side is favoured."""
        points, turns = self(description)
        other_points, other_turns = self(mirrored(description))
        flip = torch.cat([FLIP_POINT, torch.ones(3)]), torch.cat([FLIP_TURN, torch.ones(3)])
        return (
            (points + other_points[:, MIRROR] * flip[0]) / 2,
            (turns + other_turns[:, MIRROR_JOINTS] * flip[1]) / 2,
        )


def metres_per_pixel(
    keypoints: Float[Tensor, "B 33 3"], world: Float[Tensor, "B 33 3"]
) -> Float[Tensor, " B"]:
    """Metres per pixel: the spread of the points in metres over their spread in the picture.

    Points count by their score, so that guessed ones have no say.
    """
    weights = keypoints[..., 2:] + 1e-6
    weights = weights / weights.sum(1, keepdim=True)

    def extent(points: Tensor) -> Tensor:
        center = (weights * points).sum(1, keepdim=True)
        return (weights * (points - center) ** 2).sum((1, 2)).sqrt()

    return extent(world[..., :2]) / extent(keypoints[..., :2]).clamp_min(1e-6)


def describe(
    keypoints: Float[Tensor, "B 33 3"], world: Float[Tensor, "B 33 3"]
) -> tuple[Float[Tensor, "B F"], Float[Tensor, " B"]]:
    """The lifter's input, and the scale in metres per pixel.

    Args:
        keypoints: x, y in pixels and score in [0, 1].
        world: the landmark net's metres, axes as in `Detection`.

    Returns:
        F = 198 numbers: 33 x (x, y) in picture metres, 33 x (x, y, z) in metres, 33 scores; both
        kinds of positions are relative to the middle of the hips.
    """
    scale = metres_per_pixel(keypoints, world)
    picture = keypoints[..., :2] - keypoints[:, HIPS, :2].mean(1, keepdim=True)
    picture = picture * scale[:, None, None] * torch.tensor([1.0, -1.0])
    world = world - world[:, HIPS].mean(1, keepdim=True)
    parts = (picture, world, keypoints[..., 2:])
    return torch.cat([part.flatten(1) for part in parts], dim=1), scale


def mirrored(description: Float[Tensor, "B F"]) -> Float[Tensor, "B F"]:
    """The description of the mirror image: x changes sign, left and right points change places."""
    picture, world, score = description.split([2 * 33, 3 * 33, 33], dim=1)
    picture = picture.unflatten(1, (33, 2))[:, MIRROR] * FLIP_POINT[:2]
    world = world.unflatten(1, (33, 3))[:, MIRROR] * FLIP_POINT
    return torch.cat([picture.flatten(1), world.flatten(1), score[:, MIRROR]], dim=1)


@torch.no_grad()
def lift(lifter: Lifter, detection: Detection) -> Lifted:
    """Estimate 3D points and joint rotations of a detected person.

    Args:
        lifter: a trained lifter.
        detection: its points in pixels and in metres are used.

    Raises:
        InputError: the points are not (33, 3), not finite, or all in one place.

    Source: Martinez et al. 2017, sec 3.
    """
    keypoints, world = (
        torch.tensor(np.asarray(v, np.float32)) for v in (detection.keypoints, detection.world)
    )
    if keypoints.shape != (33, 3) or world.shape != (33, 3):
        fail(
            "lift",
            got=f"points {tuple(keypoints.shape)} and {tuple(world.shape)}",
            wanted="(33, 3) in pixels and in metres",
            fix="Take what toolkit.photo.detect returns.",
        )
    finite = bool(torch.isfinite(keypoints).all() and torch.isfinite(world).all())
    if not finite or keypoints[:, :2].std(0).max() < 1e-3 or world.std(0).max() < 1e-6:
        fail(
            "lift",
            got="points in one place" if finite else "NaN or Inf",
            wanted="the 33 points of a person",
            fix="Detect the person again.",
        )
    description, scale = describe(keypoints[None], world[None])
    (points,), (turns,) = lifter.symmetric(description)
    pose, spread = turns[:, :3].clone(), turns[:, 3:].exp().clamp_min(MIN_SPREAD_RAD)
    # The whole body's turn is found from the points, see `initial_unknowns`.
    pose[0], spread[0] = 0.0, 1e3
    return Lifted(
        (points[:, :3] - points[HIPS, :3].mean(0)) / scale,
        points[:, 3:].exp().clamp_min(MIN_SPREAD_M) / scale,
        pose,
        spread,
    )


def save_lifter(lifter: Lifter, path: str | os.PathLike, **notes: str) -> None:
    """Write the weights as safetensors; `notes` go into the file's metadata."""
    with atomic_path(path) as file:
        save_file(
            {k: v.contiguous() for k, v in lifter.state_dict().items()},
            str(file),
            metadata=notes or None,
        )


@lru_cache(maxsize=2)
def load_lifter(path: str | os.PathLike | None = None) -> Lifter:
    """The trained lifter of a file, by default of `data/models/lift.safetensors`.

    Raises:
        MissingFileError: the file does not exist.
    """
    lifter = Lifter()
    lifter.load_state_dict(load_file(str(path or model_path("lift.safetensors", made_by=MADE_BY))))
    return lifter.eval().requires_grad_(False)
