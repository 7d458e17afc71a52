"""Draw parts of a person again: what the photo hides, or the fine noise that it shows in part."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np

from toolkit.errors import ToolkitError, fail
from toolkit.people.dress.clothes import BACK_DETAILS
from toolkit.people.dress.outfit import Outfit, build_outfit, find_cover
from toolkit.people.paint.surface import ClothStyle
from toolkit.people.person import Person
from toolkit.people.random_attributes import sample_attributes

TIED = ("ponytail", "bun")  # hair styles that look alike from the front
LOWER = ("bottom", "bottom_color", "bottom_pattern", "shoes", "shoe_color", "belt")
MAX_DRAWS = 2000


def redraw_hidden(person: Person, rng: np.random.Generator, *, below: str = "nothing") -> Person:
    """One person with the visible parts kept and the hidden ones drawn again.

    A proposal only: nothing checks here that the photo stays the same.

    Args:
        person: whose photo is given.
        rng: decides the hidden parts.
        below: what is drawn again below an upper-body photo: "nothing", the "lengths" of legs and
            coat, or "everything".
    """
    attributes, other = _draw_outfit(person, rng, below)
    mine = person.outfit
    cuts, cloth = deepcopy(mine.cuts), dict(mine.cloth)
    _redraw_hair(cuts, other.cuts)
    cloth["top"] = _redraw_back(mine.cloth["top"], other.cloth["top"], attributes["front"])
    if "coat" in cloth:
        cloth["coat"] = _redraw_back(mine.cloth["coat"], other.cloth["coat"], "none")
    if below != "nothing":
        _redraw_below(cuts, cloth, other, everything=below == "everything")
    outfit = replace(mine, cover=find_cover(cuts), cuts=cuts, cloth=cloth)
    return replace(person, attributes=attributes, outfit=outfit)


def _draw_until(rng: np.random.Generator, fits: Callable[[dict], bool]) -> dict:
    """Attributes of the first random person that fits: a sample of the conditioned prior."""
    return next(a for a in iter(lambda: sample_attributes(rng), None) if fits(a))


def _hidden_attributes(person: Person, rng: np.random.Generator, below: str) -> dict:
    """New words for what the photo hides; each is drawn among people with the same visible ones."""
    a = person.attributes
    alike = _draw_until(rng, lambda s: (s["top"], s["top_pattern"]) == (a["top"], a["top_pattern"]))
    hidden = {"back": alike["back"]}
    if a["hair"] in TIED:
        tied = _draw_until(rng, lambda s: s["gender"] == a["gender"] and s["hair"] in TIED)
        hidden["hair"] = tied["hair"]
    if below == "everything":
        lower = _draw_until(rng, lambda s: s["gender"] == a["gender"])
        hidden |= {name: lower[name] for name in LOWER}
    elif below == "lengths":
        lower = _draw_until(rng, lambda s: s["gender"] == a["gender"] and _same_waist(s, a))
        hidden |= {name: lower[name] for name in ("bottom", "shoes", "shoe_color")}
    return hidden


def _same_waist(a: dict, b: dict) -> bool:
    """True if both wear the same below the waist, or trousers and shorts, which start alike."""
    return a["bottom"] == b["bottom"] or {a["bottom"], b["bottom"]} == {"trousers", "shorts"}


def _draw_outfit(person: Person, rng: np.random.Generator, below: str) -> tuple[dict, Outfit]:
    """Other hidden words and an outfit for them; its tucked or loose top is as in the photo."""
    mine = person.outfit
    for _ in range(MAX_DRAWS):
        attributes = person.attributes | _hidden_attributes(person, rng, below)
        other = build_outfit(attributes, int(rng.integers(1 << 40)), person.split)
        coat = mine.cloth.get("coat")
        # A patterned coat shows its second colour in front, and that colour depends on whether
        # the back has a design. So the photo tells whether there is one.
        shown = coat is not None and coat.pattern != "plain"
        same_design = not shown or _has_design(coat) == _has_design(other.cloth["coat"])
        if _tucked(mine) == _tucked(other) and same_design:
            return attributes, other
    fail(
        f"Outfits of person {person.seed}",
        got=f"none with the same front in {MAX_DRAWS} draws",
        wanted="one",
        fix="Take another person.",
        kind=ToolkitError,
    )


def _tucked(outfit: Outfit) -> bool:
    return outfit.cuts["top"]["hem"] > 0.1


def _has_design(style: ClothStyle) -> bool:
    return style.back is not None or any(d in BACK_DETAILS for d in style.details)


def _redraw_back(mine: ClothStyle, other: ClothStyle, front: str) -> ClothStyle:
    """A garment's style with another back; colours that the front shows stay the same."""
    back = other.back
    if back is not None and mine.front is not None and not back.label.startswith("picture"):
        image = back.image.copy()
        image[..., :3] = mine.front.image[0, 0, :3]  # same ink as on the chest
        back = replace(back, image=image)
    details = [d for d in mine.details if d not in BACK_DETAILS]
    details += [d for d in other.details if d in BACK_DETAILS]
    color2_shown = mine.pattern != "plain" or front == "print"
    color2 = mine.color2 if color2_shown else other.color2
    return replace(mine, back=back, details=tuple(details), color2=color2)


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
            for mine, theirs in ((cuts, other.cuts), (cloth, other.cloth)):
                mine.pop(name, None)
                if name in theirs:
                    mine[name] = deepcopy(theirs[name])
        cuts["top"]["hem"] = other.cuts["top"]["hem"]
        cloth["under_bottom"] = other.cloth["under_bottom"]


def redraw_noise(person: Person, rng: np.random.Generator) -> Person:
    """The same choices with other wrinkles, weave, strands and freckles, in the photo too.

    They are noise, independent from place to place: what the photo shows of them says nothing
    about the back. So the backs that come out are fair samples given the photo, the fronts are not.
    """
    outfit = person.outfit

    def new_seed(seed: int) -> int:
        # A belt's leather depends on the seed's parity. It is a choice, not noise: keep it.
        return int(rng.integers(1 << 29)) * 2 + seed % 2

    cloth = {name: replace(s, seed=new_seed(s.seed)) for name, s in outfit.cloth.items()}
    cuts = {
        name: cut | ({"seed": new_seed(cut["seed"])} if "seed" in cut else {})
        for name, cut in outfit.cuts.items()
    }
    skin = replace(outfit.skin, seed=new_seed(outfit.skin.seed))
    hair = outfit.hair | {"seed": new_seed(outfit.hair["seed"])}
    return replace(person, outfit=replace(outfit, cloth=cloth, cuts=cuts, skin=skin, hair=hair))
