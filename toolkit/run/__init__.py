"""The files of a run: where they lie, how they are written whole, and how far the run is."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "files": ["atomic_path", "model_path", "sample_path"],
        "folder": ["Record", "RunFolder", "read_json", "write_json"],
        "progress": ["Progress", "silent"],
    },
)
