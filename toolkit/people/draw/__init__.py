"""Pictures of a person: visible samples, light and shadow, and the photo with its background."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "light": ["Light", "sample_light"],
        "materials": ["paint_material"],
        "photo": ["photo_camera", "photo_of"],
        "render": ["PersonViews", "render_person"],
        "triangles": ["extract_triangles"],
    },
)
