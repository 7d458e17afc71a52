"""A body that another program estimated: read from its file, fitted, and placed in the photo."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"fit": ["fit_body_file"], "layouts": ["FileBody", "read_body_file"]}
)
