"""The three small networks behind `keypoints.py`, run by LiteRT on the CPU.

They are MediaPipe's: a detector, a net for the 33 landmarks and a selfie segmentation. LiteRT only
runs the files; how pictures go in and what the numbers mean is written in MediaPipe's graphs, and
no library but MediaPipe itself reads those, so this module follows them by hand.
Source: Bazarevsky et al. 2020, arxiv.org/abs/2006.10204.
"""

from functools import cache

import numpy as np
from jaxtyping import Float

from toolkit.run.files import model_path

DETECTOR_SIZE, LANDMARK_SIZE, SELFIE_SIZE = 224, 256, 256
MADE_BY = "python -m tools.bake.photo_nets"


@cache
def _interpreter(name: str):
    """The loaded net; with one thread, because two are far slower when the machine is busy."""
    from ai_edge_litert.interpreter import Interpreter  # 0.2 s: only when it is used

    net = Interpreter(str(model_path(name, made_by=MADE_BY)), num_threads=1)
    net.allocate_tensors()
    return net


def _run(name: str, picture: Float[np.ndarray, "S S 3"]) -> list[np.ndarray]:
    """The outputs of a net in the order in which its file declares them, without the batch axis."""
    net = _interpreter(name)
    net.set_tensor(net.get_input_details()[0]["index"], picture[None].astype(np.float32))
    net.invoke()
    return [net.get_tensor(output["index"])[0].copy() for output in net.get_output_details()]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


@cache
def detector_anchors() -> Float[np.ndarray, "2254 2"]:
    """Anchor centres in [0, 1]: two per cell at strides 8 and 16, six per cell at stride 32."""
    layers = []
    for stride, repeats in ((8, 2), (16, 2), (32, 6)):
        grid = (np.arange(DETECTOR_SIZE // stride) + 0.5) * stride / DETECTOR_SIZE
        centers = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
        layers.append(np.repeat(centers, repeats, axis=0))
    return np.concatenate(layers)


def run_detector(picture: Float[np.ndarray, "224 224 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Detect people in a square picture.

    Args:
        picture: RGB in [0, 1].

    Returns:
        Scores (A,) in [0, 1], and values (A,6,2) in units of the picture's side, for each of the A
        anchors: centre and size of the head's box, then four points: mid-hip, the top of the circle
        around the whole body, mid-shoulder, the top of the circle around the upper body.
    """
    raw, logits = _run("pose_detection.tflite", picture * 2 - 1)  # this net wants [-1, 1]
    values = raw.reshape(-1, 6, 2) / DETECTOR_SIZE
    # Positions are offsets from the anchor; row 1, the box's size, is none.
    values[:, [0, 2, 3, 4, 5]] += detector_anchors()[:, None]
    return sigmoid(logits[:, 0].clip(-100, 100)), values


def run_landmarks(
    picture: Float[np.ndarray, "256 256 3"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Measure the points of the person in a square picture.

    Args:
        picture: RGB in [0, 1].

    Returns:
        Points (39,5): x, y, z in units of the picture's side, visibility and presence in [0, 1]; of
        the 39 points the last 6 are helpers. Then the points in metres (39,3), the soft mask
        (256,256) in [0, 1], and the probability of a person.
    """
    raw, score, mask, heatmaps, world = _run("pose_landmark_full.tflite", picture)
    points = raw.reshape(39, 5)
    points[:, :3] /= LANDMARK_SIZE
    points[:, 3:] = sigmoid(points[:, 3:])
    points[:, :2] = _refined(points[:, :2], sigmoid(heatmaps))
    return points, world.reshape(39, 3), sigmoid(mask[..., 0]), float(score[0])


def _refined(
    points: Float[np.ndarray, "39 2"], heatmaps: Float[np.ndarray, "64 64 39"], half: int = 3
) -> Float[np.ndarray, "39 2"]:
    """Move each point to the centre of mass of its heatmap around it, where the map is confident.

    Args:
        points: x, y in units of the picture's side.
        heatmaps: one map per point, in [0, 1].
        half: the window reaches so many cells to each side of the point.
    """
    side, refined = heatmaps.shape[0], points.copy()
    for index, (x, y) in enumerate(points * side):
        col, row = int(x), int(y)
        if not (0 <= col < side and 0 <= row < side):
            continue
        rows, cols = (slice(max(0, v - half), v + half + 1) for v in (row, col))
        patch = heatmaps[rows, cols, index]
        if patch.max() >= 0.5:
            grid_y, grid_x = np.mgrid[rows, cols][:, : patch.shape[0], : patch.shape[1]]
            # The index of a cell stands for its corner, not for its centre at +0.5. That is a bias
            # of half a cell, but MediaPipe does so and the net was tuned with it.
            mean = np.array([(patch * grid_x).sum(), (patch * grid_y).sum()]) / patch.sum()
            refined[index] = mean / side
    return refined


def run_selfie(picture: Float[np.ndarray, "256 256 3"]) -> Float[np.ndarray, "256 256"]:
    """Probability of each pixel to show a person; `picture` is RGB in [0, 1]."""
    return _run("selfie_segmentation.tflite", picture)[0][..., 0]
