"""The words that free English has for the vocabulary's values: phrase -> factor and levels.

Phrases are written in lower case, a hyphen counts as a space. A phrase with several levels leaves
the choice between them: "young" is one of two ages.
"""

from toolkit.dataset.factors import FACTORS, PLACE
from toolkit.dataset.vocabulary import AGES, BEARDS, COLORS, HAIR_COLORS, NONE

Meaning = tuple[str, tuple[str, ...]]  # a factor and the levels that the phrase leaves to it

# level -> other words for it; the level's own words are added below
SYNONYMS: dict[str, dict[str, tuple[str, ...]]] = {
    "gender": {
        "woman": ("women", "lady", "female", "mother", "grandmother", "businesswoman"),
        "man": ("men", "gentleman", "male", "guy", "father", "grandfather", "businessman"),
    },
    "ethnicity": {
        "East Asian": ("chinese", "japanese", "korean"),
        "South Asian": ("indian", "pakistani", "bangladeshi"),
        "Southeast Asian": ("vietnamese", "thai", "indonesian", "filipino", "filipina"),
        "Black": ("african", "african american"),
        "White": ("caucasian", "european"),
        "Hispanic": ("latina", "latino", "latin american", "mexican"),
        "Middle Eastern": ("arab", "arabic", "persian", "turkish"),
    },
    "hair type": {"coily": ("afro", "kinky"), "curly": ("curls", "curled"), "wavy": ("waves",)},
    "hair style": {
        "bald": ("bald headed", "shaved head", "hairless"),
        "buzz cut": ("buzzcut", "cropped hair", "crew cut"),
        "swept-back hair": ("slicked back hair", "hair swept back"),
        "bob cut": ("bob",),
        "hair bun": ("bun", "hair in a bun"),
        "ponytail": ("pony tail",),
    },
    "facial details": {
        "stubble": ("stubbly", "unshaven"),
        "moustache": ("mustache",),
        "full beard": ("beard", "bearded"),
        "freckles": ("freckled",),
        "dimples": ("dimpled",),
        "high cheekbones": ("cheekbones",),
    },
    "body shape": {
        "slim": ("thin", "skinny", "slender", "lean", "petite"),
        "average build": ("average", "medium build", "normal build"),
        "athletic": ("muscular", "fit", "strong", "sporty"),
        "heavy-set": ("heavy", "heavyset", "fat", "plump", "stout", "overweight", "chubby"),
    },
    "pose": {
        "standing": ("stands", "stand"),
        "hands on hips": ("hands on her hips", "hands on his hips", "hands on the hips"),
        "arms crossed": ("crossed arms", "arms folded", "folded arms", "crosses her arms"),
        "leaning forward": ("leans forward", "bending forward", "bends forward"),
        "mid-stride": ("striding",),
        "arms raised": ("raised arms", "arms up", "raises her arms", "raises his arms"),
    },
    "activity": {
        "waiting": ("waits",),
        "talking": ("talks", "speaking", "chatting"),
        "taking a photo": ("takes a photo", "taking a picture", "taking photos"),
        "reading": ("reads", "reading a book"),
        "walking": ("walks", "walk", "strolling", "strolls"),
        "running": ("runs", "run", "jogging", "jogs"),
        "dancing": ("dances", "dance"),
        "kicking": ("kicks", "kick"),
        "boxing": ("boxes", "punching", "punches"),
        "jumping": ("jumps", "jump", "leaping"),
    },
    "facial expression": {
        "smiling": ("smiles", "smile", "grinning", "grins"),
        "laughing": ("laughs", "laugh"),
        "frowning": ("frowns", "frown"),
        "neutral face": ("neutral", "neutral expression", "expressionless"),
        "wide eyes": ("wide eyed", "eyes wide"),
        "open mouth": ("mouth open", "open mouthed"),
    },
    "emotion": {
        "happy": ("cheerful", "joyful", "glad"),
        "sad": ("unhappy",),
        "angry": ("furious",),
        "surprised": ("astonished",),
        "calm": ("relaxed",),
        "confident": ("proud",),
        "thoughtful": ("pensive",),
    },
    PLACE: {
        "city street": ("street", "in the city"),
        "market square": ("market",),
        "subway platform": ("subway", "underground station", "metro"),
        "rooftop terrace": ("rooftop", "roof", "terrace"),
        "forest path": ("forest", "woods"),
        "sandy beach": ("beach",),
        "mountain meadow": ("meadow", "mountains"),
        "desert dunes": ("desert", "dunes"),
        "photo studio": ("studio",),
        "sports field": ("football field", "pitch"),
        "parking lot": ("car park",),
    },
    "occupation": {
        "chef": ("cook",),
        "firefighter": ("fireman", "firewoman"),
        "office worker": ("clerk", "businesswoman", "businessman"),
        "athlete": ("sportswoman", "sportsman"),
        "artist": ("painter",),
        "builder": ("construction worker",),
    },
    "lighting": {
        "soft daylight": ("daylight",),
        "golden hour": ("sunset", "sunrise"),
        "overcast light": ("overcast", "cloudy"),
        "studio softbox": ("softbox", "studio light", "studio lighting"),
        "hard sunlight": ("sunlight", "bright sun"),
        "neon light": ("neon", "neon lights"),
    },
    "art style": {"photograph": ("photo", "picture"), "3D render": ("rendering", "render")},
    "upper body": {
        "t-shirt": ("tshirt", "tee", "t shirts"),
        "long-sleeved shirt": ("long sleeve shirt", "long sleeved t shirt", "longsleeve"),
        "button-up shirt": ("shirt", "blouse", "button down shirt", "dress shirt"),
        "polo shirt": ("polo",),
        "hoodie": ("hooded sweater", "hooded sweatshirt", "hoody"),
        "sweater": ("jumper", "pullover", "sweatshirt"),
        "tank top": ("tank", "singlet", "vest"),
        "dress": ("gown",),
    },
    "lower body": {
        "trousers": ("pants", "slacks", "chinos"),
        "jeans": ("denims",),
        "leggings": ("tights",),
    },
    "shoes": {
        "sneakers": ("sneaker", "trainers", "running shoes", "sports shoes"),
        "leather shoes": ("shoes", "dress shoes"),
    },
    "hat": {"baseball cap": ("cap",), "beanie": ("woolly hat", "woollen hat", "knit cap")},
    "glasses": {"sunglasses": ("dark glasses", "shades")},
    "jewelry": {
        "necklace": ("necklaces", "pendant"),
        "earrings": ("earring",),
        "wristwatch": ("watch",),
        "bracelet": ("bracelets",),
    },
    "carried items": {
        "backpack": ("rucksack",),
        "handbag": ("bag", "purse"),
        "coffee cup": ("cup of coffee", "coffee"),
    },
}
EITHER: dict[str, Meaning] = {  # phrases that leave a choice
    "young": ("age", tuple(AGES)[:2]),
    "twenties": ("age", tuple(AGES)[:2]),
    "middle aged": ("age", ("in the forties", "in the fifties")),
    "old": ("age", tuple(AGES)[-2:]),
    "elderly": ("age", tuple(AGES)[-2:]),
    "asian": ("ethnicity", ("East Asian", "South Asian", "Southeast Asian")),
    "hat": ("hat", ("baseball cap", "beanie")),
    "glasses": ("glasses", ("round glasses", "square glasses")),
    "spectacles": ("glasses", ("round glasses", "square glasses")),
    "clean shaven": (
        "facial details",
        tuple(level for level in FACTORS["facial details"].levels if level not in BEARDS),
    ),
    "bareheaded": ("hat", (NONE,)),
    "hatless": ("hat", (NONE,)),
    "blonde": ("hair color", ("blond", "platinum")),
    "brunette": ("hair color", ("brown", "dark brown")),
    "redhead": ("hair color", ("ginger",)),
    "red haired": ("hair color", ("ginger", "auburn")),
    "grey haired": ("hair color", ("grey",)),
    "gray haired": ("hair color", ("grey",)),
    "dark haired": ("hair color", ("black", "dark brown")),
    "long haired": ("hair style", ("long hair",)),
    "short haired": ("hair style", ("short hair",)),
}
CLOTH_WORDS = {  # other words for a colour of cloth
    **{color: color for color in COLORS},
    **dict.fromkeys(("gray", "silver"), "grey"),
    **dict.fromkeys(("dark grey", "dark gray", "anthracite"), "charcoal"),
    **dict.fromkeys(("dark blue", "navy blue", "midnight blue"), "navy"),
    **dict.fromkeys(("light blue", "sky blue", "baby blue"), "sky"),
    **dict.fromkeys(("turquoise", "cyan", "petrol"), "teal"),
    **dict.fromkeys(("crimson", "scarlet", "bright red"), "red"),
    **dict.fromkeys(("dark red", "maroon", "wine red", "wine"), "burgundy"),
    **dict.fromkeys(("violet", "dark purple"), "purple"),
    **dict.fromkeys(("lavender", "light purple"), "lilac"),
    **dict.fromkeys(("tan", "sand", "camel"), "beige"),
    **dict.fromkeys(("rose", "light pink"), "pink"),
    **dict.fromkeys(("gold", "golden", "ochre"), "mustard"),
    **dict.fromkeys(("lime", "bright green", "dark green", "emerald"), "green"),
    **{"light gray": "light grey", "light green": "mint", "fuchsia": "magenta", "ivory": "cream"},
    **{"dark brown": "brown", "light brown": "beige"},
}
HAIR_WORDS = {  # other words for a colour of hair; they count only beside a word for hair
    **{color: color for color in HAIR_COLORS},
    **{"red": "ginger", "orange": "ginger", "gray": "grey", "silver": "grey", "dark": "dark brown"},
    **{
        "blonde": "blond",
        "fair": "blond",
        "golden": "blond",
        "light": "blond",
        "dyed blond": "blond",
    },
}
SKIN_WORDS = {"black": "Black", "white": "White"}  # before a word for a person
LENGTHS = {"long": "long hair", "short": "short hair"}  # beside "hair", as in "long black hair"
HAIR_NOUNS = ("hair",)
TOO_YOUNG = ("boy", "girl", "child", "kid", "baby", "toddler", "teenager", "teenage", "teen")
# Words that say nothing about the person: not reported as misunderstood.
SILENT = set(
    """a an the of in on at with and or to by is are was who that which has have having her
    his their she he they him them it its as for from wearing wears wear dressed face
    faces facing camera full body length head toe alone light lighting lit behind place
    figure build years year aged age about around over work looks looking look person
    people human one there front while very some pair clothes outfit style background
    avatar picture image carrying carries holding holds colored coloured skinned hair
    eyes early mid late""".split()
)


def plain(text: str) -> tuple[str, ...]:
    """The words of a phrase as they are compared: lower case, hyphens as spaces."""
    return tuple(text.lower().replace("-", " ").split())


def _phrases() -> dict[tuple[str, ...], list[Meaning]]:
    """Every phrase but colours and lengths, with all that it can mean."""
    table: dict[tuple[str, ...], list[Meaning]] = {}
    for name, factor in FACTORS.items():
        if name in ("hair color", "age") or name.endswith(" color"):
            continue
        for level in factor.levels:
            if level not in ("none", "any") and level.lower() not in SKIN_WORDS:
                for words in (level, *SYNONYMS.get(name, {}).get(level, ())):
                    table.setdefault(plain(words), []).append((name, (level,)))
            elif level.lower() in SKIN_WORDS:
                for words in SYNONYMS[name][level]:
                    table.setdefault(plain(words), []).append((name, (level,)))
    for words, meaning in EITHER.items():
        table.setdefault(plain(words), []).append(meaning)
    return table


PHRASES = _phrases()
