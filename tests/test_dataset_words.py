"""Words to attributes: the grammar's prompts come back whole, free English is understood."""

import pytest

from toolkit.dataset.balance import balanced_records
from toolkit.dataset.factors import FACTORS, PLACE
from toolkit.dataset.lexicon import CLOTH_WORDS, HAIR_WORDS, PHRASES
from toolkit.dataset.prompts_templates import TemplateWriter
from toolkit.dataset.rules import contradictions
from toolkit.dataset.text_to_avatar import complete
from toolkit.dataset.vocabulary import ATTRIBUTES, COLORS, HAIR_COLORS, PLACES
from toolkit.dataset.words import read_words
from toolkit.dataset.words_age import level_of
from toolkit.dataset.words_chat import parse_answer, read_words_by_chat, system_message
from toolkit.errors import InputError

NUM_PARSED = 2000


def said(record):
    return {PLACE if n in PLACES else n: v for n, v in record.required.items()}


def test_the_grammar_loses_no_attribute():
    """Each prompt is read back: the same attributes, no more, no less, and no word left over."""
    writer = TemplateWriter(seed=4)
    for record in balanced_records(NUM_PARSED, seed=11):
        reading = read_words(writer.write(record).text)
        assert reading.values == said(record) and not reading.unread


def test_a_prompt_that_lost_a_word_does_not_come_back_whole():
    for record in balanced_records(20, seed=2):
        text = TemplateWriter().write(record).text
        for name, value in record.required.items():
            if text.count(value) == 1 and name in ("upper body", "hair color", "body shape"):
                assert read_words(text.replace(value, "")).values != said(record)


@pytest.mark.parametrize(
    "text, values",
    [
        (
            "a woman in her thirties in a green hoodie",
            {"gender": "woman", "age": "in the thirties", "upper body": "green hoodie"},
        ),
        (
            "An elderly white man without glasses, in a dark blue sweater and beige pants.",
            {
                "ethnicity": "White",
                "gender": "man",
                "glasses": "none",
                "upper body": "navy sweater",
                "lower body": "beige trousers",
            },
        ),
        (
            "young Black athlete with curly hair running on the beach in orange shorts, no hat",
            {
                "ethnicity": "Black",
                "occupation": "athlete",
                "hair type": "curly",
                "activity": "running",
                "place": "sandy beach",
                "lower body": "orange shorts",
                "hat": "none",
            },
        ),
        (
            "black woman with short curly red hair in a purple skirt",
            {
                "ethnicity": "Black",
                "gender": "woman",
                "hair style": "short hair",
                "hair type": "curly",
                "hair color": "ginger",
                "lower body": "purple skirt",
            },
        ),
        (
            "a man aged 42, clean-shaven; his hair is brown, in a bun. Jeans, blue, and a T-shirt",
            {
                "age": "in the forties",
                "gender": "man",
                "hair color": "brown",
                "hair style": "hair bun",
                "lower body": "blue jeans",
                "upper body": "t-shirt",
            },
        ),
        ("she is jumping in a turquoise dress", {"gender": "woman", "activity": "jumping",
                                                 "upper body": "teal dress"}),
        ("a slim lady in red", {"body shape": "slim", "gender": "woman",
                                "upper body color": "red"}),
        ("a chef, hands on his hips", {"occupation": "chef", "pose": "hands on hips",
                                       "gender": "man"}),
    ],
)  # fmt: skip
def test_free_english(text, values):
    reading = read_words(text)
    found = dict(reading.values)
    if "upper body color" in values:
        found["upper body color"] = reading.fixed["upper body color"][0]
    assert found == values and not reading.unread


def test_colours_belong_to_their_nouns():
    reading = read_words("a red cap, blue jeans and a white t-shirt, black hair and green boots")
    assert reading.values == {
        "hat": "red baseball cap",
        "lower body": "blue jeans",
        "upper body": "white t-shirt",
        "hair color": "black",
        "shoes": "green boots",
    }


