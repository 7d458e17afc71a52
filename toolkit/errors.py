"""The one error family. A message says what is wrong, what was got and wanted, how to fix it."""


class ToolkitError(Exception):
    """Something a user can fix. The command line prints it in one line and exits with code 2."""


class InputError(ToolkitError, ValueError):
    """A value, file or picture is not what the stage can use."""


class MissingFileError(ToolkitError, FileNotFoundError):
    """A file that should exist does not; the message names the command that makes it."""

    def __str__(self) -> str:
        return str(self.args[0])  # OSError's own formatting would hide the sentence


class MissingCapabilityError(ToolkitError, RuntimeError):
    """A package, a GPU or a weight that this profile needs is not on this machine."""


def fail(what: str, *, got: object, wanted: str, fix: str, kind: type[ToolkitError] = InputError):
    """Raise the family's standard sentence: *what: got ..., wanted ...; fix*."""
    raise kind(f"{what}: got {got}, wanted {wanted}. {fix}")
