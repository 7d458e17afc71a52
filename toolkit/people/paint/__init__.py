"""Painters: the colour of cloth, skin, eyes and hair as functions of the rest position."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "backdrop": ["sample_backdrop"],
        "cloth": ["paint_cloth", "paint_shoes"],
        "prints": ["Print", "make_print"],
        "skin": ["SkinStyle", "paint_eyes", "paint_hair", "paint_plain", "paint_skin"],
        "surface": ["ClothStyle", "Surface"],
    },
)
