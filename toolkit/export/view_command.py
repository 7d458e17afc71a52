"""The command `view`: mistakes are told before anything heavy is loaded."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.errors import MissingFileError
from toolkit.export.live_port import free_port, require_viser


def view(
    avatar: Annotated[Path, typer.Argument(help="an avatar.npz, or the folder of a run")],
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="to listen on; 0 takes a free one")] = 8080,
) -> None:
    """Show AVATAR in the browser, with sliders for joints and shape, and motion clips."""
    if not (avatar / "avatar.npz" if avatar.is_dir() else avatar).is_file():
        raise MissingFileError(
            f"{avatar} holds no avatar. Make one with: python -m toolkit avatar PHOTO --out DIR"
        )
    require_viser()
    port = free_port(host, port)

    from toolkit.export.live import open_viewer

    viewer = open_viewer(avatar, host=host, port=port)
    typer.echo(f"{viewer.url}  (stop with Ctrl-C)")
    for note in viewer.notes:
        typer.echo(f"note: {note}")
    try:
        viewer.wait()
    except KeyboardInterrupt:
        viewer.stop()
