"""The attribute list of the paper: eight groups, their attributes, and the values we draw.

Groups and names are the paper's; the values are ours, as it does not print any. Everyone is an
adult. Two words stand for no value: "none" (a person without it) and "any" (left open).
"""

from dataclasses import dataclass

from toolkit.people.palette import CLOTH

NONE, ANY = "none", "any"


@dataclass(frozen=True)
class Attribute:
    """One attribute of a person.

    Attributes:
        name: the paper's.
        group: the paper's.
        values: drawn equally often, in words that a prompt can use.
        none: share of people without it, [0, 1).
        any: share of people for whom it is left open, [0, 1).
        colors: if not empty, a value is "colour value", colours drawn equally often too.
    """

    name: str
    group: str
    values: tuple[str, ...]
    none: float = 0.0
    any: float = 0.0
    colors: tuple[str, ...] = ()


AGES = {
    "about 20 years old": 20,
    "in the late twenties": 28,
    "in the thirties": 35,
    "in the forties": 45,
    "in the fifties": 55,
    "in the sixties": 65,
    "over 70 years old": 74,
}
SKIN = {
    "East Asian": (0.1, 0.3),
    "South Asian": (0.4, 0.75),
    "Southeast Asian": (0.25, 0.55),
    "Black": (0.65, 1.0),
    "White": (0.0, 0.25),
    "Hispanic": (0.2, 0.6),
    "Middle Eastern": (0.2, 0.5),
}  # ranges of skin tone, 0 very light .. 1 very dark
PLACES = {
    "urban": ("city street", "market square", "subway platform", "rooftop terrace"),
    "natural": ("forest path", "sandy beach", "mountain meadow", "desert dunes"),
    "indoor": ("photo studio", "living room", "office", "gym", "library"),
    "outdoor": ("park", "sports field", "garden", "parking lot"),
}
EXPRESSIONS = {
    "happy": ("smiling", "laughing"),
    "sad": ("frowning", "neutral face"),
    "angry": ("frowning", "neutral face"),
    "surprised": ("wide eyes", "open mouth"),
    "calm": ("neutral face", "smiling"),
    "confident": ("smiling", "neutral face"),
    "thoughtful": ("neutral face", "frowning"),
}  # emotion -> faces that go with it
BEARDS = {"stubble": "stubble", "moustache": "moustache", "full beard": "full"}
HAIR_STYLES = {
    "bald": "bald",
    "buzz cut": "buzz",
    "short hair": "short",
    "swept-back hair": "swept",
    "bob cut": "bob",
    "long hair": "long",
    "ponytail": "ponytail",
    "hair bun": "bun",
}
HAIR_COLORS = (
    "black",
    "dark brown",
    "brown",
    "light brown",
    "auburn",
    "ginger",
    "blond",
    "platinum",
    "grey",
    "white",
)
BUILDS = {"slim": "slim", "average build": "average", "athletic": "athletic", "heavy-set": "heavy"}
TOPS = {
    "t-shirt": "t-shirt",
    "long-sleeved shirt": "long-sleeve",
    "button-up shirt": "shirt",
    "polo shirt": "polo",
    "hoodie": "hoodie",
    "sweater": "sweater",
    "tank top": "tank",
    "dress": "dress",
}
BOTTOMS = {
    "trousers": "trousers",
    "jeans": "jeans",
    "shorts": "shorts",
    "skirt": "skirt",
    "leggings": "leggings",
}
SHOES = {"sneakers": "sneakers", "leather shoes": "shoes", "boots": "boots"}
HATS = {"baseball cap": "cap", "beanie": "beanie"}
GLASSES = {"round glasses": "round", "square glasses": "square", "sunglasses": "sun"}
POSES = (
    "standing",
    "hands on hips",
    "arms crossed",
    "leaning forward",
    "mid-stride",
    "arms raised",
)
ACTIVITIES = {
    "waiting": None,
    "talking": None,
    "taking a photo": None,
    "reading": None,
    "walking": "walk",
    "running": "run",
    "dancing": "dance_a",
    "kicking": "kick",
    "boxing": "punch",
    "jumping": "jump",
}  # -> a clip of toolkit.body.motion

COLORS = tuple(CLOTH)

ATTRIBUTES: dict[str, Attribute] = {
    a.name: a
    for a in (
        Attribute("age", "basic identity", tuple(AGES)),
        Attribute("gender", "basic identity", ("woman", "man")),
        Attribute("ethnicity", "basic identity", tuple(SKIN), any=0.1),
        Attribute(
            "hair type", "physical features", ("straight", "wavy", "curly", "coily"), any=0.2
        ),
        Attribute("hair color", "physical features", HAIR_COLORS, any=0.05),
        Attribute("hair style", "physical features", tuple(HAIR_STYLES)),
        Attribute(
            "facial details",
            "physical features",
            (*BEARDS, "freckles", "dimples", "high cheekbones"),
            none=0.4,
        ),
        Attribute("body shape", "physical features", tuple(BUILDS)),
        Attribute("pose", "motion", POSES, any=0.2),
        Attribute("activity", "motion", tuple(ACTIVITIES), none=0.5),
        Attribute(
            "facial expression",
            "emotion",
            tuple(dict.fromkeys(sum(EXPRESSIONS.values(), ()))),
            any=0.1,
        ),
        Attribute("emotion", "emotion", tuple(EXPRESSIONS), any=0.1),
        *(Attribute(name, "setting/environment", values) for name, values in PLACES.items()),
        Attribute(
            "occupation",
            "others",
            (
                "nurse",
                "chef",
                "teacher",
                "firefighter",
                "office worker",
                "athlete",
                "artist",
                "builder",
            ),
            any=0.5,
        ),
        Attribute(
            "lighting",
            "others",
            (
                "soft daylight",
                "golden hour",
                "overcast light",
                "studio softbox",
                "hard sunlight",
                "neon light",
            ),
            any=0.1,
        ),
        Attribute(
            "art style",
            "others",
            ("photograph", "film still", "fashion photograph", "street photograph", "3D render"),
        ),
        Attribute("upper body", "clothing", tuple(TOPS), colors=COLORS),
        Attribute("lower body", "clothing", tuple(BOTTOMS), colors=COLORS),
        Attribute("shoes", "clothing", tuple(SHOES), colors=COLORS),
        Attribute("hat", "clothing", tuple(HATS), none=0.7, colors=COLORS),
        Attribute("glasses", "accessories", tuple(GLASSES), none=0.6),
        Attribute(
            "jewelry", "accessories", ("necklace", "earrings", "wristwatch", "bracelet"), none=0.5
        ),
        Attribute(
            "carried items",
            "accessories",
            ("backpack", "handbag", "umbrella", "coffee cup", "skateboard"),
            none=0.5,
        ),
    )
}
GROUPS: dict[str, tuple[str, ...]] = {}
for _attribute in ATTRIBUTES.values():
    GROUPS[_attribute.group] = (*GROUPS.get(_attribute.group, ()), _attribute.name)


def split_color(attribute: str, value: str) -> tuple[str, str]:
    """A clothing value as (colour, garment), e.g. "light grey hoodie" -> ("light grey", "hoodie").

    Both are known: the garment is the longest of the attribute's values that ends it.
    """
    garment = max((v for v in ATTRIBUTES[attribute].values if value.endswith(v)), key=len)
    return value[: -len(garment)].strip(), garment
