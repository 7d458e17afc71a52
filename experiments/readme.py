"""The README's blocks of numbers, written from docs/results/gain.json by `experiments.gain`."""

from collections.abc import Iterable

from experiments.document import ROOT
from toolkit.evaluate.sections import with_p, words_of
from toolkit.evaluate.text import COLUMNS, cell, table_lines
from toolkit.evaluate.variants import FRAMES, MEANING
from toolkit.run.files import atomic_path

README = ROOT / "README.md"
FEW = 16  # with fewer people than this the table proves only that the job runs
SHOWN = ("psnr", "perceptual", "sharpness", "kid", "iou", "consistency")
FLOOR = {"psnr": 0.6, "perceptual": -15.0}  # photo alone: dB more than coarse; change in percent
FLOOR_TRUE_BODY = {"psnr": 1.0, "perceptual": -25.0}
TARGETS = {  # shown in the README: short words
    "psnr_gain_db": "PSNR",
    "perceptual_change_percent": "perceptual distance",
    "kid_change_percent": "KID",
    "sharpness": "sharpness",
    "iou": "silhouette IoU",
    "front_psnr_gain_db": "PSNR in front",
    "psnr_gain_kept_percent": "the gain kept in novel poses",
}


def write_readme(numbers: dict) -> None:
    """Replace both blocks."""
    text = with_blocks(README.read_text(encoding="utf-8"), numbers)
    with atomic_path(README) as tmp:
        tmp.write_text(text, encoding="utf-8")


def with_blocks(readme: str, numbers: dict) -> str:
    """The README with what stands between its marks replaced."""
    for name, block in (("standing", standing(numbers)), ("results", results(numbers))):
        start, end = f"<!-- {name}: python -m experiments.gain -->\n", f"<!-- end of {name} -->"
        before, rest = readme.split(start)
        readme = f"{before}{start}{block}{end}{rest.split(end, 1)[1]}"
    return readme


def standing(numbers: dict) -> str:
    """What works, what was missed, and why: three bullets."""
    targets, offsets = numbers["targets"], numbers["misalignment"]["coarse"]
    controls = [name for name in targets if name.startswith(("psnr_over", "perceptual_under"))]
    beats = all(targets[name]["met"] for name in controls)
    most_p = max(v["p"] for name, v in targets.items() if name in controls or "gain_db" in name)
    missed = [words for name, words in TARGETS.items() if not targets[name]["met"]]
    gain = numbers["tests"]["refined_true_body"]["side_back"]["psnr"]["mean"]
    look = percent_on_true_body(numbers, "perceptual")
    reached = gain >= FLOOR_TRUE_BODY["psnr"] and look <= FLOOR_TRUE_BODY["perceptual"]
    before, after = (
        numbers["misalignment"][name]["texture_offset_px"]["estimated"]["mean"]
        for name in ("coarse", "one_shot")
    )
    bound, coarse = (numbers["table"][n]["side_back"] for n in ("upper_bound", "coarse"))
    gains = [
        f"{targets[name]['mean']:+{form}}"
        for name, form in (
            ("psnr_gain_db", ".2f"),
            ("perceptual_change_percent", ".0f"),
            ("kid_change_percent", ".0f"),
        )
    ]
    side, back = (offsets[f"psnr_{sector}"]["from_body"]["mean"] for sector in ("side", "back"))
    lines = [
        f"- **Works.** On {len(numbers['people'])} test people, side and back, the refinement "
        f"changes PSNR by {gain:+.2f} dB, the perceptual distance by {look:+.0f} % and KID by "
        f"{percent_on_true_body(numbers, 'kid'):+.0f} % where the body is the true one, and by "
        f"{gains[0]} dB, {gains[1]} % and {gains[2]} % from the photo alone, where body and "
        f"pictures do not lie over each other. It is {'better' if beats else '**not better**'} "
        f"than both refit controls (p <= {most_p:.1g}), so this is not mere sharpening. In the "
        f"photo's own view the texture was off by {before:.2f} px and is off by {after:.2f} px.",
        f"- **Missed.** The floor for a success is {'reached' if numbers['success'] else 'missed'} "
        f"from the photo alone (wanted {FLOOR['psnr']:+} dB, {FLOOR['perceptual']:.0f} %) and "
        f"{'reached' if reached else 'missed'} on the true body "
        f"(wanted {FLOOR_TRUE_BODY['psnr']:+} dB, {FLOOR_TRUE_BODY['perceptual']:.0f} %). "
        f"Of the goals above the floor these were missed: {', '.join(missed)}.",
        f"- **Why.** One photo says little about the body's depth: the true body would give "
        f"{side:+.1f} dB at the side and {back:+.1f} dB behind, more than any refinement. The "
        "embedded prior is small and blurs what it is not sure of: the colours of what the photo "
        "did not show. The refit itself does not bind: fitted to the true views it gains "
        f"{bound['psnr']['mean'] - coarse['psnr']['mean']:+.1f} dB.",
    ]
    return "\n".join(lines) + "\n"


def percent_on_true_body(numbers: dict, measure: str) -> float:
    """Change of a mean by the refinement, side and back, with the true body; percent."""
    before, after = (
        numbers["table"][name]["side_back"][measure]["mean"]
        for name in ("coarse_true_body", "refined_true_body")
    )
    return 100 * (after / before - 1)


def results(numbers: dict) -> str:
    """The README's block: side and back of every variant, and what became of the targets."""
    num, source = len(numbers["people"]), numbers["source"]
    intro = (
        f"{num} {source} people whom no model has seen, side and back, mean with "
        f"95 % bootstrap interval (`python -m toolkit evaluate --split {source} --num {num}`)"
    )
    if num < FEW:
        intro = f"**Too few people to conclude from**: {intro}"
    rows = {
        name: sectors["side_back"]
        for name, sectors in numbers["table"].items()
        if name in MEANING and name not in FRAMES and "side_back" in sectors
    }
    shown = [m for m in SHOWN if any(m in row for row in rows.values())]
    cells = [
        [MEANING[name], *(cell(row.get(m), COLUMNS[m][1]) for m in shown)]
        for name, row in rows.items()
    ]
    lines = [intro + ":", "", *table_lines(["", *(COLUMNS[m][0] for m in shown)], cells), ""]
    if numbers["targets"]:
        floor = {True: "reached", False: "missed", None: "not decided"}[numbers["success"]]
        lines += [
            f"Refined against coarse; the floor for a success is **{floor}**:",
            "",
            *table_lines(["", "reached", "goal", "met"], target_rows(numbers["targets"], TARGETS)),
            "",
        ]
    return "\n".join(lines)


def target_rows(targets: dict, names: Iterable[str]) -> list[list[str]]:
    """One row per target."""
    rows = []
    for name in names:
        if name in targets:
            words, digits = words_of(name)
            value = targets[name]
            met = "yes" if value["met"] else "no"
            rows.append([words, with_p(value, digits), value["goal"], met])
    return rows
