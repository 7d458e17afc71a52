"""What is wrong with a picture, whoever drew it: no whole, upright, sharp person, or a copy.

The checks look at the pixels only, so they hold for a text-to-image model as for our own people.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from skimage.measure import blur_effect

from toolkit.errors import InputError
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES
from toolkit.photo.detection.keypoints import Detection, detect

# Measured on 28 procedural photos: 0.36 to 0.51 as they are, 0.64 to 0.71 after a Gaussian blur of
# 2 pixels, for people about 420 pixels tall.
MAX_BLUR = 0.6
MEASURED_PX = 420  # taller people are scaled down to this before the blur is measured
SEEN = 0.5  # score of a point that the picture shows
MARGIN_PX = 2  # between the person and the border of the picture
MAX_TURN = 60  # degrees between the vertical and the line from the hips to the head
HIPS = ("left_hip", "right_hip")
HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
FEET = (
    ("left_ankle", "left_heel", "left_foot_index"),
    ("right_ankle", "right_heel", "right_foot_index"),
)


@dataclass(frozen=True)
class Fault:
    """Why a picture is of no use.

    Attributes:
        reason: a few words, the same for all pictures with this fault: rejects are counted by it.
        detail: what was measured.
    """

    reason: str
    detail: str


def check_image(
    image: UInt8[np.ndarray, "H W 3"], detection: Detection | None = None
) -> Fault | None:
    """Say what is wrong with a picture.

    Args:
        image: sRGB.
        detection: the person in it, if `detect` was called before; it takes most of the time.

    Returns:
        The first fault, or None: a person whose whole body is in the picture, upright and sharp,
            and no second one who is nearly as large.
    """
    if detection is None:
        try:
            detection = detect(image.astype(np.float32) / 255)
        except InputError as error:
            return Fault(_reason_of(str(error)), str(error))
    return cut_off(image, detection) or not_upright(detection) or blurred(image, detection)


def _reason_of(message: str) -> str:
    """The few words for an error of the person detector."""
    for words, reason in (
        ("no person", "nobody"),
        ("people", "several people"),
        ("pixels tall", "person too small"),
        ("shoulders", "body not in the picture"),
    ):
        if words in message:
            return reason
    return "person not found"


def cut_off(image: UInt8[np.ndarray, "H W 3"], detection: Detection) -> Fault | None:
    """A fault if head or feet are not in the picture, or the person touches its border.

    Args:
        image: sRGB.
        detection: the person in it.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = detection.box
    room = min(x0, y0, width - x1, height - y1)
    scores = dict(zip(KEYPOINT_NAMES, detection.keypoints[:, 2], strict=True))
    hidden = [
        name
        for name, points in (("head", HEAD), ("left foot", FEET[0]), ("right foot", FEET[1]))
        if max(scores[point] for point in points) < SEEN
    ]
    if hidden:
        return Fault("body not in the picture", f"not seen: {', '.join(hidden)}")
    if room < MARGIN_PX:
        return Fault("body not in the picture", f"{room:.0f} pixels to the border")
    return None


def not_upright(detection: Detection) -> Fault | None:
    """A fault if the head is not above the hips: the person lies, or the picture is turned.

    Args:
        detection: the person in the picture.
    """
    points = dict(zip(KEYPOINT_NAMES, np.asarray(detection.keypoints)[:, :2], strict=True))
    head, hips = (np.mean([points[name] for name in names], axis=0) for names in (HEAD, HIPS))
    across, down = hips - head
    turn = np.degrees(np.arctan2(across, down))
    return Fault("not upright", f"turned by {turn:.0f} degrees") if abs(turn) > MAX_TURN else None


def blurred(image: UInt8[np.ndarray, "H W 3"], detection: Detection) -> Fault | None:
    """A fault if the person is not sharp: a further blur would hardly change it.

    Args:
        image: sRGB.
        detection: the person in it.

    Source: Crete et al. 2007, The blur effect; scikit-image.
    """
    x0, y0, x1, y1 = (int(side) for side in detection.box)
    person = Image.fromarray(image[y0:y1, x0:x1])
    scale = MEASURED_PX / max(y1 - y0, 1)
    if scale < 1:
        size = (max(round(person.width * scale), 1), MEASURED_PX)
        person = person.resize(size, Image.Resampling.LANCZOS)
    blur = float(blur_effect(np.asarray(person), channel_axis=-1))
    return Fault("blurred", f"blur {blur:.2f} of 0 to 1") if blur > MAX_BLUR else None


def image_hash(image: UInt8[np.ndarray, "H W 3"]) -> str:
    """Perceptual hash of a picture: 64 bits as 16 hexadecimal digits.

    Args:
        image: sRGB.

    Source: the pHash of `imagehash`: signs of the lowest frequencies of a cosine transform.
    """
    import imagehash

    return str(imagehash.phash(Image.fromarray(image)))


def differing_bits(one: str, other: str) -> int:
    """How many of the 64 bits of two hashes differ; about 32 for unrelated pictures."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
