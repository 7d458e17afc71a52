"""Where people may be: BlazePose's detector on the whole photo, with a border, and in tiles."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from toolkit.photo.detection import nets
from toolkit.photo.detection.roi import Roi, crop


def search(image: Float[np.ndarray, "H W 3"]) -> Iterator[list[tuple[Roi, Roi]]]:
    """Yield squares that may hold a person, in three steps; within a step, highest score first.

    The detector shrinks its window to 224 pixels and often reports only one person per window. So
    it looks at the whole picture, then at the picture with a border (for people who fill it), then
    at nine overlapping tiles (for small people, and for the second of two).

    Args:
        image: RGB in [0, 1].

    Yields:
        Pairs of a square around the head and a square around the whole person.
    """
    height, width = image.shape[:2]
    side, center = max(height, width), np.array([width, height]) / 2
    xs, ys = (
        np.linspace(side / 4, max(length - side / 4, side / 4), 3) for length in (width, height)
    )
    tiles = [Roi(np.array([x, y]), side / 2) for y in ys for x in xs]
    # A tile shows parts of people and small things enlarged, which causes false alarms, so it needs
    # a higher score.
    for windows, min_score in (
        ([Roi(center, side)], 0.5),
        ([Roi(center, 1.7 * side)], 0.5),
        (tiles, 0.7),
    ):
        yield suppress([hit for window in windows for hit in detect_in(image, window, min_score)])


def detect_in(
    image: Float[np.ndarray, "H W 3"], window: Roi, min_score: float
) -> list[tuple[float, Roi, Roi]]:
    """Score, head square and person square of every detection in one window above `min_score`."""
    scores, values = nets.run_detector(crop(image, window, nets.DETECTOR_SIZE))
    hits = []
    for index in np.flatnonzero(scores > min_score):
        # Rows of `values`: 0 box centre, 1 box size, 2 mid-hip, 3 a point on the body's circle.
        head, hip, ring = window.to_image(values[index, [0, 2, 3]])
        box = Roi(head, float(values[index, 1].mean() * window.size))
        hits.append((float(scores[index]), box, upright_roi(hip, ring)))
    return hits


def upright_roi(center: Float[np.ndarray, " 2"], ring: Float[np.ndarray, " 2"]) -> Roi:
    """The square around a person, turned so that `ring` lies above `center`.

    Args:
        center: middle of the hips, in pixels.
        ring: the point above the head on the circle around the whole body, in pixels.
    """
    offset = ring - center
    angle = np.arctan2(offset[1], offset[0]) + np.pi / 2
    # Twice the radius, and 25 % more: the border that MediaPipe's landmark net expects.
    return Roi(center, 2.5 * float(np.hypot(*offset)), float(angle))


def suppress(hits: list[tuple[float, Roi, Roi]], overlap: float = 0.3) -> list[tuple[Roi, Roi]]:
    """Weighted non-maximum suppression: detections of the same head become one mean person.

    The heads are compared, not the person squares, because the squares of two people who stand side
    by side overlap by two thirds.

    Args:
        hits: score, head square and person square of each detection.
        overlap: heads with a larger intersection over union are the same head.
    """
    people, rest = [], sorted(hits, key=lambda item: -item[0])
    while rest:
        _, head, person = rest[0]
        near = [item for item in rest if square_iou(head, item[1]) > overlap]
        weights = np.array([score for score, _, _ in near])
        center, size = (
            np.average([getattr(r, name) for _, _, r in near], axis=0, weights=weights)
            for name in ("center", "size")
        )
        people.append((head, Roi(center, float(size), person.angle_rad)))
        rest = [item for item in rest if square_iou(head, item[1]) <= overlap]
    return people


def square_iou(a: Roi, b: Roi) -> float:
    """Intersection over union of two squares, as if both were upright."""
    sides = np.minimum(a.center + a.size / 2, b.center + b.size / 2) - np.maximum(
        a.center - a.size / 2, b.center - b.size / 2
    )
    shared = float(np.prod(sides.clip(0)))
    return shared / (a.size**2 + b.size**2 - shared)
