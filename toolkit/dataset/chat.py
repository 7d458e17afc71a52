"""Any chat model behind one call: of transformers, or of a server that speaks OpenAI's protocol."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from toolkit.errors import InputError, MissingCapabilityError, fail
from toolkit.weights.table import WEIGHTS, require

DEFAULT_MODEL = "llama-3.3-70b"  # the paper's; "qwen2.5-7b" and "smollm2-1.7b" are small and free
DATE = "26 Jul 2024"  # Llama's template would print today's date, and prompts would depend on it
RETRY_STATUS = {408, 409, 425, 429, 500, 502, 503, 504}
Messages = Sequence[dict[str, str]]


class Chat(Protocol):
    """Messages in, the assistant's next message out; the same seed gives the same answer."""

    name: str  # of the model, for records
    revision: str

    def __call__(self, messages: Messages, *, seed: int) -> str: ...


def strip_thinking(text: str) -> str:
    """The answer without what a reasoning model thought aloud before it."""
    return re.sub(r"<think>.*?(</think>|$)", "", text, flags=re.DOTALL).strip()


class TransformersChat:
    """A causal language model of transformers with its own chat template."""

    def __init__(
        self,
        model,
        tokenizer,
        *,
        name: str,
        revision: str = "local",
        max_new_tokens: int = 220,
        temperature: float = 0.8,
    ):
        """Wrap a loaded model.

        Args:
            model: a `PreTrainedModel` with `generate`.
            tokenizer: with a chat template.
            name: for records.
            revision: of the weights, for records.
            max_new_tokens: of one answer.
            temperature: of sampling; 0 is greedy.
        """
        if not tokenizer.chat_template:
            fail(
                f"Model {name}",
                got="a tokenizer without a chat template",
                wanted="a chat (instruct) model",
                fix="Use its -Instruct or -Chat version.",
            )
        self.model, self.tokenizer = model.eval(), tokenizer
        self.name, self.revision = name, revision
        self.options = {"max_new_tokens": max_new_tokens, "do_sample": temperature > 0}
        if temperature > 0:
            self.options |= {"temperature": temperature, "top_p": 0.95}
        pad = tokenizer.pad_token_id
        self.options["pad_token_id"] = tokenizer.eos_token_id if pad is None else pad

    @classmethod
    def load(
        cls,
        model: str = DEFAULT_MODEL,
        *,
        dtype: str = "bfloat16",
        device_map: str = "auto",
        **options,
    ) -> "TransformersChat":
        """Load a row of `toolkit.weights.table` by name, or a local folder; never downloads.

        Args:
            model: e.g. "qwen2.5-7b", or the path of a folder that `save_pretrained` wrote.
            dtype: of the weights.
            device_map: of accelerate; "auto" spreads over GPUs and memory.
            options: of `__init__`.

        Raises:
            MissingFileError: no such weights here; the message says how to get them.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = require(model) if model in WEIGHTS or not Path(model).is_dir() else Path(model)
        net = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, device_map=device_map, local_files_only=True, use_safetensors=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        known = WEIGHTS.get(model)
        return cls(
            net,
            tokenizer,
            name=known.source if known else Path(model).name,
            revision=known.pin if known else "local",
            **options,
        )

    def __call__(self, messages: Messages, *, seed: int) -> str:
        """Answer; the global random state is left as it was."""
        import torch

        inputs = self.tokenizer.apply_chat_template(
            list(messages),
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            date_string=DATE,
        ).to(self.model.device)
        with torch.random.fork_rng(), torch.inference_mode():  # generate draws from the global RNG
            torch.manual_seed(seed)
            output = self.model.generate(**inputs, **self.options)
        answer = output[0, inputs["input_ids"].shape[1] :]
        return strip_thinking(self.tokenizer.decode(answer, skip_special_tokens=True))


@dataclass(frozen=True)
class ServerChat:
    """A model behind `/v1/chat/completions`: vLLM, llama.cpp's llama-server, and their kin.

    Attributes:
        url: of the server, with or without the final "/v1".
        name: of the model, as the server calls it.
        api_key: sent as a bearer token if given; never written into a record.
        timeout_s: of one request.
        retries: further attempts after a busy, broken or silent server.
        backoff_s: wait before the first of them; doubles each time.
        temperature: of sampling.
        max_tokens: of one answer.
    """

    url: str
    name: str
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 120.0
    retries: int = 3
    backoff_s: float = 1.0
    temperature: float = 0.8
    max_tokens: int = 220
    revision: str = "server"

    def __post_init__(self):
        if urlsplit(self.url).scheme not in ("http", "https"):
            fail(
                "Server url",
                got=repr(self.url),
                wanted="http://host:port or https://host",
                fix="E.g. http://127.0.0.1:8000 for vLLM.",
            )

    def __call__(self, messages: Messages, *, seed: int) -> str:
        """Ask the server.

        Raises:
            MissingCapabilityError: it cannot be reached, stays busy or answers nonsense.
            InputError: it refuses the request (wrong model name, key or size).
        """
        body = {
            "model": self.name,
            "messages": list(messages),
            "seed": seed,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        trouble = ""
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(self.backoff_s * 2 ** (attempt - 1))
            try:
                return read_answer(self._post(body))
            except _Retry as error:
                trouble = str(error)
        fail(
            f"Server {self.url}",
            got=f"{trouble}, {self.retries + 1} times",
            wanted="an answer",
            fix="Is it running, and is the model loaded? See its log.",
            kind=MissingCapabilityError,
        )

    def _post(self, body: dict) -> bytes:
        base = self.url.rstrip("/").removesuffix("/v1")
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(
            f"{base}/v1/chat/completions", json.dumps(body).encode(), headers
        )
        local = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        proxies = [urllib.request.ProxyHandler({})] if local else []  # no proxy to this machine
        try:
            opener = urllib.request.build_opener(*proxies)
            with opener.open(request, timeout=self.timeout_s) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            text = error.read(300).decode(errors="replace")
            if error.code in RETRY_STATUS:
                raise _Retry(f"HTTP {error.code}") from error
            fail(
                f"Server {self.url}",
                got=f"HTTP {error.code}: {text}",
                wanted="an answer",
                fix=f"Does it serve the model {self.name!r}, and does it want a key?",
                kind=InputError,
            )
        except (urllib.error.URLError, TimeoutError, ConnectionError, OSError) as error:
            raise _Retry(str(getattr(error, "reason", None) or error)) from error


class _Retry(Exception):
    """Worth another attempt."""


def read_answer(raw: bytes) -> str:
    """The text of a chat completion; `_Retry` if it is malformed, empty or cut off."""
    try:
        choice: Any = json.loads(raw)["choices"][0]
        text, reason = choice["message"]["content"], choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _Retry(f"a malformed answer ({raw[:80]!r})") from error
    if not isinstance(text, str) or not strip_thinking(text):
        raise _Retry("an empty answer")
    if reason == "length":
        raise _Retry("an answer cut off at max_tokens")
    return strip_thinking(text)
