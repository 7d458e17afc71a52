"""English to attributes by a language model: it may use the vocabulary only, and is checked."""

from toolkit.dataset.chat import Chat
from toolkit.dataset.factors import FACTORS
from toolkit.dataset.selection import choices_of, resolve
from toolkit.dataset.vocabulary import ANY, ATTRIBUTES, COLORS
from toolkit.dataset.words import Reading
from toolkit.errors import InputError, fail


def system_message() -> str:
    """The task and the vocabulary, for the language model."""
    lines = [
        "A user describes one adult. List the attributes that the description states, one per "
        'line, as "attribute: value". Use only the attributes and values below, the nearest '
        "value if the words differ, and leave out what is not stated. For something that the "
        'person does not have, the value is "none". Answer with the list only.',
        f"A garment's value may start with a colour: {', '.join(COLORS)}.",
    ]
    return "\n".join([*lines, *(f"{a.name}: {', '.join(a.values)}" for a in ATTRIBUTES.values())])


def read_words_by_chat(chat: Chat, text: str, *, seed: int = 0, tries: int = 3) -> Reading:
    """Let a language model read free English.

    Args:
        chat: the language model.
        text: about one adult.
        seed: of its sampling.
        tries: number of answers after which to give up, >= 1.

    Returns:
        What it found; "unread" is empty, since a model does not say what it skipped.

    Raises:
        InputError: no answer names known attributes only.
    """
    request = [{"role": "system", "content": system_message()}, {"role": "user", "content": text}]
    messages, problems = request, ["nothing"]
    for attempt in range(tries):
        answer = chat(messages, seed=seed + attempt)
        fixed, evidence, problems = parse_answer(answer)
        if fixed and not problems:
            return Reading(fixed, evidence, ())
        problems = problems or ["it names no attribute"]
        messages = [
            *request,
            {"role": "assistant", "content": answer or "-"},  # servers refuse an empty message
            {"role": "user", "content": f"Write the list again, because {'; '.join(problems)}."},
        ]
    fail(
        f"Description, read by {chat.name}",
        got=f"{tries} answers, of the last: {'; '.join(problems)[:300]}",
        wanted="a list of known attributes and values",
        fix="Use a larger model, or the grammar of the embedded profile.",
    )


def parse_answer(answer: str) -> tuple[dict[str, tuple[str, ...]], dict[str, str], list[str]]:
    """Read a model's list of attributes.

    Args:
        answer: lines "attribute: value".

    Returns:
        (factor -> levels, factor -> the line, what is wrong in words that can be sent back).
    """
    fixed: dict[str, tuple[str, ...]] = {}
    evidence: dict[str, str] = {}
    problems = []
    for line in answer.splitlines():
        name, colon, value = (part.strip(" -*\t`.") for part in line.partition(":"))
        if line.strip() and not colon:
            problems.append(f"{line[:60]!r} has no colon")
        if not colon or value in ("", ANY):
            continue
        try:
            parts = resolve(name.lower() if name.lower() in ATTRIBUTES else name, value)
            choices_of({name.lower(): value}, {})
        except InputError as error:
            problems.append(str(error).split(". ")[0])
            continue
        for factor, levels in parts.items():
            fixed[factor] = tuple(v for v in FACTORS[factor].levels if v in levels)
            evidence[factor] = line.strip()
    return fixed, evidence, problems
