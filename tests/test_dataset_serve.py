"""A real OpenAI-compatible server: `transformers serve` on loopback, with tiny random weights."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from toolkit.dataset.chat_server import ServerChat
from toolkit.dataset.draws import sample_record
from toolkit.dataset.prompts import NoPromptError
from toolkit.dataset.prompts_chat import ChatWriter
from toolkit.dataset.tiny import CHAT_TEMPLATE, tiny_llama

START_S = 300  # the server imports torch and transformers: seconds when idle, minutes when not
ENDS = 40  # of 279 tokens end an answer: random weights would go on to the limit otherwise
ASK = [{"role": "user", "content": "Say something."}]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(url, name of the model) of a running server."""
    folder = tmp_path_factory.mktemp("hub") / "tiny-llama"
    model, tokenizer = tiny_llama(CHAT_TEMPLATE)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(200, 200 + ENDS)]
    model.generation_config.do_sample = True  # the server samples only if the model's file says so
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    assert program.exists() or shutil.which("transformers"), "install the extra of transformers"
    log = open(folder.parent / "server.log", "w")
    server = subprocess.Popen(
        [str(program), "serve", str(folder), "--host", "127.0.0.1", "--port", str(port),
         "--device", "cpu"],
        stdout=log, stderr=subprocess.STDOUT,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
    )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, log.name)
        yield f"http://127.0.0.1:{port}", str(folder)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


def _wait(url, server, log):
    opener, until = build_opener(ProxyHandler({})), time.monotonic() + START_S
    while time.monotonic() < until:
        assert server.poll() is None, Path(log).read_text()[-2000:]
        try:
            opener.open(url, timeout=2).read()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no answer within {START_S} s: {Path(log).read_text()[-2000:]}")


@pytest.mark.slow
def test_a_served_model_answers_and_its_noise_never_passes_as_a_prompt(served):
    url, name = served
    chat = ServerChat(url, name, timeout_s=120, retries=8, backoff_s=0, max_tokens=200)
    answers = [chat(ASK, seed=seed) for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2], "the seed reaches the server"
    with pytest.raises(NoPromptError, match="2 answers, of the last it does not mention") as caught:
        ChatWriter(chat, tries=2).write(sample_record(3))
    assert caught.value.rejects["lacks gender"] == 2 and caught.value.rejects["no full body"] == 2
