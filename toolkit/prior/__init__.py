"""Video priors under one interface, the SDEdit loop, its samplers, and the turntable's orbits."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "sdedit": ["SDEditConfig", "sigmas_for", "start_sigma"],
        "prior": ["Condition", "Encoded", "PixelPrior", "Prior"],
        "gaussian": ["GaussianPrior"],
        "orbit": ["Orbit", "OrbitConfig", "dynamic_orbit", "static_orbit", "turntable_cameras"],
        "samplers": ["h_transform", "held", "pulled", "self_ensemble", "start_levels"],
        "turntable.shipped": ["load_turntable", "plain_velocity"],
        "wan.config": ["WanConfig"],
        "wan.model": ["WanPrior"],
    },
)
