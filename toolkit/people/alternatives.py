"""Twins: people whose photo is the same, and whose hidden parts are drawn again.

What a photo does not show follows the generator's own frequencies: a print or yoke on the back, a
bun or a pony tail, how far long hair falls, the back of a coat; in an upper-body photo also legs
and shoes. So twins are draws from the posterior of a person given the photo. The shape of other
hair from behind cannot be drawn alone here and is kept.

    same_photo = twins(person, 24)                                      # to 40 dB
    other_wrinkles = [with_other_grain(t, rng) for t in same_photo]     # independent of the photo's
    other_light = relit(person, 8)                                      # to 32 dB, hard to tell
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from itertools import islice

import numpy as np

from toolkit.errors import ToolkitError, fail
from toolkit.measure.metrics import masked_psnr
from toolkit.people.attributes import sample_attributes
from toolkit.people.draw.light import Light, sample_light
from toolkit.people.draw.render import PersonViews, render_person
from toolkit.people.dress.outfit import Outfit, build_outfit, cover_of
from toolkit.people.person import Person

BACK_DETAILS = ("yoke", "band", "spine")
TIED = ("ponytail", "bun")  # alike from the front
LEVELS = ("everything", "lengths", "nothing")  # what is drawn again below an upper-body photo
LOWER = ("bottom", "bottom_color", "bottom_pattern", "shoes", "shoe_color", "belt")
TOLERANCE_DB = 40.0  # the coarse avatar itself repeats the photo to 26 dB
PHOTO_PX = 128
LIGHT_TOLERANCE_DB = 32.0
TRIES_EACH = 100  # photos drawn for one twin, at most on average
MAX_DRAWS = 2000


def twins(
    person: Person, num: int, *, tolerance_db: float = TOLERANCE_DB, seed: int = 0
) -> list[Person]:
    """People with the same photo: proposals from the prior, kept if their photo agrees.

    Args:
        tolerance_db: least PSNR of the twin's photo with the person's, inside the person.

    Raises:
        InputError: `tolerance_db` refuses (nearly) everything.

    Source: rejection sampling; with a tolerance, approximate Bayesian computation (Pritchard 1999).
    """
    rng = np.random.default_rng([person.seed, 99, seed])
    below = _open_below(person, rng, tolerance_db)
    return _kept(_proposals(person, rng, below, tolerance_db), num, tolerance_db)


def relit(
    person: Person, num: int, *, tolerance_db: float = LIGHT_TOLERANCE_DB, seed: int = 0
) -> list[Person]:
    """The same person under other lights whose photo is nearly the same.

    Level and tint of each light are first matched to the photo: a darker light on paler cloth looks
    alike. Few lights pass, so this costs about a second a twin.

    Args:
        tolerance_db: as in `twins`; the coarse avatar repeats the photo's inner part to 34 dB.
    """
    rng = np.random.default_rng([person.seed, 98, seed])
    camera = person.photo_camera.resized(PHOTO_PX, PHOTO_PX)
    photo = render_person(person, camera, supersample=1)
    inside = (photo.alpha > 0.5).float()

    def proposals():
        while True:
            light = sample_light(rng)
            view = render_person(_under(person, light), camera, supersample=1)
            sums = [(v.rgb.square() * inside).sum((0, 1, 2)) for v in (photo, view)]
            gain = (sums[0] / sums[1]).numpy()  # `shade` is linear in squared colours
            twin = _under(
                person,
                replace(
                    light, key=light.key * gain, sky=light.sky * gain, ground=light.ground * gain
                ),
            )
            view = render_person(twin, camera, supersample=1)
            yield twin if masked_psnr(photo.rgb, view.rgb, inside) >= tolerance_db else None

    return _kept(proposals(), num, tolerance_db)


def _under(person: Person, light: Light) -> Person:
    twin = replace(person, light=light)
    twin.__dict__["mesh"] = person.mesh  # light dresses nobody: keep the cached mesh
    return twin


def _kept(proposals: Iterator[Person | None], num: int, tolerance_db: float) -> list[Person]:
    tries = islice(proposals, TRIES_EACH * num)
    found = list(islice((t for t in tries if t is not None), num))
    if len(found) < num:
        fail(
            "twins",
            got=f"{len(found)} within {tolerance_db} dB of the photo",
            wanted=f"{num}",
            fix="Lower tolerance_db.",
        )
    return found


def _open_below(person: Person, rng, tolerance_db: float) -> str:
    """The most that the photo leaves open below: what half of six trials get through with."""
    for below in LEVELS if person.attributes["framing"] == "upper" else ():
        trial = islice(_proposals(person, rng, below, tolerance_db), 6)
        if sum(twin is not None for twin in trial) >= 3:
            return below
    return "nothing"


def _proposals(person: Person, rng, below: str, tolerance_db: float) -> Iterator[Person | None]:
    """Twins, None where the photo differs; endless."""
    photo = _photo(person, person)
    while True:
        twin = propose(person, rng, below=below)
        yield twin if _agreement_db(photo, _photo(twin, person)) >= tolerance_db else None


def _photo(person: Person, taken_as: Person) -> PersonViews:
    return render_person(person, taken_as.photo_camera.resized(PHOTO_PX, PHOTO_PX), supersample=2)


def _agreement_db(a: PersonViews, b: PersonViews) -> float:
    return float(masked_psnr(a.rgb, b.rgb, ((a.alpha + b.alpha) > 0).float())[0])


def propose(person: Person, rng: np.random.Generator, *, below: str = "nothing") -> Person:
    """One person with the visible parts kept and the hidden ones drawn again; unchecked."""
    attributes, other = _drawn_again(person, rng, below)
    mine = person.outfit
    cuts, cloth = deepcopy(mine.cuts), dict(mine.cloth)
    _redraw_hair(cuts, other.cuts)
    cloth["top"] = _redraw_back(mine.cloth["top"], other.cloth["top"], attributes["front"])
    if "coat" in cloth:
        cloth["coat"] = _redraw_back(mine.cloth["coat"], other.cloth["coat"], "none")
    if below != "nothing":
        _redraw_below(cuts, cloth, other, everything=below == "everything")
    outfit = replace(mine, cover=cover_of(cuts), cuts=cuts, cloth=cloth)
    return replace(person, attributes=attributes, outfit=outfit)


def _stranger(rng, fits) -> dict:
    """Attributes of the first random person that fits: the prior, conditioned."""
    return next(a for a in iter(lambda: sample_attributes(rng), None) if fits(a))


def _hidden_attributes(person: Person, rng, below: str) -> dict:
    a = person.attributes
    alike = _stranger(rng, lambda s: (s["top"], s["top_pattern"]) == (a["top"], a["top_pattern"]))
    hidden = {"back": alike["back"]}
    if a["hair"] in TIED:
        hidden["hair"] = _stranger(rng, lambda s: s["gender"] == a["gender"] and s["hair"] in TIED)[
            "hair"
        ]
    if below == "everything":
        lower = _stranger(rng, lambda s: s["gender"] == a["gender"])
        hidden |= {name: lower[name] for name in LOWER}
    elif below == "lengths":
        lower = _stranger(
            rng,
            lambda s: (
                s["gender"] == a["gender"]
                and (
                    s["bottom"] == a["bottom"]
                    or {s["bottom"], a["bottom"]} == {"trousers", "shorts"}
                )
            ),
        )
        hidden |= {name: lower[name] for name in ("bottom", "shoes", "shoe_color")}
    return hidden


def _drawn_again(person: Person, rng, below: str) -> tuple[dict, Outfit]:
    """Other hidden words and an outfit for them; its tucked or loose top is as in the photo."""
    mine = person.outfit
    for _ in range(MAX_DRAWS):
        attributes = person.attributes | _hidden_attributes(person, rng, below)
        other = build_outfit(attributes, int(rng.integers(1 << 40)), person.split)
        coat = mine.cloth.get("coat")
        told = coat is not None and coat.pattern != "plain"  # by its colours: has it a design?
        if _tucked(mine) == _tucked(other) and not (
            told and _has_design(coat) != _has_design(other.cloth["coat"])
        ):
            return attributes, other
    raise ToolkitError(f"Person {person.seed}: no outfit like it in {MAX_DRAWS} draws.")


def _tucked(outfit: Outfit) -> bool:
    return outfit.cuts["top"]["hem"] > 0.1


def _has_design(style) -> bool:
    return style.back is not None or any(d in BACK_DETAILS for d in style.details)


def _redraw_back(mine, other, front: str):
    """A garment's style with another back; colours that the front shows are kept."""
    back, known = other.back, mine.pattern != "plain" or front == "print"
    if back is not None and mine.front is not None and not back.label.startswith("picture"):
        image = back.image.copy()
        image[..., :3] = mine.front.image[0, 0, :3]  # same ink as on the chest
        back = replace(back, image=image)
    details = [d for d in mine.details if d not in BACK_DETAILS]
    details += [d for d in other.details if d in BACK_DETAILS]
    return replace(
        mine, back=back, details=tuple(details), color2=mine.color2 if known else other.color2
    )


