"""Attribute records: who is to be drawn, sampled in balance before any prompt is written.

Record `index` of a `seed` is always the same, in whichever order the records are asked for. Each
attribute runs through its values in shuffled blocks. A block holds every value equally often, and
"none" and "any" as often as their shares say, so every prefix of the sequence is balanced.
"""

from collections.abc import Sequence
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

# A number of its own for each attribute: its shuffles are independent of all others.
SALT = {name: 101 + i for i, name in enumerate(ATTRIBUTES)}


@dataclass(frozen=True)
class AttributeRecord:
    """The attributes of one person.

    Attributes:
        index: of the record in its sequence, >= 0.
        seed: of the sequence.
        values: attribute -> value, "none" or "any"; holds every attribute of the paper.
    """

    index: int
    seed: int
    values: dict[str, str]

    @property
    def required(self) -> dict[str, str]:
        """The attributes that a prompt must mention.

        Absent ones ("none") are not among them: a text-to-image model draws what it reads, even in
        "without a hat".
        """
        return {name: value for name, value in self.values.items() if value not in (NONE, ANY)}

    def to_json(self) -> dict:
        """The record as dicts, strings and numbers."""
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

    Raises:
        InputError: a negative index.
    """
    if index < 0:
        fail("index", got=index, wanted="0 or more", fix="Count from 0.")
    values = {name: _draw(attribute, index, seed) for name, attribute in ATTRIBUTES.items()}
    # the paper has one attribute per kind of place, and a person stands in one place only
    kind_of_place = _at(tuple(PLACES), index, [seed, 98])
    values |= {kind: NONE for kind in PLACES if kind != kind_of_place}
    return AttributeRecord(index, seed, reconcile(values, np.random.default_rng([seed, 99, index])))


def sample_records(count: int, seed: int = 0, *, start: int = 0) -> list[AttributeRecord]:
    """Records `start` .. `start + count - 1` of the sequence that `seed` names.

    Args:
        count: number of records.
        seed: as in `sample_record`.
        start: index of the first one, >= 0.
    """
    return [sample_record(index, seed) for index in range(start, start + count)]


def _block(attribute: Attribute) -> list[str]:
    """Every value equally often, with "none" and "any" in their shares of the block."""
    named_share = 1 - attribute.none - attribute.any
    # Five copies of each value, so that the rounded counts of "none" and "any" fit their shares.
    repeats = 1 if max(attribute.none, attribute.any) == 0 else 5
    values = list(attribute.values) * repeats
    size = len(values) / named_share
    return values + [NONE] * round(attribute.none * size) + [ANY] * round(attribute.any * size)


def _at(values: Sequence[str], index: int, key: list[int]) -> str:
    """Element `index` of an endless row of copies of `values`, each copy shuffled anew."""
    block, place = divmod(index, len(values))
    return values[np.random.default_rng([*key, block]).permutation(len(values))[place]]


def _draw(attribute: Attribute, index: int, seed: int) -> str:
    """The value of an attribute in record `index`, before contradictions are taken out."""
    value = _at(_block(attribute), index, [seed, SALT[attribute.name]])
    if attribute.colors and value not in (NONE, ANY):
        color = _at(attribute.colors, index, [seed, SALT[attribute.name], 7])
        return f"{color} {value}"
    return value


def reconcile(values: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
    """Take out contradictions: hair type of a bald person, a beard on a woman, a sad laugh.

    Args:
        values: one value of every attribute; not changed.
        rng: chooses between repairs that are equally good.

    Returns:
        The values without contradictions.
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
    faces = EXPRESSIONS.get(v["emotion"])  # None where the emotion is left open
    if faces and v["facial expression"] not in (*faces, ANY):
        v["facial expression"] = faces[rng.integers(len(faces))]
    if v["activity"] != NONE:
        v["pose"] = ANY  # pose and activity both say how the body stands; the activity wins
    return v


def check_values(values: dict[str, str]) -> dict[str, str]:
    """Return a copy of the values if they hold every attribute once and all are known.

    Args:
        values: attribute -> value.

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
        is_known = value in (NONE, ANY, *attribute.values) or (
            bool(attribute.colors)
            and value.endswith(attribute.values)
            and split_color(name, value)[0] in attribute.colors
        )
        if not is_known:
            fail(
                f"Attribute {name!r}",
                got=repr(value),
                wanted=f"one of {', '.join((NONE, ANY, *attribute.values))}",
                fix="See toolkit.dataset.vocabulary.",
            )
    return dict(values)
