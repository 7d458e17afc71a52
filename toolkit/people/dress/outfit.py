"""From attributes to cuts and styles: how each garment is shaped and painted."""

from dataclasses import dataclass, replace

import numpy as np

from toolkit.people import palette
from toolkit.people.paint.prints import PERIODS_M, make_print
from toolkit.people.paint.skin import SkinStyle
from toolkit.people.paint.surface import ClothStyle

SPLIT_SALT = {"train": 11, "val": 12, "test": 13}
LONG, SHORT = 0.598, 0.325  # |x| of a long and of a short sleeve's hem, metres


@dataclass(frozen=True)
class Outfit:
    """Clothes, hair and skin in detail.

    Attributes:
        cover: what skin stays visible: neck style, sleeve |x|, leg y, hide_ears.
        cuts: shell name -> its cutting numbers.
        cloth: material name -> style.
        skin: skin, hair and eye colours.
        hair: seed and curliness of the strands.
    """

    cover: dict
    cuts: dict[str, dict]
    cloth: dict[str, ClothStyle]
    skin: SkinStyle
    hair: dict

    @property
    def prints(self) -> tuple[str, ...]:
        """Labels of the prints that are worn."""
        designs = [d for style in self.cloth.values() for d in (style.front, style.back)]
        return tuple(d.label for d in designs if d is not None)


def build_outfit(attributes: dict, seed: int, split: str) -> Outfit:
    """Dress a person; everything that the attributes leave open comes from the seed.

    Args:
        attributes: a complete set, see `attributes.CHOICES`.
        seed: of the outfit; salted with the split, so splits never share an outfit seed.
        split: "train", "val" or "test".
    """
    rng = np.random.default_rng([SPLIT_SALT[split], seed, 5])
    cuts, cloth = {}, {}
    _top(attributes, rng, split, cuts, cloth)
    _bottom(attributes, rng, split, cuts, cloth)
    _coat(attributes, rng, split, cuts, cloth)
    _shoes(attributes, rng, cuts, cloth)
    hair = _head(attributes, rng, cuts, cloth)
    cloth["under_top"] = ClothStyle(cloth["top"].color, cloth["top"].color2)
    below = cloth["bottom"] if "bottom" in cloth else cloth["top"]
    cloth["under_bottom"] = ClothStyle(below.color * 0.6, below.color2)
    cover = cover_of(cuts)
    return Outfit(cover, cuts, cloth, _skin(attributes, rng, cuts), hair)


def cover_of(cuts: dict[str, dict]) -> dict:
    """What skin stays visible under these cuts; shortens a boot's shaft under long trousers."""
    sleeve = max(cuts["top"]["sleeve"], cuts.get("coat", {}).get("sleeve", 0))
    leg = cuts["bottom"]["leg"] if "bottom" in cuts else cuts["skirt"]["leg"]
    leg = max(min(leg, -0.05), cuts["shoes"]["top"] - 0.01)
    if a_long_leg(cuts):  # no shaft of a boot inside a trouser leg
        cuts["shoes"] |= {"top": min(cuts["shoes"]["top"], -0.735), "shaft": 0.0}
    return {
        "neck": cuts["top"]["neck"],
        "sleeve": sleeve,
        "leg": leg,
        "hide_ears": "curtain" in cuts,
    }


def a_long_leg(cuts) -> bool:
    """True if trousers reach the shoes."""
    return "bottom" in cuts and cuts["bottom"]["leg"] < -0.5 and cuts["bottom"]["flare"] > 0


def _period(rng, split):
    return float(rng.choice(PERIODS_M[split]))


