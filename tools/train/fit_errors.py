"""Measure how far fitted bodies are off, so that trainings can make bodies that are off alike.

    python -m tools.train.fit_errors --num 120        # then copy it to data/models

Every person's photo goes through the pipeline's own detection and fit. The file holds one row per
person: `betas` (N,B), fitted minus true; `turns` (N,22,3), the rotation from the true to the fitted
one of each body joint, axis-angle in radians; `seeds` (N,). It is written anew after each person
and the command goes on from there.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor
from tqdm import tqdm

from toolkit.errors import ToolkitError
from toolkit.evaluate.bench import Bench
from toolkit.evaluate.cases import procedural_case
from toolkit.run.files import atomic_path, model_path
from toolkit.run.progress import silent
from tools.command import run

NUM_JOINTS = 22  # the body's; hands and face are not fitted


class FitErrors:
    """Errors of real fits, to be laid on true bodies.

    Args:
        path: of the file; None is the one that ships.
    """

    def __init__(self, path: Path | None = None):
        path = path or model_path("fit_errors.npz", made_by="python -m tools.train.fit_errors")
        with np.load(path, allow_pickle=False) as file:
            self.betas, self.turns = file["betas"], file["turns"]

    def apply(
        self, betas: Float[Tensor, " B"], pose: Float[Tensor, "55 3"], rng: np.random.Generator
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, "55 3"]]:
        """The body with the errors of one fit, drawn at random."""
        row = int(rng.integers(len(self.betas)))
        true = Rotation.from_rotvec(pose[:NUM_JOINTS].numpy())
        turned = (Rotation.from_rotvec(self.turns[row]) * true).as_rotvec()
        pose = pose.clone()
        pose[:NUM_JOINTS] = torch.from_numpy(turned).float()
        return betas + torch.from_numpy(self.betas[row]).float(), pose


def measure(seed: int, split: str) -> dict[str, np.ndarray] | None:
    """One row of the file; None if the pipeline refuses the photo."""
    with tempfile.TemporaryDirectory() as folder, silent():
        case = procedural_case(seed, split, Path(folder), num_views=1)
        try:
            body = Bench.open(case, Path(folder) / "run").body
        except ToolkitError:
            return None
    person = case.person
    true, fitted = (Rotation.from_rotvec(p[:NUM_JOINTS].numpy()) for p in (person.pose, body.pose))
    return {
        "betas": (body.betas - person.betas).numpy(),
        "turns": (fitted * true.inv()).as_rotvec().astype(np.float32),
        "seeds": np.int64(seed),
    }


def main(
    first: Annotated[int, typer.Option(help="number of the first training person")] = 4000,
    num: Annotated[int, typer.Option(help="how many")] = 120,
    out: Annotated[Path, typer.Option(help="file")] = Path("runs/fit_errors.npz"),
) -> None:
    """Fit the people that are missing in the file."""
    torch.set_num_threads(1)
    rows: list[dict[str, np.ndarray]] = []
    if out.exists():
        with np.load(out, allow_pickle=False) as file:
            columns = dict(file)
        rows = [{k: v[i] for k, v in columns.items()} for i in range(len(columns["seeds"]))]
    start = int(rows[-1]["seeds"]) + 1 if rows else first
    for seed in tqdm(range(start, first + num), unit="person", desc="fit"):
        row = measure(seed, "train")
        if row is None:
            continue
        rows.append(row)
        with atomic_path(out) as tmp, open(tmp, "wb") as file:
            np.savez(file, **{key: np.stack([r[key] for r in rows]) for key in row})


if __name__ == "__main__":
    raise SystemExit(run(main))
