"""What a person can be told to look like: names, choices and a realistic random draw."""

import numpy as np

from toolkit.errors import fail
from toolkit.people.palette import CLOTH, DENIM, EYES, HAIR

PATTERNS = (
    "plain",
    "stripes",
    "pinstripes",
    "checks",
    "tartan",
    "dots",
    "blocks",
    "halves",
    "raglan",
)
CHOICES = {
    "gender": ("woman", "man"),
    "build": ("slim", "average", "athletic", "heavy"),
    "hair": ("bald", "buzz", "short", "swept", "bob", "long", "ponytail", "bun", "afro", "curly"),
    "hair_color": tuple(HAIR),
    "eye_color": tuple(EYES),
    "beard": ("none", "stubble", "moustache", "full"),
    "top": ("t-shirt", "long-sleeve", "shirt", "polo", "hoodie", "sweater", "tank", "dress"),
    "neck": ("crew", "v", "wide", "high", "turtle"),
    "top_color": tuple(CLOTH),
    "top_color2": tuple(CLOTH),
    "top_pattern": PATTERNS,
    "front": ("none", "text", "number", "logo", "small logo", "print"),
    "back": ("none", "text", "number", "logo", "print", "yoke", "band", "spine"),
    "coat": ("none", "jacket", "coat"),
    "coat_color": tuple(CLOTH),
    "bottom": ("trousers", "jeans", "shorts", "skirt", "leggings"),
    "bottom_color": (*CLOTH, *DENIM),
    "bottom_pattern": ("plain", "pinstripes", "checks", "side stripe", "dots"),
    "shoes": ("sneakers", "shoes", "boots"),
    "shoe_color": tuple(CLOTH),
    "hat": ("none", "cap", "beanie"),
    "hat_color": tuple(CLOTH),
    "glasses": ("none", "round", "square", "sun"),
    "belt": (False, True),
    "framing": ("full", "upper"),
}
RANGES = {"age": (18.0, 85.0), "skin": (0.0, 1.0)}  # years; 0 very light .. 1 very dark


def check_attributes(attributes: dict) -> dict:
    """Return the attributes if every name and value is known.

    Raises:
        InputError: naming the attribute and its choices.
    """
    for name, value in attributes.items():
        if name in RANGES:
            low, high = RANGES[name]
            good, wanted = isinstance(value, int | float) and low <= value <= high, f"{low}..{high}"
        else:
            good, wanted = name in CHOICES and value in CHOICES[name], f"{CHOICES.get(name)}"
        if not good:
            fail(
                f"Attribute {name!r}",
                got=repr(value),
                wanted=wanted,
                fix=f"Known attributes: {', '.join([*RANGES, *CHOICES])}.",
            )
    return dict(attributes)


def _pick(rng, weights: dict):
    names = list(weights)
    p = np.array([weights[n] for n in names], float)
    return names[rng.choice(len(names), p=p / p.sum())]


def sample_attributes(rng: np.random.Generator) -> dict:
    """A random person's attributes; frequencies are those of a street, not uniform."""
    woman = bool(rng.random() < 0.5)
    age = float(np.clip(18 + rng.gamma(2.2, 11), 18, 80))
    drawn = {
        "gender": "woman" if woman else "man",
        "age": round(age, 1),
        "skin": round(float(rng.beta(1.1, 1.3)), 3),
        "build": _pick(rng, {"slim": 2, "average": 4, "athletic": 2, "heavy": 1.5}),
    }
    drawn |= _sample_head(rng, woman, age, drawn["skin"])
    drawn |= _sample_top(rng, woman)
    drawn |= _sample_bottom(rng, woman)
    drawn["framing"] = _pick(rng, {"full": 4, "upper": 1})
    return drawn


