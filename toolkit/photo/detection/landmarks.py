"""Measure the 33 points in each square that the detector proposes; keep the different people."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from toolkit.photo.detection import nets
from toolkit.photo.detection.candidates import search, upright_roi
from toolkit.photo.detection.keypoint_names import MIRROR
from toolkit.photo.detection.mask import agreement
from toolkit.photo.detection.roi import Roi, crop

# The landmark net's score alone does not tell people from things (a coffee cup gets 1.0), so the
# selfie net has to confirm its mask: people agree by more than 0.8, the cup by 0.07.
PERSON_MIN, UNSURE_MIN = 0.7, 0.4
AGREEMENT_MIN = 0.5


@dataclass(frozen=True)
class Candidate:
    """One possible person.

    Attributes:
        keypoints: as in `Detection`.
        world: as in `Detection`.
        soft_mask: the landmark net's probability of person, within `roi`.
        roi: the square in which the points were measured.
        score: the landmark net's probability that this is a person.
    """

    keypoints: Float[np.ndarray, "33 3"]
    world: Float[np.ndarray, "33 3"]
    soft_mask: Float[np.ndarray, "256 256"]
    roi: Roi
    score: float

    @property
    def box(self) -> Float[np.ndarray, " 4"]:
        """x0, y0, x1, y1 in pixels around the points that the photo shows."""
        seen = self.keypoints[self.keypoints[:, 2] > 0.3, :2]
        return np.concatenate([seen.min(axis=0), seen.max(axis=0)])

    @property
    def size(self) -> float:
        """Diagonal of the box in pixels."""
        return float(np.hypot(*(self.box[2:] - self.box[:2])))


def find_people(image: Float[np.ndarray, "H W 3"], most: int = 4) -> list[Candidate]:
    """The different people of a picture, largest first.

    Args:
        image: RGB in [0, 1].
        most: stop after so many people.
    """
    people: list[Candidate] = []
    for squares in search(image):
        for head, roi in squares:
            # A head inside the box of a known person is that person again: save the two net runs.
            if len(people) == most or any(_inside(head.center, p.box) for p in people):
                continue
            person = measure(image, roi)
            if _is_person(image, person) and not any(_same(person, other) for other in people):
                people.append(person)
    return sorted(people, key=lambda person: -person.size)


def measure(image: Float[np.ndarray, "H W 3"], roi: Roi) -> Candidate:
    """The points of whatever the square shows; the first estimate only improves the square."""
    points, _, _, score = nets.run_landmarks(crop(image, roi, nets.LANDMARK_SIZE))
    if score > 0.3:
        # Rows 33 and 34 are helper points: mid-hip, and the top of the circle around the body.
        roi = upright_roi(*roi.to_image(points[33:35, :2]))
    return read_points(image, roi)


def read_points(image: Float[np.ndarray, "H W 3"], roi: Roi) -> Candidate:
    """The points in a square that fits its person, averaged with those of the mirror image."""
    picture = crop(image, roi, nets.LANDMARK_SIZE)
    *direct, score = nets.run_landmarks(picture)
    mirrored = _unmirrored(*nets.run_landmarks(picture[:, ::-1]))
    # In the crop's units; beyond 3 % the two disagree about left and right, and a mean of the two
    # would be neither.
    apart = np.median(np.linalg.norm((direct[0] - mirrored[0])[:33, :2], axis=1))
    if apart < 0.03:
        direct = [(a + b) / 2 for a, b in zip(direct, mirrored, strict=True)]
    points, world, mask = direct
    pixels = roi.to_image(points[:33, :2])
    inside = ((pixels >= 0) & (pixels < [image.shape[1], image.shape[0]])).all(axis=1)
    # Score = visibility * presence.
    keypoints = np.column_stack([pixels, points[:33, 3] * points[:33, 4] * inside])
    # The net answers in the axes of its turned crop: turn x and y back into the picture's, then
    # flip y (it pointed down) and z (it pointed away from the camera).
    world = np.column_stack([world[:33, :2] @ roi.rotation.T, world[:33, 2]])
    return Candidate(keypoints, world * [1, -1, -1], mask, roi, score)


def _unmirrored(
    points: Float[np.ndarray, "39 5"],
    world: Float[np.ndarray, "39 3"],
    mask: Float[np.ndarray, "256 256"],
    _score: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The landmark net's answers for a flipped crop, turned back into the unflipped crop."""
    order = MIRROR + list(range(33, 39))  # the 6 helper points have no left and right
    points, world = points[order].copy(), world[order].copy()
    points[:, 0] = 1 - points[:, 0]
    world[:, 0] *= -1
    return points, world, mask[:, ::-1]


def _is_person(image: np.ndarray, person: Candidate) -> bool:
    """Whether both networks agree that this is a person, and enough points are in the picture."""
    if person.score < UNSURE_MIN or (person.keypoints[:, 2] > 0.5).sum() < 8:
        return False
    # A real person with, say, an arm before the face may score low: then the masks must agree well.
    min_agreement = AGREEMENT_MIN if person.score >= PERSON_MIN else 0.9
    return agreement(image, person.soft_mask, person.roi) > min_agreement


def _inside(point: np.ndarray, box: np.ndarray) -> bool:
    return bool((point >= box[:2]).all() and (point <= box[2:]).all())


def _same(a: Candidate, b: Candidate) -> bool:
    """Whether two candidates are one person: the boxes share over 40 % of the smaller box."""
    sides = np.minimum(a.box[2:], b.box[2:]) - np.maximum(a.box[:2], b.box[:2])
    areas = [np.prod(p.box[2:] - p.box[:2]) for p in (a, b)]
    return float(np.prod(sides.clip(0))) > 0.4 * min(areas)
