"""Tops, trousers, skirts, coats and shoes: their measures and their cloth, from attributes.

Each function adds to two dictionaries: `cuts`, the measures that `dress/garments.py` reads, and
`cloth`, the style that `paint/cloth.py` reads. All draws come from one generator, so the order of
the calls to `rng` is part of what a seed means: a new draw in the middle changes every person.
"""

import numpy as np

from toolkit.people import palette
from toolkit.people.arrays import Color, Cut
from toolkit.people.paint.print_families import PERIODS_M
from toolkit.people.paint.prints import make_print
from toolkit.people.paint.surface import ClothStyle

LONG, SHORT = 0.598, 0.325  # |x| of a long and of a short sleeve's hem, metres
NO_SLEEVE = 0.185
PRINTED = ("text", "number", "logo", "small logo", "print")
BACK_DETAILS = ("yoke", "band", "spine")  # sewn designs of a back, as opposed to prints

Cuts = dict[str, Cut]
Cloth = dict[str, ClothStyle]


def add_top(a: dict, rng: np.random.Generator, split: str, cuts: Cuts, cloth: Cloth) -> None:
    """The top, or the upper part of a dress; `a` are the person's attributes."""
    color = palette.jitter(palette.color(a["top_color"]), rng)
    # A top of the skin's colour would look like no top: dye it darker and bluer.
    if np.abs(color - palette.skin_color(a["skin"])).sum() < 0.42:
        color = np.clip(color * [0.55, 0.75, 1.0], 0, 1)
    name2 = a.get("top_color2") or palette.contrast_color(color, rng)
    color2 = palette.jitter(palette.color(name2), rng)
    cuts["top"] = _cut_top(a, rng)
    details = _top_details(a, rng)
    inks = _inks(color, color2, rng)
    front, back = (
        make_print(a[side], inks, rng, split=split, back=side == "back")
        if a[side] in PRINTED
        else None
        for side in ("front", "back")
    )
    cloth["top"] = ClothStyle(
        color,
        color2,
        a["top_pattern"],
        _period(rng, split),
        front,
        back,
        tuple(details),
        int(rng.integers(1 << 30)),
        rng.uniform(0.7, 1.3),
    )


def _cut_top(a: dict, rng: np.random.Generator) -> Cut:
    """Measures of the top, metres: `hem` is a height, `sleeve` an |x|, the others are offsets."""
    kind = a["top"]
    sleeve = {
        "t-shirt": SHORT,
        "polo": SHORT,
        "tank": NO_SLEEVE,
        "dress": float(rng.choice([NO_SLEEVE, SHORT, LONG])),
    }.get(kind, LONG)
    sleeve += rng.normal(0, 0.012) if sleeve == SHORT else 0
    thick = {"hoodie": 0.012, "sweater": 0.010, "tank": 0.004}.get(kind, 0.006)
    loose = {"hoodie": 0.022, "sweater": 0.018, "tank": 0.004, "dress": 0.002}.get(kind, 0.014)
    tucked = kind in ("shirt", "polo", "tank") and a["bottom"] != "leggings" and rng.random() < 0.45
    # Tucked in, the hem is hidden below the waistband; a dress or skirt starts there.
    tucked = tucked or kind == "dress" or a["bottom"] == "skirt"
    return {
        "material": "top",
        "neck": a["neck"],
        "sleeve": sleeve,
        "thick": thick,
        "hem": 0.118 if tucked else rng.uniform(-0.045, 0.01),
        "loose": loose * rng.uniform(0.6, 1.3) * (0.4 if tucked else 1),
        "hood": kind == "hoodie",
        "seed": int(rng.integers(1 << 30)),
    }


def _top_details(a: dict, rng: np.random.Generator) -> list[str]:
    """Names of sewn details (`paint/details.py`), and of "tube" and "rib" (`paint/cloth.py`)."""
    kind = a["top"]
    details = {
        "shirt": ["buttons", "collar"],
        "polo": ["collar"],
        "hoodie": ["hood", "kangaroo", "rib"],
        "sweater": ["rib"],
        "t-shirt": ["rib"] * (rng.random() < 0.4),
    }.get(kind, [])
    if kind == "shirt" and rng.random() < 0.6:
        details = [*details, "chest pocket"]
    if kind == "hoodie" and rng.random() < 0.4:
        details = [*details, "zip"]
    details = [*details, *(["tube"] if kind == "dress" else [])]
    return [*details, *([a["back"]] if a["back"] in BACK_DETAILS else [])]


def add_bottom(a: dict, rng: np.random.Generator, split: str, cuts: Cuts, cloth: Cloth) -> None:
    """Trousers, shorts, leggings, a skirt, or the lower part of a dress (in the top's cloth)."""
    dress = a["top"] == "dress"
    kind = "skirt" if dress else a["bottom"]
    color = palette.jitter(palette.color(a["bottom_color"]), rng)
    color2 = palette.color(palette.contrast_color(color, rng))
    if kind == "skirt":
        cuts["skirt"] = _cut_skirt(rng, dress)
        if dress:
            return
    else:
        cuts["bottom"] = _cut_trousers(kind, rng)
    details = {"skirt": ["tube"], "leggings": []}.get(kind, ["pockets"])
    if kind == "trousers" and rng.random() < 0.6:
        details.append("crease")
    if a["belt"]:
        details.append("belt")
    cloth["bottom"] = ClothStyle(
        color,
        color2,
        "denim" if kind == "jeans" else a["bottom_pattern"],
        _period(rng, split),
        None,
        None,
        tuple(details),
        int(rng.integers(1 << 30)),
        rng.uniform(0.7, 1.3),
    )


