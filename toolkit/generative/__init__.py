"""Towards a generative model of avatars: Gaussians as pictures, one pixel each."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"layout": ["PixelLayout"], "changes": ["apply_changes", "changes_between"]},
)