def test_a_choice_is_left_where_the_words_leave_one():
    reading = read_words("a young Asian woman with glasses and a hat")
    assert len(reading.fixed["ethnicity"]) == 3 and len(reading.fixed["age"]) == 2
    assert reading.fixed["hat"] == ("baseball cap", "beanie")
    assert reading.fixed["glasses"] == ("round glasses", "square glasses")
    assert "hat" not in reading.values
    narrowed = read_words("a young woman in her late twenties")
    assert narrowed.values["age"] == "in the late twenties"


def test_what_is_not_understood_is_listed():
    reading = read_words("a tall woman in a yellow raincoat with a polka-dot umbrella")
    assert reading.unread == ("tall", "yellow", "raincoat", "polka", "dot")
    assert reading.values["carried items"] == "umbrella"
    assert reading.evidence["gender"] == "woman"


@pytest.mark.parametrize(
    "text, words",
    [
        ("a boy in a hat", "adult"),
        ("a 12 year old", "18 to 110"),
        ("someone aged 150", "18 to 110"),
        ("lorem ipsum", "words for a person"),
        ("", "words for a person"),
        ("a man and a woman", "'man' and 'woman'"),
        ("a woman in her thirties, 52 years old", "age"),
    ],
)
def test_errors_are_one_sentence(text, words):
    with pytest.raises(InputError, match=words):
        read_words(text)


@pytest.mark.parametrize("text", ["a bald man with black hair", "a woman with a full beard",
                                  "a builder in sneakers", "a dress and blue jeans"])  # fmt: skip
def test_words_that_contradict_a_rule_are_an_error(text):
    with pytest.raises(InputError, match="Choice of attributes"):
        complete(read_words(text), seed=0)


@pytest.mark.parametrize("years, words", [(18, "about 20"), (25, "late twenties"), (39, "thirties"),
                                          (70, "over 70"), (99, "over 70")])  # fmt: skip
def test_ages(years, words):
    assert words in level_of(years)
    assert read_words(f"a {years}-year-old").fixed["age"] == (level_of(years),)


def test_the_lexicon_names_known_levels_only():
    assert {*CLOTH_WORDS.values()} == set(COLORS) and {*HAIR_WORDS.values()} == set(HAIR_COLORS)
    for meanings in PHRASES.values():
        for factor, levels in meanings:
            assert levels and set(levels) <= set(FACTORS[factor].levels)


def test_the_rest_is_sampled_and_calm():
    reading = read_words("a woman in a green hoodie")
    records = [complete(reading, seed) for seed in range(25)]
    assert all(r.values["upper body"] == "green hoodie" for r in records)
    assert all(r.values["pose"] == "standing" for r in records)
    assert len({r.values["age"] for r in records}) > 3
    assert not any(contradictions(r.values) for r in records)
    running = complete(read_words("a man running"), 0)
    assert running.values["activity"] == "running" and running.values["pose"] == "any"
    assert complete(read_words("a man, arms crossed"), 0).values["pose"] == "arms crossed"


# --- by a language model ---


class Scripted:
    name, revision = "scripted", "none"

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, messages, *, seed):
        self.asked.append(messages)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def test_a_language_model_may_use_the_vocabulary_only():
    good = "gender: woman\n- Upper body: green hoodie\nhat: none\nurban: city street"
    chat = Scripted("gender: woman\nupper body: green raincoat", "I see a woman.", good)
    reading = read_words_by_chat(chat, "a lady in a green hoodie")
    assert reading.values == {
        "gender": "woman",
        "upper body": "green hoodie",
        "hat": "none",
        "place": "city street",
    }
    assert "raincoat" in chat.asked[1][-1]["content"] and "colon" in chat.asked[2][-1]["content"]
    assert all(name in system_message() for name in ATTRIBUTES)
    with pytest.raises(InputError, match="scripted"):
        read_words_by_chat(Scripted("A cat."), "a lady", tries=2)
    assert parse_answer("occupation: any")[0] == {}
