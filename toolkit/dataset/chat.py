"""What the prompt writer needs of a language model: one call that answers a conversation.

Two classes implement it: `chat_transformers.TransformersChat` runs a model on this machine, and
`chat_server.ServerChat` asks a server that speaks OpenAI's protocol.
"""

import re
from collections.abc import Sequence
from typing import Protocol

# A conversation: {"role": "system" | "user" | "assistant", "content": text}, oldest first.
Messages = Sequence[dict[str, str]]


class Chat(Protocol):
    """A conversation goes in, the assistant's next message comes out.

    The same conversation and seed give the same answer (a server may not keep to this).

    Attributes:
        name: of the model; it is written into the records.
        revision: of the model's weights; it is written into the records.
    """

    name: str
    revision: str

    def __call__(self, messages: Messages, *, seed: int) -> str: ...


def strip_thinking(text: str) -> str:
    """Remove the <think> blocks that a reasoning model writes before its answer.

    A block that never ends was cut off by the token limit: everything after it is removed too.
    """
    return re.sub(r"<think>.*?(</think>|$)", "", text, flags=re.DOTALL).strip()
