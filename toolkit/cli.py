"""The command line: `python -m toolkit COMMAND`; a user's mistake is one line and exit code 2."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.dataset import commands
from toolkit.dataset.text_command import text2avatar
from toolkit.errors import MissingFileError, ToolkitError, fail, printable
from toolkit.export.commands import animate, export
from toolkit.export.view_command import view
from toolkit.profiles.lhm_points import lhm_points
from toolkit.run.licences import licences
from toolkit.run.options import (
    PROFILES,
    REFINERS,
    check_choice,
    check_num_gaussians,
    check_number,
    check_out_folder,
    check_seed,
    check_views,
    parse_size,
)

if TYPE_CHECKING:
    from toolkit.refine.refit import FitConfig

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads must not spin beside numba's

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A single photo to a refined, animatable 3D human.",
)


app.command()(export)
app.command()(animate)
app.command()(view)


@app.callback()
def _root() -> None:
    """Keep `avatar` a sub-command however few commands there are."""


@app.command()
def avatar(  # noqa: PLR0913 - one argument per option
    photo: Annotated[Path, typer.Argument(help="a PNG, JPEG, HEIC or WebP of a person")],
    out: Annotated[Path, typer.Option(help="folder for the results")],
    profile: Annotated[str, typer.Option(help="embedded (CPU) or full (GPU)")] = "embedded",
    seed: Annotated[int, typer.Option(help="same seed, same files")] = 0,
    strength: Annotated[float | None, typer.Option(help="of SDEdit, 0..1; else the best")] = None,
    views: Annotated[int | None, typer.Option(help="frames of the turntable, 4k+1")] = None,
    gaussians: Annotated[int | None, typer.Option(help="how many, 10k to 80k")] = None,
    size: Annotated[str | None, typer.Option(help="of the turntable, HEIGHTxWIDTH")] = None,
    steps: Annotated[
        int | None, typer.Option(help="of SDEdit's schedule; embedded runs one of them")
    ] = None,
    refiner: Annotated[
        str | None, typer.Option(help="of the embedded profile: repairer or plain")
    ] = None,
    fit_steps: Annotated[int | None, typer.Option(help="of the refit")] = None,
    person: Annotated[
        int | None, typer.Option(help="of several people, the N-th from the left")
    ] = None,
    box: Annotated[
        str | None, typer.Option(help="or the one in x0,y0,x1,y1, in pixels of the photo")
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option(help="the body from SAM 3D Body, NLF, PromptHMR, ...: npz or json"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on after a kill")] = False,
) -> None:
    """Turn PHOTO into coarse and refined animatable Gaussians, with pictures and a report.

    An option that is left out takes the profile's default.
    """
    check_choice("profile", profile, PROFILES)
    check_choice("refiner", refiner, REFINERS)
    check_seed(seed)
    check_views(views)
    check_num_gaussians(gaussians)
    clip_size = parse_size(size)
    for name, value, low, high in (
        ("strength", strength, 0, 1),
        ("steps", steps, 1, 1000),
        ("fit-steps", fit_steps, 0, 100_000),
        ("person", person, 1, 1000),
    ):
        check_number(name, value, low, high)
    check_out_folder(out)
    for note in _look_at(photo):
        typer.echo(f"note: {note}")

    from toolkit.photo.detection.choice import Choice
    from toolkit.pipeline import build_avatar
    from toolkit.profiles.base import PipelineConfig
    from toolkit.profiles.choose import load_profile

    config = PipelineConfig(
        profile=profile,
        seed=seed,
        num_views=views,
        clip_size=clip_size,
        num_gaussians=gaussians,
        fit=_fit_config(fit_steps),
        person=Choice.parse(person, box),
    )
    models = load_profile(profile)
    if refiner is not None:
        from toolkit.profiles.refiners import with_refiner

        models = with_refiner(models, refiner)
    if body is not None:
        from toolkit.profiles.body_file import with_body_file

        models = with_body_file(models, body)
    asked = {"strength": strength, "num_inference_steps": steps}
    changes = {name: value for name, value in asked.items() if value is not None}
    config = replace(config, edit=replace(models.defaults.edit, **changes))
    result = build_avatar(photo, out, config, profile=models, resume=resume)
    typer.echo(f"Done. Look at compare.png and animation.mp4 in {result.out_dir}")


def _fit_config(steps: int | None) -> "FitConfig":
    from toolkit.refine.refit import FitConfig

    return FitConfig() if steps is None else FitConfig(steps=steps)


def _look_at(photo: Path) -> tuple[str, ...]:
    """Read the photo once before any model is loaded: most mistakes are in it."""
    from toolkit.photo.load import read_photo

    return read_photo(photo).notes


@app.command()
def doctor(
    profile: Annotated[str | None, typer.Option(help="exit with 2 unless it can run here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Say what this machine can run: packages, GPU, memory, disk, weights. Downloads nothing."""
    import json

    from toolkit.run.doctor.diagnosis import examine, exit_code
    from toolkit.run.doctor.text import as_text

    if profile not in (None, "embedded", "full"):
        fail("profile", got=repr(profile), wanted='"embedded" or "full"', fix="Or leave it out.")
    report = examine()
    typer.echo(json.dumps(report, indent=1) if as_json else as_text(report, profile))
    raise typer.Exit(exit_code(report, profile))


