"""Measure where the net's 33 points lie on our body, and print the table for `reduced_body.py`.

    python -m tools.bake.photo_points --num 48

The net's "shoulder" is not our shoulder joint. For each point an offset, fixed to the limb it sits
on, is fitted to the detections on rendered people of the training split; left and right share it.
"""

import argparse

import numpy as np
import torch
from tqdm import tqdm

from toolkit.body.model import BodyModel
from toolkit.body.npz import load_body
from toolkit.errors import ToolkitError
from toolkit.people.draw.photo import photo_of
from toolkit.people.sample import sample_person
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES, MIRROR
from toolkit.photo.detection.keypoints import detect
from toolkit.photo.smplify.reduced_body import POINT_JOINTS

REFLECT = np.diag([-1.0, 1.0, 1.0])
RIDGE, LEAST_SCORE, OUTLIER_M = 2.0, 0.7, 0.08


def residuals(body: BodyModel, person, keypoints: np.ndarray):
    """Detected minus true point in picture-plane metres, joint rotations, and which count."""
    out = body(person.betas, person.pose, person.transl)
    points = torch.from_numpy(body.extra["blazepose33"]) @ out.vertices
    (pixels,), depth = person.photo_camera.project(points)
    metres = (depth[0] / person.photo_camera.Ks[0, 0, 0]).numpy()[:, None]
    offset = (keypoints[:, :2] - pixels.numpy()) * metres * [1, -1]
    sure = (keypoints[:, 2] > LEAST_SCORE) & (np.linalg.norm(offset, axis=1) < OUTLIER_M)
    return offset, out.transforms[POINT_JOINTS, :3, :3].numpy(), sure


def solve(samples: list[tuple]) -> np.ndarray:
    """Offsets (33, 3) in metres by ridge regression over all people and their mirror images."""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=48)
    torch.set_num_threads(1)
    body, samples = load_body(), []
    for seed in tqdm(range(parser.parse_args().num), desc="people"):
        person = sample_person(seed, "train")
        try:
            found = detect(photo_of(person, supersample=2)[0] / np.float32(255))
        except ToolkitError:
            continue
        samples.append(residuals(body, person, found.keypoints))
    for name, offset in zip(KEYPOINT_NAMES, solve(samples), strict=True):
        if "right" not in name:
            print(
                f'    "{name.removeprefix("left_").removesuffix("_left")}": '
                f"({', '.join(f'{v:.1f}' for v in 100 * offset)}),"
            )


if __name__ == "__main__":
    main()
