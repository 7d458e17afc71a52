"""Scripts of tools/ and experiments/: one way to read a command line, mistakes in one line."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer

from toolkit.errors import fail
from tools.command import help_text, run, run_with

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [
    path
    for folder in ("tools", "experiments", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if '__name__ == "__main__"' in path.read_text()
]


@dataclass(frozen=True)
class Settings:
    names: Annotated[list[str] | None, typer.Argument(help="any")] = None
    num: Annotated[int, typer.Option(help="how many")] = 3
    sigmas: Annotated[tuple[float, float], typer.Option(help="two")] = (0.2, 1.3)
    write: Annotated[bool, typer.Option("--write", help="a flag")] = False


@pytest.mark.parametrize(
    "argv, expected",
    [
        ([], Settings()),
        (["a", "b", "--num", "5"], Settings(["a", "b"], 5)),
        (["--sigmas", "1", "2", "--write"], Settings(sigmas=(1.0, 2.0), write=True)),
    ],
)
def test_the_fields_of_a_dataclass_are_the_options(argv, expected):
    made = []
    assert run_with(Settings, made.append, argv) == 0 and made == [expected]


def test_the_exit_code_is_what_the_command_returns():
    assert run(lambda: 1, []) == 1 and run(lambda: None, []) == 0


def test_a_mistake_is_one_line_and_exit_code_2(capsys):
    def broken() -> None:
        fail("photo", got="none", wanted="one", fix="Give one.")

    assert run(broken, []) == 2
    assert capsys.readouterr().err == "error: photo: got none, wanted one. Give one.\n"
    assert run(broken, ["--nonsense"]) == 2 and "--nonsense" in capsys.readouterr().err


def test_commands_in_a_docstring_keep_their_lines(capsys):
    assert help_text("One.\n\n    python -m a\n    python -m b\n\nTwo\nlines.") == (
        "One.\n\n\b\n    python -m a\n    python -m b\n\nTwo\nlines."
    )
    assert run_with(Settings, lambda settings: None, ["--help"]) == 0
    shown = capsys.readouterr().out
    assert "Scripts of tools/" in shown and re.search(
        r"--num <int>\s+how many\s+\[default: 3\]", shown
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_script_reads_its_command_line_by_other_means(path):
    text = path.read_text()
    assert "argparse" not in text and "sys.path" not in text and "sys.argv" not in text
    assert "raise SystemExit(run" in text or "sys.exit(main())" in text
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert f"python -m {module}" in text, "its help shows no example"