def _redraw_hair(cuts: dict, other: dict) -> None:
    """Bun or pony tail, and its length; how far long hair falls behind the shoulders."""
    if "ponytail" in cuts or "bun" in cuts or "ponytail" in other or "bun" in other:
        for name in TIED:
            cuts.pop(name, None)
            if name in other:
                cuts[name] = dict(other[name])
    if "curtain" in cuts and "curtain" in other:
        cuts["curtain"]["length"] = other["curtain"]["length"]


def _redraw_below(cuts: dict, cloth: dict, other: Outfit, *, everything: bool) -> None:
    """Legs and shoes; with `everything` also their cloth, else the same cloth in other lengths."""
    cuts["shoes"], cloth["shoes"] = dict(other.cuts["shoes"]), other.cloth["shoes"]
    for name in ("skirt", "bottom", "coat_tail"):
        if name in cuts and name in other.cuts:
            cuts[name]["leg"] = other.cuts[name]["leg"]
    if everything:
        for name in ("skirt", "bottom"):
            for kept, new in ((cuts, other.cuts), (cloth, other.cloth)):
                kept.pop(name, None)
                if name in new:
                    kept[name] = deepcopy(new[name])
        cuts["top"]["hem"] = other.cuts["top"]["hem"]
        cloth["under_bottom"] = other.cloth["under_bottom"]


def with_other_grain(person: Person, rng: np.random.Generator) -> Person:
    """The same choices with other wrinkles, weave, strands and freckles, in the photo too.

    They are noise, independent from place to place: what the photo shows of them says nothing
    about the back, so backs drawn so are fair, and fronts are not.
    """
    outfit = person.outfit

    def redrawn(seed: int) -> int:
        return int(rng.integers(1 << 29)) * 2 + seed % 2  # a belt's leather follows the parity

    cloth = {name: replace(s, seed=redrawn(s.seed)) for name, s in outfit.cloth.items()}
    cuts = {
        name: cut | ({"seed": redrawn(cut["seed"])} if "seed" in cut else {})
        for name, cut in outfit.cuts.items()
    }
    skin = replace(outfit.skin, seed=redrawn(outfit.skin.seed))
    hair = outfit.hair | {"seed": redrawn(outfit.hair["seed"])}
    return replace(person, outfit=replace(outfit, cloth=cloth, cuts=cuts, skin=skin, hair=hair))
