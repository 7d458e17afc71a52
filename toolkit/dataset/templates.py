"""The embedded prompt writer: a small grammar whose sentences name every attribute.

A rule is a row of sentences with [slots]. A slot is another rule, a word of the person's
grammatical gender, or an attribute; a sentence with an attribute that this person does not have
is not used. Among the sentences that are left, the seed picks.
"""

import re
from dataclasses import dataclass

import numpy as np

from toolkit.dataset.prompts import PromptRecord, check_prompt
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.vocabulary import PLACES
from toolkit.errors import fail

NAME, REVISION = "template grammar", "1"
RULES: dict[str, tuple[str, ...]] = {
    "picture": ("[opening] of [someone], [doing]. [dress] [head] [face] [extras] [where] [light]",),
    "opening": (
        "[A art style], full body, head to toe,",
        "Full-body [art style]",
        "Full-length [art style], head to toe,",
    ),
    "someone": (
        "[a ethnicity] [gender] [age] with [a body shape] figure",
        "[a body shape] [ethnicity] [gender] [age]",
        "[a body shape] [gender] [age]",
    ),
    "doing": (
        "[activity] as [an occupation], facing the camera",
        "[activity], facing the camera",
        "[pose], dressed for work as [an occupation], facing the camera",
        "[pose], facing the camera",
        "[an occupation] who faces the camera",
        "alone, facing the camera",
    ),
    "dress": (
        "[Sub] wears [a upper body], [a lower body], [shoes] and [a hat].",
        "[Sub] wears [a upper body], [a lower body] and [shoes].",
        "[Sub] wears [a upper body], [shoes] and [a hat].",
        "[Sub] wears [a upper body] and [shoes].",
    ),
    "head": (
        "[Pos] hair: [hair style], [hair type], [hair color].",
        "[Pos] hair: [hair style], [hair color].",
        "[Pos] hair: [hair style], [hair type].",
        "[Pos] hair: [hair style].",
    ),
    "face": (
        "[Pos] face: [facial details], [facial expression], [emotion].",
        "[Pos] face: [facial details], [emotion].",
        "[Pos] face: [facial details], [facial expression].",
        "[Pos] face: [facial details].",
        "[Pos] face: [facial expression], [emotion].",
        "[Pos] face: [emotion].",
        "[Pos] face: [facial expression].",
        "",
    ),
    "extras": (
        "With [glasses], [a jewelry] and [a carried items].",
        "With [glasses] and [a jewelry].",
        "With [glasses] and [a carried items].",
        "With [a jewelry] and [a carried items].",
        "With [glasses].",
        "With [a jewelry].",
        "With [a carried items].",
        "",
    ),
    "where": ("The place is [a place].", "Behind [obj]: [a place]."),
    "light": ("Lighting: [lighting].", "Lit by [lighting].", ""),
}
PRONOUNS = {
    "woman": {"sub": "she", "pos": "her", "obj": "her"},
    "man": {"sub": "he", "pos": "his", "obj": "him"},
}


@dataclass(frozen=True)
class TemplateWriter:
    """Prompts without a language model; the same record and seed give the same prompt."""

    seed: int = 0

    def write(self, record: AttributeRecord) -> PromptRecord:
        """Write the prompt; it passes `check_prompt` like a language model's."""
        rng = np.random.default_rng([self.seed, record.seed, record.index, 17])
        known = dict(record.required) | PRONOUNS[record.values["gender"]]
        known["place"] = next(known[name] for name in PLACES if name in known)
        text = re.sub(r"\s+", " ", expand("picture", known, rng)).strip()
        if problems := check_prompt(text, record):
            fail(
                f"Template prompt {record.index}",
                got="; ".join(problems),
                wanted="all attributes",
                fix="The grammar lacks a rule; please report it.",
            )
        return PromptRecord(
            record.index, record.seed, record.values, text, NAME, REVISION, self.seed, 1
        )


def expand(rule: str, known: dict[str, str], rng: np.random.Generator) -> str:
    """One sentence of a rule: those that name most of what is known come first, then chance."""
    usable = [s for s in RULES[rule] if all(_fill(slot, known) for slot in _slots(s))]
    most = max(len(_slots(s)) for s in usable)
    best = [s for s in usable if len(_slots(s)) == most]
    sentence = best[rng.integers(len(best))]

    def word(match: re.Match) -> str:
        slot = match[1]
        return expand(slot, known, rng) if slot in RULES else _fill(slot, known)

    return re.sub(r"\[([^]]+)\]", word, sentence)


def _slots(sentence: str) -> list[str]:
    return [slot for slot in re.findall(r"\[([^]]+)\]", sentence) if slot not in RULES]


def _fill(slot: str, known: dict[str, str]) -> str:
    """The words of a slot: "hat" as it is, "a hat" with its article, "Sub" with a capital."""
    article, _, name = slot.partition(" ")
    if article.lower() in ("a", "an") and name in known:
        value = known[name]
        plural = value.endswith("s") and not value.endswith("ss")  # jeans, but a dress
        lead = "" if plural else "an " if value[0].lower() in "aeiou" else "a "
        text = lead + value
    else:
        text = known.get(slot.lower(), "")
    return text[:1].upper() + text[1:] if slot[0].isupper() else text
