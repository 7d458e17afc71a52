"""`python -m toolkit lhm-points`: query points for LHM where the release's are not to be had."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from toolkit.errors import MissingFileError, fail


def lhm_points(
    out: Annotated[Path, typer.Argument(help="the PLY to write: 1_20000.ply or 1_40000.ply")],
    lhm: Annotated[
        Path | None, typer.Option(help="folder of a checkpoint; else the first that is here")
    ] = None,
    seed: Annotated[int, typer.Option(help="same seed, same points")] = 0,
) -> None:
    """Draw LHM's query points from a checkpoint, marked as not the release's.

    The release's own file is better: the network was trained with exactly these points.
    """
    from toolkit.coarse.lhm.checkpoint import find_file
    from toolkit.coarse.lhm.points import compute_points, count_points

    folder = lhm or _checkpoint(out.name)
    weights = find_file(folder, "model.safetensors")
    num = count_points(weights)
    if out.name != f"1_{num}.ply":
        fail("Name of the points", got=out.name, wanted=f"1_{num}.ply", fix="As LHM looks for it.")
    drawn = compute_points(weights, out, seed=seed)
    print(
        f"{out}: {len(drawn.points)} points drawn from {folder.name}; they are not the release's, "
        "and the avatar will differ from LHM's own",
        file=sys.stderr,
    )


def _checkpoint(name: str) -> Path:
    """A complete LHM of this machine that uses a file of points of this name."""
    from toolkit.weights.commands import fetch_command
    from toolkit.weights.search import locate
    from toolkit.weights.sets import SETS
    from toolkit.weights.table import WEIGHTS

    fitting = [names[0] for names in SETS["coarse"] if WEIGHTS[names[1]].files[0].endswith(name)]
    if not fitting or not re.fullmatch(r"1_\d+\.ply", name):
        fail(
            "Name of the points",
            got=name,
            wanted="1_20000.ply or 1_40000.ply",
            fix="Or give --lhm.",
        )
    for weight in fitting:
        if (located := locate(WEIGHTS[weight])).complete:
            return located.folder
    fail(
        f"A checkpoint for {name}",
        got="none on this machine",
        wanted=f"one of {', '.join(fitting)}",
        fix=f"Get it with: {fetch_command(WEIGHTS[fitting[0]])}",
        kind=MissingFileError,
    )
