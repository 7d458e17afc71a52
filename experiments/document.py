"""The tables of docs/results.md and docs/dataset.md, written from one JSON file per experiment.

An experiment NAME is the module `experiments/NAME.py`. It measures, writes docs/results/NAME.json,
and its function `tables(numbers)` turns that JSON into Markdown. Each table stands between two
marks, which name the command that makes it:

    <!-- table: python -m experiments.NAME -->
    <!-- end of table -->

An experiment with several tables names the part in brackets: `experiments.NAME (part)`. A test
asserts that the committed page is what the committed JSON files give.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from toolkit.errors import fail
from toolkit.run.files import atomic_path
from toolkit.run.folder import read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results.md"
DATASET_PAGE = ROOT / "docs" / "dataset.md"
EXPORT_PAGE = ROOT / "docs" / "export.md"
RELIABILITY_PAGE = ROOT / "docs" / "reliability.md"
NUMBERS = ROOT / "docs" / "results"  # NAME.json
END = "<!-- end of table -->"
UNMEASURED = "*Not measured yet; the command in the mark above does it.*\n"
TableOnly = Annotated[
    bool, typer.Option("--table-only", help="measure nothing; tables from the committed JSON")
]
Out = Annotated[
    Path | None, typer.Option(help="write the JSON to this file and leave docs/ as it is")
]
BLOCK = re.compile(rf"(<!-- table: python -m experiments\.([^>]+?) -->\n).*?({END})", re.DOTALL)


def markdown_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; the first column is words, the others are numbers, set to the right."""
    heads = list(heads)
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in map(list, rows)]
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int) -> str:
    """A number with so many digits, or nothing where there is none."""
    return "" if value is None or value != value else f"{value:.{digits}f}"


def mean_of(row: dict, measure: str) -> float | None:
    """The mean of one measure, or None where it was not measured (KID of a single person)."""
    return (row.get(measure) or {}).get("mean")


def rounded(value: object) -> object:
    """The same with five significant digits: a file that people read and git keeps."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def json_path(experiment: str) -> Path:
    """Where an experiment's numbers are committed."""
    return NUMBERS / f"{experiment}.json"


def read_numbers(experiment: str) -> dict:
    """The committed numbers of an experiment.

    Raises:
        InputError: naming the command that makes them.
    """
    path = json_path(experiment)
    if not path.is_file():
        fail(
            path.name,
            got="no such file in docs/results",
            wanted="the numbers of a measurement",
            fix=f"Measure first: python -m experiments.{experiment}",
        )
    return read_json(path)


def publish(
    experiment: str,
    measure: Callable[[], dict],
    tables: Callable[[dict], dict[str, str]],
    *,
    table_only: bool,
    out: Path | None = None,
    report: Callable[[dict], str] | None = None,
    page: Path | None = None,
) -> None:
    """Measure, write the experiment's JSON and its tables, and print the tables.

    Args:
        experiment: the module's name.
        measure: gives the numbers; not called under `table_only`.
        tables: Markdown of each part, from the numbers.
        table_only: take the committed numbers.
        out: a file for the numbers; docs/ then stays as it is (a trial with few people).
        report: a longer table for a page of its own, docs/results/NAME.md.
        page: that holds the tables; None is docs/results.md.
    """
    numbers = read_numbers(experiment) if table_only else rounded(measure())
    if out:
        write_json(out, numbers)
    else:
        if not table_only:
            write_json(json_path(experiment), numbers)
        write_tables(experiment, tables(numbers), page or PAGE)
        if report:
            with atomic_path(NUMBERS / f"{experiment}.md") as tmp:
                tmp.write_text(report(numbers), encoding="utf-8")
    print(*tables(numbers).values(), sep="\n")


def write_tables(experiment: str, tables: dict[str, str], page: Path = PAGE) -> None:
    """Replace the tables of one experiment in the page and leave the rest of it alone."""
    text = with_tables(page.read_text(encoding="utf-8"), experiment, tables)
    with atomic_path(page) as tmp:
        tmp.write_text(text, encoding="utf-8")


def with_tables(text: str, experiment: str, tables: dict[str, str]) -> str:
    """The page with the blocks of one experiment replaced.

    Args:
        text: the whole page.
        experiment: the module's name.
        tables: Markdown of each part; the part "" has no brackets in its mark.

    Raises:
        InputError: a table has no block in the page, or a block has no table.
    """
    names = {f"{experiment} ({part})" if part else experiment: t for part, t in tables.items()}
    blocks = {m[2] for m in BLOCK.finditer(text) if m[2].split(" ")[0] == experiment}
    if blocks != set(names):
        fail(
            f"tables of {experiment} in the page",
            got=sorted(blocks),
            wanted=str(sorted(names)),
            fix=f"Add the marks <!-- table: python -m experiments.NAME --> and {END}.",
        )
    return BLOCK.sub(lambda m: f"{m[1]}{names[m[2]]}{m[3]}" if m[2] in names else m[0], text)
