"""The one family of errors: a message says what is wrong, what we got and wanted, how to fix it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class ToolkitError(Exception):
    """Something that the user can fix. The command line prints one line and exits with code 2."""


class InputError(ToolkitError, ValueError):
    """A value, file or picture that the stage cannot use."""


class MissingFileError(ToolkitError, FileNotFoundError):
    """A file that should exist does not; the message names the command that makes it."""

    def __str__(self) -> str:
        return str(self.args[0])  # OSError would print "[Errno ...]" instead of our sentence


class MissingCapabilityError(ToolkitError, RuntimeError):
    """This machine lacks a package, a GPU or a weight file that the profile needs."""


def fail(
    what: str, *, got: object, wanted: str, fix: str, kind: type[ToolkitError] = InputError
) -> NoReturn:
    """Raise an error in the form *what: got ..., wanted ... How to fix it.*

    Args:
        what: the value, file or function that has the problem.
        got: what it was.
        wanted: what it has to be.
        fix: one sentence that tells the user what to do.
        kind: class of the error.
    """
    raise kind(f"{what}: got {got}, wanted {wanted}. {fix}")


@contextmanager
def reading(what: object, *, wanted: str, fix: str) -> Iterator[None]:
    """Turn whatever a decoder raises about a damaged file into one `InputError`.

    Decoders meet bytes that nobody foresaw, and raise whatever their code runs into: KeyError,
    struct.error, RecursionError. To a user these mean one thing.

    Args:
        what: the file, and where it helps the part of it.
        wanted, fix: see `fail`.
    """
    try:
        yield
    except ToolkitError:
        raise
    except MemoryError:
        fail(f"{what}", got="more numbers than fit into memory", wanted=wanted, fix=fix)
    except Exception as error:  # noqa: BLE001  see above
        fail(f"{what}", got=f"a damaged file ({one_line(error)})", wanted=wanted, fix=fix)


def one_line(error: BaseException) -> str:
    """Kind and message of an error in one short line; bytes of the file cannot steer a terminal.

    Args:
        error: of a decoder; its message may quote the file.
    """
    text = " ".join(printable(f"{error}").split())[:160].rstrip(" .")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def printable(text: str) -> str:
    """The text in one line; what is no visible character (escapes of a terminal) is a blank.

    Args:
        text: may quote a file or its name.
    """
    return "".join(c if c.isprintable() else " " for c in text)
