"""Phrases in a sentence, and which noun an adjective belongs to.

A colour belongs to the garment or the hair that follows it within a few words, else to the one
before it: "black jeans", "jeans in black", "her hair: black".
"""

import re
from dataclasses import dataclass

from toolkit.dataset.factors import COLOR, FACTORS
from toolkit.dataset.lexicon import (
    CLOTH_WORDS,
    HAIR_NOUNS,
    HAIR_WORDS,
    LENGTHS,
    PHRASES,
    SKIN_WORDS,
    Meaning,
    plain,
)
from toolkit.dataset.vocabulary import ATTRIBUTES, BEARDS, NONE

AHEAD, BACK = 3, 5  # words between an adjective and its noun
NEGATIONS = ("no", "without", "not", "never")
# an adjective does not reach over these to a noun that follows
BREAKS = {"and", "with", "in", "on", "or", "is", "are", "wears", "wearing", "but", *",.;:!?"}
LONGEST = max(map(len, PHRASES))
COLOR_PHRASES = {plain(words) for words in (*CLOTH_WORDS, *HAIR_WORDS)}


@dataclass(frozen=True)
class Word:
    text: str
    low: str

    @property
    def ends_clause(self) -> bool:
        return self.low in ".;:!?"


@dataclass(frozen=True)
class Item:
    """A phrase in the text: words `start` to `end`, and what they can mean."""

    start: int
    end: int
    meanings: tuple[Meaning, ...] = ()
    kind: str = "value"  # or "color", "length", "hair"


def split_words(text: str) -> list[Word]:
    """Words and punctuation marks of a text; a hyphen separates words."""
    return [Word(t, t.lower()) for t in re.findall(r"[A-Za-z0-9]+|[,.;:!?]", text)]


def find_items(words: list[Word], taken: set[int]) -> list[Item]:
    """Phrases from left to right, the longest first; no two share a word.

    Args:
        words: of the text.
        taken: places of words that are understood already.
    """
    items, i = [], 0
    while i < len(words):
        for length in range(min(LONGEST, len(words) - i), 0, -1):
            if taken & set(range(i, i + length)):
                continue
            item = _item_at(tuple(w.low for w in words[i : i + length]), i)
            if item:
                items.append(item)
                i += length
                break
        else:
            i += 1
    return items


def _item_at(phrase: tuple[str, ...], start: int) -> Item | None:
    end = start + len(phrase)
    if phrase in PHRASES:
        return Item(start, end, tuple(PHRASES[phrase]))
    if phrase in COLOR_PHRASES:
        return Item(start, end, kind="color")
    if len(phrase) == 1 and phrase[0] in HAIR_NOUNS:
        return Item(start, end, kind="hair")
    if len(phrase) == 1 and phrase[0] in LENGTHS:
        return Item(start, end, kind="length")
    return None


def meaning_of(item: Item, items: list[Item], words: list[Word]) -> Meaning | None:
    """The meaning of a phrase in its place; None if it has none there."""
    if item.kind == "value":
        return item.meanings[0]
    if item.kind == "length":
        near = _noun(item, items, words, {"hair"})
        return ("hair style", (LENGTHS[words[item.start].low],)) if near else None
    if item.kind == "color":
        return _color(item, items, words)
    return None


def _color(item: Item, items: list[Item], words: list[Word]) -> Meaning | None:
    """Whose colour it is: a garment's, the hair's, or, for "black" and "white", the skin's."""
    phrase = " ".join(word.low for word in words[item.start : item.end])
    noun = _noun(item, items, words, {"garment", "hair", "person"})
    kind = noun and _kind_of(noun)
    if kind == "hair" and phrase in HAIR_WORDS:
        return "hair color", (HAIR_WORDS[phrase],)
    if kind == "garment" and phrase in CLOTH_WORDS:
        return noun.meanings[0][0] + COLOR, (CLOTH_WORDS[phrase],)
    if kind != "person":
        return None
    if noun.start > item.start and phrase in SKIN_WORDS:
        return "ethnicity", (SKIN_WORDS[phrase],)
    if noun.start > item.start and phrase in HAIR_WORDS:
        return "hair color", (HAIR_WORDS[phrase],)
    if words[item.start - 1].low == "in" and phrase in CLOTH_WORDS:  # "a woman in red"
        return "upper body" + COLOR, (CLOTH_WORDS[phrase],)
    return None


def _kind_of(item: Item) -> str | None:
    """What a colour beside this phrase would say something about."""
    if item.kind == "hair":
        return "hair"
    factor = item.meanings[0][0] if item.meanings else ""
    if factor in ("hair style", "hair type"):
        return "hair"
    if factor in ("gender", "occupation"):
        return "person"
    return "garment" if factor + COLOR in FACTORS and factor in ATTRIBUTES else None


def _noun(item: Item, items: list[Item], words: list[Word], kinds: set[str]) -> Item | None:
    """The noun of a kind to which an adjective belongs: the next one, else the one before."""
    at = items.index(item)
    for other in items[at + 1 :]:
        between = [w.low for w in words[item.end : other.start]]
        if len(between) > AHEAD or BREAKS & set(between):
            break
        if _kind_of(other) in kinds:
            return other
    for other in reversed(items[:at]):
        between = words[other.end : item.start]
        if len(between) > BACK or any(word.ends_clause for word in between):
            break
        if _kind_of(other) in kinds:
            return other
    return None


def negated(item: Item, meaning: Meaning, words: list[Word]) -> Meaning:
    """The meaning, or what is left if "no" or "without" stands before the phrase."""
    before = [word.low for word in words[max(item.start - 3, 0) : item.start]]
    clause = before[max((i + 1 for i, w in enumerate(before) if not w.isalnum()), default=0) :]
    if not set(NEGATIONS) & set(clause):
        return meaning
    factor, levels = meaning
    known = FACTORS[factor].levels
    if factor in ("hat", "glasses", "jewelry", "carried items"):
        return factor, (NONE,)
    gone = {*levels, *(BEARDS if set(levels) & set(BEARDS) else ())}
    return factor, tuple(level for level in known if level not in gone)
