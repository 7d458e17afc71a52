"""Other people who would have given the same photo: samples of what a photo leaves open.

A photo does not show the back: whether a print or a yoke is there, a bun or a pony tail, how far
long hair falls; an upper-body photo shows neither legs nor shoes. `sample_alternatives` draws these
hidden parts again, with the generator's own frequencies, and keeps a person if the photo stays the
same. So the result is a sample of the posterior, p(person | photo), and its spread says how good
any method can be that sees the photo alone. (The shape of other hair from behind cannot be drawn
by itself here, so it is kept.)

    same_photo = sample_alternatives(person, 24)                  # equal to 40 dB
    other_wrinkles = [redraw_noise(p, rng) for p in same_photo]   # wrinkles of the front, too
    other_light = sample_alternative_lights(person, 8)            # equal to 32 dB, hard to tell
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from toolkit.errors import fail
from toolkit.measure.metrics import masked_psnr
from toolkit.people.draw.light import sample_light
from toolkit.people.draw.render import PersonViews, render_person
from toolkit.people.person import Person
from toolkit.people.redraw import redraw_hidden

LEVELS = ("everything", "lengths", "nothing")  # what is drawn again below an upper-body photo
TOLERANCE_DB = 40.0  # strict: the coarse avatar itself repeats the photo to 26 dB
PHOTO_PX = 128  # photos are compared at this size
LIGHT_TOLERANCE_DB = 32.0
MAX_TRIES = 100  # photos drawn per person that is asked for, on average
TRIALS = 6  # proposals that decide what an upper-body photo leaves open


def sample_alternatives(
    person: Person, num: int, *, tolerance_db: float = TOLERANCE_DB, seed: int = 0
) -> list[Person]:
    """People with the same photo: proposals from the prior, kept if their photo agrees.

    Args:
        person: whose photo is given.
        num: how many people are wanted.
        tolerance_db: least PSNR between the two photos, inside both silhouettes.
        seed: of the draws; the same seed gives the same people.

    Raises:
        InputError: `tolerance_db` refuses (nearly) every proposal.

    Source: rejection sampling; with a tolerance, approximate Bayesian computation (Pritchard 1999).
    """
    rng = np.random.default_rng([person.seed, 99, seed])
    below = _open_below(person, rng, tolerance_db)
    return _take(_proposals(person, rng, below, tolerance_db), num, tolerance_db)


def sample_alternative_lights(
    person: Person, num: int, *, tolerance_db: float = LIGHT_TOLERANCE_DB, seed: int = 0
) -> list[Person]:
    """The same person under other lights whose photo is nearly the same.

    Brightness and tint of each light are first matched to the photo: paler cloth in a darker light
    looks alike. Few lights pass, so this costs about a second per person.

    Args:
        person, num, seed: as in `sample_alternatives`.
        tolerance_db: least PSNR; the coarse avatar repeats the photo's inner part to 34 dB.
    """
    rng = np.random.default_rng([person.seed, 98, seed])
    camera = person.photo_camera.resized(PHOTO_PX, PHOTO_PX)
    photo = render_person(person, camera, supersample=1)
    inside = (photo.alpha > 0.5).float()

    def proposals() -> Iterator[Person | None]:
        while True:
            light = sample_light(rng)
            # The outfit object stays the same, so its mesh is not built again.
            view = render_person(replace(person, light=light), camera, supersample=1)
            sums = [(v.rgb.square() * inside).sum((0, 1, 2)) for v in (photo, view)]
            gain = (sums[0] / sums[1]).numpy()  # (3,); `shade` is linear in squared colours
            matched = replace(
                light, key=light.key * gain, sky=light.sky * gain, ground=light.ground * gain
            )
            other = replace(person, light=matched)
            view = render_person(other, camera, supersample=1)
            yield other if masked_psnr(photo.rgb, view.rgb, inside) >= tolerance_db else None

    return _take(proposals(), num, tolerance_db)


def _take(proposals: Iterator[Person | None], num: int, tolerance_db: float) -> list[Person]:
    """The first `num` proposals that were accepted (are not None)."""
    tries = islice(proposals, MAX_TRIES * num)
    accepted = list(islice((p for p in tries if p is not None), num))
    if len(accepted) < num:
        fail(
            "People with this photo",
            got=f"{len(accepted)} within {tolerance_db} dB of it in {MAX_TRIES * num} tries",
            wanted=f"{num}",
            fix="Lower tolerance_db.",
        )
    return accepted


def _open_below(person: Person, rng: np.random.Generator, tolerance_db: float) -> str:
    """The most that the photo leaves open below: what at least half of the trials get away with."""
    for below in LEVELS if person.attributes["framing"] == "upper" else ():
        trials = islice(_proposals(person, rng, below, tolerance_db), TRIALS)
        if sum(other is not None for other in trials) >= TRIALS // 2:
            return below
    return "nothing"


def _proposals(
    person: Person, rng: np.random.Generator, below: str, tolerance_db: float
) -> Iterator[Person | None]:
    """People with other hidden parts, None where the photo differs; endless."""
    photo = _photo(person, person)
    while True:
        other = redraw_hidden(person, rng, below=below)
        yield other if _agreement_db(photo, _photo(other, person)) >= tolerance_db else None


def _photo(person: Person, taken_as: Person) -> PersonViews:
    """The person, seen by the camera of another one's photo."""
    return render_person(person, taken_as.photo_camera.resized(PHOTO_PX, PHOTO_PX), supersample=2)


def _agreement_db(a: PersonViews, b: PersonViews) -> float:
    return float(masked_psnr(a.rgb, b.rgb, ((a.alpha + b.alpha) > 0).float())[0])
