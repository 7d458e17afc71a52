"""A sentence to an avatar: words to attributes, the rest by chance, a picture, `build_avatar`."""

import os
from dataclasses import dataclass
from pathlib import Path

from toolkit.dataset.chat import Chat
from toolkit.dataset.draws import sample_record
from toolkit.dataset.factors import COLOR, FACTORS, levels_of
from toolkit.dataset.image_check import check_image
from toolkit.dataset.images import Drawing, ImageMaker
from toolkit.dataset.images_procedural import ProceduralImages
from toolkit.dataset.prompts import Writer
from toolkit.dataset.prompts_chat import ChatWriter
from toolkit.dataset.prompts_templates import TemplateWriter
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.vocabulary import NONE
from toolkit.dataset.words import Reading, read_words
from toolkit.dataset.words_chat import read_words_by_chat
from toolkit.errors import fail
from toolkit.pipeline import AvatarResult, build_avatar
from toolkit.profiles.base import PipelineConfig
from toolkit.run.folder import Record
from toolkit.run.progress import Progress
from toolkit.weights.licences import licences_of

PICTURES = 4  # drawn until one passes the checks
# Where the words do not say what the person does: an avatar is best made from a calm stance.
CALM = {"activity": (NONE,), "pose": ("standing",)}


@dataclass(frozen=True)
class TextModels:
    """What reads the words, writes the prompt and draws the picture.

    Attributes:
        images: draws the prompt.
        chat: a language model that reads the words and writes the prompt; None takes grammars.
    """

    images: ImageMaker
    chat: Chat | None = None


def text_to_avatar(
    text: str,
    out_dir: str | os.PathLike,
    *,
    seed: int = 0,
    models: TextModels | None = None,
    config: PipelineConfig | None = None,
    resume: bool = False,
) -> AvatarResult:
    """Make the person that a sentence describes.

    Nothing is written before the words are understood and a picture has passed the checks.
    `report.json` gets an entry "description": what the words said, what was sampled, what the
    picture does not show and which words were not understood.

    Args:
        text: English, about one adult.
        out_dir: folder for the results; the picture is `photo.png` in it.
        seed: of what the words leave open, of the picture and of the avatar.
        models: None takes the embedded profile's, which need no weights.
        config: of `build_avatar`; None takes the profile's defaults and `seed`.
        resume: as in `build_avatar`.

    Raises:
        InputError: words that are not understood or contradict each other, or no usable picture.
    """
    models = models or TextModels(ProceduralImages())
    if os.path.isfile(out_dir):
        fail("Output folder", got="a file", wanted="a folder", fix="Choose another --out.")
    with Progress("words"):
        reading = read(text, models.chat, seed)
        record = complete(reading, seed)
    with Progress("picture"):
        drawing = draw_checked(record, models, seed)
    photo = drawing.save(Path(out_dir), "photo")
    config = config or PipelineConfig(seed=seed)
    result = build_avatar(photo, out_dir, config, resume=resume)
    report = Record(result.report | {"description": describe(text, reading, record, drawing)})
    report["licences"] = licences_of(report)
    report.save(Path(out_dir) / "report.json")
    return AvatarResult(**vars(result) | {"report": report})


def read(text: str, chat: Chat | None, seed: int = 0) -> Reading:
    """The attributes in a text: by the grammar, or by a language model if there is one.

    Args:
        text: about one adult.
        chat: a language model, or None.
        seed: of the language model.

    Raises:
        InputError: the text cannot be understood.
    """
    return read_words(text) if chat is None else read_words_by_chat(chat, text, seed=seed)


def complete(reading: Reading, seed: int) -> AttributeRecord:
    """A whole record: what the words say, a calm stance unless they say more, the rest by chance.

    Args:
        reading: of a text.
        seed: of what is left open.

    Raises:
        InputError: the words contradict each other, such as a bald person with brown hair.
    """
    fixed = dict(reading.fixed)
    if "activity" not in fixed:
        fixed |= {"activity": CALM["activity"]} | ({} if "pose" in fixed else CALM)
    return sample_record(0, seed, fixed=fixed)


def draw_checked(record: AttributeRecord, models: TextModels, seed: int) -> Drawing:
    """A picture of the record that passes the checks; a few seeds are tried.

    Args:
        record: who is to be drawn.
        models: what writes the prompt and draws.
        seed: of the first picture, 0 or more.

    Raises:
        InputError: no picture passed; the message holds the last fault.
    """
    writer: Writer = TemplateWriter(seed) if models.chat is None else ChatWriter(models.chat)
    prompt = writer.write(record)
    fault = None
    for attempt in range(PICTURES):
        drawing = models.images.draw(prompt, seed=(seed + 7919 * attempt) % 1_000_000)
        fault = check_image(drawing.image)
        if fault is None:
            return drawing
    fail(
        f"Picture of {prompt.text[:60]!r}",
        got=f"{PICTURES} pictures, the last: {fault.reason} ({fault.detail})",
        wanted="one whole, sharp person",
        fix="Try another --seed.",
    )


def describe(text: str, reading: Reading, record: AttributeRecord, drawing: Drawing) -> dict:
    """The report's entry: where every attribute comes from.

    Args:
        text: as the user wrote it.
        reading: of the text.
        record: of the person.
        drawing: of the record.
    """
    levels = levels_of(record.values)
    said, chosen, sampled = {}, {}, {}
    for name, level in levels.items():
        if name not in reading.fixed:
            (sampled if name not in CALM or "activity" in reading.fixed else chosen)[name] = level
            continue
        said[name] = {"value": level, "words": reading.evidence[name]}
        if len(reading.fixed[name]) > 1:
            said[name]["sampled_from"] = list(reading.fixed[name])
    not_shown = [
        n for n in FACTORS if n.removesuffix(COLOR) in drawing.record.ignored and n in said
    ]
    return {
        "text": text,
        "said": said,
        "default": chosen,
        "sampled": sampled,
        "said_but_not_drawn": not_shown,
        "not_understood": list(reading.unread),
        "prompt": drawing.record.prompt.text,
        "picture": {
            "model": drawing.record.model,
            "prompt_by": drawing.record.prompt.model,
            "seed": drawing.record.image_seed,
        },
    }
