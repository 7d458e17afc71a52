"""The attribute list of the paper: eight groups, their attributes, and the values we draw.

The groups and the names of the attributes are the paper's. It does not print the values; those here
are ours. Everyone is an adult. Two words stand in place of a value: "none" (the person has no such
thing) and "any" (left open).

Some tables map a value to what our people renderer understands, for `person_of_record.py`.
"""

from dataclasses import dataclass

from toolkit.people.palette import CLOTH

NONE, ANY = "none", "any"


@dataclass(frozen=True)
class Attribute:
    """One attribute of a person.

    Attributes:
        name: as the paper has it.
        group: as the paper has it.
        values: in words that a prompt can use; each is drawn equally often.
        none: share of people who have no such thing, [0, 1).
        any: share of people for whom it is left open, [0, 1).
        colors: if not empty, one of them (each equally often) is put before the value.
    """

    name: str
    group: str
    values: tuple[str, ...]
    none: float = 0.0
    any: float = 0.0
    colors: tuple[str, ...] = ()


AGES = {  # words -> years
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
}  # ethnicity -> range of skin tones, from 0 (very light) to 1 (very dark)
PLACES = {  # kind of place, an attribute of the paper -> its values
    "urban": ("city street", "market square", "subway platform", "rooftop terrace"),
    "natural": ("forest path", "sandy beach", "mountain meadow", "desert dunes"),
    "indoor": ("photo studio", "living room", "office", "gym", "library"),
    "outdoor": ("park", "sports field", "garden", "parking lot"),
}
EXPRESSIONS = {
    "happy": ("smiling", "laughing", "open mouth"),
    "sad": ("frowning", "neutral face"),
    "angry": ("frowning", "neutral face", "wide eyes", "open mouth"),
    "surprised": ("wide eyes", "open mouth", "laughing"),
    "calm": ("neutral face", "smiling"),
    "confident": ("smiling", "neutral face", "laughing"),
    "thoughtful": ("neutral face", "frowning", "wide eyes"),
}  # emotion -> facial expressions that go with it
# from here on: value -> the renderer's word for it, see toolkit.people.attributes
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
}  # activity -> a clip of toolkit.body.motion, or None where no clip shows it

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
            tuple(dict.fromkeys(sum(EXPRESSIONS.values(), ()))),  # each once, order kept
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
for _attribute in ATTRIBUTES.values():  # group -> names of its attributes
    GROUPS[_attribute.group] = (*GROUPS.get(_attribute.group, ()), _attribute.name)


def split_color(attribute: str, value: str) -> tuple[str, str]:
    """Split a clothing value: "light grey hoodie" becomes ("light grey", "hoodie").

    The garment is the longest of the attribute's values with which the text ends.

    Args:
        attribute: name of an attribute with colours, e.g. "upper body".
        value: of that attribute.

    Returns:
        (colour, garment).
    """
    garment = max((v for v in ATTRIBUTES[attribute].values if value.endswith(v)), key=len)
    return value[: -len(garment)].strip(), garment
