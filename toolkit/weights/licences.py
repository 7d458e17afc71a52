"""Which licence binds a file, from everything that went into it.

A picture, an avatar or a film carries the conditions of every model that made it, and of every body
model and data set inside. Which weights have which licence stands in the one table of weights; here
is what that means for the files of a run. This is a summary for planning, no legal advice.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from toolkit.weights.table import WEIGHTS

FREE, CONDITIONS, UNKNOWN, NON_COMMERCIAL = "free", "with conditions", "ask", "non-commercial"
STRICTER = (FREE, CONDITIONS, UNKNOWN, NON_COMMERCIAL)  # from the mildest to the strictest
OURS = "Apache-2.0 (ours, trained on CC0 bodies)"
# What ships with the repository; the start of a name is enough.
SHIPPED = {
    "CC0 body": "CC0-1.0",
    "keypoints and SMPLify-style fit": "Apache-2.0 (MediaPipe's landmarks; the lifter is ours)",
    "anchor transformer": OURS,
    "turntable prior": OURS,
    "repairer: ": OURS,
    "plain: ": OURS,
    "our motion clips": "zlib (Bullet) and MIT (DeepMimic)",
    "procedural people": "CC0-1.0",
    "template grammar": "CC0-1.0",
}
STAND_IN = " (stand-in)"
PERMISSIVE = re.compile(r"(CC0|Apache|MIT|BSD|zlib)\b")
# FLUX.1-dev's weights are non-commercial, but its terms let its pictures be used.
MILDER_OUTPUTS = {"flux.1-dev": CONDITIONS}
BODY_FILE = "body file: "  # then the layout; see `photo.body_file`
BODY_FILES = {
    "MHR": (
        CONDITIONS,
        "SAM License of SAM 3D Body; MHR itself is Apache-2.0",
        "Meta's terms allow trade, with conditions.",
    ),
    "": (UNKNOWN, "that of the program that wrote the file", "Most posers are non-commercial."),
}
PARTS = {
    "body_model": "body model",
    "pose_model": "pose",
    "coarse_model": "coarse avatar",
    "video_prior": "video prior",
}


@dataclass(frozen=True)
class Source:
    """One thing that went into a file.

    Attributes:
        part: what it did.
        made_by: name of the model, as the report has it.
        licence: of the model's weights or data.
        use: of the outputs: `FREE`, `CONDITIONS`, `UNKNOWN` or `NON_COMMERCIAL`.
        note: a condition that binds you.
    """

    part: str
    made_by: str
    licence: str
    use: str
    note: str = ""


def source_of(part: str, made_by: str) -> Source:
    """The licence of what a report names.

    Args:
        part: what it did in the run.
        made_by: name of a weight or of its hub repository, of one of our own models, or of a file
            with a body.

    Returns:
        The source; `UNKNOWN` where the name is none that this project knows.
    """
    if made_by.endswith(STAND_IN):
        real = source_of(part, made_by.removesuffix(STAND_IN))
        note = f"The real weights: {real.licence}."
        return Source(part, made_by, "none: random numbers for a dry run", FREE, note)
    if made_by.startswith(BODY_FILE):
        layout = made_by.removeprefix(BODY_FILE)
        use, licence, note = BODY_FILES["MHR" if layout.startswith("MHR") else ""]
        return Source(part, made_by, licence, use, note)
    for start, licence in SHIPPED.items():
        if made_by.startswith(start):
            return Source(part, made_by, licence, FREE)
    for weight in WEIGHTS.values():
        if made_by.lower() in (weight.name, weight.source.lower()):
            use = MILDER_OUTPUTS.get(weight.name) or _use(weight.licence)
            return Source(part, made_by, weight.licence, use, weight.note)
    return Source(part, made_by, "not known to this project", UNKNOWN, "Ask whoever made it.")


def _use(licence: str) -> str:
    """What a licence text of the table means for outputs."""
    if re.search(r"non-commercial|\bNC\b", licence):
        return NON_COMMERCIAL
    return FREE if PERMISSIVE.match(licence) else CONDITIONS


def binding(sources: Iterable[Source]) -> tuple[str, str]:
    """The strictest use among sources, and the licences that demand it.

    Args:
        sources: of one file, at least one.
    """
    sources = list(sources)
    use = max((s.use for s in sources), key=STRICTER.index)
    strictest = dict.fromkeys(f"{s.made_by}: {s.licence}" for s in sources if s.use == use)
    return use, "; ".join(strictest)


def licences_of(report: Mapping) -> dict:
    """What binds each file of a run.

    Args:
        report: content of `report.json`: the models by the stage that they ran in and, of an avatar
            made from words, the entry "description".

    Returns:
        "sources": the rows of `Source`; "outputs": file names, the use that they allow, and the
        licences that say so; "photo": whose it is.
    """
    made = [source_of(part, report[key]) for key, part in PARTS.items() if key in report]
    description = report.get("description") or {}
    picture = description.get("picture", {})
    drawn = [source_of("picture", picture["model"])] if "model" in picture else []
    drawn += [source_of("prompt", picture["prompt_by"])] if "prompt_by" in picture else []
    clips = [source_of("motions of the film", "our motion clips")]
    body, coarse = drawn + made[:2], drawn + made[:3]
    outputs = [
        ("body.json, body_mask.png", body),
        ("coarse.ply, turntable_coarse.mp4", coarse),
        ("avatar.npz, refined.ply, turntable_refined.mp4, compare.png", drawn + made),
        ("animation.mp4", drawn + made + clips),
    ]
    if drawn:
        outputs.insert(0, ("photo.png", drawn))
    return {
        "photo": "drawn for this avatar" if drawn else "yours: ask the photographer and the person",
        "sources": [asdict(s) for s in drawn + made + clips],
        "outputs": [
            dict(zip(("files", "use", "bound_by"), (files, *binding(sources)), strict=True))
            for files, sources in outputs
            if sources
        ],
    }


def as_text(licences: Mapping) -> str:
    """The answer of `licences_of` for a terminal."""
    lines = ["made by"]
    for s in licences["sources"]:
        lines.append(f"  {s['part']}: {s['made_by']}: {s['licence']}")
        lines += [f"    {s['note']}"] if s["note"] else []
    lines.append("what binds each file (a summary, no legal advice)")
    for output in licences["outputs"]:
        lines += [f"  {output['files']}", f"    {output['use']}: {output['bound_by']}"]
    return "\n".join([*lines, f"photo: {licences['photo']}"])
