"""A record as a row of levels: what is counted, balanced and compared.

An attribute with colours is two factors ("upper body" and "upper body color"), and the four kinds
of place are one factor ("place"), as a person stands in one place only. A factor's levels are its
values and, where they can occur, "none" and "any". Levels of all factors are numbered through, so
that counts of single levels are one vector, and counts of pairs one matrix.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from toolkit.dataset.vocabulary import ANY, ATTRIBUTES, NONE, PLACES, Attribute, split_color

PLACE, COLOR = "place", " color"


@dataclass(frozen=True)
class Factor:
    """One thing that varies between people.

    Attributes:
        name: of the attribute, of its colour, or "place".
        levels: all that it can be.
        shares: how often each level is wanted where nothing forces one; they add up to 1.
        start: number of the first level among the levels of all factors.
    """

    name: str
    levels: tuple[str, ...]
    shares: Float[np.ndarray, " K"]
    start: int

    @property
    def span(self) -> slice:
        """The places of its levels among the levels of all factors."""
        return slice(self.start, self.start + len(self.levels))

    def number(self, level: str) -> int:
        """The number of a level among the levels of all factors."""
        return self.start + self.levels.index(level)


@dataclass(frozen=True)
class Forced:
    """In some people one factor leaves another no choice: the bald have no hair colour.

    Attributes:
        factor: the one without a choice.
        level: what it then is.
        by: the factor that forces it.
        levels: of `by`, those that do.
    """

    factor: str
    level: str
    by: str
    levels: tuple[str, ...]


FORCED = (
    Forced("hair type", NONE, "hair style", ("bald", "buzz cut")),
    Forced("hair color", NONE, "hair style", ("bald",)),
    Forced("lower body", NONE, "upper body", ("dress",)),
    Forced("lower body color", NONE, "lower body", (NONE,)),
    Forced("hat color", NONE, "hat", (NONE,)),
    # pose and activity both say how the body stands; the activity wins
    Forced("pose", ANY, "activity", ATTRIBUTES["activity"].values),
)


def _shares_of(attribute: Attribute) -> dict[str, float]:
    """Wanted share of each level of an attribute, colours left aside."""
    named = (1 - attribute.none - attribute.any) / len(attribute.values)
    shares = dict.fromkeys(attribute.values, named)
    forced = {rule.level for rule in FORCED if rule.factor == attribute.name}
    for word, share in ((NONE, attribute.none), (ANY, attribute.any)):
        if share or word in forced:
            shares[word] = share
    return shares


def _all_shares() -> dict[str, dict[str, float]]:
    """Factor -> level -> share."""
    table: dict[str, dict[str, float]] = {}
    for name, attribute in ATTRIBUTES.items():
        if name in PLACES:
            shares = {p: 1 / len(PLACES) / len(PLACES[name]) for p in PLACES[name]}
            table.setdefault(PLACE, {}).update(shares)
            continue
        table[name] = _shares_of(attribute)
        if attribute.colors:
            table[name + COLOR] = dict.fromkeys(attribute.colors, 1 / len(attribute.colors))
            if NONE in table[name]:
                table[name + COLOR][NONE] = 0.0
    return table


FACTORS: dict[str, Factor] = {}
for _name, _shares in _all_shares().items():
    _start = sum(len(factor.levels) for factor in FACTORS.values())
    FACTORS[_name] = Factor(_name, tuple(_shares), np.array([*_shares.values()]), _start)
NUM_LEVELS = sum(len(factor.levels) for factor in FACTORS.values())
KIND_OF_PLACE = {place: kind for kind, places in PLACES.items() for place in places}


def levels_of(values: dict[str, str]) -> dict[str, str]:
    """The level of every factor in a record.

    Args:
        values: attribute -> value of a whole record.

    Returns:
        factor -> level, in the order of `FACTORS`.
    """
    levels = {}
    for name in FACTORS:
        if name == PLACE:
            levels[name] = next((values[k] for k in PLACES if values[k] not in (NONE, ANY)), ANY)
        elif name.endswith(COLOR) and name.removesuffix(COLOR) in ATTRIBUTES:
            garment = name.removesuffix(COLOR)
            levels[name] = _split(garment, values[garment])[0]
        else:
            levels[name] = _split(name, values[name])[1]
    return levels


def _split(name: str, value: str) -> tuple[str, str]:
    """(colour, value); both are "none" or "any" where there is no garment."""
    if value in (NONE, ANY) or not ATTRIBUTES[name].colors:
        return value, value
    return split_color(name, value)


def values_of(levels: dict[str, str]) -> dict[str, str]:
    """A record's values from its levels, the inverse of `levels_of`.

    Args:
        levels: factor -> level.
    """
    values = {}
    for name, attribute in ATTRIBUTES.items():
        if name in PLACES:
            place = levels[PLACE]
            values[name] = place if KIND_OF_PLACE.get(place) == name else NONE
        elif attribute.colors and levels[name] not in (NONE, ANY):
            values[name] = f"{levels[name + COLOR]} {levels[name]}"
        else:
            values[name] = levels[name]
    return values


def numbers_of(values: dict[str, str]) -> list[int]:
    """Numbers of a record's levels, one per factor; -1 where a record holds no level of ours."""
    levels = levels_of(values)
    return [
        factor.number(levels[name]) if levels[name] in factor.levels else -1
        for name, factor in FACTORS.items()
    ]