def _cut_skirt(rng: np.random.Generator, dress: bool) -> Cut:
    return {
        "material": "top" if dress else "bottom",
        "thick": 0.006,
        "flare": rng.uniform(0.0, 0.07),
        "pleats": float(rng.choice([0, 9, 14])),
        "leg": rng.uniform(-0.55, -0.24),
        "top": 0.15 if dress else 0.135,
    }


def _cut_trousers(kind: str, rng: np.random.Generator) -> Cut:
    # Every entry of these tables draws, whichever kind is taken: the order of draws stays fixed.
    leg = {"shorts": rng.uniform(-0.36, -0.24), "leggings": -0.72}.get(
        kind, rng.uniform(-0.765, -0.735)
    )
    flare = {"leggings": 0.0, "shorts": 0.016, "jeans": rng.uniform(0.004, 0.016)}.get(
        kind, rng.uniform(0.006, 0.026)
    )
    return {
        "leg": leg,
        "flare": flare,
        "seed": int(rng.integers(1 << 30)),
        "thick": 0.002 if kind == "leggings" else 0.004,
    }


def add_coat(a: dict, rng: np.random.Generator, split: str, cuts: Cuts, cloth: Cloth) -> None:
    """A jacket or a coat, open in front, with a design on the back or without one."""
    if a["coat"] == "none":
        return
    color = palette.jitter(palette.color(a["coat_color"]), rng)
    color2 = palette.jitter(palette.color(palette.contrast_color(color, rng)), rng)
    _cut_coat(rng, a["coat"] == "coat", cuts)
    kind = rng.choice(
        ["none", "logo", "text", "spine", "yoke", "band"], p=[0.5, 0.15, 0.12, 0.08, 0.1, 0.05]
    )
    inks = _inks(color, color2, rng)
    design = (
        make_print(kind, inks, rng, split=split, back=True) if kind in ("logo", "text") else None
    )
    details = ("lapel", "tube", *([str(kind)] if kind in BACK_DETAILS else []))
    pattern = str(rng.choice(["plain", "pinstripes", "checks"], p=[0.75, 0.12, 0.13]))
    cloth["coat"] = ClothStyle(
        color,
        color2 if kind != "none" else color * 0.75,  # without a design: a darker shade
        pattern,
        _period(rng, split),
        None,
        design,
        details,
        int(rng.integers(1 << 30)),
        0.9,
    )


def _cut_coat(rng: np.random.Generator, long: bool, cuts: Cuts) -> None:
    """The body of a jacket or coat; a long one has a tail, which is cut like a skirt."""
    opening = rng.uniform(0.025, 0.06)
    cuts["coat"] = {
        "hem": 0.06 if long else rng.uniform(-0.06, 0.03),
        "opening": opening,
        "sleeve": LONG + 0.01,
        "thick": 0.020,
        "seed": int(rng.integers(1 << 30)),
    }
    if long:
        cuts["coat_tail"] = {
            "material": "coat",
            "thick": 0.026,
            "flare": rng.uniform(0.01, 0.05),
            "pleats": 0.0,
            "leg": rng.uniform(-0.5, -0.28),
            "top": 0.14,
            "opening": opening,
        }


def add_shoes(a: dict, rng: np.random.Generator, cuts: Cuts, cloth: Cloth) -> None:
    """Sneakers, shoes or boots; the second colour of their cloth is the sole's."""
    kind = a["shoes"]
    color = palette.jitter(palette.color(a["shoe_color"]), rng, 0.02)
    top = {"sneakers": -0.755, "shoes": -0.77, "boots": rng.uniform(-0.70, -0.55)}[kind]
    cuts["shoes"] = {"top": top, "thick": 0.007, "shaft": 0.006 if kind == "boots" else 0.0}
    pale = kind == "sneakers" and rng.random() < 0.8
    sole = np.array([0.86, 0.86, 0.84]) if pale else color * 0.35
    cloth["shoes"] = ClothStyle(
        color,
        sole.astype(np.float32),
        seed=int(rng.integers(1 << 30)),
        details=("laces",) if kind == "sneakers" else (),
    )


def _period(rng: np.random.Generator, split: str) -> float:
    return float(rng.choice(PERIODS_M[split]))


def _inks(color: Color, color2: Color, rng: np.random.Generator) -> np.ndarray:
    """Three colours (3,3) for a print: one that stands out from the cloth, and two more."""
    third = palette.color(palette.contrast_color(color2, rng))
    first = palette.color(palette.contrast_color(color, rng))
    return np.stack([first, color2, third])
