"""The table of docs/gpu.md, from what `gpu_check` measured on a GPU.

    python -m tools.upkeep.gpu_page runs/gpu_check/gpu.json

The numbers are kept in docs/gpu.json. A rehearsal on a CPU is refused.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from experiments.document import markdown_table
from toolkit.errors import fail, reading
from toolkit.run.files import atomic_path
from tools.command import run
from tools.upkeep.gpu_check import shown

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, NUMBERS = DOCS / "gpu.md", DOCS / "gpu.json"
MARK, END = "<!-- table: python -m tools.upkeep.gpu_page -->\n", "<!-- end of table -->"
NOT_RUN = "**It has not been run on a GPU yet.** There are no numbers.\n"


def block(record: dict | None) -> str:
    """What stands between the marks.

    Args:
        record: of a run of `gpu_check`; None if there was none.

    Raises:
        InputError: of a rehearsal.
    """
    if record is None:
        return NOT_RUN
    if record["rehearsal"]:
        fail(
            "gpu.json",
            got="a rehearsal on a CPU",
            wanted="a run on a GPU",
            fix="Run tools.upkeep.gpu_check on one.",
        )
    rows = [[name, *_cells(result)] for name, result in record["steps"].items()]
    table = markdown_table(("step", "result", "seconds", "found"), rows)
    return f"Run on {record['date']}, {record['seconds'] / 60:.1f} minutes in all.\n\n{table}"


def _cells(result: dict) -> list[str]:
    found = "; ".join(f"{key} {shown(value)}" for key, value in result["values"].items())
    return [result["status"], f"{result['seconds']:.1f}", found.replace("|", "/")]


def page(text: str, record: dict | None) -> str:
    """The page with its block written anew."""
    before, _, rest = text.partition(MARK)
    return f"{before}{MARK}{block(record)}{END}{rest.partition(END)[2]}"


def committed() -> dict | None:
    """The numbers of the last run on a GPU; None if there was none."""
    return json.loads(NUMBERS.read_text()) if NUMBERS.is_file() else None


def main(numbers: Annotated[Path, typer.Argument(help="gpu.json of a run on a GPU")]) -> None:
    """Write the page, and keep the numbers beside it."""
    with reading(numbers, wanted="gpu.json of gpu_check", fix="Give the file that it wrote."):
        record = json.loads(numbers.read_text())
        text = page(PAGE.read_text(encoding="utf-8"), record)
    for path, content in ((NUMBERS, json.dumps(record, indent=1) + "\n"), (PAGE, text)):
        with atomic_path(path) as tmp:
            tmp.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(run(main))