@app.command()
def evaluate(  # noqa: PLR0913 - one argument per option
    out: Annotated[Path, typer.Option(help="folder for the results; a killed run goes on there")],
    split: Annotated[str, typer.Option(help="of our own people: val or test")] = "test",
    people: Annotated[
        Path | None, typer.Option(help="folder of people made elsewhere, instead")
    ] = None,
    num: Annotated[int, typer.Option(help="at most so many people")] = 64,
    seed: Annotated[int, typer.Option(help="of the avatars and of the bootstrap")] = 0,
    variants: Annotated[str, typer.Option(help="comma-separated; else all")] = "",
    workers: Annotated[int, typer.Option(help="processes")] = 1,
    fit_steps: Annotated[int | None, typer.Option(help="Adam steps of every refit")] = None,
    poses: Annotated[bool, typer.Option(help="score eight novel poses, too")] = True,
) -> None:
    """Score coarse, refined and controls on people whose 3D truth is known."""
    check_choice("split", split, ("val", "test"))
    for name, value in (("num", num), ("workers", workers)):
        check_number(name, value, 1, 1_000_000)
    check_seed(seed)
    check_number("fit-steps", fit_steps, 0, 100_000)
    check_out_folder(out)
    if people is not None and not people.is_dir():
        raise MissingFileError(f"{people} does not exist. Give a folder with person_* inside.")

    from toolkit.evaluate.run import CLIPS, VARIANTS, EvaluateConfig
    from toolkit.evaluate.run import evaluate as run
    from toolkit.evaluate.score_config import ScoreConfig
    from toolkit.profiles.base import PipelineConfig

    names = tuple(name.strip() for name in variants.split(",") if name.strip()) or tuple(VARIANTS)
    score = ScoreConfig(
        variants=names,
        clips=CLIPS if poses else (),
        pipeline=PipelineConfig(seed=seed, fit=_fit_config(fit_steps)),
    )
    run(
        out,
        EvaluateConfig(
            split=split, people=people, num=num, seed=seed, workers=workers, score=score
        ),
    )
    typer.echo(f"Done. Look at evaluation.md and evaluation.png in {out}")


app.command()(commands.synthesize)
app.command()(text2avatar)
app.command()(lhm_points)
app.command()(licences)
app.add_typer(commands.dataset, name="dataset")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 fine, 2 a mistake the user can fix)."""
    try:
        return app(args=argv, standalone_mode=False) or 0
    except ToolkitError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # click's usage errors
            if message := error.format_message().rstrip("."):  # none after the help of no command
                context = getattr(error, "ctx", None)
                command = context.command_path if context else "python -m toolkit"
                print(f"error: {printable(message)}. See: {command} --help", file=sys.stderr)
            return 2
        raise