def _sample_head(rng, woman, age, skin):
    if woman:
        hair = _pick(
            rng,
            {
                "long": 4,
                "bob": 3,
                "ponytail": 2.5,
                "bun": 2,
                "short": 1,
                "swept": 0.7,
                "afro": 0.5 + 2 * skin,
                "curly": 1,
                "buzz": 0.1 + 0.4 * skin,
            },
        )
    else:
        hair = _pick(
            rng,
            {
                "short": 4,
                "swept": 3,
                "buzz": 1.5,
                "curly": 1.2,
                "bald": 0.8 + age / 60,
                "afro": 0.2 + 1.5 * skin,
                "bob": 0.35,
                "bun": 0.3,
                "long": 0.3,
            },
        )
    dark = 0.4 + 3 * skin
    colors = {
        "black": 2 * dark,
        "dark brown": 2 * dark,
        "brown": 2,
        "light brown": 1.2,
        "auburn": 0.5,
        "ginger": 0.4,
        "blond": 1.5,
        "platinum": 0.4,
    }
    if skin > 0.55:
        colors = {"black": 6, "dark brown": 3, "brown": 0.6, "blond": 0.1}
    if age > 52:
        colors |= {"grey": 0.25 * (age - 50), "white": 0.12 * (age - 50)}
    eyes = (
        {"brown": 2, "dark": 1.5}
        if skin > 0.5
        else {"brown": 2, "hazel": 1, "green": 1, "blue": 2, "grey": 1}
    )
    return {
        "hair": hair,
        "hair_color": _pick(rng, colors),
        "eye_color": _pick(rng, eyes),
        "beard": "none"
        if woman
        else _pick(rng, {"none": 5, "stubble": 2, "moustache": 0.6, "full": 1.8}),
        "glasses": _pick(rng, {"none": 8, "round": 1, "square": 1.3, "sun": 0.5}),
        "hat": _pick(rng, {"none": 8, "cap": 1, "beanie": 1}),
        "hat_color": _pick(rng, dict.fromkeys(CLOTH, 1)),
    }


def _sample_top(rng, woman):
    top = _pick(
        rng,
        {
            "t-shirt": 4,
            "long-sleeve": 2,
            "shirt": 2.5,
            "polo": 1,
            "hoodie": 2.2,
            "sweater": 1.6,
            "tank": 0.7 * woman,
            "dress": 1.6 * woman,
        },
    )
    patterned = top in ("hoodie", "polo", "tank")
    pattern = _pick(
        rng,
        {
            "plain": 7 if patterned else 5,
            "stripes": 1.8,
            "pinstripes": 0.5,
            "checks": 1.0,
            "tartan": 0.8,
            "dots": 0.7,
            "blocks": 1,
            "halves": 0.6,
            "raglan": 0.8,
        },
    )
    plain = pattern in ("plain", "blocks", "raglan", "halves")
    printed = plain and top in ("t-shirt", "long-sleeve", "hoodie", "sweater", "tank")
    front = (
        _pick(
            rng,
            {"none": 4, "text": 1.6, "number": 0.5, "logo": 1.8, "small logo": 1.6, "print": 1.3},
        )
        if printed
        else "none"
    )
    back = _pick(
        rng,
        {
            "none": 4,
            "text": 2,
            "number": 1.6,
            "logo": 1.6,
            "print": 0.8,
            "yoke": 1,
            "band": 0.7,
            "spine": 0.6,
        }
        if printed
        else {"none": 5, "yoke": 1.5, "band": 0.6, "text": 0.5, "number": 0.4},
    )
    neck = {"shirt": "high", "polo": "high", "hoodie": "high"}.get(top) or _pick(
        rng, {"crew": 4, "v": 1.2, "wide": 0.8 * woman, "turtle": 1.5 * (top == "sweater")}
    )
    return {
        "top": top,
        "neck": neck,
        "top_pattern": pattern,
        "front": front,
        "back": back,
        "top_color": _pick(
            rng, dict.fromkeys(CLOTH, 1.0) | {"white": 3, "black": 2.5, "navy": 2, "grey": 2}
        ),
        "coat": _pick(rng, {"none": 6, "jacket": 1.3, "coat": 0.7}),
        "coat_color": _pick(
            rng,
            dict.fromkeys(CLOTH, 0.5)
            | {"black": 2, "navy": 2, "charcoal": 2, "olive": 2, "brown": 1.5, "beige": 1.5},
        ),
    }


def _sample_bottom(rng, woman):
    bottom = _pick(
        rng,
        {"trousers": 3, "jeans": 4, "shorts": 1.6, "skirt": 1.8 * woman, "leggings": 1.0 * woman},
    )
    colors = (
        dict.fromkeys(DENIM, 1.0)
        if bottom == "jeans"
        else dict.fromkeys(CLOTH, 0.4)
        | {"black": 3, "navy": 2, "charcoal": 2, "beige": 1.5, "khaki": 1.5, "grey": 1.5}
    )
    patterns = {
        "plain": 6,
        "pinstripes": 0.6,
        "checks": 0.6,
        "side stripe": 0.8,
        "dots": 0.6 * (bottom == "skirt"),
    }
    return {
        "bottom": bottom,
        "bottom_color": _pick(rng, colors),
        "bottom_pattern": "plain" if bottom == "jeans" else _pick(rng, patterns),
        "shoes": _pick(rng, {"sneakers": 4, "shoes": 2, "boots": 1.6}),
        "shoe_color": _pick(
            rng, dict.fromkeys(CLOTH, 0.3) | {"black": 4, "white": 3, "brown": 2, "grey": 1}
        ),
        "belt": bool(bottom in ("trousers", "jeans") and rng.random() < 0.5),
    }
