"""What is wrong with a prompt, in words that can be sent back to the language model.

A prompt must mention every required attribute, show the whole body of one person, and be neither
too short nor too long.
"""

import re

from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.vocabulary import ATTRIBUTES

MIN_WORDS, MAX_WORDS = 20, 160  # 160 words stay below the 256 tokens of the smallest text encoder
FULL_BODY = ("full body", "full length", "head to toe", "whole body", "head to feet")
NOT_FULL_BODY = (
    "close up",
    "closeup",
    "headshot",
    "head shot",
    "half body",
    "upper body shot",
    "waist up",
    "cropped",
    "bust portrait",
)
NOT_ALONE = ("two people", "group of", "couple", "crowd of", "several people", "twins")
FILLER = {"a", "an", "the", "in", "of", "with", "and", "on", "at", "his", "her", "their", "about"}
HAIR_WORDS = ("hair", "cut", "bob", "bun", "ponytail")
REACH = 4  # words: a colour that is not farther from one of HAIR_WORDS is the hair's
SYNONYMS = {"woman": ("woman", "female", "lady"), "man": ("man", "male", "gentleman")}


def check_prompt(text: str, record: AttributeRecord) -> list[str]:
    """List what is wrong with a prompt.

    Args:
        text: the prompt.
        record: the attributes that it should describe.

    Returns:
        One clause per fault, such as 'it does not say "full body"'; empty if nothing is wrong.
    """
    plain = " ".join(words_of(text))
    lacking = [
        f"{name}: {value}"
        for name, value in record.required.items()
        if not mentions(
            text,
            value,
            in_order=bool(ATTRIBUTES[name].colors),
            near=HAIR_WORDS if name in ("hair color", "hair type") else (),
        )
    ]
    problems = [f"it does not mention {'; '.join(lacking)}"] if lacking else []
    if not any(phrase in plain for phrase in FULL_BODY):
        problems.append('it does not say "full body"')
    # spaces on both sides: "couple" must not be seen in "coupled"
    problems += [f'it says "{p}"' for p in (*NOT_FULL_BODY, *NOT_ALONE) if f" {p} " in f" {plain} "]
    if not MIN_WORDS <= len(plain.split()) <= MAX_WORDS:
        problems.append(f"it has {len(plain.split())} words instead of {MIN_WORDS} to {MAX_WORDS}")
    return problems


def mentions(text: str, value: str, *, in_order: bool = False, near: tuple[str, ...] = ()) -> bool:
    """True if a text names an attribute's value.

    Args:
        text: the prompt.
        value: of the attribute. "man" and "woman" have synonyms; words in `FILLER` do not count.
        in_order: the value's words must follow each other with at most one other word in between.
            In "a red cap, blue jeans" there are then no red jeans.
        near: the value must stand within `REACH` words of one of these. In "short hair, a shirt and
            black shoes" there is then no black hair.
    """
    text_stems = [_stem(word) for word in words_of(text)]
    stems = [_stem(word) for word in words_of(value) if word not in FILLER]
    if value in SYNONYMS:
        return any(_stem(word) in text_stems for word in SYNONYMS[value])
    if not in_order and not near:
        return set(stems) <= set(text_stems)
    # Positions at which the value may end: start at its first word and move on word by word.
    ends = [i for i, stem in enumerate(text_stems) if stem == stems[0]]
    for stem in stems[1:]:
        ends = [k for i in ends for k in (i + 1, i + 2) if text_stems[k : k + 1] == [stem]]
    neighbours = [i for i, stem in enumerate(text_stems) if stem in near]
    return any(not near or any(abs(i - k) <= REACH for k in neighbours) for i in ends)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; a hyphen separates words, a possessive 's is dropped."""
    return re.findall(r"[a-z0-9]+", text.lower().replace("’", "'").replace("'s", ""))


def _stem(word: str) -> str:
    """A crude stem: just enough for "smiles" to count as "smiling" and "walks" as "walking"."""
    for ending in ("ing", "ies", "es", "ed", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
