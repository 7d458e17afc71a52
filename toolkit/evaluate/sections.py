"""Sections of `evaluation.md` beside the plain tables: targets, octaves, misalignment."""

from toolkit.evaluate.text import cell, table_lines
from toolkit.evaluate.variants import MEANING

TARGET_WORDS = {
    "psnr_gain_db": ("PSNR, dB more than coarse", 2),
    "perceptual_change_percent": ("perceptual distance, change in %", 1),
    "kid_change_percent": ("KID, change in %", 1),
    "sharpness": ("sharpness over the truth's", 2),
    "iou": ("silhouette IoU", 3),
    "front_psnr_gain_db": ("PSNR in front, dB more than coarse", 2),
    "psnr_gain_kept_percent": ("PSNR gain kept in novel poses, %", 0),
    "perceptual_gain_kept_percent": ("perceptual gain kept in novel poses, %", 0),
}
CONTROL_WORDS = {
    "psnr_over_": ("PSNR, dB more than: ", "_db", 2),
    "perceptual_under_": ("perceptual, % against: ", "_percent", 1),
}
OCTAVES = [f"sharpness_octave_{k}" for k in (1, 2, 3, 4)]
SPLIT = {  # measure: name, digits; those of the photo's own view come first
    "texture_offset_px": ("texture offset in the photo, px", 2),
    "texture_offset_percent": ("the same, % of the height", 2),
    "photo_iou": ("IoU with the photo's mask", 3),
    "photo_psnr": ("PSNR in the photo, dB", 2),
    "psnr_front": ("PSNR front, dB", 2),
    "psnr_three_quarter": ("PSNR three-quarter, dB", 2),
    "psnr_side": ("PSNR side, dB", 2),
    "psnr_back": ("PSNR back, dB", 2),
    "iou_all": ("IoU, all views", 3),
}


def words_of(target: str) -> tuple[str, int]:
    """A target's name for readers, and its digits."""
    for start, (words, end, digits) in CONTROL_WORDS.items():
        if target.startswith(start):
            control = target.removeprefix(start).removesuffix(end)
            return words + MEANING[control], digits
    return TARGET_WORDS[target]


def with_p(value: dict, digits: int) -> str:
    """Mean, interval and, where a test was made, p."""
    return cell(value, digits) + (f", p={value['p']:.3g}" if "p" in value else "")


def target_section(reached: dict, success: bool | None) -> list[str]:
    """Every target beside the number that was reached.

    Args:
        reached: what `findings.targets` returned; empty if refined or coarse was not made.
        success: what `findings.is_success` returned.
    """
    if not reached:
        return []
    rows = []
    for name, value in reached.items():
        words, digits = words_of(name)
        rows.append([words, with_p(value, digits), value["goal"], "yes" if value["met"] else "no"])
    floor = {True: "reached", False: "missed", None: "not decided: too few people or variants"}
    return [
        "## Targets: refined, side and back",
        "",
        *table_lines(["", "reached", "goal", "met"], rows),
        "",
        "Floor (+0.6 dB and -15 % perceptual, p < 0.01, better than the self-refit and unsharp "
        f"controls): {floor[success]}.",
        "",
    ]


def octave_section(table: dict) -> list[str]:
    """Energy over the truth's, octave by octave, in side and back views."""
    rows = [
        [MEANING[name], *(cell(sectors["side_back"].get(m), 2) for m in OCTAVES)]
        for name, sectors in table.items()
        if "side_back" in sectors
    ]
    heads = ["", "1 (finest)", "2", "3", "4"]
    return ["## Sharpness by octave, side and back", "", *table_lines(heads, rows), ""]


def misalignment_section(split: dict) -> list[str]:
    """Misalignment with the estimated body, with the true one, and the difference.

    Args:
        split: what `findings.misalignment` returned.
    """
    lines = []
    for variant, measures in split.items():
        rows = [
            [
                words,
                *(cell(measures[m][k], digits) for k in ("estimated", "true")),
                with_p(measures[m]["from_body"], digits) if measures[m]["from_body"] else "-",
            ]
            for m, (words, digits) in SPLIT.items()
            if m in measures
        ]
        heads = ["", "estimated body", "true body", "true less estimated"]
        lines += [f"## Misalignment: {MEANING[variant]}", "", *table_lines(heads, rows), ""]
    if lines:
        lines += [
            "What the true body leaves is the model's; the difference came from the body "
            "fit. Offsets by matching blocks of the photo, in photo pixels.",
            "",
        ]
    return lines
