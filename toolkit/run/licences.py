"""The command `licences`: which licence binds each file of a finished avatar."""

import json
from pathlib import Path
from typing import Annotated

import typer

from toolkit.errors import MissingFileError, fail, reading


def licences(
    avatar: Annotated[Path, typer.Argument(help="an avatar.npz, or the folder of a run")],
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Say which licence binds each file of AVATAR, from the models that made it."""
    from toolkit.weights.licences import as_text, licences_of

    answer = licences_of(read_report(avatar))
    typer.echo(json.dumps(answer, indent=1) if as_json else as_text(answer))


def read_report(avatar: Path) -> dict:
    """The report of the run that made an avatar.

    Args:
        avatar: a file of the run, or its folder.

    Raises:
        MissingFileError: no avatar, or no report beside it.
        InputError: the report names no models.
    """
    folder = avatar if avatar.is_dir() else avatar.parent
    path = folder / "report.json"
    if not avatar.exists() or not path.is_file():
        lacking = avatar if not avatar.exists() else path
        raise MissingFileError(
            f"{lacking} does not exist. Which models made an avatar stands in the report.json of "
            "its run: give the folder that python -m toolkit avatar wrote."
        )
    fix = "Give the folder of a finished run."
    with reading(path, wanted="the report of a run", fix=fix):
        report = json.loads(path.read_text(encoding="utf-8"))
    models = ("body_model", "pose_model", "coarse_model", "video_prior")
    if not isinstance(report, dict) or not all(isinstance(report.get(m), str) for m in models):
        fail(f"{path}", got="no names of models", wanted=", ".join(models), fix=fix)
    return report
