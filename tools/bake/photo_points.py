"""Measure where the net's 33 points lie on our body; print the table of `smplify/reduced_body.py`.

    python -m tools.bake.photo_points --num 48

The net's "shoulder" is not our shoulder joint. For each point an offset, fixed to the limb it sits
on, is fitted to the detections on rendered people of the training split; left and right share it.
"""

from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Bool, Float
from tqdm import tqdm

from toolkit.body.model import BodyModel
from toolkit.body.npz import load_body
from toolkit.errors import ToolkitError
from toolkit.people.draw.photo import photo_of
from toolkit.people.person import Person
from toolkit.people.sample import sample_person
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES, MIRROR
from toolkit.photo.detection.keypoints import detect
from toolkit.photo.smplify.reduced_body import POINT_JOINTS
from tools.command import run

REFLECT = np.diag([-1.0, 1.0, 1.0])
RIDGE, LEAST_SCORE, OUTLIER_M = 2.0, 0.7, 0.08
# Offsets in metres of the picture plane, rotations of the points' joints, which points count.
Residuals = tuple[Float[np.ndarray, "33 2"], Float[np.ndarray, "33 3 3"], Bool[np.ndarray, " 33"]]


def residuals(body: BodyModel, person: Person, keypoints: Float[np.ndarray, "33 3"]) -> Residuals:
    """Detected minus true points, their joints' rotations, and which points count."""
    out = body(person.betas, person.pose, person.transl)
    points = torch.from_numpy(body.extra["blazepose33"]) @ out.vertices
    (pixels,), depth = person.photo_camera.project(points)
    metres = (depth[0] / person.photo_camera.Ks[0, 0, 0]).numpy()[:, None]
    offset = (keypoints[:, :2] - pixels.numpy()) * metres * [1, -1]
    sure = (keypoints[:, 2] > LEAST_SCORE) & (np.linalg.norm(offset, axis=1) < OUTLIER_M)
    return offset, out.transforms[POINT_JOINTS, :3, :3].numpy(), sure


def solve(samples: list[Residuals]) -> Float[np.ndarray, "33 3"]:
    """Offsets in metres by ridge regression over all people and their mirror images."""
    offsets = np.zeros((33, 3))
    for k in range(33):
        normal, right = RIDGE * np.eye(3), np.zeros(3)
        for target, rotations, sure in samples:
            for index, mirror in ((k, np.eye(3)), (MIRROR[k], REFLECT)):
                if sure[index]:
                    A = (mirror @ rotations[index] @ mirror)[:2]
                    normal += A.T @ A
                    right += A.T @ (mirror[:2, :2] @ target[index])
        offsets[k] = np.linalg.solve(normal, right)
    return offsets


def main(num: Annotated[int, typer.Option(help="number of training people")] = 48) -> None:
    """Detect, solve and print."""
    torch.set_num_threads(1)
    body, samples = load_body(), []
    for seed in tqdm(range(num), desc="people"):
        person = sample_person(seed, "train")
        try:
            detection = detect(photo_of(person, supersample=2)[0] / np.float32(255))
        except ToolkitError:
            continue
        samples.append(residuals(body, person, detection.keypoints))
    for name, offset in zip(KEYPOINT_NAMES, solve(samples), strict=True):
        if "right" not in name:
            print(
                f'    "{name.removeprefix("left_").removesuffix("_left")}": '
                f"({', '.join(f'{v:.1f}' for v in 100 * offset)}),"
            )


if __name__ == "__main__":
    raise SystemExit(run(main))
