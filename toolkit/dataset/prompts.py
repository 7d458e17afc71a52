"""The prompt of a picture and the record of how it was written.

Two classes write prompts: `prompts_chat.ChatWriter` asks a language model, and
`prompts_templates.TemplateWriter` fills sentences without one. Both check the result with
`prompts_check.check_prompt`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Protocol

from toolkit.dataset.records import AttributeRecord
from toolkit.errors import InputError


@dataclass(frozen=True)
class PromptRecord:
    """A prompt and all that is needed to write it again.

    Attributes:
        index: of the attribute record.
        seed: of the attribute record.
        values: of the attribute record: attribute -> value.
        text: the prompt.
        model: hub id, the server's name for the model, or "template grammar".
        revision: of the model's weights.
        prompt_seed: with which the accepted answer was drawn.
        attempts: number of answers until one was accepted.
        rejects: reason -> number of earlier answers that were refused for it.
    """

    index: int
    seed: int
    values: dict[str, str]
    text: str
    model: str
    revision: str
    prompt_seed: int
    attempts: int
    rejects: dict[str, int] = field(default_factory=dict)

    @property
    def attribute_record(self) -> AttributeRecord:
        """The attribute record that the prompt was written from."""
        return AttributeRecord(self.index, self.seed, self.values)

    def to_json(self) -> dict:
        """The record as dicts, strings and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> "PromptRecord":
        """Read back `to_json`.

        Raises:
            TypeError: an unknown or missing key.
            InputError: an unknown or missing attribute.
        """
        record = cls(**data)
        AttributeRecord.from_json(data)  # only to check the values
        return record


class Writer(Protocol):
    """Turns attributes into a prompt."""

    def write(self, record: AttributeRecord) -> PromptRecord: ...


class NoPromptError(InputError):
    """No answer of a language model passed the checks.

    Attributes:
        rejects: reason -> number of answers that were refused for it.
    """

    def __init__(self, message: str, rejects: dict[str, int]):
        super().__init__(message)
        self.rejects = rejects

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.rejects)  # it may cross to another process


def count_rejects(results: Iterable[PromptRecord | NoPromptError]) -> dict[str, int]:
    """Refused answers by reason, the most frequent first; one answer may have several reasons.

    Args:
        results: prompts, and the errors of records for which there is none.
    """
    total = sum((Counter(result.rejects) for result in results), Counter())
    return dict(total.most_common())
