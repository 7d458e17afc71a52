"""Rebuild the pictures in docs/img: the main job on the sample, six test people, two real photos.

    python tools/make_pictures.py              # all of them (make pictures)
    python tools/make_pictures.py astronaut    # one
"""

import argparse
from pathlib import Path

import numpy as np
import skimage.data
from matplotlib import cbook
from PIL import Image

from toolkit.assets import atomic_path, sample_path
from toolkit.people.render import photo_of
from toolkit.people.sample import sample_person
from toolkit.pipeline import PipelineConfig, build_avatar

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "pictures"
IMG = ROOT / "docs" / "img"
TEST_SEEDS = (5, 7, 9, 10, 14, 15)  # full-body people of the test split
WIDTH = 1200  # of a picture in docs, pixels


def save_photo(name: str, pixels) -> Path:
    """Write a photo as a file, as a user would have it."""
    RUNS.mkdir(parents=True, exist_ok=True)
    path = RUNS / f"{name}.png"
    Image.fromarray(pixels).save(path)
    return path


def test_person(seed: int) -> Path:
    """The photo of a person that no net of ours was trained on."""
    return save_photo(f"person_{seed}", photo_of(sample_person(seed, "test"), (768, 576))[0])


def hopper() -> Path:
    """The portrait that ships with matplotlib (public domain)."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return save_photo("hopper", np.asarray(Image.open(file).convert("RGB")))


PHOTOS = {"compare": lambda: sample_path("person.jpg"),
          "astronaut": lambda: save_photo("astronaut", skimage.data.astronaut()),
          "hopper": hopper,
          **{f"person_{seed}": lambda seed=seed: test_person(seed) for seed in TEST_SEEDS}}


def draw(name: str) -> None:
    """Run the main job on one photo and keep its comparison sheet, small."""
    build_avatar(PHOTOS[name](), RUNS / name, PipelineConfig())
    sheet = Image.open(RUNS / name / "compare.png").convert("RGB")
    sheet = sheet.resize((WIDTH, round(WIDTH * sheet.height / sheet.width)),
                         Image.Resampling.LANCZOS)
    with atomic_path(IMG / f"{name}.{'png' if name == 'compare' else 'jpg'}") as path:
        if path.suffix == ".png":
            sheet.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
        else:
            sheet.save(path, quality=85)


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*PHOTOS, []], help="all if none is given")
    for name in parser.parse_args().names or PHOTOS:
        draw(name)


if __name__ == "__main__":
    main()
