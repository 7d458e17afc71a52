"""The terms that the body fit minimises; each is a mean or sum without unit (lengths in bodies).

A residual r of pixels is divided by the person's height in pixels before anything else, so that
weights mean the same for every photo.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from toolkit.body.model import JOINT_NAMES
from toolkit.photo.detection.detect import KEYPOINT_NAMES
from toolkit.photo.smplify.lift import Lifted

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

_BONES = [
    ("right_shoulder", "left_shoulder"),
    ("right_hip", "left_hip"),
    ("left_hip", "left_shoulder"),
    ("right_hip", "right_shoulder"),
    *(
        (f"{side}_{a}", f"{side}_{b}")
        for side in ("left", "right")
        for a, b in (
            ("shoulder", "elbow"),
            ("elbow", "wrist"),
            ("wrist", "index"),
            ("hip", "knee"),
            ("knee", "ankle"),
            ("heel", "foot_index"),
            ("ear", "shoulder"),
        )
    ),
    ("left_ear", "nose"),
    ("right_ear", "nose"),
    ("right_ear", "left_ear"),
]
BONES = torch.tensor([[KEYPOINT_NAMES.index(name) for name in bone] for bone in _BONES])

# Axis-angle mean and spread in degrees (x, y, z) in the T-pose frame; left side, right mirrored.
# x bends legs and spine, y bends the elbow forwards (arm along x), z swings the arm up and down.
_PRIOR_DEG = {
    "spine1": ((0, 0, 0), (10, 6, 6)),
    "spine2": ((0, 0, 0), (8, 6, 6)),
    "spine3": ((0, 0, 0), (8, 6, 6)),
    "neck": ((0, 0, 0), (12, 12, 10)),
    "head": ((0, 0, 0), (14, 16, 10)),
    "hip": ((0, 0, 2), (35, 15, 15)),
    "knee": ((15, 0, 0), (40, 6, 6)),
    "ankle": ((0, 0, 0), (15, 10, 10)),
    "foot": ((0, 0, 0), (5, 3, 3)),
    "collar": ((0, 0, -3), (6, 8, 10)),
    "shoulder": ((0, 0, -60), (35, 35, 35)),
    "elbow": ((0, -20, 0), (35, 45, 12)),
    "wrist": ((0, 0, 0), (18, 12, 18)),
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


def pose_statistics() -> tuple[Float[Tensor, "22 3"], Float[Tensor, "22 3"]]:
    """Mean and spread of each joint's axis-angle rotation, radians; the pelvis is left free."""
    mean, spread = torch.zeros(22, 3), torch.full((22, 3), 1e3)
    for joint, name in enumerate(JOINT_NAMES[1:22], start=1):
        center, width = (
            torch.tensor(v, dtype=torch.float32) for v in _PRIOR_DEG[name.split("_")[-1]]
        )
        # A reflection at x = 0 turns an axis-angle (x, y, z) into (x, -y, -z).
        mirror = torch.tensor([1.0, -1.0, -1.0]) if name.startswith("right") else 1.0
        mean[joint], spread[joint] = torch.deg2rad(center * mirror), torch.deg2rad(width)
    return mean, spread


@dataclass(frozen=True)
class Usual:
    """What a body is taken for where the photo says little.

    Attributes:
        pose: axis-angle mean of 22 joints, radians; `spread` is how far from it is common.
        betas: shape.
        upright: weight of a vertical pelvis.
    """

    pose: Float[Tensor, "22 3"]
    spread: Float[Tensor, "22 3"]
    betas: Float[Tensor, " S"]
    upright: float = 4.0

    @staticmethod
    def anybody(num_betas: int) -> "Usual":
        """The average person, in common poses."""
        return Usual(*pose_statistics(), torch.zeros(num_betas))

    @staticmethod
    def near(pose: Float[Tensor, "22 3"], betas: Float[Tensor, " S"], spread_deg: float) -> "Usual":
        """Somebody whose pose and shape are known but for `spread_deg` a joint and axis."""
        spread = torch.full((22, 3), float(np.deg2rad(spread_deg)))
        return Usual(pose, spread, betas, upright=0.0)


def geman_mcclure(squared: Tensor, sigma: float) -> Tensor:
    """Robust loss in [0, 1) of squared residuals: quadratic below `sigma`, flat far above it."""
    return squared / (squared + sigma**2)


