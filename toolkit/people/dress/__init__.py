"""From attributes to garments, and from garments to one mesh around the body."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "assemble": ["DressedMesh", "dress_figure", "pose_mesh"],
        "outfit": ["Outfit", "build_outfit"],
        "pieces": ["Piece", "make_piece"],
    },
)
