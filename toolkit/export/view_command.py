"""The command `view`: mistakes are told before anything heavy is loaded."""

import importlib.util
import socket
from pathlib import Path
from typing import Annotated

import typer

from toolkit.errors import MissingCapabilityError, MissingFileError, fail


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


def require_viser() -> None:
    """Raise MissingCapabilityError unless viser is installed."""
    if importlib.util.find_spec("viser") is None:
        fail(
            "view",
            got="no package viser",
            wanted="the extra `view`",
            fix="Run: pip install 'toolkit[view]'",
            kind=MissingCapabilityError,
        )


def free_port(host: str, port: int) -> int:
    """The port, or a free one for 0. viser itself would silently take the next one.

    Args:
        host: address to listen on.
        port: 0 to 65535.

    Raises:
        InputError: the port is in use, not allowed, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        fail("port", got=port, wanted="0 to 65535", fix="Leave --port out.")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return probe.getsockname()[1]
    except OSError as error:
        reason = error.strerror or f"{error}"
        fail(
            f"{host}:{port}",
            got=reason,
            wanted="a free port of this machine",
            fix="Give another --port, or --port 0 for any.",
        )
