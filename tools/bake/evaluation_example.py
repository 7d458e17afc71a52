"""Write two people in the layout that `python -m toolkit evaluate --people DIR` reads.

    python -m tools.bake.evaluation_example [--out tests/fixtures/evaluation]

The seeds lie at the far end of the test range, which no training and no evaluation reaches; their
prints are of the test family. The folders document the layout, and its tests read them.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from toolkit.evaluate.case_folder import save_case
from toolkit.evaluate.cases import procedural_case
from tools.command import run

SEEDS, SPLIT = (990_003, 990_008), "test"  # two whole bodies
PHOTO_PX, VIEW_PX, NUM_VIEWS = 256, 256, 8


def main(
    out: Annotated[Path, typer.Option(help="folder for person_0 and person_1")] = Path(
        "tests/fixtures/evaluation"
    ),
) -> None:
    """Render and write both."""
    for index, seed in enumerate(SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            case = procedural_case(
                seed, SPLIT, Path(folder), photo_px=PHOTO_PX, view_px=VIEW_PX, num_views=NUM_VIEWS
            )
            save_case(case, out / f"person_{index}")


if __name__ == "__main__":
    raise SystemExit(run(main))
