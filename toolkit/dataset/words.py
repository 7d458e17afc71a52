"""English to attributes, by a grammar of phrases: what a sentence says, and what it leaves open.

    read_words("a woman in her thirties in a green hoodie").fixed
    {"gender": ("woman",), "age": ("in the thirties",), "upper body color": ("green",), ...}

The same grammar reads the prompts of `prompts_templates` back, without a loss.
"""

from dataclasses import dataclass

from toolkit.dataset.factors import COLOR, FACTORS
from toolkit.dataset.lexicon import SILENT, TOO_YOUNG, Meaning
from toolkit.dataset.vocabulary import ANY, ATTRIBUTES, NONE
from toolkit.dataset.words_age import read_age
from toolkit.dataset.words_phrases import (
    NEGATIONS,
    Item,
    Word,
    find_items,
    meaning_of,
    negated,
    split_words,
)
from toolkit.errors import fail

PRONOUNS = {"she": "woman", "her": "woman", "he": "man", "his": "man", "him": "man"}


@dataclass(frozen=True)
class Reading:
    """What a sentence says about a person.

    Attributes:
        fixed: factor -> the levels that the words leave to it; goes into `sample_record(fixed=)`.
        evidence: factor -> the words that said so.
        unread: words that were not understood, in the order of the text.
    """

    fixed: dict[str, tuple[str, ...]]
    evidence: dict[str, str]
    unread: tuple[str, ...]

    @property
    def values(self) -> dict[str, str]:
        """Attribute -> value, where the words leave one only; a garment with its colour."""
        one = {name: levels[0] for name, levels in self.fixed.items() if len(levels) == 1}
        values = {name: level for name, level in one.items() if not name.endswith(COLOR)}
        values |= {name: one[name] for name in one if name in ATTRIBUTES}  # "hair color"
        for name in values:
            if name + COLOR in one and one[name] not in (NONE, ANY):
                values[name] = f"{one[name + COLOR]} {one[name]}"
        return values


def read_words(text: str) -> Reading:
    """Read free English.

    Args:
        text: about one adult; words that say nothing about attributes are skipped.

    Raises:
        InputError: nothing understood, a child, or words that contradict each other.
    """
    words = split_words(text)
    _refuse_children(words)
    said = _Said(words)
    for factor, levels, start, end in read_age([word.low for word in words]):
        said.add((factor, levels), start, end)
    items = find_items(words, {i for i, used in enumerate(said.used) if used})
    for item in items:
        if meaning := meaning_of(item, items, words):
            said.add(negated(item, meaning, words), item.start, item.end)
    if "gender" not in said.fixed:
        for i, word in enumerate(words):
            if word.low in PRONOUNS:
                said.add(("gender", (PRONOUNS[word.low],)), i, i + 1)
    if not said.fixed:
        fail(
            "Description",
            got=repr(text[:80]),
            wanted="words for a person's attributes",
            fix='For example "a woman in her thirties in a green hoodie".',
        )
    return Reading(said.fixed, said.evidence, said.unread(items))


class _Said:
    """Collects statements; two about one factor must leave something in common."""

    def __init__(self, words: list[Word]):
        self.words, self.used = words, [False] * len(words)
        self.fixed: dict[str, tuple[str, ...]] = {}
        self.evidence: dict[str, str] = {}

    def add(self, meaning: Meaning, start: int, end: int) -> None:
        factor, levels = meaning
        phrase = " ".join(word.text for word in self.words[start:end])
        before = self.fixed.get(factor, FACTORS[factor].levels)
        left = tuple(level for level in before if level in levels)
        if not left:
            fail(
                f"Description, {factor}",
                got=f"{self.evidence.get(factor, 'nothing')!r} and {phrase!r}",
                wanted="one of them",
                fix="Leave the other out.",
            )
        self.fixed[factor] = left
        known = self.evidence.get(factor)
        self.evidence[factor] = phrase if known in (None, phrase) else f"{known}, {phrase}"
        self.used[start:end] = [True] * (end - start)

    def unread(self, items: list[Item]) -> tuple[str, ...]:
        silent = SILENT | set(PRONOUNS) | set(NEGATIONS)
        hair = {i for item in items if item.kind == "hair" for i in range(item.start, item.end)}
        return tuple(
            word.text
            for i, word in enumerate(self.words)
            if not self.used[i] and i not in hair and word.text.isalnum() and word.low not in silent
        )


def _refuse_children(words: list[Word]) -> None:
    found = [word.text for word in words if word.low in TOO_YOUNG]
    if found:
        fail(
            "Description",
            got=repr(found[0]),
            wanted="an adult",
            fix="The data set holds adults only; say woman, man or person.",
        )
