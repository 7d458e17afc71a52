"""Run `python -m toolkit evaluate` from an experiment."""

from pathlib import Path

from toolkit import cli
from toolkit.errors import ToolkitError


def evaluate(*options: str, out: Path) -> None:
    """Run an evaluation, or go on with one that was stopped.

    Args:
        options: as on the command line.
        out: folder for its reports.

    Raises:
        ToolkitError: it failed; the reason is on stderr.
    """
    if code := cli.main(["evaluate", *options, "--out", str(out)]):
        raise ToolkitError(f"python -m toolkit evaluate ended with exit code {code}; see above")
