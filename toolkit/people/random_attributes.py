"""A random person in words: attributes drawn with frequencies of a street, not uniformly.

The tables give odds, not probabilities: `_pick` divides by their sum. All draws come from one
generator, so their order is part of what a seed means.
"""

import numpy as np

from toolkit.people.palette import CLOTH, DENIM

Odds = dict[str, float]
PRINTED_TOPS = ("t-shirt", "long-sleeve", "hoodie", "sweater", "tank")  # printed if nearly plain
HIGH_NECKED = ("shirt", "polo", "hoodie")


def sample_attributes(rng: np.random.Generator) -> dict:
    """A complete set of attributes; `attributes.CHOICES` lists what may come out."""
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


def _pick(rng: np.random.Generator, odds: Odds) -> str:
    names = list(odds)
    p = np.array([odds[n] for n in names], float)
    return names[rng.choice(len(names), p=p / p.sum())]


def _sample_head(rng: np.random.Generator, woman: bool, age: float, skin: float) -> dict:
    eyes = (
        {"brown": 2, "dark": 1.5}
        if skin > 0.5
        else {"brown": 2, "hazel": 1, "green": 1, "blue": 2, "grey": 1}
    )
    beards = {"none": 5, "stubble": 2, "moustache": 0.6, "full": 1.8}
    return {
        "hair": _pick(rng, _hair_odds(woman, age, skin)),
        "hair_color": _pick(rng, _hair_color_odds(age, skin)),
        "eye_color": _pick(rng, eyes),
        "beard": "none" if woman else _pick(rng, beards),
        "glasses": _pick(rng, {"none": 8, "round": 1, "square": 1.3, "sun": 0.5}),
        "hat": _pick(rng, {"none": 8, "cap": 1, "beanie": 1}),
        "hat_color": _pick(rng, dict.fromkeys(CLOTH, 1)),
    }


def _hair_odds(woman: bool, age: float, skin: float) -> Odds:
    if woman:
        return {
            "long": 4,
            "bob": 3,
            "ponytail": 2.5,
            "bun": 2,
            "short": 1,
            "swept": 0.7,
            "afro": 0.5 + 2 * skin,
            "curly": 1,
            "buzz": 0.1 + 0.4 * skin,
        }
    return {
        "short": 4,
        "swept": 3,
        "buzz": 1.5,
        "curly": 1.2,
        "bald": 0.8 + age / 60,
        "afro": 0.2 + 1.5 * skin,
        "bob": 0.35,
        "bun": 0.3,
        "long": 0.3,
    }


def _hair_color_odds(age: float, skin: float) -> Odds:
    dark = 0.4 + 3 * skin
    odds = {
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
        odds = {"black": 6, "dark brown": 3, "brown": 0.6, "blond": 0.1}
    if age > 52:
        odds |= {"grey": 0.25 * (age - 50), "white": 0.12 * (age - 50)}
    return odds


def _sample_top(rng: np.random.Generator, woman: bool) -> dict:
    tops = {
        "t-shirt": 4,
        "long-sleeve": 2,
        "shirt": 2.5,
        "polo": 1,
        "hoodie": 2.2,
        "sweater": 1.6,
        "tank": 0.7 * woman,
        "dress": 1.6 * woman,
    }
    coats = {"black": 2, "navy": 2, "charcoal": 2, "olive": 2, "brown": 1.5, "beige": 1.5}
    top = _pick(rng, tops)
    pattern = _pick(rng, _pattern_odds(top))
    printed = pattern in ("plain", "blocks", "raglan", "halves") and top in PRINTED_TOPS
    front, back = _sample_design(rng, printed)
    necks = {"crew": 4, "v": 1.2, "wide": 0.8 * woman, "turtle": 1.5 * (top == "sweater")}
    return {
        "top": top,
        "neck": "high" if top in HIGH_NECKED else _pick(rng, necks),
        "top_pattern": pattern,
        "front": front,
        "back": back,
        "top_color": _pick(
            rng, dict.fromkeys(CLOTH, 1.0) | {"white": 3, "black": 2.5, "navy": 2, "grey": 2}
        ),
        "coat": _pick(rng, {"none": 6, "jacket": 1.3, "coat": 0.7}),
        "coat_color": _pick(rng, dict.fromkeys(CLOTH, 0.5) | coats),
    }


def _pattern_odds(top: str) -> Odds:
    return {
        "plain": 7 if top in ("hoodie", "polo", "tank") else 5,
        "stripes": 1.8,
        "pinstripes": 0.5,
        "checks": 1.0,
        "tartan": 0.8,
        "dots": 0.7,
        "blocks": 1,
        "halves": 0.6,
        "raglan": 0.8,
    }


def _sample_design(rng: np.random.Generator, printed: bool) -> tuple[str, str]:
    """What front and back show; drawn apart, so that a front does not tell the back."""
    if not printed:
        return "none", _pick(rng, {"none": 5, "yoke": 1.5, "band": 0.6, "text": 0.5, "number": 0.4})
    front = {"none": 4, "text": 1.6, "number": 0.5, "logo": 1.8, "small logo": 1.6, "print": 1.3}
    back = {
        "none": 4,
        "text": 2,
        "number": 1.6,
        "logo": 1.6,
        "print": 0.8,
        "yoke": 1,
        "band": 0.7,
        "spine": 0.6,
    }
    return _pick(rng, front), _pick(rng, back)


def _sample_bottom(rng: np.random.Generator, woman: bool) -> dict:
    bottom = _pick(
        rng,
        {"trousers": 3, "jeans": 4, "shorts": 1.6, "skirt": 1.8 * woman, "leggings": 1.0 * woman},
    )
    cloth = {"black": 3, "navy": 2, "charcoal": 2, "beige": 1.5, "khaki": 1.5, "grey": 1.5}
    colors = dict.fromkeys(DENIM, 1.0) if bottom == "jeans" else dict.fromkeys(CLOTH, 0.4) | cloth
    patterns = {
        "plain": 6,
        "pinstripes": 0.6,
        "checks": 0.6,
        "side stripe": 0.8,
        "dots": 0.6 * (bottom == "skirt"),
    }
    shoes = {"black": 4, "white": 3, "brown": 2, "grey": 1}
    return {
        "bottom": bottom,
        "bottom_color": _pick(rng, colors),
        "bottom_pattern": "plain" if bottom == "jeans" else _pick(rng, patterns),
        "shoes": _pick(rng, {"sneakers": 4, "shoes": 2, "boots": 1.6}),
        "shoe_color": _pick(rng, dict.fromkeys(CLOTH, 0.3) | shoes),
        "belt": bool(bottom in ("trousers", "jeans") and rng.random() < 0.5),
    }
