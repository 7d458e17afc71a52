"""What a person can look like: the names of the attributes and their choices."""

from toolkit.errors import fail
from toolkit.people.palette import CLOTH, DENIM, EYES, HAIR

PATTERNS = (  # of a top
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
    "top_color2": tuple(CLOTH),  # of the pattern; optional, else one that stands out
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
    "framing": ("full", "upper"),  # what the photo shows of the body
}
RANGES = {"age": (18.0, 85.0), "skin": (0.0, 1.0)}  # years; 0 very light .. 1 very dark


def check_attributes(attributes: dict) -> dict:
    """A copy of the attributes, if every name and value is known.

    Args:
        attributes: any of the names in `CHOICES` and `RANGES`, with their values.

    Raises:
        InputError: an unknown name, or a value outside its choices.
    """
    for name, value in attributes.items():
        if name in RANGES:
            low, high = RANGES[name]
            known, wanted = (
                isinstance(value, int | float) and low <= value <= high,
                f"{low}..{high}",
            )
        else:
            known, wanted = name in CHOICES and value in CHOICES[name], f"{CHOICES.get(name)}"
        if not known:
            fail(
                f"Attribute {name!r}",
                got=repr(value),
                wanted=wanted,
                fix=f"Known attributes: {', '.join([*RANGES, *CHOICES])}.",
            )
    return dict(attributes)
