"""LHM, the paper's coarse model: from a photo and the released files to Gaussians on our rig."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checkpoint": ["Reconstruction", "find_file", "load_folder", "load_network"],
        "config": ["RELEASED", "LHMConfig"],
        "decoder": ["MAX_UPPER_SCALE_M"],
        "encoders": ["DINOV2_L", "SAPIENS_1B", "BodyEncoder", "HeadEncoder"],
        "from_photo": ["head_vertices", "make_anchors", "predict", "reconstruct"],
        "images": [
            "BODY_PX",
            "body_input",
            "crop_head",
            "frame_person",
            "head_box",
            "head_input",
            "resize_square",
        ],
        "network": ["LHM", "forward", "pose", "zero_pose"],
        "posing": ["LHMOutput", "Posed"],
        "skinning": ["HIP_ANGLE_RAD", "LEFT_HIP", "RIGHT_HIP"],
        "tiny": ["write_tiny"],
    },
)
