"""Chat models: a tiny Llama, and a server on 127.0.0.1 that misbehaves in every way."""

import json
import os
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from huggingface_hub import close_session

from toolkit.dataset.chat import strip_thinking
from toolkit.dataset.chat_server import ServerChat
from toolkit.dataset.chat_transformers import TransformersChat
from toolkit.dataset.draws import sample_record
from toolkit.dataset.prompts_chat import ChatWriter
from toolkit.dataset.prompts_templates import TemplateWriter
from toolkit.dataset.tiny import CHAT_TEMPLATE, byte_tokenizer, tiny_llama
from toolkit.errors import InputError, MissingCapabilityError, MissingFileError

ASK = [{"role": "user", "content": "Say something."}]


def answer(text, reason="stop"):
    message = {"role": "assistant", "content": text}
    return 200, json.dumps({"choices": [{"message": message, "finish_reason": reason}]})


@contextmanager
def server(*script):
    """Answer request i with script[i], the last one for ever; yields (url, requests seen)."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(
                {
                    "path": self.path,
                    "body": json.loads(body),
                    "key": self.headers.get("Authorization"),
                }
            )
            status, text = script[min(len(seen), len(script)) - 1]
            if status == "slow":
                time.sleep(text)
                return
            if status == "cut":  # half of the body, then the connection ends
                self.send_response(200)
                self.send_header("Content-Length", str(2 * len(text)))
                self.end_headers()
                self.wfile.write(text.encode())
                return
            if status == "limit":  # too many requests, come back in so many seconds
                self.send_response(429)
                self.send_header("Retry-After", text)
                self.end_headers()
                return
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}", seen
    finally:
        httpd.shutdown()
        httpd.server_close()


def client(url, **options):
    return ServerChat(url, "a-model", **({"backoff_s": 0.0, "timeout_s": 5.0} | options))


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_request_is_openais(suffix):
    with server(answer(" Hello. ")) as (url, seen):
        assert client(url + suffix, api_key="secret")(ASK, seed=5) == "Hello."
    assert seen[0]["path"] == "/v1/chat/completions" and seen[0]["key"] == "Bearer secret"
    assert seen[0]["body"]["model"] == "a-model" and seen[0]["body"]["messages"] == ASK
    assert seen[0]["body"]["seed"] == 5


def test_key_is_neither_sent_nor_shown_unasked():
    with server(answer("Hi.")) as (url, seen):
        client(url)(ASK, seed=0)
    assert seen[0]["key"] is None
    assert "secret" not in repr(client("http://x", api_key="secret"))


def test_the_users_hub_token_is_not_sent_to_other_servers(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with server(answer("Hi.")) as (url, seen):
        client(url)(ASK, seed=0)
        client(url, api_key="own")(ASK, seed=0)
    assert [request["key"] for request in seen] == [None, "Bearer own"]


def test_proxy_is_not_used_for_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.org")
    close_session()  # the next request opens a new one, which reads the environment
    try:
        with server(answer("Hi.")) as (url, _):
            assert client(url)(ASK, seed=0) == "Hi."
        assert os.environ["no_proxy"] == "example.org,127.0.0.1"
    finally:
        close_session()


def test_offline_mode_is_named(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingCapabilityError, match="Unset HF_HUB_OFFLINE"):
        client("http://127.0.0.1:9")(ASK, seed=0)


@pytest.mark.parametrize(
    "bad",
    [
        (503, "busy"),
        (429, "slow down"),
        ("cut", '{"choices": [{"message"'),
        ("limit", "0"),
        ("limit", "Wed, 21 Oct 2026 07:28:00 GMT"),
        (500, "oops"),
        (200, "not json"),
        (200, "{}"),
        (200, "[]"),
        (200, '{"choices": []}'),
        answer(None),
        answer(""),
        answer("<think>hm"),
        answer(7),
        answer("It ends in the mid", reason="length"),
    ],
    ids=lambda b: f"{b[0]} {b[1][:22]}",
)
def test_trouble_is_tried_again(bad):
    with server(bad, bad, answer("At last.")) as (url, seen):
        assert client(url)(ASK, seed=0) == "At last."
    assert len(seen) == 3


@pytest.mark.parametrize(
    "bad, words",
    [
        ((503, "busy"), "HTTP 503, 3 times"),
        ((200, "not json"), "malformed"),
        (answer(""), "empty answer"),
    ],
)
def test_lasting_trouble_is_one_error(bad, words):
    with server(bad) as (url, seen):
        with pytest.raises(MissingCapabilityError, match=words):
            client(url, retries=2)(ASK, seed=0)
    assert len(seen) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
def test_refusal_is_not_tried_again(status):
    with server((status, "no such model")) as (url, seen):
        with pytest.raises(InputError, match=f"HTTP {status}: no such model"):
            client(url)(ASK, seed=0)
    assert len(seen) == 1


def test_silence_times_out():
    with server(("slow", 0.5), answer("Awake.")) as (url, seen):
        assert client(url, timeout_s=0.2)(ASK, seed=0) == "Awake."
    assert len(seen) == 2


def test_nobody_there():
    with server(answer("x")) as (url, _):
        pass
    with pytest.raises(MissingCapabilityError, match="refused"):
        client(url, retries=1)(ASK, seed=0)


def test_backoff_doubles(monkeypatch):
    waits = []
    monkeypatch.setattr("toolkit.dataset.chat_server.time.sleep", waits.append)
    with server((503, "busy")) as (url, _), pytest.raises(MissingCapabilityError):
        client(url, backoff_s=0.5, retries=3)(ASK, seed=0)
    assert waits == [0.5, 1.0, 2.0]


def test_a_bad_answer_is_not_asked_for_with_the_same_seed_again():
    script = [(503, "busy"), answer(""), answer("It ends", reason="length"), answer("Hi.")]
    with server(*script) as (url, seen):
        assert client(url)(ASK, seed=5) == "Hi."
    assert [request["body"]["seed"] for request in seen] == [5, 5, 6, 7]


def test_a_rate_limit_says_how_long_to_wait(monkeypatch):
    waits = []
    monkeypatch.setattr("toolkit.dataset.chat_server.time.sleep", waits.append)
    with server(("limit", "7"), ("limit", "0.1"), ("limit", "99999"), answer("Hi.")) as (url, _):
        assert client(url, backoff_s=0.5, retries=3)(ASK, seed=0) == "Hi."
    assert waits == [7.0, 1.0, 60.0]


def test_url_needs_a_scheme():
    with pytest.raises(InputError, match="http"):
        ServerChat("localhost:8000", "m")
    with pytest.raises(InputError, match="http"):
        ServerChat("file:///etc/hosts", "m")


def test_prompt_by_a_server():
    record = sample_record(2)
    good = TemplateWriter().write(record).text
    with server(answer("A dog."), (503, "busy"), answer(good)) as (url, seen):
        prompt = ChatWriter(client(url)).write(record)
    assert (prompt.text, prompt.model, prompt.attempts, len(seen)) == (good, "a-model", 2, 3)


def test_a_record_through_a_server_that_is_slow_wrong_cut_off_and_rate_limited():
    """Trouble of the server is no reject; an answer that lacks something is, for each reason."""
    record = sample_record(2)
    good = TemplateWriter().write(record).text
    shoes, top = record.values["shoes"], record.values["upper body"]
    script = [
        ("limit", "0"),
        answer(good.replace(shoes, "socks")),
        ("slow", 0.5),
        answer(good[:90], reason="length"),
        ("cut", good[:20]),
        answer(good.replace(shoes, "socks").replace(top, "scarf")),
        answer("A photo of two people."),
        answer(good),
    ]
    with server(*script) as (url, seen):
        prompt = ChatWriter(client(url, timeout_s=0.25)).write(record)
    assert (prompt.text, prompt.attempts, len(seen)) == (good, 4, len(script))
    assert prompt.rejects["lacks shoes"] == 3 and prompt.rejects["lacks upper body"] == 2
    assert prompt.rejects["not alone"] == prompt.rejects["too short"] == 1
    asked = [request["body"]["messages"][-1]["content"] for request in seen]
    assert f"shoes: {shoes}" in asked[2] and f"upper body: {top}" not in asked[2]
    assert f"shoes: {shoes}" in asked[6] and f"upper body: {top}" in asked[6]


@pytest.mark.parametrize(
    "text, left", [("<think>well</think> Hi.", "Hi."), ("Hi.", "Hi."), ("<think>never ends", "")]
)
def test_thinking_is_stripped(text, left):
    assert strip_thinking(text) == left


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A tiny random Llama, saved as a hub folder is and loaded back by path."""
    folder = tmp_path_factory.mktemp("hub") / "tiny-llama"
    model, tokenizer = tiny_llama()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return TransformersChat.load(str(folder), dtype="float32", device_map="cpu", max_new_tokens=16)


