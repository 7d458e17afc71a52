"""The body: its model, anchors on its skin, the rig that poses Gaussians, and motion clips."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "anchors": ["Anchors", "sample_anchors"],
        "binding": ["bind", "nearest_anchors"],
        "model": [
            "JOINT_NAMES",
            "NUM_JOINTS",
            "BodyModel",
            "BodyOutput",
            "joint_transforms",
            "lbs",
        ],
        "motion": ["Motion", "a_pose", "clip_names", "load_clip", "t_pose"],
        "npz": ["load_body"],
        "rig": ["Avatar", "Rig", "RigidMotions", "pose_gaussians"],
        "rotations": ["matrix_to_axis_angle", "matrix_to_quat", "multiply_quats", "rodrigues"],
    },
)
