"""The one family of errors: a message says what is wrong, what we got and wanted, how to fix it."""

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
