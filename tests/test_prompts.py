"""Prompts: what is checked, the template grammar, and language models that err."""

import json
import pickle
import re

import pytest

from toolkit.dataset.balance import balanced_records
from toolkit.dataset.draws import sample_record
from toolkit.dataset.prompts import NoPromptError, PromptRecord, count_rejects
from toolkit.dataset.prompts_chat import ChatWriter, clean, describe
from toolkit.dataset.prompts_check import check_prompt, find_faults, mentions, words_of
from toolkit.dataset.prompts_templates import TemplateWriter
from toolkit.dataset.vocabulary import split_color
from toolkit.errors import InputError

RECORD = sample_record(4)
GOOD = TemplateWriter().write(RECORD).text


class Scripted:
    """A chat that says what it is told, and remembers what it was asked."""

    name, revision = "scripted", "none"

    def __init__(self, *answers):
        self.answers, self.asked, self.seeds = list(answers), [], []

    def __call__(self, messages, *, seed):
        self.asked.append(list(messages))
        self.seeds.append(seed)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@pytest.mark.parametrize(
    "text, value, found",
    [
        ("a smiling woman", "smiling", True),
        ("she smiles", "smiling", True),
        ("a woman", "man", False),
        ("an elderly gentleman", "man", True),
        ("in her late twenties", "in the late twenties", True),
        ("in her twenties", "in the forties", False),
        ("a grey hoodie", "light grey hoodie", False),
        ("swept back hair", "swept-back hair", True),
        ("jeans, blue", "blue jeans", True),
        ("a human in a manteau", "man", False),
    ],
)
def test_mentions(text, value, found):
    assert mentions(text, value) == found


@pytest.mark.parametrize(
    "text, value, found",
    [
        ("a red cotton hoodie", "red hoodie", True),
        ("a red cap, blue jeans", "red jeans", False),
        ("blue hoodie, red jeans", "red hoodie", False),
        ("light grey polo shirts", "light grey polo shirt", True),
    ],
)
def test_colours_belong_to_their_garment(text, value, found):
    assert mentions(text, value, in_order=True) == found


@pytest.mark.parametrize(
    "text, found",
    [
        ("long black hair", True),
        ("hair: bob cut, wavy, black", True),
        ("her short hair, jeans, a shirt and black shoes", False),
        ("black shoes", False),
    ],
)
def test_hair_colour_belongs_to_hair(text, found):
    assert mentions(text, "black", near=("hair", "bob")) == found


def test_swapped_colours_are_noticed():
    record = next(
        r
        for r in balanced_records(50)
        if r.values["lower body"].startswith("navy")
        and "navy" not in r.values["upper body"] + r.values["shoes"]
    )
    text = TemplateWriter().write(record).text
    color = split_color("upper body", record.values["upper body"])[0]
    swapped = text.replace("navy", "@").replace(color, "navy").replace("@", color)
    problem = check_prompt(swapped, record)[0]
    assert "upper body" in problem and "lower body" in problem


def test_a_good_prompt_has_no_faults():
    assert check_prompt(GOOD, RECORD) == []


@pytest.mark.parametrize(
    "spoil, fault",
    [
        (lambda t: t.replace(RECORD.values["shoes"], "socks"), "shoes"),
        (
            lambda t: (
                t.lower()
                .replace("full-body", "tall")
                .replace("full body", "")
                .replace("full-length", "")
                .replace("head to toe", "")
            ),
            "full body",
        ),
        (lambda t: t + " Close-up.", "close up"),
        (lambda t: t + " Two people.", "two people"),
        (lambda t: t + " word" * 200, "words"),
        (lambda t: "", "words"),
    ],
)
def test_each_fault_is_named(spoil, fault):
    assert any(fault in problem for problem in check_prompt(spoil(GOOD), RECORD))


def test_grammar_passes_its_own_check_on_many_records():
    writer = TemplateWriter()
    texts = [writer.write(record).text for record in balanced_records(400, seed=9)]
    assert len(set(texts)) == len(texts)
    assert not [t for t in texts if "[" in t or "  " in t or " a a" in t or " a an " in t]


