"""An outfit: how each garment is cut and painted, drawn from attributes and a seed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from toolkit.people.arrays import Cut
from toolkit.people.dress.assemble import DressedMesh, dress_figure
from toolkit.people.dress.clothes import add_bottom, add_coat, add_shoes, add_top
from toolkit.people.dress.head import add_head, draw_skin
from toolkit.people.figure import load_figure
from toolkit.people.paint.skin import SkinStyle
from toolkit.people.paint.surface import ClothStyle

SPLIT_SALT = {"train": 11, "val": 12, "test": 13}


@dataclass(frozen=True)
class Outfit:
    """Clothes, hair and skin in detail.

    Attributes:
        cover: what skin stays visible: neck style, sleeve |x|, leg y, hide_ears.
        cuts: name of a garment -> its measures.
        cloth: material name -> style.
        skin: skin, hair and eye colours.
        hair: seed and curliness of the strands.
    """

    cover: dict
    cuts: dict[str, Cut]
    cloth: dict[str, ClothStyle]
    skin: SkinStyle
    hair: dict

    @cached_property
    def mesh(self) -> DressedMesh:
        """The clothes as one mesh in rest space, built on first use.

        It depends on the outfit alone, so people who share an outfit object share the mesh.
        """
        return dress_figure(load_figure(), self.cuts, self.cover)

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
    add_top(attributes, rng, split, cuts, cloth)
    add_bottom(attributes, rng, split, cuts, cloth)
    add_coat(attributes, rng, split, cuts, cloth)
    add_shoes(attributes, rng, cuts, cloth)
    hair = add_head(attributes, rng, cuts, cloth)
    # The suit below the clothes has their colours, so that a gap between them does not show.
    cloth["under_top"] = ClothStyle(cloth["top"].color, cloth["top"].color2)
    below = cloth["bottom"] if "bottom" in cloth else cloth["top"]
    cloth["under_bottom"] = ClothStyle(below.color * 0.6, below.color2)
    cover = find_cover(cuts)
    return Outfit(cover, cuts, cloth, draw_skin(attributes, rng), hair)


def find_cover(cuts: dict[str, Cut]) -> dict:
    """What skin stays visible under these cuts.

    Changes `cuts`: a boot's shaft would poke through a long trouser leg, so it is shortened.
    """
    sleeve = max(cuts["top"]["sleeve"], cuts.get("coat", {}).get("sleeve", 0))
    leg = cuts["bottom"]["leg"] if "bottom" in cuts else cuts["skirt"]["leg"]
    # Bare legs start at the hem, but not above the hip, and not below the edge of the shoes.
    leg = max(min(leg, -0.05), cuts["shoes"]["top"] - 0.01)
    if has_long_legs(cuts):
        cuts["shoes"] |= {"top": min(cuts["shoes"]["top"], -0.735), "shaft": 0.0}
    return {
        "neck": cuts["top"]["neck"],
        "sleeve": sleeve,
        "leg": leg,
        "hide_ears": "curtain" in cuts,
    }


def has_long_legs(cuts: dict[str, Cut]) -> bool:
    """True if trousers reach the shoes."""
    return "bottom" in cuts and cuts["bottom"]["leg"] < -0.5 and cuts["bottom"]["flare"] > 0
