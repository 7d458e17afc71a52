"""What a viewer needs before anything heavy is loaded: viser, and a port that is free."""

import importlib.util
import socket

from toolkit.errors import MissingCapabilityError, fail


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
