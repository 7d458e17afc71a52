"""From the coarse avatar to the refined one: turntable, SDEdit, targets, refit."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "turntable": ["Turntable", "pose_for_turntable", "render_turntable", "seen_by_photo"],
        "carried": ["carried_colors"],
        "invented": ["invented_anchors", "invented_shares"],
        "edit": ["Clip", "as_clip", "as_frames", "clip_condition", "edit_clip", "refine_clip"],
        "target": ["FitTarget", "clip_target", "matte", "photo_target"],
        "colors": ["solve_colors"],
        "refit": ["FitConfig", "History", "LearningRates", "fit"],
        "iterate": ["RefitInLoop", "progressive_refit", "update_dataset"],
    },
)
