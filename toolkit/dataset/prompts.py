"""From attributes to the prompt of a picture: by a language model, or by a template grammar.

A prompt must name every required attribute, show the whole body of one person, and be neither too
short nor too long. Who breaks that is told what is wrong and asked again.
"""

import re
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from toolkit.dataset.chat import Chat
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.vocabulary import ATTRIBUTES, GROUPS
from toolkit.errors import fail

MIN_WORDS, MAX_WORDS = 20, 160  # 160 words stay below the 256 tokens of the smallest text encoder
FULL_BODY = ("full body", "full length", "head to toe", "whole body", "head to feet")
NOT_FULL_BODY = (
    "close up",
    "closeup",
    "headshot",
    "head shot",
    "half body",
    "upper body shot",
    "waist up",
    "cropped",
    "bust portrait",
)
NOT_ALONE = ("two people", "group of", "couple", "crowd of", "several people", "twins")
FILLER = {"a", "an", "the", "in", "of", "with", "and", "on", "at", "his", "her", "their", "about"}
HAIR, REACH = ("hair", "cut", "bob", "bun", "ponytail"), 4  # words that mean hair; how near is near
SAME = {"woman": ("woman", "female", "lady"), "man": ("man", "male", "gentleman")}
SYSTEM = (
    "You write prompts for a text-to-image model. You are given the attributes of one adult. "
    "Write one paragraph of 40 to 110 words that describes a picture of this person. Use the words "
    "of every attribute as they are given. Show the full body from head to toe, one person alone, "
    "facing the camera, feet visible. Do not mention what is absent. Answer with the prompt only."
)


@dataclass(frozen=True)
class PromptRecord:
    """A prompt and all that is needed to write it again.

    Attributes:
        index, seed: of the attribute record.
        values: its attributes.
        text: the prompt.
        model: hub id, server's name for it, or "template grammar".
        revision: of the model's weights.
        prompt_seed: that the accepted answer was drawn with.
        attempts: how many answers it took.
    """

    index: int
    seed: int
    values: dict[str, str]
    text: str
    model: str
    revision: str
    prompt_seed: int
    attempts: int

    @property
    def attributes(self) -> AttributeRecord:
        return AttributeRecord(self.index, self.seed, self.values)

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> "PromptRecord":
        """Read back `to_json`; an unknown or missing key is a TypeError."""
        record = cls(**data)
        AttributeRecord.from_json(data)  # checks the values
        return record


class Writer(Protocol):
    """Whatever turns attributes into a prompt."""

    def write(self, record: AttributeRecord) -> PromptRecord: ...


def words_of(text: str) -> list[str]:
    """Lower-case words; hyphens separate, possessives go."""
    return re.findall(r"[a-z0-9]+", text.lower().replace("’", "'").replace("'s", ""))


def _stem(word: str) -> str:
    """Enough to let "smiles" stand for "smiling" and "walks" for "walking"."""
    for ending in ("ing", "ies", "es", "ed", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def mentions(text: str, value: str, *, in_order: bool = False, near: tuple[str, ...] = ()) -> bool:
    """True if a text names an attribute's value.

    Args:
        text: the prompt.
        value: of the attribute; "man" and "woman" have synonyms, little words do not count.
        in_order: its words must follow each other with one other word between them at most, so
            that "a red cap, blue jeans" has no red jeans.
        near: it must stand within `REACH` words of one of these: black hair, not black shoes.
    """
    said = [_stem(word) for word in words_of(text)]
    wanted = [_stem(word) for word in words_of(value) if word not in FILLER]
    if value in SAME:
        return any(_stem(word) in said for word in SAME[value])
    if not in_order and not near:
        return set(wanted) <= set(said)
    spots = [i for i, word in enumerate(said) if word == wanted[0]]
    for word in wanted[1:]:
        spots = [k for i in spots for k in (i + 1, i + 2) if said[k : k + 1] == [word]]
    anchors = [i for i, word in enumerate(said) if word in near]
    return any(not near or any(abs(i - k) <= REACH for k in anchors) for i in spots)


def check_prompt(text: str, record: AttributeRecord) -> list[str]:
    """What is wrong with a prompt, in words that can be sent back to its writer; [] if nothing."""
    plain = " ".join(words_of(text))
    lacking = [
        f"{name}: {value}"
        for name, value in record.required.items()
        if not mentions(
            text,
            value,
            in_order=bool(ATTRIBUTES[name].colors),
            near=HAIR if name in ("hair color", "hair type") else (),
        )
    ]
    problems = [f"it does not mention {'; '.join(lacking)}"] if lacking else []
    if not any(phrase in plain for phrase in FULL_BODY):
        problems.append('it does not say "full body"')
    problems += [f'it says "{p}"' for p in (*NOT_FULL_BODY, *NOT_ALONE) if f" {p} " in f" {plain} "]
    if not MIN_WORDS <= len(plain.split()) <= MAX_WORDS:
        problems.append(f"it has {len(plain.split())} words instead of {MIN_WORDS} to {MAX_WORDS}")
    return problems


def clean(answer: str) -> str:
    """A model's answer on one line, without the label and quotes that some put around it."""
    text = re.sub(r"\s+", " ", answer).strip()
    text = re.sub(r"^(here is[^:]{0,40}|prompt)\s*:\s*", "", text, flags=re.IGNORECASE)
    return text.strip("\"“”'`* ")


def describe(record: AttributeRecord) -> str:
    """The attributes as the message to a language model, group by group."""
    lines = []
    for group, names in GROUPS.items():
        told = [f"{name}: {record.required[name]}" for name in names if name in record.required]
        lines += [f"{group} - {'; '.join(told)}"] if told else []
    return "\n".join(lines)


@dataclass(frozen=True)
class ChatWriter:
    """Prompts by a language model, checked, with the faults sent back for another try.

    Attributes:
        chat: the model.
        tries: answers before it gives up.
        seed: with another one the same attributes get another prompt.
    """

    chat: Chat
    tries: int = 4
    seed: int = 0

    def write(self, record: AttributeRecord) -> PromptRecord:
        """Ask until an answer passes `check_prompt`.

        Raises:
            InputError: none did; the message tells the last faults and the last answer.
        """
        ask = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": describe(record)}]
        messages, text, problems = ask, "", ["nothing"]
        for attempt in range(self.tries):
            seed = int(
                np.random.default_rng([self.seed, record.seed, record.index, attempt]).integers(
                    2**31
                )
            )
            text = clean(self.chat(messages, seed=seed))
            problems = check_prompt(text, record)
            if not problems:
                return PromptRecord(
                    record.index,
                    record.seed,
                    record.values,
                    text,
                    self.chat.name,
                    self.chat.revision,
                    seed,
                    attempt + 1,
                )
            again = f"Write it again, because {'; '.join(problems)}. Answer with the prompt only."
            messages = [
                *ask,
                {"role": "assistant", "content": text or "-"},
                {"role": "user", "content": again},
            ]
        fail(
            f"Prompt {record.index} by {self.chat.name}",
            got=f"{self.tries} answers, of the last {'; '.join(problems)}: {text[:200]!r}",
            wanted="one that passes check_prompt",
            fix="Use a larger model, or the templates.",
        )
