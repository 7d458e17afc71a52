"""How every script of tools/ and experiments/ reads its command line: typer, as `toolkit` itself.

A script has a function with annotated arguments, or one that takes a frozen dataclass whose fields
are annotated options, and ends with `run(main)` or `run_with(Settings, main)`. Its module docstring
is its `--help`. A `ToolkitError` becomes one line and exit code 2.
"""

import dataclasses
import inspect
import sys
from collections.abc import Callable
from typing import Any

import typer

from toolkit.errors import ToolkitError


def run(command: Callable[..., Any], argv: list[str] | None = None) -> int:
    """Run a function as a command.

    Args:
        command: its arguments are annotated with `typer.Option` or `typer.Argument`.
        argv: the words after the script's name; those of this process if left out.

    Returns:
        What the command returns if that is a number, else 0; 2 after a mistake of the user.
    """
    module = inspect.getmodule(command)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(help=help_text((module and module.__doc__) or command.__doc__ or ""))(command)
    try:
        result = app(args=argv, standalone_mode=False)
    except ToolkitError as error:
        return _complain(str(error))
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # click's usage errors
            return _complain(error.format_message())
        raise
    return result if isinstance(result, int) else 0


def run_with(settings: type, command: Callable[[Any], Any], argv: list[str] | None = None) -> int:
    """Run a function of one settings dataclass as a command; its fields become the options.

    So a setting, its default and its help stand in one place.
    """

    def fill(**values: object) -> object:
        return command(settings(**values))

    fill.__signature__ = inspect.Signature(
        [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=field.type,
                default=_default(field),
            )
            for field in dataclasses.fields(settings)
        ]
    )
    fill.__annotations__ = {field.name: field.type for field in dataclasses.fields(settings)}
    fill.__module__ = command.__module__
    return run(fill, argv)


def help_text(docstring: str) -> str:
    """A module's docstring for `--help`: indented lines (commands, lists) are not rewrapped."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join("\b\n" + p if "\n " in p or p[:1] == " " else p for p in paragraphs)


def _default(field: dataclasses.Field) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default


def _complain(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2
