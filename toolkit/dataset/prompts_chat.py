"""Prompts by a language model: each answer is checked, and its faults are sent back."""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from toolkit.dataset.chat import Chat
from toolkit.dataset.prompts import NoPromptError, PromptRecord
from toolkit.dataset.prompts_check import check_prompt, find_faults
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.vocabulary import GROUPS

SYSTEM = (
    "You write prompts for a text-to-image model. You are given the attributes of one adult. "
    "Write one paragraph of 40 to 110 words that describes a picture of this person. Use the words "
    "of every attribute as they are given. Show the full body from head to toe, one person alone, "
    "facing the camera, feet visible. Do not mention what is absent. Answer with the prompt only."
)


@dataclass(frozen=True)
class ChatWriter:
    """Writes prompts with a language model.

    Attributes:
        chat: the model.
        tries: number of answers after which it gives up, >= 1.
        seed: another seed gives other prompts for the same attributes.
    """

    chat: Chat
    tries: int = 4
    seed: int = 0

    def write(self, record: AttributeRecord) -> PromptRecord:
        """Ask until an answer passes `check_prompt`.

        Args:
            record: the attributes to describe.

        Raises:
            NoPromptError: no answer passed; the message holds the last faults and the last answer.
        """
        request = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": describe(record)},
        ]
        messages, text, faults = request, "", []
        rejects: Counter[str] = Counter()
        for attempt in range(self.tries):
            seed = self._seed_of(record, attempt)
            text = clean(self.chat(messages, seed=seed))
            faults = check_prompt(text, record)
            if not faults:
                made_by = (self.chat.name, self.chat.revision, seed, attempt + 1, dict(rejects))
                return PromptRecord(record.index, record.seed, record.values, text, *made_by)
            rejects.update({fault.reason for fault in find_faults(text, record)})
            # The next request shows only the last answer and its faults, which keeps it short.
            again = f"Write it again, because {'; '.join(faults)}. Answer with the prompt only."
            messages = [
                *request,
                {"role": "assistant", "content": text or "-"},  # servers refuse an empty message
                {"role": "user", "content": again},
            ]
        raise NoPromptError(
            f"Prompt {record.index} by {self.chat.name}: got {self.tries} answers, of the last "
            f"{'; '.join(faults)}: {text[:200]!r}, wanted one that passes check_prompt. "
            "Use a larger model, or TemplateWriter.",
            dict(rejects),
        )

    def _seed_of(self, record: AttributeRecord, attempt: int) -> int:
        """A new seed for each attempt: with the old one, a model might repeat its answer."""
        rng = np.random.default_rng([self.seed, record.seed, record.index, attempt])
        return int(rng.integers(2**31))


def describe(record: AttributeRecord) -> str:
    """The attributes as the user's message to a language model, one line per group."""
    lines = []
    for group, names in GROUPS.items():
        items = [f"{name}: {record.required[name]}" for name in names if name in record.required]
        lines += [f"{group} - {'; '.join(items)}"] if items else []
    return "\n".join(lines)


def clean(answer: str) -> str:
    """A model's answer on one line, without the label and the quotes that some put around it."""
    text = re.sub(r"\s+", " ", answer).strip()
    text = re.sub(r"^(here is[^:]{0,40}|prompt)\s*:\s*", "", text, flags=re.IGNORECASE)
    return text.strip("\"“”'`* ")
