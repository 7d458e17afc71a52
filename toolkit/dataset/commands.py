"""The commands of data sets: `synthesize`, and `dataset verify | info | sheet | merge`."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.errors import fail
from toolkit.run.options import check_choice, check_number, check_out_folder

Folder = Annotated[Path, typer.Argument(help="of a data set")]
dataset = typer.Typer(no_args_is_help=True, help="Look at data sets, check and join them.")


def synthesize(  # noqa: PLR0913 - one argument per option
    count: Annotated[int, typer.Option(help="records; more than last time tops a set up")],
    out: Annotated[Path, typer.Option(help="folder of the set; a killed run goes on there")],
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster")] = "local",
    workers: Annotated[int, typer.Option(help="processes, on ray of each group of stages")] = 1,
    config: Annotated[Path | None, typer.Option(help="TOML file; keys as in BulkConfig")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help='"gender=woman" or "hat!=none"; repeatable')
    ] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="only say what it costs")] = False,
) -> None:
    """Make a balanced data set of synthetic people with coarse and refined avatars.

    After a kill, the same command goes on; in the end the set has the same bytes.
    """
    check_choice("engine", engine, ("local", "ray"))
    for name, value in (("count", count), ("workers", workers)):
        check_number(name, value, 1, 10**9)
    check_out_folder(out)
    from toolkit.dataset.bulk.config import read_config

    settings = read_config(config, selection=set_ or ())

    from toolkit.dataset.bulk.people import PeopleRecipe
    from toolkit.dataset.bulk.synthesize import synthesize as run

    recipe = PeopleRecipe(settings)
    if estimate:
        from toolkit.dataset.bulk.estimate import describe, estimate_run

        typer.echo(describe(estimate_run(recipe, count, workers=workers)))
        return
    made = run(out, count, recipe, engine=engine, workers=workers, shard_size=settings.shard_size)
    lost = f"{sum(made.rejected.values())} rejected, {made.failed} in quarantine"
    typer.echo(f"Done: {made.people} people, {lost}. Look at sheet.jpg and card.md in {out}")


@dataset.command()
def verify(folder: Folder) -> None:
    """Check every file against its checksum and every sample against the index."""
    from toolkit.dataset.bulk.folder import SetFolder
    from toolkit.dataset.bulk.verify import verify as run

    if problems := run(SetFolder(folder)):
        for problem in problems[1:]:
            typer.echo(problem)
        fail(f"{folder}", got=problems[0], wanted="a whole set", fix=f"{len(problems)} found.")
    typer.echo(f"{folder} is whole.")


@dataset.command()
def info(folder: Folder) -> None:
    """Say what a set holds and what it was made with."""
    from toolkit.dataset.bulk.folder import SetFolder
    from toolkit.dataset.bulk.info import describe

    typer.echo(describe(SetFolder(folder)))


@dataset.command()
def sheet(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="a .jpg file")],
    num: Annotated[int, typer.Option(help="people")] = 24,
) -> None:
    """Draw the first people of a set: photo, coarse, refined from the front and the back."""
    from toolkit.dataset.bulk.folder import SetFolder
    from toolkit.dataset.bulk.manifest import Manifest
    from toolkit.dataset.bulk.sheet import write_sheet

    opened = SetFolder(folder)
    write_sheet(opened, Manifest.load(opened), out, people=num)


@dataset.command()
def merge(
    parts: Annotated[list[Path], typer.Argument(help="folders of two or more sets")],
    out: Annotated[Path, typer.Option(help="folder of the new set")],
) -> None:
    """Join sets; a sample that is in several is taken once."""
    from toolkit.dataset.bulk.merge import merge as run

    made = run(parts, out)
    typer.echo(f"Done: {made.people} people in {out}")
