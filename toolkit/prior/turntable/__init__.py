"""Our small turntable prior: a U-Net over views, in two settings, and its training clips."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "clips": ["ClipPair", "ClipStore"],
        "model": ["TurntableConfig", "TurntablePrior"],
        "shipped": ["OPERATING_POINT", "PAPER_POINT", "load_turntable", "plain_velocity"],
    },
)
