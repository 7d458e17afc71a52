"""From one photo to the body in it: read the file, find the person, fit shape, pose and camera."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "crop": ["PhotoCrop", "crop_photo"],
        "detection.keypoints": ["Detection", "detect"],
        "load": ["Photo", "load_photo", "read_photo"],
        "photo_body": ["PhotoBody"],
        "smplify.fit": ["fit_body"],
    },
)
