"""Generative refinement of a single photo into an animatable 3D human."""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "body.rig": ["Avatar"],
        "cameras": ["Cameras"],
        "errors": ["InputError", "ToolkitError"],
        "gaussians": ["Gaussians"],
        "pipeline": ["AvatarResult", "build_avatar"],
        "profiles.base": ["PipelineConfig"],
        "profiles.choose": ["load_profile"],
    },
)
