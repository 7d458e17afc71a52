"""Attribute records: who is to be drawn, decided before any prompt is written."""

from dataclasses import asdict, dataclass

from toolkit.dataset.vocabulary import ANY, ATTRIBUTES, NONE, split_color
from toolkit.errors import fail


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
