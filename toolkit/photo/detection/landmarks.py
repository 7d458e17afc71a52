"""From a square that may hold a person to 33 measured points; from squares to different people."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from toolkit.photo.detection import nets
from toolkit.photo.detection.candidates import search, upright_roi
from toolkit.photo.detection.keypoint_names import MIRROR
from toolkit.photo.detection.mask import agreement
from toolkit.photo.detection.roi import Roi, crop

PERSON_MIN, UNSURE_MIN = 0.7, 0.4  # landmark net's score; a coffee cup gets 1.0: not enough alone
AGREEMENT_MIN = 0.5  # share of the mask that the other net confirms: people > 0.8, cup 0.07


@dataclass(frozen=True)
class Candidate:
    """One found person; `keypoints` and `world` as in `Detection`, `soft_mask` inside `roi`."""

    keypoints: Float[np.ndarray, "33 3"]
    world: Float[np.ndarray, "33 3"]
    soft_mask: Float[np.ndarray, "256 256"]
    roi: Roi
    score: float

    @property
    def box(self) -> Float[np.ndarray, " 4"]:
        """x0, y0, x1, y1 around the points that are seen."""
        seen = self.keypoints[self.keypoints[:, 2] > 0.3, :2]
        return np.concatenate([seen.min(axis=0), seen.max(axis=0)])

    @property
    def size(self) -> float:
        """Diagonal of the box in pixels."""
        return float(np.hypot(*(self.box[2:] - self.box[:2])))


def find_people(image: Float[np.ndarray, "H W 3"], most: int = 4) -> list[Candidate]:
    """Different people, largest first, at most `most`."""
    people: list[Candidate] = []
    for finds in search(image):
        for head, roi in finds:
            if len(people) == most or any(_inside(head.center, p.box) for p in people):
                continue
            person = measure(image, roi)
            if _is_person(image, person) and not any(_same(person, other) for other in people):
                people.append(person)
    return sorted(people, key=lambda person: -person.size)


def measure(image: Float[np.ndarray, "H W 3"], roi: Roi) -> Candidate:
    """The points of whatever is in a square; cut twice, then averaged with the mirror image."""
    points, _, _, score = nets.run_landmarks(crop(image, roi, nets.LANDMARK_SIZE))
    if score > 0.3:
        roi = upright_roi(*roi.to_image(points[33:35, :2]))
    return read_points(image, roi)


def read_points(image: Float[np.ndarray, "H W 3"], roi: Roi) -> Candidate:
    """The points in a square that fits its person, averaged with those of the mirror image."""
    picture = crop(image, roi, nets.LANDMARK_SIZE)
    *direct, score = nets.run_landmarks(picture)
    mirrored = _unmirrored(*nets.run_landmarks(picture[:, ::-1]))
    apart = np.median(np.linalg.norm((direct[0] - mirrored[0])[:33, :2], axis=1))
    if apart < 0.03:  # else the two disagree about left and right, and a mean would be neither
        direct = [(a + b) / 2 for a, b in zip(direct, mirrored, strict=True)]
    points, world, mask = direct
    pixels = roi.to_image(points[:33, :2])
    inside = ((pixels >= 0) & (pixels < [image.shape[1], image.shape[0]])).all(axis=1)
    keypoints = np.column_stack([pixels, points[:33, 3] * points[:33, 4] * inside])
    world = np.column_stack([world[:33, :2] @ roi.rotation.T, world[:33, 2]])
    return Candidate(keypoints, world * [1, -1, -1], mask, roi, score)


def _unmirrored(points, world, mask, _score):
    """Outputs for a flipped crop, back in the unflipped one (the extra 6 points stay)."""
    order = MIRROR + list(range(33, 39))
    points, world = points[order].copy(), world[order].copy()
    points[:, 0] = 1 - points[:, 0]
    world[:, 0] *= -1
    return points, world, mask[:, ::-1]


def _is_person(image: np.ndarray, person: Candidate) -> bool:
    """Whether both nets believe in it and enough of it is in the picture."""
    if person.score < UNSURE_MIN or (person.keypoints[:, 2] > 0.5).sum() < 8:
        return False
    least = AGREEMENT_MIN if person.score >= PERSON_MIN else 0.9  # e.g. an arm before the face
    return agreement(image, person.soft_mask, person.roi) > least


def _inside(point: np.ndarray, box: np.ndarray) -> bool:
    return bool((point >= box[:2]).all() and (point <= box[2:]).all())


def _same(a: Candidate, b: Candidate) -> bool:
    """Whether two finds are one person: the boxes share most of the smaller one."""
    sides = np.minimum(a.box[2:], b.box[2:]) - np.maximum(a.box[:2], b.box[:2])
    areas = [np.prod(p.box[2:] - p.box[:2]) for p in (a, b)]
    return float(np.prod(sides.clip(0))) > 0.4 * min(areas)
