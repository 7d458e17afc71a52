"""Prompts without a language model: a small grammar whose sentences name every attribute.

A rule is a list of sentences with [slots]. A slot is another rule, a pronoun of the person, or an
attribute. A sentence is usable if the person has all attributes in its slots. Of the usable
sentences, those that name most attributes are taken, and the seed picks one of them.
"""

import re
from dataclasses import dataclass

import numpy as np

from toolkit.dataset.prompts import PromptRecord
from toolkit.dataset.prompts_check import check_prompt
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.vocabulary import PLACES
from toolkit.errors import fail

NAME, REVISION = "template grammar", "1"  # for the records, in place of a model's
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
PRONOUNS = {  # subject, possessive and object: she, her, her
    "woman": {"sub": "she", "pos": "her", "obj": "her"},
    "man": {"sub": "he", "pos": "his", "obj": "him"},
}


@dataclass(frozen=True)
class TemplateWriter:
    """Writes prompts without a language model.

    Attributes:
        seed: another seed gives other prompts for the same attributes.
    """

    seed: int = 0

    def write(self, record: AttributeRecord) -> PromptRecord:
        """Write the prompt; the same record and seed give the same text.

        Args:
            record: the attributes to describe.

        Raises:
            InputError: the text does not pass `check_prompt`; this would be a fault of the grammar.
        """
        rng = np.random.default_rng([self.seed, record.seed, record.index, 17])
        words = dict(record.required) | PRONOUNS[record.values["gender"]]
        # a record has one of the four kinds of place; the grammar has one slot for all of them
        words["place"] = next(words[kind] for kind in PLACES if kind in words)
        text = re.sub(r"\s+", " ", expand("picture", words, rng)).strip()
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


def expand(rule: str, words: dict[str, str], rng: np.random.Generator) -> str:
    """Write one sentence of a rule, and the sentences of the rules in its slots.

    Args:
        rule: a key of `RULES`.
        words: slot -> text, for attributes and pronouns.
        rng: picks among the sentences that name most attributes.
    """
    usable = [s for s in RULES[rule] if all(_fill(slot, words) for slot in _word_slots(s))]
    most = max(len(_word_slots(s)) for s in usable)
    best = [s for s in usable if len(_word_slots(s)) == most]
    sentence = best[rng.integers(len(best))]

    def slot_text(match: re.Match) -> str:
        slot = match[1]
        return expand(slot, words, rng) if slot in RULES else _fill(slot, words)

    return re.sub(r"\[([^]]+)\]", slot_text, sentence)


def _word_slots(sentence: str) -> list[str]:
    """The slots of a sentence that hold a word, not another rule."""
    return [slot for slot in re.findall(r"\[([^]]+)\]", sentence) if slot not in RULES]


def _fill(slot: str, words: dict[str, str]) -> str:
    """The text of a slot, or "" if there is none.

    "[hat]" gives the words as they are, "[a hat]" puts an article before them, and "[Sub]" starts
    with a capital.
    """
    article, _, name = slot.partition(" ")
    if article.lower() in ("a", "an") and name in words:
        value = words[name]
        is_plural = value.endswith("s") and not value.endswith("ss")  # jeans, but a dress
        lead = "" if is_plural else "an " if value[0].lower() in "aeiou" else "a "
        text = lead + value
    else:
        text = words.get(slot.lower(), "")
    return text[:1].upper() + text[1:] if slot[0].isupper() else text