def _top(a, rng, split, cuts, cloth):
    kind = a["top"]
    color = palette.jitter(palette.color(a["top_color"]), rng)
    if np.abs(color - palette.skin_color(a["skin"])).sum() < 0.42:  # never look undressed
        color = np.clip(color * [0.55, 0.75, 1.0], 0, 1)
    name2 = a.get("top_color2") or palette.contrast_color(color, rng)
    color2 = palette.jitter(palette.color(name2), rng)
    sleeve = {
        "t-shirt": SHORT,
        "polo": SHORT,
        "tank": 0.185,
        "dress": float(rng.choice([0.185, SHORT, LONG])),
    }.get(kind, LONG)
    sleeve += rng.normal(0, 0.012) if sleeve == SHORT else 0
    thick = {"hoodie": 0.012, "sweater": 0.010, "tank": 0.004}.get(kind, 0.006)
    loose = {"hoodie": 0.022, "sweater": 0.018, "tank": 0.004, "dress": 0.002}.get(kind, 0.014)
    tucked = kind in ("shirt", "polo", "tank") and a["bottom"] != "leggings" and rng.random() < 0.45
    tucked = tucked or kind == "dress" or a["bottom"] == "skirt"
    cuts["top"] = {
        "material": "top",
        "neck": a["neck"],
        "sleeve": sleeve,
        "thick": thick,
        "hem": 0.118 if tucked else rng.uniform(-0.045, 0.01),
        "loose": loose * rng.uniform(0.6, 1.3) * (0.4 if tucked else 1),
        "hood": kind == "hoodie",
        "seed": int(rng.integers(1 << 30)),
    }
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
    details = [*details, *([a["back"]] if a["back"] in ("yoke", "band", "spine") else [])]
    inks = _inks(color, color2, rng)
    front, back = (
        make_print(a[side], inks, rng, split=split, back=side == "back")
        if a[side] in ("text", "number", "logo", "small logo", "print")
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


def _inks(color, color2, rng):
    third = palette.color(palette.contrast_color(color2, rng))
    first = palette.color(palette.contrast_color(color, rng))
    return np.stack([first, color2, third])


def _bottom(a, rng, split, cuts, cloth):
    kind = "skirt" if a["top"] == "dress" else a["bottom"]
    color = palette.jitter(palette.color(a["bottom_color"]), rng)
    color2 = palette.color(palette.contrast_color(color, rng))
    if kind == "skirt":
        dress = a["top"] == "dress"
        cuts["skirt"] = {
            "material": "top" if dress else "bottom",
            "thick": 0.006,
            "flare": rng.uniform(0.0, 0.07),
            "pleats": float(rng.choice([0, 9, 14])),
            "leg": rng.uniform(-0.55, -0.24),
            "top": 0.15 if dress else 0.135,
        }
        if dress:
            return
    else:
        leg = {"shorts": rng.uniform(-0.36, -0.24), "leggings": -0.72}.get(
            kind, rng.uniform(-0.765, -0.735)
        )
        flare = {"leggings": 0.0, "shorts": 0.016, "jeans": rng.uniform(0.004, 0.016)}.get(
            kind, rng.uniform(0.006, 0.026)
        )
        cuts["bottom"] = {
            "leg": leg,
            "flare": flare,
            "seed": int(rng.integers(1 << 30)),
            "thick": 0.002 if kind == "leggings" else 0.004,
        }
    details = {"skirt": ["tube"], "leggings": []}.get(kind, ["pockets"])
    if kind == "trousers" and rng.random() < 0.6:
        details.append("crease")
    if a["belt"]:
        details.append("belt")
    pattern = "denim" if kind == "jeans" else a["bottom_pattern"]
    cloth["bottom"] = ClothStyle(
        color,
        color2,
        pattern,
        _period(rng, split),
        None,
        None,
        tuple(details),
        int(rng.integers(1 << 30)),
        rng.uniform(0.7, 1.3),
    )


def _coat(a, rng, split, cuts, cloth):
    if a["coat"] == "none":
        return
    color = palette.jitter(palette.color(a["coat_color"]), rng)
    color2 = palette.jitter(palette.color(palette.contrast_color(color, rng)), rng)
    long = a["coat"] == "coat"
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
    kind = rng.choice(
        ["none", "logo", "text", "spine", "yoke", "band"], p=[0.5, 0.15, 0.12, 0.08, 0.1, 0.05]
    )
    inks = _inks(color, color2, rng)
    design = (
        make_print(kind, inks, rng, split=split, back=True) if kind in ("logo", "text") else None
    )
    details = ("lapel", "tube", *([str(kind)] if kind in ("spine", "yoke", "band") else []))
    pattern = str(rng.choice(["plain", "pinstripes", "checks"], p=[0.75, 0.12, 0.13]))
    cloth["coat"] = ClothStyle(
        color,
        color2 if kind != "none" else color * 0.75,
        pattern,
        _period(rng, split),
        None,
        design,
        details,
        int(rng.integers(1 << 30)),
        0.9,
    )


def _shoes(a, rng, cuts, cloth):
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


def _head(a, rng, cuts, cloth):
    """Cuts of hair, hat, beard and glasses; returns the strands' style."""
    style, seed = a["hair"], int(rng.integers(1 << 30))
    base = {"seed": seed, "part": float(rng.choice([-1, 1]))}
    caps = {
        "short": (0.006, 0.010),
        "swept": (0.008, 0.022),
        "bob": (0.010, 0.010),
        "long": (0.008, 0.008),
        "ponytail": (0.005, 0.004),
        "bun": (0.005, 0.004),
        "afro": (0.045, 0.030),
        "curly": (0.016, 0.018),
    }
    hat = a["hat"]
    if style in caps:
        thick, top = caps[style]
        thick *= rng.uniform(0.85, 1.25)
        under = hat != "none"
        cuts["cap_hair"] = base | {
            "thick": min(thick, 0.008) if under else thick,
            "top": 0.0 if under else top,
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
            "top": 0.69 if hat != "none" else 0.768,
        }
    if style == "ponytail":
        cuts["ponytail"] = {"length": rng.uniform(0.18, 0.32)}
    if style == "bun" and hat == "none":
        cuts["bun"] = {}
    if hat == "cap":
        cuts["hat"] = {"edge": 0.703, "slope": 0.28, "thick": 0.013, "top": 0.008}
        cuts["brim"] = {}
    elif hat == "beanie":
        cuts["hat"] = {"edge": 0.692, "slope": 0.34, "thick": 0.013, "top": 0.014, "cuff": True}
    if hat != "none":
        color = palette.jitter(palette.color(a["hat_color"]), rng)
        cloth["hat"] = ClothStyle(
            color,
            color * 0.6,
            "knit" if hat == "beanie" else "plain",
            seed=seed,
            folds=0.3,
            details=("rib",) if hat == "beanie" else (),
        )
    if a["beard"] == "full":
        cuts["beard"] = {"thick": rng.uniform(0.003, 0.009)}
    if a["glasses"] != "none":
        cuts["glasses"] = {"style": a["glasses"]}
        frame = (0.06, 0.06, 0.07) if rng.random() < 0.6 else (0.4, 0.26, 0.14)
        cloth["glasses"] = ClothStyle(np.array(frame, np.float32), np.zeros(3))
        cloth["lenses"] = ClothStyle(np.array((0.07, 0.07, 0.09), np.float32), np.zeros(3))
    return {"seed": seed, "curly": {"afro": 1.0, "curly": 0.8}.get(style, 0.0)}


def _skin(a, rng, cuts):
    tone = palette.jitter(palette.skin_color(a["skin"]), rng, 0.012)
    hair = np.clip(palette.color(a["hair_color"]) * rng.uniform(0.85, 1.2), 0.02, 0.95)
    woman = a["gender"] == "woman"
    makeup = float(woman and rng.random() < 0.5)
    pink = np.array([0.74, 0.36, 0.36]) if makeup else np.array([0.72, 0.44, 0.42])
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
    shaved = {"buzz": 0.85, "bald": 0.12 if a["gender"] == "man" else 0.3, "short": 0.7}
    return replace(style, shadow=shaved.get(a["hair"], 0.6))
