"""Find the one person of a photo: 33 body points, depth hints, mask and box.

The steps are MediaPipe's: detect, cut an upright square around the person, find the points, cut
again from the points. On top come checks that a user understands (nobody, two people, too small).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import binary_dilation, label

from toolkit.errors import fail
from toolkit.photo.detection import nets
from toolkit.photo.detection.candidates import search, upright_roi
from toolkit.photo.detection.mask import agreement, refine_mask
from toolkit.photo.detection.nets import Roi

KEYPOINT_NAMES = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
)
# Each point's partner under a left-right flip of the picture.
MIRROR = [
    KEYPOINT_NAMES.index(n.replace("left", "\0").replace("right", "left").replace("\0", "right"))
    for n in KEYPOINT_NAMES
]
SHOULDERS = [KEYPOINT_NAMES.index("left_shoulder"), KEYPOINT_NAMES.index("right_shoulder")]
MIN_PERSON_PX = 96
SEARCH_SIDE_PX = 768  # people are searched in a picture of this size, then measured in the full one
PERSON_MIN, UNSURE_MIN = 0.7, 0.4  # landmark net's score; a coffee cup gets 1.0: not enough alone
AGREEMENT_MIN = 0.5  # share of the mask that the other net confirms: people > 0.8, cup 0.07


@dataclass(frozen=True)
class Detection:
    """The person of a photo, in pixels of that photo.

    Attributes:
        keypoints: x, y in pixels and a score in [0, 1] (0 outside the picture), BlazePose order.
        world: metres, x to the picture's right, y up, z towards the camera, mid-hip at 0.
        mask: probability of person, a pixel.
        box: x0, y0, x1, y1 of the mask in pixels.
        score: the net's belief that this is a person, in [0, 1].
    """

    keypoints: Float[np.ndarray, "33 3"]
    world: Float[np.ndarray, "33 3"]
    mask: Float[np.ndarray, "H W"]
    box: Float[np.ndarray, " 4"]
    score: float = 1.0


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


def detect(
    image: Float[np.ndarray, "H W 3"], alpha: Float[np.ndarray, "H W"] | None = None
) -> Detection:
    """Points and mask of the only (or by far the largest) person of a photo.

    Args:
        image: RGB in [0, 1].
        alpha: the photo's own cut-out; used as the mask when given.

    Raises:
        InputError: nobody, only a face, several people of similar size, a person under 96 pixels.
    """
    image = np.asarray(image, dtype=np.float32)
    shrink = max(1, round(max(image.shape[:2]) / SEARCH_SIDE_PX))
    person = _only_person(find_people(_averaged(image, shrink)))
    full = Roi(person.roi.center * shrink, person.roi.size * shrink, person.roi.angle_rad)
    person = measure(image, full) if shrink > 1 else person
    mask = refine_mask(image, person.soft_mask, person.roi) if alpha is None else alpha
    box = _box(mask)
    if box[3] - box[1] < MIN_PERSON_PX:
        fail(
            "Photo",
            got=f"a person {box[3] - box[1]:.0f} pixels tall",
            wanted=f"at least {MIN_PERSON_PX}",
            fix="Crop around the person in the original.",
        )
    if person.keypoints[SHOULDERS, 2].max() < 0.3:
        fail(
            "Photo",
            got="a face without shoulders",
            wanted="the upper body at least",
            fix="Use a picture taken from further away.",
        )
    return Detection(
        person.keypoints, person.world, np.asarray(mask, dtype=np.float32), box, person.score
    )


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
    points, _, _, score = nets.run_landmarks(nets.crop(image, roi, nets.LANDMARK_SIZE))
    if score > 0.3:
        roi = upright_roi(*roi.to_image(points[33:35, :2]))
    return read_points(image, roi)


def read_points(image: Float[np.ndarray, "H W 3"], roi: Roi) -> Candidate:
    """The points in a square that fits its person, averaged with those of the mirror image."""
    picture = nets.crop(image, roi, nets.LANDMARK_SIZE)
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


def _averaged(image: np.ndarray, shrink: int) -> np.ndarray:
    """The picture at 1 / shrink of its size, each pixel a mean."""
    height, width = (side // shrink for side in image.shape[:2])
    blocks = image[: height * shrink, : width * shrink].reshape(height, shrink, width, shrink, 3)
    return blocks.mean(axis=(1, 3))


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


def _only_person(people: list[Candidate]) -> Candidate:
    """The largest; an error when there is none or another of at least 60 % of its size."""
    if not people:
        fail(
            "Photo",
            got="no person found",
            wanted=f"one person, shoulders in the picture, at least {MIN_PERSON_PX} pixels tall",
            fix="Use a sharper or closer picture.",
        )
    similar = [p for p in people if p.size > 0.6 * people[0].size]
    if len(similar) > 1:
        fail(
            "Photo",
            got=f"{len(similar)} people of similar size",
            wanted="one person",
            fix="Crop the picture around one of them.",
        )
    return people[0]


def _box(mask: np.ndarray) -> Float[np.ndarray, " 4"]:
    """Box of the mask without specks (an arm behind a pole may be a second piece: allowed)."""
    parts, count = label(binary_dilation(mask > 0.5, iterations=2))
    if not count:
        return np.zeros(4)
    sizes = np.bincount(parts.ravel())[1:]
    large = np.isin(parts, 1 + np.flatnonzero(sizes > 0.05 * sizes.max())) & (mask > 0.5)
    rows, cols = np.nonzero(large)
    return np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1], dtype=np.float64)
