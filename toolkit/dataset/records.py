"""Balanced attribute records: who is to be drawn, before a word of the prompt is written.

Record `index` of a `seed` is always the same, whoever asks for it and in which order. Each
attribute runs through its values in shuffled blocks that hold every value once (and "none" and
"any" as often as their shares say), so every prefix of the sequence is balanced.
"""

from dataclasses import asdict, dataclass

import numpy as np

from toolkit.dataset.vocabulary import (
    ANY,
    ATTRIBUTES,
    BEARDS,
    EXPRESSIONS,
    NONE,
    PLACES,
    Attribute,
    split_color,
)
from toolkit.errors import fail

SALT = {name: 101 + i for i, name in enumerate(ATTRIBUTES)}  # keeps attributes independent


@dataclass(frozen=True)
class AttributeRecord:
    """One person's attributes.

    Attributes:
        index: of the record in its sequence, >= 0.
        seed: of the sequence.
        values: attribute -> value, "none" or "any"; every attribute of the paper is there.
    """

    index: int
    seed: int
    values: dict[str, str]

    @property
    def required(self) -> dict[str, str]:
        """What a prompt must say. Not what is absent: text-to-image models draw what is named."""
        return {name: v for name, v in self.values.items() if v not in (NONE, ANY)}

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> "AttributeRecord":
        """Read back `to_json`.

        Raises:
            InputError: an unknown attribute or value, or one that is missing.
        """
        return cls(int(data["index"]), int(data["seed"]), check_values(data["values"]))


def sample_record(index: int, seed: int = 0) -> AttributeRecord:
    """Record `index` of the sequence that `seed` names.

    Args:
        index: >= 0.
        seed: another seed shuffles every block anew.
    """
    if index < 0:
        fail("index", got=index, wanted="0 or more", fix="Count from 0.")
    values = {name: _draw(attribute, index, seed) for name, attribute in ATTRIBUTES.items()}
    here = _at(tuple(PLACES), index, [seed, 98])
    values |= {place: NONE for place in PLACES if place != here}
    return AttributeRecord(index, seed, reconcile(values, np.random.default_rng([seed, 99, index])))


def sample_records(count: int, seed: int = 0, *, start: int = 0) -> list[AttributeRecord]:
    """Records `start` .. `start + count - 1`."""
    return [sample_record(index, seed) for index in range(start, start + count)]


def _block(attribute: Attribute) -> list[str]:
    """Every value equally often, with "none" and "any" in their shares of the block."""
    named = 1 - attribute.none - attribute.any
    repeats = 1 if max(attribute.none, attribute.any) == 0 else 5  # so that shares come out right
    values = list(attribute.values) * repeats
    count = len(values) / named
    return values + [NONE] * round(attribute.none * count) + [ANY] * round(attribute.any * count)


def _at(values, index: int, key: list[int]) -> str:
    """Element `index` of the endless row of shuffled copies of `values`."""
    block, place = divmod(index, len(values))
    return values[np.random.default_rng([*key, block]).permutation(len(values))[place]]


def _draw(attribute: Attribute, index: int, seed: int) -> str:
    value = _at(_block(attribute), index, [seed, SALT[attribute.name]])
    if attribute.colors and value not in (NONE, ANY):
        color = _at(attribute.colors, index, [seed, SALT[attribute.name], 7])
        return f"{color} {value}"
    return value


def reconcile(values: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
    """Take out what contradicts itself: hair on the bald, a beard on a woman, a sad laugh.

    Args:
        values: one of every attribute; not changed.
        rng: picks between equally good repairs.
    """
    v = dict(values)
    if v["hair style"] == "bald":
        v["hair type"] = v["hair color"] = NONE
    if v["hair style"] == "buzz cut":
        v["hair type"] = NONE
    if v["gender"] == "woman" and v["facial details"] in BEARDS:
        v["facial details"] = ("freckles", "dimples", "high cheekbones")[rng.integers(3)]
    if v["gender"] == "man":
        for name, garments in (
            ("upper body", ("dress", "tank top")),
            ("lower body", ("skirt", "leggings")),
        ):
            color, garment = split_color(name, v[name])
            if garment in garments:
                v[name] = f"{color} {'t-shirt' if name == 'upper body' else 'trousers'}"
    if split_color("upper body", v["upper body"])[1] == "dress":
        v["lower body"] = NONE
    faces = EXPRESSIONS.get(v["emotion"])
    if faces and v["facial expression"] not in (*faces, ANY):
        v["facial expression"] = faces[rng.integers(len(faces))]
    if v["activity"] != NONE:
        v["pose"] = ANY  # one of the two says how the body stands
    return v


def check_values(values: dict[str, str]) -> dict[str, str]:
    """Return the values if they are one of every attribute, all known.

    Raises:
        InputError: naming the attribute.
    """
    lacking, unknown = set(ATTRIBUTES) - set(values), set(values) - set(ATTRIBUTES)
    if lacking or unknown:
        fail(
            "Attribute record",
            got=f"without {sorted(lacking)}, with {sorted(unknown)}",
            wanted="every attribute of the paper once",
            fix='Use "any" to leave one open.',
        )
    for name, value in values.items():
        attribute = ATTRIBUTES[name]
        known = value in (NONE, ANY, *attribute.values) or (
            bool(attribute.colors)
            and value.endswith(attribute.values)
            and split_color(name, value)[0] in attribute.colors
        )
        if not known:
            fail(
                f"Attribute {name!r}",
                got=repr(value),
                fix="See toolkit.dataset.vocabulary.",
                wanted=f"one of {', '.join((NONE, ANY, *attribute.values))}",
            )
    return dict(values)
