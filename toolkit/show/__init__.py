"""Everything to look at: comparison sheets, contact sheets, films, videos, notebook widgets."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "comparison": ["StageViews", "compare_figure"],
        "export": ["read_video", "to_uint8", "write_image", "write_video"],
        "film": ["AnimationConfig", "animate", "side_by_side"],
        "pictures": ["alignment_overlay", "contact_sheet", "difference_map", "person_box"],
        "style": [
            "FAINT",
            "INK",
            "PAPER",
            "PHOTO_COLOR",
            "RENDER_COLOR",
            "STAGE_COLORS",
            "figure",
            "figure_pixels",
            "quiet_axes",
            "save_figure",
        ],
        "viewer": ["picture_row", "turntable_widget"],
    },
)
