"""The command `text2avatar`; what it needs is imported when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.errors import fail
from toolkit.run.options import check_out_folder

if TYPE_CHECKING:
    from toolkit.dataset.text_to_avatar import TextModels


def text2avatar(
    text: Annotated[str, typer.Argument(help='e.g. "a woman in her thirties in a green hoodie"')],
    out: Annotated[Path, typer.Option(help="folder for the results")],
    profile: Annotated[str, typer.Option(help="embedded (CPU) or full (GPU)")] = "embedded",
    seed: Annotated[int, typer.Option(help="of what the words leave open")] = 0,
    chat: Annotated[
        str | None, typer.Option(help="full: model that reads and writes, or http://host:port#name")
    ] = None,
    images: Annotated[str | None, typer.Option(help="full: text-to-image preset")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on after a kill")] = False,
) -> None:
    """Turn a description in English into an avatar; what it does not say is sampled.

    report.json lists under "description" what the words said and what was sampled.
    """
    if profile not in ("embedded", "full"):
        fail("profile", got=repr(profile), wanted='"embedded" or "full"', fix="Or leave it out.")
    if not 0 <= seed < 1_000_000:
        fail("seed", got=seed, wanted="0 to 999999", fix="Leave it out for 0.")
    check_out_folder(out)

    from toolkit.dataset.text_to_avatar import text_to_avatar
    from toolkit.profiles.base import PipelineConfig
    from toolkit.weights.sets import pick

    if profile == "full":
        chat, images = chat or pick("prompts")[0], images or pick("images")[0]
    result = text_to_avatar(
        text,
        out,
        seed=seed,
        models=load_models(chat, images),
        config=PipelineConfig(profile=profile, seed=seed),
        resume=resume,
    )
    for line in summary(result.report["description"]):
        typer.echo(line)
    typer.echo(f"Done. Look at photo.png, compare.png and animation.mp4 in {result.out_dir}")


def load_models(chat: str | None, images: str | None) -> "TextModels":
    """The models that the options name; None takes a grammar and procedural people.

    Args:
        chat: a name in `toolkit.weights`, a folder, or "http://host:port#name".
        images: a preset of `toolkit.dataset.images_diffusers`.
    """
    from toolkit.dataset.images_procedural import ProceduralImages
    from toolkit.dataset.text_to_avatar import TextModels

    maker, model = ProceduralImages(), None
    if chat and chat.startswith(("http://", "https://")):
        from toolkit.dataset.chat_server import ServerChat

        url, _, name = chat.partition("#")
        model = ServerChat(url, name)
    elif chat:
        from toolkit.dataset.chat_transformers import TransformersChat

        model = TransformersChat.load(chat)
    if images:
        from toolkit.dataset.images_diffusers import DiffusionImages

        maker = DiffusionImages.load(images)
    return TextModels(maker, model)


def summary(description: dict) -> list[str]:
    """What the report says about the words, in a few lines.

    Args:
        description: the entry of the report.
    """
    said = [f"{name}: {entry['value']}" for name, entry in description["said"].items()]
    lines = ["Said:    " + ", ".join(said)]
    open_ones = [f"{name}: {value}" for name, value in description["sampled"].items()]
    lines.append("Sampled: " + ", ".join(open_ones))
    if description["said_but_not_drawn"]:
        lines.append("Not drawn: " + ", ".join(description["said_but_not_drawn"]))
    if description["not_understood"]:
        lines.append("Not understood: " + ", ".join(description["not_understood"]))
    return lines
