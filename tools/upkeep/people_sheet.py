"""Contact sheet of procedural people, front and back, to judge them by eye.

python -m tools.upkeep.people_sheet --num 50 --split train --out docs/img/people.jpg
"""

import argparse

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from toolkit.cameras import orbit_cameras
from toolkit.people.draw.render import render_person
from toolkit.people.sample import sample_person
from toolkit.run.files import atomic_path

COLUMNS = 10
RADIUS_M = 4.9


def front_and_back(seed: int, split: str, height: int) -> np.ndarray:
    """One person from the front and from behind, in the photo's pose, side by side."""
    person = sample_person(seed, split)
    size = (height, int(height * 0.52))
    cameras = orbit_cameras(
        [0.0, 180.0], 4.0, radius_m=RADIUS_M, size=size, target=(0.0, -0.12, 0.0)
    )
    with torch.no_grad():
        views = render_person(person, cameras, supersample=3)
    return np.concatenate(list(views.rgb.numpy()), axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--split", default="train", choices=["train", "val", "test"])
    parser.add_argument("--height", type=int, default=190, help="pixels a person")
    parser.add_argument("--out", default="docs/img/people.jpg")
    args = parser.parse_args()
    tiles = [front_and_back(args.first + i, args.split, args.height) for i in tqdm(range(args.num))]
    tiles += [np.ones_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    sheet = Image.fromarray((np.concatenate(rows) * 255).round().astype(np.uint8))
    with atomic_path(args.out) as path:
        sheet.save(path, quality=80)


if __name__ == "__main__":
    main()
