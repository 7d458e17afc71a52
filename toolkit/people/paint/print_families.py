"""What may be printed on clothes, and how wide patterns repeat: disjoint between the splits.

A text, logo shape or picture that test people wear is never seen in training, and their stripes,
checks and dots repeat at other distances: otherwise a model could know a back by heart.
"""

TEXTS = {
    "train": (
        "RIVER",
        "NORTH",
        "SUMMER",
        "TEAM 7",
        "HELLO",
        "OCEAN",
        "STUDIO",
        "WILD",
        "ROCK",
        "CAMP",
        "ORBIT",
        "LUNA",
        "BIKE",
        "1984",
        "FOREST",
        "DANCE",
        "PIXEL",
        "SUNSET",
        "COFFEE",
        "RADIO",
        "MAPLE",
        "SURF",
        "GAMMA",
        "ATLAS",
        "NOVA CLUB",
        "FAST LANE",
        "BLUE SKY",
        "GOOD DAY",
        "HARBOR",
        "VECTOR",
    ),
    "val": ("WINTER", "PIANO", "MOSS", "KITE", "DELTA", "TIGER"),
    "test": (
        "GARDEN",
        "COMET",
        "VOLLEY",
        "ZEBRA",
        "2026",
        "MINT TEA",
        "ECHO",
        "QUARTZ",
        "LAGOON",
        "JUMP",
    ),
}
LOGOS = {
    "train": (
        "star",
        "ring",
        "triangle",
        "diamond",
        "stripes3",
        "cross",
        "moon",
        "square",
        "chevrons",
        "target",
    ),
    "val": ("hexagon", "hourglass"),
    "test": ("heart", "bolt", "drop", "arrow"),
}
PICTURES = {
    "train": ("hills", "clouds", "mosaic", "rays"),
    "val": ("rings",),
    "test": ("waves", "planet"),
}
PERIODS_M = {
    "train": (0.024, 0.034, 0.05, 0.072),
    "val": (0.029, 0.06),
    "test": (0.0265, 0.042, 0.064),
}
