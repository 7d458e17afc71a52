"""Hair, hat, beard, glasses and the looks of skin, from attributes."""

from dataclasses import replace

import numpy as np

from toolkit.people import palette
from toolkit.people.dress.clothes import Cloth, Cuts
from toolkit.people.paint.skin import SkinStyle
from toolkit.people.paint.surface import ClothStyle

HAIR_HEIGHT = {  # metres above the scalp: everywhere, and what is added at the top of the head
    "short": (0.006, 0.010),
    "swept": (0.008, 0.022),
    "bob": (0.010, 0.010),
    "long": (0.008, 0.008),
    "ponytail": (0.005, 0.004),
    "bun": (0.005, 0.004),
    "afro": (0.045, 0.030),
    "curly": (0.016, 0.018),
}
SCALP_SHADOW = {"buzz": 0.85, "short": 0.7}  # how dark the hair is that is painted on the scalp


def add_head(a: dict, rng: np.random.Generator, cuts: Cuts, cloth: Cloth) -> dict:
    """Cuts of hair, hat, beard and glasses; returns seed and curliness of the strands."""
    style, seed = a["hair"], int(rng.integers(1 << 30))
    _add_hair(a, rng, cuts, seed)
    _add_hat(a, rng, cuts, cloth, seed)
    if a["beard"] == "full":
        cuts["beard"] = {"thick": rng.uniform(0.003, 0.009)}
    if a["glasses"] != "none":
        cuts["glasses"] = {"style": a["glasses"]}
        frame = (0.06, 0.06, 0.07) if rng.random() < 0.6 else (0.4, 0.26, 0.14)
        cloth["glasses"] = ClothStyle(np.array(frame, np.float32), np.zeros(3))
        cloth["lenses"] = ClothStyle(np.array((0.07, 0.07, 0.09), np.float32), np.zeros(3))
    return {"seed": seed, "curly": {"afro": 1.0, "curly": 0.8}.get(style, 0.0)}


def _add_hair(a: dict, rng: np.random.Generator, cuts: Cuts, seed: int) -> None:
    style, hat = a["hair"], a["hat"] != "none"
    parting = float(rng.choice([-1, 1]))  # the side of it
    if style in HAIR_HEIGHT:
        thick, top = HAIR_HEIGHT[style]
        thick *= rng.uniform(0.85, 1.25)
        cuts["cap_hair"] = {
            "seed": seed,
            "part": parting,
            "thick": min(thick, 0.008) if hat else thick,  # a hat presses the hair down
            "top": 0.0 if hat else top,
            "rough": {"afro": 0.12, "curly": 0.25}.get(style, 0.12),
            "fringe": rng.uniform(0.0, 0.022) if style in ("bob", "long") else 0.0,
            "recede": 0.012 * (a["gender"] == "man") * rng.random() * (a["age"] > 35),
        }
    if style in ("bob", "long"):
        length = rng.uniform(0.545, 0.60) if style == "bob" else rng.uniform(0.30, 0.48)
        cuts["curtain"] = {
            "length": length,
            "wave": rng.uniform(0, 1.2),
            "seed": seed,
            "top": 0.69 if hat else 0.768,
        }
    if style == "ponytail":
        cuts["ponytail"] = {"length": rng.uniform(0.18, 0.32)}
    if style == "bun" and not hat:
        cuts["bun"] = {}


def _add_hat(a: dict, rng: np.random.Generator, cuts: Cuts, cloth: Cloth, seed: int) -> None:
    hat = a["hat"]
    if hat == "none":
        return
    if hat == "cap":
        cuts["hat"] = {"edge": 0.703, "slope": 0.28, "thick": 0.013, "top": 0.008}
        cuts["brim"] = {}
    elif hat == "beanie":
        cuts["hat"] = {"edge": 0.692, "slope": 0.34, "thick": 0.013, "top": 0.014, "cuff": True}
    color = palette.jitter(palette.color(a["hat_color"]), rng)
    cloth["hat"] = ClothStyle(
        color,
        color * 0.6,
        "knit" if hat == "beanie" else "plain",
        seed=seed,
        folds=0.3,
        details=("rib",) if hat == "beanie" else (),
    )


def draw_skin(a: dict, rng: np.random.Generator) -> SkinStyle:
    """Colours and age of the skin, and what is painted on it: brows, lips, stubble, socks."""
    tone = palette.jitter(palette.skin_color(a["skin"]), rng, 0.012)
    hair = np.clip(palette.color(a["hair_color"]) * rng.uniform(0.85, 1.2), 0.02, 0.95)
    woman = a["gender"] == "woman"
    makeup = float(woman and rng.random() < 0.5)
    pink = np.array([0.74, 0.36, 0.36]) if makeup else np.array([0.72, 0.44, 0.42])
    # Lips: half the skin's own tone, reddened, and half pink that darkens with the skin.
    lips = 0.45 * tone * [1.0, 0.74, 0.74] + 0.55 * pink * (0.45 + 0.65 * tone.mean())
    stubble = {"stubble": 1.0, "full": 1.0, "moustache": 0.35}.get(
        a["beard"], 0.0 if woman else 0.18 * rng.random()
    )
    socks = palette.color(str(rng.choice(["white", "black", "grey", "navy"])))
    style = SkinStyle(
        tone,
        hair,
        np.array(palette.EYES[a["eye_color"]], np.float32) / 255,
        lips,
        brow=rng.uniform(0.7, 1.0) if woman else rng.uniform(0.95, 1.4),
        stubble=float(stubble),
        age=float(np.clip((a["age"] - 25) / 50, 0, 1)),
        sock_y=rng.uniform(-0.74, -0.66),
        makeup=makeup,
        socks=tuple(socks),
        seed=int(rng.integers(1 << 30)),
    )
    shadow = SCALP_SHADOW | {"bald": 0.12 if a["gender"] == "man" else 0.3}
    return replace(style, shadow=shadow.get(a["hair"], 0.6))