def keypoint_term(
    projected: Float[Tensor, "33 2"],
    target: Float[Tensor, "33 2"],
    weights: Float[Tensor, " 33"],
    sigma: float,
) -> Tensor:
    """Distance of the projected points to the detected ones, in bodies, robust."""
    squared = ((projected - target) ** 2).sum(dim=1)
    return (weights * geman_mcclure(squared, sigma)).sum() / weights.sum().clamp_min(1e-6)


def bone_term(
    points: Float[Tensor, "33 3"], world: Float[Tensor, "33 3"], weights: Float[Tensor, " 33"]
) -> Tensor:
    """1 - cos between the body's bones and the net's bones in metres; resolves depth only."""
    ours, theirs = (
        functional.normalize(p[BONES[:, 1]] - p[BONES[:, 0]], dim=1) for p in (points, world)
    )
    sure = weights[BONES].amin(dim=1)
    return (sure * (1 - (ours * theirs).sum(dim=1))).sum() / sure.sum().clamp_min(1e-6)


def depth_term(depths_px: Float[Tensor, " 33"], lifted: Lifted) -> Tensor:
    """Distance from the lifted depths in their own spreads, robust; blind across the view."""
    off = (depths_px - lifted.points_px[:, 2]) / lifted.spread_px[:, 2]
    return 9.0 * geman_mcclure(off**2, sigma=3.0).mean()


def pose_term(pose: Float[Tensor, "22 3"], mean: Tensor, spread: Tensor) -> Tensor:
    """Squared distance from the usual pose in spreads, and knees and elbows that bend backwards."""
    usual = (((pose - mean) / spread) ** 2).sum()
    knees = functional.relu(-pose[[4, 5], 0])
    elbows = functional.relu(pose[[18, 19], 1] * torch.tensor([1.0, -1.0]))
    return usual + 40.0 * (knees**2).sum() + 40.0 * (elbows**2).sum()


class Silhouette:
    """The mask as the fit needs it: distance outside, contour points, and where the photo ends.

    Clothes and hair make a mask larger than its body, so a body point outside the mask costs in
    full, while a contour point without body near it soon costs no more.
    """

    def __init__(self, mask: Float[np.ndarray, "H W"], scale_px: float, num_contour: int = 250):
        from scipy.ndimage import distance_transform_edt
        from skimage.measure import find_contours

        self.shrink = max(1, int(max(mask.shape) / 320))
        small = mask[:: self.shrink, :: self.shrink]
        distance = distance_transform_edt(small <= 0.5) * self.shrink / scale_px
        self.outside = torch.from_numpy(distance.astype(np.float32))[None, None]
        self.size = torch.tensor([mask.shape[1], mask.shape[0]], dtype=torch.float32)
        contours = [c for c in find_contours(small, 0.5) if len(c) > 20]
        points = np.concatenate(contours)[:, ::-1] if contours else np.zeros((0, 2))
        points = (points + 0.5) * self.shrink
        border = 3.0 * self.shrink  # where the person leaves the picture there is no contour
        inner = ((points > border) & (points < self.size.numpy() - border)).all(axis=1)
        step = max(1, int(inner.sum()) // num_contour)
        self.contour = torch.tensor(points[inner][::step].astype(np.float32))
        self.scale_px = scale_px

    def inside_term(self, projected: Float[Tensor, "N 2"]) -> Tensor:
        """Squared distance of body points outside the mask, in bodies; 0 beyond the picture."""
        grid = projected / self.size * 2 - 1
        distance = functional.grid_sample(self.outside, grid[None, None], align_corners=False)
        return geman_mcclure(distance[0, 0, 0] ** 2, 0.05).mean()

    def nearest(self, projected: Float[Tensor, "N 2"]) -> Tensor:
        """For each contour point, the index of the nearest body point."""
        return torch.cdist(self.contour, projected.detach()).argmin(dim=1)

    def cover_term(
        self, projected: Float[Tensor, "N 2"], nearest: Tensor, trust: Tensor, sigma: float
    ) -> Tensor:
        """Distance of contour points to their body points, in bodies, robust.

        Args:
            nearest: from `nearest`, which need not be fresh in every step.
            trust: weight of each body point; small where hair or a hat hides the body's outline.
        """
        if not len(self.contour):
            return projected.sum() * 0.0
        squared = ((projected[nearest] - self.contour) / self.scale_px).square().sum(dim=1)
        return (trust[nearest] * geman_mcclure(squared, sigma)).mean()


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
