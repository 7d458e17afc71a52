"""Measures of pictures, clips and Gaussians: errors, and the three faults of the coarse avatar."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "block_matching": ["ShiftField", "block_shifts"],
        "blur": [
            "Sharpness",
            "band_contrast",
            "compare_sharpness",
            "match_height",
            "measure_sharpness",
            "reference_sharpness",
        ],
        "debris": ["count_debris"],
        "drift": ["Drift", "measure_drift"],
        "lpips": ["load_lpips", "lpips_places"],
        "metrics": ["masked_psnr", "masked_ssim"],
        "misalignment": [
            "Misalignment",
            "contour_chamfer",
            "measure_misalignment",
            "silhouette_iou",
        ],
        "perceptual": ["compare_features", "load_features", "perceptual_distance", "pool_features"],
        "sectors": ["azimuths_deg", "mean_by_sector", "sector_of"],
        "ssim": ["ssim_map"],
        "variance": ["ErrorSplit", "split_error"],
    },
)