def test_grammar_is_seeded():
    first, again = TemplateWriter(1).write(RECORD), TemplateWriter(1).write(RECORD)
    others = {TemplateWriter(seed).write(RECORD).text for seed in range(8)}
    assert first == again and len(others) > 2


def test_what_is_absent_is_not_mentioned():
    bare = next(r for r in balanced_records(50) if r.values["hat"] == r.values["jewelry"] == "none")
    text = TemplateWriter().write(bare).text.lower()
    assert not {"hat", "none", "any", "without"} & set(text.split())
    assert "hat" not in describe(bare) and "none" not in describe(bare)


def test_record_round_trip():
    record = TemplateWriter().write(RECORD)
    assert PromptRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    assert record.attribute_record == RECORD


def test_first_good_answer_is_taken():
    chat = Scripted(f'Prompt: "{GOOD}"')
    record = ChatWriter(chat).write(RECORD)
    assert (record.text, record.attempts, record.model) == (GOOD, 1, "scripted")
    system, user = chat.asked[0]
    assert system["role"] == "system" and RECORD.values["upper body"] in user["content"]


def test_faults_are_sent_back():
    chat = Scripted("A cat.", GOOD)
    record = ChatWriter(chat).write(RECORD)
    assert record.attempts == 2 and record.prompt_seed == chat.seeds[1] != chat.seeds[0]
    assert chat.asked[1][2]["content"] == "A cat."
    assert "does not mention" in chat.asked[1][3]["content"]


def test_giving_up_is_one_clear_line():
    with pytest.raises(InputError, match="4 answers, of the last it does not mention.*A cat"):
        ChatWriter(Scripted("A cat.")).write(RECORD)


def test_rejects_are_counted_by_reason():
    bare = next(r for r in balanced_records(50) if r.values["hat"] == "none")
    good = TemplateWriter().write(bare).text
    age = bare.values["age"]
    chat = Scripted(good.replace(age, ""), f"{good} Close-up.", f"{good} No hat.", good)
    prompt = ChatWriter(chat).write(bare)
    assert prompt.rejects == {"lacks age": 1, "wrong framing": 1, "adds hat": 1}
    with pytest.raises(NoPromptError) as caught:
        ChatWriter(Scripted("A cat."), tries=2).write(bare)
    assert caught.value.rejects["too short"] == caught.value.rejects["lacks gender"] == 2
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.rejects == caught.value.rejects and str(again) == str(caught.value)
    total = count_rejects([prompt, prompt, caught.value])
    assert total["lacks age"] == 4 and total["adds hat"] == 2
    assert list(total.values()) == sorted(total.values(), reverse=True)


@pytest.mark.parametrize("record", balanced_records(60)[::5], ids=lambda r: str(r.index))
def test_each_attribute_is_checked_by_itself(record):
    """Take one attribute out of a good prompt: exactly this one is missed."""
    text = TemplateWriter().write(record).text
    for name, value in record.required.items():
        without = re.sub(re.escape(value), "", text, count=1)
        reasons = {fault.reason for fault in find_faults(without, record)}
        others = [v for n, v in record.required.items() if n != name]
        if not any(set(words_of(value)) & set(words_of(other)) for other in others):
            assert f"lacks {name}" in reasons, (name, without)


def test_seeds_differ_between_records_and_repeat():
    chats = [Scripted("A cat."), Scripted("A cat."), Scripted("A cat.")]
    for chat, index in zip(chats, (4, 4, 5), strict=True):
        with pytest.raises(InputError):
            ChatWriter(chat).write(sample_record(index))
    assert chats[0].seeds == chats[1].seeds != chats[2].seeds


@pytest.mark.parametrize(
    "answer",
    [
        '"A man."',
        "Prompt: A man.",
        "**A man.**",
        "A\n man. ",
        "Here is the prompt: A man.",
        "“A man.”",
    ],
)
def test_clean(answer):
    assert clean(answer) == "A man."
