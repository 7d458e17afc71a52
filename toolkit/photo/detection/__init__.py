"""Find the one person of a photo: 33 body points, depth hints and a mask."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "keypoint_names": ["KEYPOINT_NAMES", "MIRROR"],
        "keypoints": ["Detection", "detect"],
        "mask": ["guided_filter", "refine_mask"],
        "roi": ["Roi"],
    },
)