def test_llama_answers_and_repeats(llama):
    state = torch.get_rng_state()
    first = llama(ASK, seed=1)
    assert first and first == llama(ASK, seed=1) and first != llama(ASK, seed=2)
    assert torch.equal(state, torch.get_rng_state())
    assert (llama.name, llama.revision) == ("tiny-llama", "local")


def test_llama_sees_the_chat_and_no_date_of_today(llama):
    text = llama.tokenizer.apply_chat_template(
        ASK, tokenize=False, add_generation_prompt=True, date_string="26 Jul 2024"
    )
    assert "<|start|>user 26 Jul 2024\nSay something.<|end|><|start|>assistant" in text
    assert llama(ASK, seed=1) != llama(
        [*ASK, {"role": "assistant", "content": "No."}, *ASK], seed=1
    )


def test_noise_never_passes_as_a_prompt(llama):
    """The whole chain with the real classes: random weights are asked again, then given up."""
    with pytest.raises(InputError, match="tiny-llama"):
        ChatWriter(llama, tries=2).write(sample_record(0))


def test_base_model_without_template_is_refused():
    model, _ = tiny_llama()
    with pytest.raises(InputError, match="chat template"):
        TransformersChat(model, byte_tokenizer(None), name="base")
    TransformersChat(model, byte_tokenizer(CHAT_TEMPLATE), name="chat")


def test_missing_weights_say_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingFileError, match="hf download meta-llama/Llama-3.3-70B-Instruct"):
        TransformersChat.load()
    with pytest.raises(InputError, match="qwen2.5-7b"):
        TransformersChat.load("gpt-17")
