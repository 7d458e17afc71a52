"""The age in a sentence: "in her late twenties", "35 years old", "aged 40", "over 70 years old"."""

from toolkit.dataset.vocabulary import AGES
from toolkit.errors import fail

ADULT = 18
DECADES = {"thirties": 35, "forties": 45, "fifties": 55, "sixties": 65}
OLDEST = ("seventies", "eighties", "nineties")
PARTS = ("early", "mid", "late")

Found = tuple[str, tuple[str, ...], int, int]  # "age", levels, first word, one past the last


def read_age(words: list[str]) -> list[Found]:
    """Every mention of an age.

    Args:
        words: of the text, in lower case, punctuation marks as words of their own.

    Raises:
        InputError: the age of a child, or one that nobody reaches.
    """
    found: list[Found] = []
    for i, word in enumerate(words):
        part = words[i - 1] if i and words[i - 1] in PARTS else ""
        if word in DECADES:
            found.append(("age", (level_of(DECADES[word]),), i - bool(part), i + 1))
        elif word in OLDEST:
            found.append(("age", (level_of(75),), i - bool(part), i + 1))
        elif word == "twenties" and part:
            found.append(("age", (level_of(22 if part == "early" else 28),), i - 1, i + 1))
        elif word.isdigit() and (mention := _years(words, i)):
            found.append(mention)
    return found


def _years(words: list[str], i: int) -> Found | None:
    """The age at word i, a number, if "years old" or the like stands beside it."""
    before, after = words[i - 1] if i else "", words[i + 1 : i + 3]
    is_age = before == "aged" or after[:1] in (["years"], ["year"], ["yo"])
    if not is_age:
        return None
    years = int(words[i])
    if not ADULT <= years <= 110:
        fail(
            "Description, age",
            got=f"{years} years",
            wanted=f"{ADULT} to 110",
            fix="The data set holds adults only.",
        )
    start = i - (before in ("aged", "about", "around", "over"))
    end = i + 1 + sum(word in ("years", "year", "yo", "old") for word in after)
    return "age", (level_of(years),), start, end


def level_of(years: int) -> str:
    """The vocabulary's words for an age."""
    starts = {18: 0, 25: 1, 30: 2, 40: 3, 50: 4, 60: 5, 70: 6}
    place = max(start for start in starts if years >= start)
    return list(AGES)[starts[place]]
