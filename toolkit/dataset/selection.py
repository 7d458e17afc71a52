"""Attributes fixed or excluded by words: "gender=woman", "hat!=none", "upper body=green hoodie"."""

from collections.abc import Iterable, Mapping

from toolkit.dataset.factors import COLOR, FACTORS, PLACE
from toolkit.dataset.vocabulary import ANY, ATTRIBUTES, NONE, PLACES
from toolkit.errors import fail


def parse_selection(texts: Iterable[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Read what a user fixed or excluded on the command line.

    Args:
        texts: each "ATTRIBUTE=VALUE" or "ATTRIBUTE!=VALUE"; several values of one attribute are
            alternatives, given in one text ("hat=beanie|baseball cap") or in several.

    Returns:
        (fixed, excluded), each attribute -> values, for `balanced_records`.

    Raises:
        InputError: not in this form, or an unknown attribute or value.
    """
    fixed: dict[str, list[str]] = {}
    excluded: dict[str, list[str]] = {}
    for text in texts:
        name, mark, values = text.partition("=")
        chosen = excluded if name.endswith("!") else fixed
        name = name.removesuffix("!").strip().lower()
        if not mark or not values.strip():
            fail(
                "Selection",
                got=repr(text),
                wanted="ATTRIBUTE=VALUE or ATTRIBUTE!=VALUE",
                fix='E.g. --set "gender=woman" --set "hat!=none".',
            )
        for value in (part.strip() for part in values.split("|")):
            resolve(name, value)  # refuses what is unknown
            chosen.setdefault(name, []).append(value)
    return fixed, excluded


def choices_of(
    fixed: Mapping[str, str | Iterable[str]], excluded: Mapping[str, str | Iterable[str]]
) -> dict[str, tuple[str, ...]]:
    """The levels that fixed and excluded values leave to each factor.

    Args:
        fixed: attribute -> its value, or values that are left to it.
        excluded: attribute -> its value, or values that it must not have.

    Raises:
        InputError: an unknown attribute or value, or nothing is left of one.
    """
    left = {name: list(factor.levels) for name, factor in FACTORS.items()}
    for name, values in fixed.items():
        wanted: dict[str, set[str]] = {}
        for value in _listed(values):
            for factor, level in resolve(name, value).items():
                wanted.setdefault(factor, set()).update(level)
        for factor, levels in wanted.items():
            left[factor] = [level for level in left[factor] if level in levels]
    for name, values in excluded.items():
        for value in _listed(values):
            _exclude(left, name, value)
    for name, levels in left.items():
        if not levels:
            fail(f"Attribute {name!r}", got="no value left", wanted="at least one", fix="Drop one.")
    return {n: tuple(ls) for n, ls in left.items() if len(ls) < len(FACTORS[n].levels)}


def _exclude(left: dict[str, list[str]], name: str, value: str) -> None:
    """Take a value out of what is left."""
    parts = resolve(name, value)
    if len(parts) > 1:
        fail(
            f"Excluded {name}",
            got=repr(value),
            wanted="a garment or a colour",
            fix=f'Exclude one of them, such as "{name}!={min(parts[name])}".',
        )
    for factor, levels in parts.items():
        left[factor] = [level for level in left[factor] if level not in levels]


def resolve(name: str, value: str) -> dict[str, set[str]]:
    """What a value of an attribute says about factors.

    A garment may stand with or without its colour, and a colour alone. "none" for a kind of place
    leaves the other kinds.

    Args:
        name: an attribute, or a factor ("place", "hat color").
        value: one of its values, or "none" or "any" where that can occur.

    Returns:
        factor -> levels that it can then have.

    Raises:
        InputError: an unknown attribute or value.
    """
    if name in PLACES:
        inside = set(PLACES[name])
        outside = set(FACTORS[PLACE].levels) - inside
        table = {value: {value} for value in inside} | {NONE: outside, ANY: inside}
        return {PLACE: table[value]} if value in table else _unknown(name, value, table)
    if name not in FACTORS:
        _unknown_name(name)
    if value in FACTORS[name].levels:
        return {name: {value}}
    if name in ATTRIBUTES and ATTRIBUTES[name].colors:
        colors = FACTORS[name + COLOR].levels
        if value in colors:
            return {name + COLOR: {value}}
        for garment in FACTORS[name].levels:
            if value.endswith(f" {garment}") and value.removesuffix(f" {garment}") in colors:
                return {name: {garment}, name + COLOR: {value.removesuffix(f" {garment}")}}
    return _unknown(name, value, FACTORS[name].levels)


def _listed(values: str | Iterable[str]) -> list[str]:
    return [values] if isinstance(values, str) else list(values)


def _unknown(name: str, value: str, known: Iterable[str]) -> dict[str, set[str]]:
    fail(
        f"Attribute {name!r}",
        got=repr(value),
        wanted=f"one of {', '.join(known)}",
        fix="See toolkit.dataset.vocabulary.",
    )


def _unknown_name(name: str) -> None:
    fail(
        "Attribute",
        got=repr(name),
        wanted=f"one of {', '.join([*ATTRIBUTES, *(f for f in FACTORS if f not in ATTRIBUTES)])}",
        fix="Check the spelling.",
    )
