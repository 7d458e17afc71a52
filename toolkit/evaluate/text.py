"""Numbers as a reader sees them: titles of columns, digits, intervals."""

COLUMNS = {  # measure: title of its column, digits
    "psnr": ("PSNR dB", 2),
    "psnr_common": ("PSNR common dB", 2),
    "ssim": ("SSIM", 3),
    "perceptual": ("perceptual", 3),
    "lpips": ("LPIPS", 3),
    "sharpness": ("sharpness /truth", 2),
    "kid": ("KID x1000", 1),
    "iou": ("IoU", 3),
    "keypoint_percent": ("keypoints %", 2),
    "face_distance": ("face", 3),
    "consistency": ("consistency %", 2),
    "drift_mm": ("drift mm", 1),
    "pa_mpjpe_mm": ("PA-MPJPE mm", 1),
    "texture_offset_px": ("offset in the photo px", 2),
}
HIGHER_IS_BETTER = {
    "psnr": True,
    "psnr_common": True,
    "ssim": True,
    "perceptual": False,
    "lpips": False,
    "iou": True,
    "keypoint_percent": False,
    "face_distance": False,
    "consistency": False,
    "kid": False,
    "pa_mpjpe_mm": False,
    "texture_offset_px": False,
    "photo_iou": True,
    "photo_psnr": True,
}


def arrow(measure: str) -> str:
    """Which way is better; empty where neither is."""
    return {True: " ↑", False: " ↓", None: ""}[HIGHER_IS_BETTER.get(measure)]


def cell(value: dict | None, digits: int) -> str:
    """A mean with its interval, or a dash."""
    if value is None:
        return "-"
    low, high = value["low"], value["high"]
    return f"{value['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def table_lines(heads: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
