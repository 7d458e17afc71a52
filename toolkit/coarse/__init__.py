"""The coarse avatar from one photo: our small model here, the paper's model LHM in `lhm`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "from_photo": ["load_coarse", "predict", "save_coarse"],
        "observation": ["AnchorLayout", "Observation", "lay_out", "observe"],
        "small": ["AnchorTransformer"],
    },
)
