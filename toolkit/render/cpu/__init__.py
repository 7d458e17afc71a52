"""The rasteriser on the CPU: projection and compositing as numba kernels with gradients."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "compositing": ["Compositing", "composite"],
        "meta": ["Meta"],
        "projection": ["Lens", "Projection"],
        "rasterize": ["rasterize_on_cpu"],
    },
)
