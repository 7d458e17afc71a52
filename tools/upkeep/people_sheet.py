"""Contact sheet of procedural people, front and back, to judge them by eye.

python -m tools.upkeep.people_sheet --num 50 --split train --out docs/img/people.jpg
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from jaxtyping import Float
from PIL import Image
from tqdm import tqdm

from toolkit.cameras import orbit_cameras
from toolkit.people.draw.render import render_person
from toolkit.people.sample import sample_person
from toolkit.run.files import atomic_path
from tools.command import run

COLUMNS = 10
RADIUS_M = 4.9


def front_and_back(seed: int, split: str, height: int) -> Float[np.ndarray, "H W 3"]:
    """One person from the front and from behind, in the photo's pose, side by side."""
    person = sample_person(seed, split)
    size = (height, int(height * 0.52))
    cameras = orbit_cameras(
        [0.0, 180.0], 4.0, radius_m=RADIUS_M, size=size, target=(0.0, -0.12, 0.0)
    )
    with torch.no_grad():
        views = render_person(person, cameras, supersample=3)
    return np.concatenate(list(views.rgb.numpy()), axis=1)


def main(
    num: Annotated[int, typer.Option(help="number of people")] = 50,
    first: Annotated[int, typer.Option(help="number of the first person in the split")] = 0,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="which people")] = "train",
    height: Annotated[int, typer.Option(help="pixels per person")] = 190,
    out: Annotated[Path, typer.Option(help="picture to write")] = Path("docs/img/people.jpg"),
) -> None:
    """Draw and write the sheet."""
    tiles = [front_and_back(first + i, split, height) for i in tqdm(range(num))]
    tiles += [np.ones_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    sheet = Image.fromarray((np.concatenate(rows) * 255).round().astype(np.uint8))
    with atomic_path(out) as path:
        sheet.save(path, quality=80)


if __name__ == "__main__":
    raise SystemExit(run(main))
