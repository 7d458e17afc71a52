"""An exact prior: the posterior mean under the patches that the photo saw, on body maps."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "maps": ["BodyMaps"],
        "detail": ["DetailMaps", "Seen"],
        "carried": ["carried_detail", "recurrence"],
        "denoiser": ["PatchConfig", "ideal_denoiser"],
        "prior": ["PatchPrior"],
    },
)
