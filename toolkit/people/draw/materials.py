"""Which painter colours a material, and how glossy the material is."""

from toolkit.people.arrays import Painted
from toolkit.people.dress.outfit import Outfit
from toolkit.people.paint.cloth import paint_cloth, paint_shoes
from toolkit.people.paint.skin import paint_eyes, paint_hair, paint_plain, paint_skin
from toolkit.people.paint.surface import Surface

GLOSS = {  # strength of the highlight
    "skin": 0.35,
    "eyes": 1.0,
    "hair": 0.5,
    "beard": 0.3,
    "shoes": 0.5,
    "glasses": 1.0,
    "lenses": 2.0,
}
CLOTH_GLOSS = 0.05  # of every other material
ONE_COLOR = ("glasses", "lenses", "under_top", "under_bottom")


def paint_material(material: str, surface: Surface, outfit: Outfit) -> Painted:
    """Albedo (N,3) in sRGB and bump (N,3), the gradient of the surface's height.

    Args:
        material: one of `DressedMesh.materials`.
        surface: the visible samples of that material.
        outfit: holds the style of every material.
    """
    skin = outfit.skin
    if material == "skin":
        return paint_skin(surface, skin)
    if material == "eyes":
        return paint_eyes(surface, skin)
    if material == "beard":
        return paint_hair(surface, 0.8 * skin.hair, skin.skin, **outfit.hair, thin=0.014)
    if material == "hair":
        return paint_hair(surface, skin.hair, skin.skin, **outfit.hair)
    style = outfit.cloth[material]
    if material == "shoes":
        return paint_shoes(surface, style)
    if material in ONE_COLOR:
        return paint_plain(surface, style.color)
    return paint_cloth(surface, style)
