"""Procedural people whose 3D truth is known: sampled, dressed, painted and drawn from a seed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "alternatives": ["sample_alternative_lights", "sample_alternatives"],
        "attributes": ["CHOICES", "RANGES", "check_attributes"],
        "draw.photo": ["photo_camera", "photo_of"],
        "draw.render": ["PersonViews", "render_person"],
        "draw.triangles": ["extract_triangles"],
        "figure": ["Figure", "load_figure", "pose_figure"],
        "person": ["Person"],
        "pose": ["sample_pose", "stance", "turn_head"],
        "random_attributes": ["sample_attributes"],
        "redraw": ["redraw_hidden", "redraw_noise"],
        "sample": ["FIRST_SEED", "person_from_attributes", "sample_person"],
    },
)
