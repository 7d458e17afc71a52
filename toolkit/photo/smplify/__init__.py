"""Fit shape, pose and camera of the body to one detected person, by optimisation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fit": ["fit_body"],
        "lifter": ["Lifted", "Lifter", "lift", "load_lifter"],
        "optimise": ["FitStage"],
        "reduced_body": ["ReducedBody"],
    },
)
