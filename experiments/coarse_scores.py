"""Scores of an avatar against rendered views of the true person, by sector of the turntable."""

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.evaluate.crops import crop_square, person_square
from toolkit.gaussians import Gaussians
from toolkit.measure.perceptual import compare_features, load_features
from toolkit.prior.orbit import OrbitConfig, orbit
from toolkit.render.api import Render, render
from tools.train.people import Sample

LOOK_PX = 224  # side of the square that the perceptual net sees, as in `toolkit evaluate`
SIDE_DEG = 30  # views within so many degrees of 90/270 are "side", of 180 "back"


class Body(Protocol):
    """Shape, pose and position: of a fitted body or of the truth."""

    betas: Float[Tensor, " B"]
    pose: Float[Tensor, "55 3"]
    transl: Float[Tensor, "3"]


def sectors(seed: int) -> dict[str, list[int]]:
    """Turntable frames of each sector, for the orbit that belongs to a person's seed."""
    azimuth = orbit(OrbitConfig(seed=seed)).azimuths_deg % 360
    side = ((azimuth - 90).abs() <= SIDE_DEG) | ((azimuth - 270).abs() <= SIDE_DEG)
    back = (azimuth - 180).abs() <= SIDE_DEG
    return {"side": side.nonzero()[:, 0].tolist(), "back": back.nonzero()[:, 0].tolist()}


def psnr(
    rgb: Float[Tensor, "C H W 3"], truth_rgba: Float[Tensor, "C H W 4"], *, border_px: int = 0
) -> float:
    """PSNR in dB inside the true silhouette, less a border of so many pixels."""
    outside = (truth_rgba[..., 3] <= 0.5).float().reshape(-1, 1, *truth_rgba.shape[-3:-1])
    outside = F.max_pool2d(outside, 2 * border_px + 1, 1, border_px)
    inside = outside.reshape(truth_rgba.shape[:-1]) == 0
    return float(-10 * torch.log10(((rgb - truth_rgba[..., :3])[inside] ** 2).mean()))


def iou(alpha: Float[Tensor, "C H W"], truth: Float[Tensor, "C H W"]) -> float:
    """Silhouettes over all views together: shared area over joint area."""
    ours, true = alpha > 0.5, truth > 0.5
    return float((ours & true).sum() / (ours | true).sum())


class Truth:
    """What a person's pictures are compared with; the feature net sees the truth only once."""

    def __init__(self, person: Sample, groups: dict[str, list[int]]):
        self.person, self.groups = person, groups
        # Two views per sector are enough for the perceptual distance: the first and the last.
        self.chosen = {name: group[:: max(1, len(group) - 1)][:2] for name, group in groups.items()}
        self.rgba = [person.photo_rgba, *person.turn_rgba[sum(self.chosen.values(), [])]]
        self.boxes = [person_square(x[..., 3]) for x in self.rgba]
        crops = self._crops([x[..., :3] for x in self.rgba])
        self.alpha, self.features = crops[..., 3], load_features()(crops[..., :3])

    def _crops(self, pictures: list[Float[Tensor, "H W 3"]]) -> Float[Tensor, "P S S 4"]:
        return torch.stack(
            [
                crop_square(picture, rgba[..., 3:], box, LOOK_PX)
                for picture, rgba, box in zip(pictures, self.rgba, self.boxes, strict=True)
            ]
        )

    def scores(
        self, front: Float[Tensor, "1 H W 3"], turn: Float[Tensor, "T h w 3"]
    ) -> dict[str, float]:
        """PSNR and perceptual distance (x 1000) of the photo's view and the turntable's sectors."""
        photo = self.person.photo_rgba[None]
        scores = {"front": psnr(front, photo), "inner": psnr(front, photo, border_px=3)}
        scores |= {k: psnr(turn[v], self.person.turn_rgba[v]) for k, v in self.groups.items()}
        pictures = self._crops([front[0], *turn[sum(self.chosen.values(), [])]])[..., :3]
        names = ["front", *(name for name, views in self.chosen.items() for _ in views)]
        distances = compare_features(load_features()(pictures), self.features, self.alpha)
        for name in dict.fromkeys(names):
            views = [i for i, n in enumerate(names) if n == name]
            scores[f"{name}_perceptual"] = 1000 * float(distances[views].mean())
        return scores


def renders(
    gaussians: Gaussians, guess: Body, sample: Sample, body: BodyModel, anchors: Anchors
) -> tuple[Render, Render]:
    """An avatar in the photo's own view, and its turntable in the A-pose."""
    rig = Rig.build(body, anchors, guess.betas)
    front = render(pose_gaussians(gaussians, rig, guess.pose, guess.transl), sample.crop.camera)
    turn = render(pose_gaussians(gaussians, rig, a_pose(), sample.transl), sample.turn_cameras)
    return front, turn


def rows_seen(posed: Gaussians, visible: Bool[Tensor, " N"], sample: Sample) -> int:
    """Rows of the A-posed front picture down to the lowest anchor that the photo shows."""
    (pixels,), _ = sample.turn_cameras[0].project(posed.means[visible])
    return int(pixels[:, 1].max().clamp(8, sample.turn_cameras.height)) + 1


def as_bytes(picture: Float[Tensor, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """A picture in [0, 1] as 0..255."""
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
