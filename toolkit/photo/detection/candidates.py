"""Where people might be: BlazePose's detector over the picture, its border and nine tiles."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from toolkit.photo.detection import nets
from toolkit.photo.detection.roi import Roi, crop


def search(image: Float[np.ndarray, "H W 3"]) -> Iterator[list[tuple[Roi, Roi]]]:
    """Head and person squares that may hold a person, in three widening rounds, surest first.

    The detector shrinks its window to 224 pixels and then often sees one person only, so it looks
    at the whole picture, at the picture with a border (for people who fill it) and at nine
    overlapping tiles (for small people and for the second of two).
    """
    height, width = image.shape[:2]
    side, center = max(height, width), np.array([width, height]) / 2
    xs, ys = (
        np.linspace(side / 4, max(length - side / 4, side / 4), 3) for length in (width, height)
    )
    tiles = [Roi(np.array([x, y]), side / 2) for y in ys for x in xs]
    # A tile sees parts of a person and odd things at large scale: it has to be surer.
    for windows, sure in (
        ([Roi(center, side)], 0.5),
        ([Roi(center, 1.7 * side)], 0.5),
        (tiles, 0.7),
    ):
        yield suppress([found for window in windows for found in detect_in(image, window, sure)])


def detect_in(
    image: Float[np.ndarray, "H W 3"], window: Roi, sure: float
) -> list[tuple[float, Roi, Roi]]:
    """Score, head square and person square of all finds above the score `sure` in one window."""
    scores, values = nets.run_detector(crop(image, window, nets.DETECTOR_SIZE))
    found = []
    for index in np.flatnonzero(scores > sure):
        head, hip, ring = window.to_image(values[index, [0, 2, 3]])
        box = Roi(head, float(values[index, 1].mean() * window.size))
        found.append((float(scores[index]), box, upright_roi(hip, ring)))
    return found


def upright_roi(center: Float[np.ndarray, " 2"], ring: Float[np.ndarray, " 2"]) -> Roi:
    """The square around a circle through `ring`, turned so that `ring` lies above the centre."""
    offset = ring - center
    angle = np.arctan2(offset[1], offset[0]) + np.pi / 2
    return Roi(center, 2.5 * float(np.hypot(*offset)), float(angle))


def suppress(found: list[tuple[float, Roi, Roi]], overlap: float = 0.3) -> list[tuple[Roi, Roi]]:
    """Weighted non-maximum suppression: finds about the same head give one mean person.

    Heads, not person squares: those of two people who stand side by side overlap by two thirds.
    """
    kept, rest = [], sorted(found, key=lambda item: -item[0])
    while rest:
        _, head, person = rest[0]
        near = [item for item in rest if square_iou(head, item[1]) > overlap]
        weights = np.array([score for score, _, _ in near])
        center, size = (
            np.average([getattr(r, name) for _, _, r in near], axis=0, weights=weights)
            for name in ("center", "size")
        )
        kept.append((head, Roi(center, float(size), person.angle_rad)))
        rest = [item for item in rest if square_iou(head, item[1]) <= overlap]
    return kept


def square_iou(a: Roi, b: Roi) -> float:
    """Overlap of two squares; their turn is ignored."""
    sides = np.minimum(a.center + a.size / 2, b.center + b.size / 2) - np.maximum(
        a.center - a.size / 2, b.center - b.size / 2
    )
    shared = float(np.prod(sides.clip(0)))
    return shared / (a.size**2 + b.size**2 - shared)
