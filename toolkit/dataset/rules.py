"""What cannot go together in one person: pairs of levels, as tables.

Every rule is about two factors, so that one matrix holds them all: `allowed_pairs()[i, j]` says
whether levels i and j can meet. Rules that follow from others are worked out: a dress forces "no
lower body", this forces "no colour of the lower body", hence a dress excludes such a colour.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
from jaxtyping import Bool

from toolkit.dataset.factors import FACTORS, FORCED, NUM_LEVELS, levels_of
from toolkit.dataset.vocabulary import ANY, BEARDS, EXPRESSIONS

Conflict = tuple[str, Iterable[str], str, Iterable[str]]  # factor, levels, factor, levels

# What each occupation does not wear, and does not do in a picture of it at work.
AT_WORK: dict[str, dict[str, tuple[str, ...]]] = {
    "nurse": {"shoes": ("boots",), "activity": ("kicking", "boxing")},
    "chef": {
        "upper body": ("tank top", "dress"),
        "lower body": ("shorts", "skirt"),
        "activity": ("kicking", "boxing", "running"),
    },
    "teacher": {
        "upper body": ("tank top",),
        "lower body": ("leggings",),
        "activity": ("kicking", "boxing"),
    },
    "firefighter": {
        "upper body": ("tank top", "dress"),
        "lower body": ("shorts", "skirt", "leggings"),
        "shoes": ("sneakers", "leather shoes"),
        "activity": ("dancing", "reading"),
    },
    "office worker": {
        "upper body": ("tank top",),
        "lower body": ("shorts", "leggings"),
        "shoes": ("boots",),
        "activity": ("kicking", "boxing", "jumping"),
    },
    "athlete": {
        "upper body": ("dress", "button-up shirt"),
        "lower body": ("skirt",),
        "shoes": ("leather shoes", "boots"),
        "activity": ("reading",),
    },
    "artist": {"activity": ("kicking", "boxing")},
    "builder": {
        "upper body": ("tank top", "dress"),
        "lower body": ("skirt", "leggings"),
        "shoes": ("sneakers", "leather shoes"),
        "activity": ("dancing", "reading"),
    },
}
# Off by default: a set in which anyone may wear anything is the more varied one.
GENDER_CLOTHES: tuple[Conflict, ...] = (
    ("gender", ("man",), "upper body", ("dress", "tank top")),
    ("gender", ("man",), "lower body", ("skirt", "leggings")),
)


def conflicts(*, gender_clothes: bool = False) -> list[Conflict]:
    """All rules as pairs of factors and levels that exclude each other.

    Args:
        gender_clothes: men then wear no dress, skirt, leggings or tank top.
    """
    rules: list[Conflict] = [
        ("gender", ("woman",), "facial details", tuple(BEARDS)),
        ("age", ("about 20 years old",), "facial details", ("full beard",)),
    ]
    faces = FACTORS["facial expression"].levels
    for emotion, fitting in EXPRESSIONS.items():
        others = tuple(face for face in faces if face not in (*fitting, ANY))
        rules.append(("emotion", (emotion,), "facial expression", others))
    for occupation, unfit in AT_WORK.items():
        rules += [("occupation", (occupation,), factor, levels) for factor, levels in unfit.items()]
    for rule in FORCED:
        free = tuple(level for level in FACTORS[rule.by].levels if level not in rule.levels)
        other = tuple(v for v in FACTORS[rule.factor].levels if v != rule.level)
        rules.append((rule.by, rule.levels, rule.factor, other))
        if not FACTORS[rule.factor].shares[FACTORS[rule.factor].levels.index(rule.level)]:
            # a level that nobody chooses freely occurs only where it is forced
            rules.append((rule.by, free, rule.factor, (rule.level,)))
    return rules + list(GENDER_CLOTHES if gender_clothes else ())


@cache
def allowed_pairs(*, gender_clothes: bool = False) -> Bool[np.ndarray, "L L"]:
    """Which levels can meet in one person; rules that follow from others included.

    Args:
        gender_clothes: as in `conflicts`.
    """
    allowed = np.ones((NUM_LEVELS, NUM_LEVELS), bool)
    for factor in FACTORS.values():  # one level of each factor per person
        allowed[factor.span, factor.span] = np.eye(len(factor.levels), dtype=bool)
    for first, levels, second, others in conflicts(gender_clothes=gender_clothes):
        rows = [FACTORS[first].number(level) for level in levels]
        columns = [FACTORS[second].number(level) for level in others]
        allowed[np.ix_(rows, columns)] = allowed[np.ix_(columns, rows)] = False
    allowed = with_consequences(allowed)
    allowed.setflags(write=False)
    return allowed


def with_consequences(allowed: Bool[np.ndarray, "L L"]) -> Bool[np.ndarray, "L L"]:
    """Take out pairs that leave some third factor without a level, until nothing changes.

    Args:
        allowed: pairs of levels that no rule forbids.

    Source: Mackworth 1977, path consistency.
    """
    while True:
        before = allowed.copy()
        for factor in FACTORS.values():
            part = allowed[:, factor.span].astype(np.float32)  # (L, K)
            allowed &= (part @ part.T) > 0  # pairs that share a level of this factor
        if (before == allowed).all():
            return allowed


def contradictions(values: dict[str, str], *, gender_clothes: bool = False) -> list[str]:
    """What in a record excludes each other, in words; empty if nothing does.

    Args:
        values: attribute -> value of a whole record.
        gender_clothes: as in `conflicts`.
    """
    levels = levels_of(values)
    return [
        f"{first} {levels[first]!r} and {second} {levels[second]!r}"
        for first, ones, second, others in conflicts(gender_clothes=gender_clothes)
        if levels[first] in ones and levels[second] in others
    ]
