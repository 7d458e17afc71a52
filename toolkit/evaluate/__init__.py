"""The gain of the refinement, measured on people whose 3D truth is known, against controls."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "align": ["Similarity", "fit_similarity", "joint_errors_mm"],
        "bench": ["Bench"],
        "case_folder": ["read_case", "save_case"],
        "cases": ["Case", "Views", "procedural_case"],
        "clip_scores": ["ClipScorer", "means_table", "summarise", "timed"],
        "reference": ["Reference", "Truth"],
        "run": ["EvaluateConfig", "evaluate", "find_people"],
        "scenes": ["CLIPS", "Scene"],
        "score_config": ["ScoreConfig", "Source"],
        "score_person": ["PersonScorer"],
        "scores": ["score_views"],
        "sweep": [
            "MOST_LOST_DB",
            "RULE",
            "Setting",
            "choose_setting",
            "score_settings",
            "sweep_rows",
            "sweep_settings",
        ],
        "sweep_plot": ["sweep_figure"],
        "variants": ["MEANING", "VARIANTS", "unsharp_mask"],
    },
)
