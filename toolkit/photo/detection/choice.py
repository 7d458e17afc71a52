"""Which person of a photo is meant, when it shows several."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from toolkit.errors import fail
from toolkit.photo.detection.landmarks import Candidate, find_people
from toolkit.photo.detection.roi import Roi

MIN_PERSON_PX = 96
SIMILAR = 0.6  # somebody of more than this share of the largest person's size may be meant, too
SAME_BOX = 0.5  # intersection over union from which a box surely means a person
SOME_BOX = 0.15  # below it the box means nobody
HOW = "Name one with --person N or --box x0,y0,x1,y1, or crop the photo around one of them."


@dataclass(frozen=True)
class Choice:
    """The person that is meant; with neither given, the only one or by far the largest one.

    Attributes:
        number: 1 is the person furthest to the left.
        box: x0, y0, x1, y1 around the person, in pixels of the photo's file, upright.
    """

    number: int | None = None
    box: tuple[float, float, float, float] | None = None

    def __post_init__(self):
        if self.number is not None and self.box is not None:
            fail("person", got="a number and a box", wanted="one of them", fix="Leave one out.")
        if self.number is not None and (not isinstance(self.number, int) or self.number < 1):
            fail("person", got=repr(self.number), wanted="1, 2, ...", fix="Count from the left.")
        if self.box is not None and (
            len(self.box) != 4
            or not np.isfinite(self.box).all()
            or not (self.box[0] < self.box[2] and self.box[1] < self.box[3])
        ):
            fail(
                "box",
                got=self.box,
                wanted="x0,y0,x1,y1 in pixels, with x0 < x1 and y0 < y1",
                fix="Give the left, top, right and bottom side, for example 40,10,220,480.",
            )

    @classmethod
    def parse(cls, number: int | None, box: str | None) -> "Choice":
        """From the options of a command line; `box` is "x0,y0,x1,y1"."""
        if box is None:
            return cls(number)
        try:
            sides = tuple(float(side) for side in box.split(","))
        except ValueError:
            fail("box", got=repr(box), wanted="x0,y0,x1,y1 in pixels", fix="Try 40,10,220,480.")
        return cls(number, sides)


def choose_person(
    image: Float[np.ndarray, "H W 3"], choice: Choice, pixel: float = 1.0
) -> Candidate:
    """Search the picture for people and pick the one that is meant.

    Args:
        image: RGB in [0, 1].
        choice: who is meant.
        pixel: side of one pixel of `image` in pixels of the file, in which boxes are given.

    Raises:
        InputError: nobody is there, several may be meant (their boxes are listed), or the choice
            names nobody.
    """
    people = sorted(find_people(image), key=lambda person: person.box[[0, 2]].sum())
    if choice.box is not None:
        return _in_box(image, people, np.array(choice.box) / pixel, pixel)
    if not people:
        fail(
            "Photo",
            got="no person found",
            wanted=f"one person, shoulders in the picture, at least {MIN_PERSON_PX} pixels tall",
            fix="Use a sharper or closer picture.",
        )
    if choice.number is not None:
        if choice.number > len(people):
            fail(
                f"person {choice.number}",
                got=listed(people, pixel),
                wanted=f"a number up to {len(people)}",
                fix="Or give a box around the person: --box x0,y0,x1,y1.",
            )
        return people[choice.number - 1]
    largest = max(people, key=lambda person: person.size)
    similar = [person for person in people if person.size > SIMILAR * largest.size]
    if len(similar) > 1:
        got = f"{len(similar)} people of similar size; {listed(people, pixel)}"
        fail("Photo", got=got, wanted="one person", fix=HOW)
    return largest


def listed(people: list[Candidate], pixel: float = 1.0) -> str:
    """The people from left to right, each with its number and box, as an error shows them."""
    boxes = (",".join(f"{side:.0f}" for side in pixel * person.box) for person in people)
    return "from the left " + ", ".join(f"{n}: box {box}" for n, box in enumerate(boxes, start=1))


def _in_box(
    image: np.ndarray, people: list[Candidate], box: Float[np.ndarray, " 4"], pixel: float
) -> Candidate:
    """The person whose own box fits best; with no good fit the box is searched by itself, too."""
    if max((box_iou(person.box, box) for person in people), default=0) < SAME_BOX:
        people = people + _find_within(image, box)
    best = max(people, key=lambda person: box_iou(person.box, box), default=None)
    if best is None or box_iou(best.box, box) < SOME_BOX:
        fail(
            "box " + ",".join(f"{side:.0f}" for side in pixel * box),
            got=f"nobody in it; {listed(people, pixel)}" if people else "nobody in it",
            wanted="left, top, right and bottom of one person, in pixels",
            fix="Check the numbers: x counts from the left, y from the top.",
        )
    return best


def _find_within(image: np.ndarray, box: Float[np.ndarray, " 4"]) -> list[Candidate]:
    """People in the box and a rim around it, in pixels of the whole picture."""
    rim = 0.15 * (box[2:] - box[:2]).max()
    limits = np.array([image.shape[1], image.shape[0]])
    low = np.clip(box[:2] - rim, 0, limits - 1).astype(int)
    high = np.clip(box[2:] + rim, low + 1, limits).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    if min(part.shape[:2]) < 16:
        return []
    return [
        replace(
            person,
            keypoints=person.keypoints + [*low, 0],
            roi=Roi(person.roi.center + low, person.roi.size, person.roi.angle_rad),
        )
        for person in find_people(part)
    ]


def box_iou(a: Float[np.ndarray, " 4"], b: Float[np.ndarray, " 4"]) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1."""
    shared = np.prod((np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0))
    areas = [np.prod(box[2:] - box[:2]) for box in (a, b)]
    return float(shared / max(sum(areas) - shared, 1e-9))
