"""LHM, the paper's coarse model: from a photo and the released files to Gaussians on our rig."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checkpoint": ["Reconstruction", "load_folder", "load_network"],
        "config": ["RELEASED", "LHMConfig"],
        "encoders": ["BodyEncoder", "HeadEncoder"],
        "from_photo": ["head_vertices", "make_anchors", "predict", "reconstruct"],
        "images": ["body_input", "crop_head", "frame_person", "head_box", "head_input"],
        "network": ["LHM", "forward", "pose", "zero_pose"],
        "posing": ["LHMOutput", "Posed"],
        "tiny": ["write_tiny"],
    },
)
