"""A chat model behind a server that speaks OpenAI's protocol, such as vLLM or llama-server.

`huggingface_hub.InferenceClient` talks to the server. What it lacks is added here: retries, a
check of the answer, and messages in the form of `toolkit.errors`.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import ChatCompletionOutput, InferenceClient, close_session
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,  # the base class of all errors of the HTTP library below huggingface_hub
    OfflineModeIsEnabled,
)

from toolkit.dataset.chat import Messages, strip_thinking
from toolkit.errors import InputError, MissingCapabilityError, fail

# Status codes that may go away by themselves: time-outs, rate limits, a server that is starting.
RETRY_STATUS = {408, 409, 425, 429, 500, 502, 503, 504}
MAX_WAIT_S = 60.0
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ServerChat:
    """A model behind `/v1/chat/completions`.

    Attributes:
        url: of the server, with or without "/v1" at its end.
        name: of the model, as the server calls it.
        api_key: sent as a bearer token, if there is one; never written into a record.
        timeout_s: seconds to wait for the connection, and then for each part of the answer.
        retries: further attempts after a busy, broken or silent server.
        backoff_s: seconds before the first further attempt; doubled before each later one.
        temperature: of sampling.
        max_tokens: upper limit for one answer.
        revision: of the weights, for the records; the protocol does not tell it.
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
        """Ask the server, and ask again while the trouble may pass.

        Args:
            messages: the conversation, oldest first.
            seed: sent to the server; not every server keeps to it. After an empty answer, or one
                that was cut off, the next seed is tried.

        Returns:
            The answer, without a reasoning model's <think> blocks.

        Raises:
            MissingCapabilityError: the server cannot be reached, stays busy or answers nonsense.
            InputError: the server refuses the request (a wrong model name, key or size).
        """
        trouble, asked_to_wait = "", 0.0
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(max(self.backoff_s * 2 ** (attempt - 1), asked_to_wait))
            try:
                return self._ask(messages, seed)
            except _Retry as error:
                trouble, asked_to_wait = str(error), error.wait_s
                # a server that keeps to the seed would give the same bad answer again
                seed += error.is_answer
        fail(
            f"Server {self.url}",
            got=f"{trouble}, {self.retries + 1} times",
            wanted="an answer",
            fix="Check that it runs and has loaded the model; its log says more.",
            kind=MissingCapabilityError,
        )

    def _ask(self, messages: Messages, seed: int) -> str:
        """One request; `_Retry` if another one may succeed."""
        bypass_proxy(urlsplit(self.url).hostname)
        # Without a key, InferenceClient would send the user's own Hugging Face token to this
        # server. A header of None keeps it back; that is why `api_key=` is not used here.
        authorization = f"Bearer {self.api_key}" if self.api_key else None
        client = InferenceClient(
            base_url=self.url, timeout=self.timeout_s, headers={"authorization": authorization}
        )
        try:
            completion = client.chat_completion(
                list(messages),
                model=self.name,
                seed=seed,
                temperature=self.temperature,
                max_tokens=self.max_tokens,
            )
        except HfHubHTTPError as error:  # the server answered with a status of 400 or more
            self._refused(error)
        except OfflineModeIsEnabled:
            fail(
                f"Server {self.url}",
                got="HF_HUB_OFFLINE=1, with which huggingface_hub sends no request at all",
                wanted="a connection",
                fix="Unset HF_HUB_OFFLINE.",
                kind=MissingCapabilityError,
            )
        except HTTPError as error:  # no connection, no answer in time, or half an answer
            raise _Retry(str(error) or type(error).__name__) from error
        except (ValueError, TypeError, AttributeError) as error:  # the answer is no JSON object
            raise _Retry(f"a malformed answer ({error})") from error
        return read_answer(completion)

    def _refused(self, error: HfHubHTTPError) -> NoReturn:
        status = error.response.status_code
        if status in RETRY_STATUS:
            raise _Retry(f"HTTP {status}", retry_after(error.response.headers)) from error
        fail(
            f"Server {self.url}",
            got=f"HTTP {status}: {error.response.text[:300]}",
            wanted="an answer",
            fix=f"Check that it serves the model {self.name!r}, and whether it wants a key.",
            kind=InputError,
        )


class _Retry(Exception):
    """Another attempt may succeed; the message says what went wrong."""

    def __init__(self, message: str, wait_s: float = 0.0, *, is_answer: bool = False):
        super().__init__(message)
        self.wait_s, self.is_answer = wait_s, is_answer


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a rate-limited server asks to wait, at most `MAX_WAIT_S`; 0 if it does not say.

    Args:
        headers: of its answer; "Retry-After" may also hold a date, which is not read.
    """
    try:
        return min(max(float(headers.get("retry-after", 0)), 0.0), MAX_WAIT_S)
    except ValueError:
        return 0.0


def bypass_proxy(host: str | None) -> None:
    """Connect to this machine directly, even where the environment names a proxy.

    A proxy cannot reach 127.0.0.1 of this machine. The host is therefore added to `no_proxy`, and
    huggingface_hub's session, which reads the environment only once, is made anew.

    Args:
        host: of the server; nothing is done for any other machine.
    """
    if host in THIS_MACHINE and getproxies() and not proxy_bypass(host):
        os.environ["no_proxy"] = ",".join(filter(None, [getproxies().get("no"), host]))
        close_session()


def read_answer(completion: ChatCompletionOutput) -> str:
    """The text of a chat completion; `_Retry` if it is malformed, empty or cut off."""
    try:
        choice = completion.choices[0]
        text, finish_reason = choice.message.content, choice.finish_reason
    except (IndexError, TypeError, AttributeError) as error:
        raise _Retry(f"a malformed answer ({str(completion)[:80]})") from error
    if not isinstance(text, str) or not strip_thinking(text):
        raise _Retry("an empty answer", is_answer=True)
    if finish_reason == "length":  # the model reached max_tokens in the middle of a sentence
        raise _Retry("an answer cut off at max_tokens", is_answer=True)
    return strip_thinking(text)
