"""Find the person of a photo: 33 body points, depth hints, mask and box.

    photo --detector--> squares --landmark net--> points, soft mask --selfie net--> mask

The steps are those of MediaPipe's BlazePose: detect, cut an upright square around the person, find
the points, cut again from the points. We add checks with errors that a user understands: nobody,
two people, a person who is too small.

MediaPipe's own package runs the same networks, but as one closed graph; we need the squares between
the networks, for the search over tiles, the mirror average and the mask, so the glue is ours.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import binary_dilation, label

from toolkit.errors import fail
from toolkit.photo.detection.choice import MIN_PERSON_PX, Choice, choose_person
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES
from toolkit.photo.detection.landmarks import measure
from toolkit.photo.detection.mask import refine_mask
from toolkit.photo.detection.roi import Roi

SHOULDERS = [KEYPOINT_NAMES.index("left_shoulder"), KEYPOINT_NAMES.index("right_shoulder")]
SEARCH_SIDE_PX = 768  # people are searched at about this size, then measured at full size


@dataclass(frozen=True)
class Detection:
    """The person of a photo, in pixels of that photo.

    Attributes:
        keypoints: x, y in pixels and a score in [0, 1], in the order of `KEYPOINT_NAMES`; the
            score is 0 outside the picture.
        world: the landmark net's guess in metres: x to the picture's right, y up, z towards the
            camera, the middle of the hips at 0.
        mask: probability of each pixel to show this person.
        box: x0, y0, x1, y1 of the mask in pixels.
        score: the landmark net's probability that this is a person.
    """

    keypoints: Float[np.ndarray, "33 3"]
    world: Float[np.ndarray, "33 3"]
    mask: Float[np.ndarray, "H W"]
    box: Float[np.ndarray, " 4"]
    score: float = 1.0


def detect(
    image: Float[np.ndarray, "H W 3"],
    alpha: Float[np.ndarray, "H W"] | None = None,
    choice: Choice | None = None,
    *,
    pixel: float = 1.0,
) -> Detection:
    """Points and mask of one person of a photo: the one that is meant, or by far the largest.

    Args:
        image: RGB in [0, 1].
        alpha: the photo's own coverage in [0, 1], if the file has transparency; it then replaces
            the mask, unless a person is chosen.
        choice: who is meant, where the photo shows several people.
        pixel: side of one pixel of `image` in pixels of the file, in which boxes are given.

    Raises:
        InputError: nobody, only a face, several people of similar size, or a person less than 96
            pixels tall.

    Source: Bazarevsky et al. 2020, BlazePose.
    """
    image = np.asarray(image, dtype=np.float32)
    shrink = max(1, round(max(image.shape[:2]) / SEARCH_SIDE_PX))
    choice = choice or Choice()
    person = choose_person(_averaged(image, shrink), choice, shrink * pixel)
    # The search ran on a shrunken picture: scale its square up and measure again at full size.
    full = Roi(person.roi.center * shrink, person.roi.size * shrink, person.roi.angle_rad)
    person = measure(image, full) if shrink > 1 else person
    mask = alpha
    if alpha is None or choice != Choice():  # transparency does not tell people apart
        mask = refine_mask(image, person.soft_mask, person.roi)
        mask = mask if alpha is None else np.minimum(mask, alpha)
    box = _box(mask)
    if box[3] - box[1] < MIN_PERSON_PX:
        fail(
            "Photo",
            got=f"a person {box[3] - box[1]:.0f} pixels tall",
            wanted=f"at least {MIN_PERSON_PX}",
            fix="Use a larger version of the photo, cropped around the person.",
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


def _averaged(image: np.ndarray, shrink: int) -> np.ndarray:
    """The picture at 1 / `shrink` of its size; each pixel is the mean of a block."""
    height, width = (side // shrink for side in image.shape[:2])
    blocks = image[: height * shrink, : width * shrink].reshape(height, shrink, width, shrink, 3)
    return blocks.mean(axis=(1, 3))


def _box(mask: np.ndarray) -> Float[np.ndarray, " 4"]:
    """x0, y0, x1, y1 of the mask without specks; large pieces (an arm behind a pole) count."""
    parts, count = label(binary_dilation(mask > 0.5, iterations=2))
    if not count:
        return np.zeros(4)
    sizes = np.bincount(parts.ravel())[1:]
    large = np.isin(parts, 1 + np.flatnonzero(sizes > 0.05 * sizes.max())) & (mask > 0.5)
    rows, cols = np.nonzero(large)
    return np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1], dtype=np.float64)
