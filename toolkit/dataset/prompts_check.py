"""What is wrong with a prompt, in words that can be sent back to the language model.

A prompt must mention every required attribute, show the whole body of one person, and be neither
too short nor too long.
"""

import re
from dataclasses import dataclass

from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.vocabulary import ATTRIBUTES, NONE

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
NOT_WITHOUT = {  # what a text-to-image model draws wherever it reads the word
    "hat": {"hat", "cap", "beanie"},
    "glasses": {"glasses", "sunglasses", "spectacles"},
}
LACKS = "lacks"  # begins the reason of an attribute that is not mentioned
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
    faults = find_faults(text, record)
    lacking = [fault.clause for fault in faults if fault.reason.startswith(LACKS)]
    others = [fault.clause for fault in faults if not fault.reason.startswith(LACKS)]
    return [*([f"it does not mention {'; '.join(lacking)}"] if lacking else []), *others]


@dataclass(frozen=True)
class PromptFault:
    """One thing that is wrong with a prompt.

    Attributes:
        reason: the same for all prompts with this fault: rejects are counted by it.
        clause: what exactly, in words that can be sent back to a language model.
    """

    reason: str
    clause: str


def find_faults(text: str, record: AttributeRecord) -> list[PromptFault]:
    """Check a prompt attribute by attribute, then as a whole.

    Args:
        text: the prompt.
        record: the attributes that it should describe.
    """
    plain = " ".join(words_of(text))
    faults = [
        PromptFault(f"{LACKS} {name}", f"{name}: {value}")
        for name, value in record.required.items()
        if not mentions(
            text,
            value,
            in_order=bool(ATTRIBUTES[name].colors),
            near=HAIR_WORDS if name in ("hair color", "hair type") else (),
        )
    ]
    for name, nouns in NOT_WITHOUT.items():  # "without a hat" makes a model draw one, too
        if record.values[name] == NONE and nouns & set(plain.split()):
            faults.append(PromptFault(f"adds {name}", f"it mentions {name}, and there is none"))
    if not any(phrase in plain for phrase in FULL_BODY):
        faults.append(PromptFault("no full body", 'it does not say "full body"'))
    # spaces on both sides: "couple" must not be seen in "coupled"
    for reason, phrases in (("wrong framing", NOT_FULL_BODY), ("not alone", NOT_ALONE)):
        said = [phrase for phrase in phrases if f" {phrase} " in f" {plain} "]
        faults += [PromptFault(reason, f'it says "{phrase}"') for phrase in said]
    count = len(plain.split())
    if not MIN_WORDS <= count <= MAX_WORDS:
        clause = f"it has {count} words instead of {MIN_WORDS} to {MAX_WORDS}"
        faults.append(PromptFault("too short" if count < MIN_WORDS else "too long", clause))
    return faults


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
