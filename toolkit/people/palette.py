"""Colours of skin, hair, eyes and cloth: bytes in the tables of names, else sRGB in [0, 1]."""

import numpy as np
from jaxtyping import Float

SKIN_RAMP = (  # from very light to very dark
    np.array(
        [
            [246, 214, 194],
            [236, 198, 172],
            [228, 184, 152],
            [207, 157, 122],
            [176, 124, 90],
            [138, 92, 64],
            [100, 66, 47],
            [70, 46, 36],
        ]
    )
    / 255.0
)

HAIR = {
    "black": (28, 24, 24),
    "dark brown": (52, 36, 28),
    "brown": (84, 58, 40),
    "light brown": (124, 90, 60),
    "auburn": (110, 52, 34),
    "ginger": (166, 88, 44),
    "blond": (196, 158, 104),
    "platinum": (222, 204, 168),
    "grey": (150, 148, 146),
    "white": (216, 214, 210),
}

EYES = {
    "brown": (84, 52, 32),
    "dark": (48, 32, 24),
    "hazel": (118, 92, 52),
    "green": (92, 122, 88),
    "blue": (92, 132, 168),
    "grey": (130, 142, 150),
}

CLOTH = {
    "white": (226, 226, 222),
    "cream": (224, 211, 182),
    "light grey": (186, 188, 190),
    "grey": (124, 126, 130),
    "charcoal": (62, 64, 70),
    "black": (32, 32, 36),
    "navy": (34, 44, 82),
    "blue": (50, 92, 168),
    "sky": (142, 186, 222),
    "teal": (32, 116, 122),
    "green": (52, 118, 70),
    "olive": (104, 106, 62),
    "mint": (168, 214, 190),
    "yellow": (232, 196, 72),
    "mustard": (196, 148, 48),
    "orange": (222, 118, 48),
    "red": (186, 42, 46),
    "burgundy": (106, 30, 44),
    "pink": (232, 158, 176),
    "magenta": (180, 54, 116),
    "purple": (102, 62, 138),
    "lilac": (186, 168, 214),
    "brown": (108, 76, 54),
    "beige": (208, 186, 152),
    "khaki": (158, 142, 104),
    "rust": (164, 82, 48),
}

DENIM = {
    "denim": (66, 88, 124),
    "dark denim": (40, 50, 78),
    "light denim": (128, 152, 182),
    "black denim": (44, 44, 48),
    "grey denim": (104, 108, 114),
}


def color(name: str) -> Float[np.ndarray, "3"]:
    """A cloth, denim or hair colour by name."""
    table = {**HAIR, **DENIM, **CLOTH}
    return np.array(table[name], np.float32) / 255


def skin_color(tone: float) -> Float[np.ndarray, "3"]:
    """Skin between very light (0) and very dark (1)."""
    at = np.clip(tone, 0, 1) * (len(SKIN_RAMP) - 1)
    return np.array(
        [np.interp(at, range(len(SKIN_RAMP)), SKIN_RAMP[:, c]) for c in range(3)], np.float32
    )


def jitter(
    rgb: Float[np.ndarray, "3"], rng: np.random.Generator, amount: float = 0.03
) -> Float[np.ndarray, "3"]:
    """The same colour as if it was dyed on another day: a bit lighter or darker, and tinted."""
    shift = rng.normal(0, amount) + rng.normal(0, amount / 2, 3)
    return np.clip(np.asarray(rgb) + shift, 0.02, 0.98).astype(np.float32)


def contrast_color(rgb: Float[np.ndarray, "3"], rng: np.random.Generator) -> str:
    """Name of a random cloth colour that stands out from `rgb`."""
    names = [n for n, c in CLOTH.items() if np.abs(np.array(c) / 255 - rgb).sum() > 0.75]
    return names[rng.integers(len(names))]
