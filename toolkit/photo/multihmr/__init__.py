"""Multi-HMR, the body estimator of the full profile: one network pass, then a short refinement."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fit": ["fit_body_multihmr", "square_picture"],
        "model": ["Human", "MultiHMR", "MultiHMRConfig"],
        "weights": ["load_multihmr", "save_multihmr", "tiny_multihmr"],
    },
)
