"""Rebuild the pictures in docs/img: the main job on the sample, six test people, two real photos.

    python -m tools.upkeep.pictures              # all of them (make pictures)
    python -m tools.upkeep.pictures astronaut    # one
    python -m tools.upkeep.pictures four_people --evaluation runs/evaluation_test

`four_people` is not among "all": it shows the first four people of an evaluation, not chosen ones.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import skimage.data
import typer
from jaxtyping import UInt8
from matplotlib import cbook
from matplotlib.figure import Figure
from PIL import Image

from toolkit.errors import fail
from toolkit.people.draw.photo import photo_of
from toolkit.people.sample import sample_person
from toolkit.pipeline import build_avatar
from toolkit.profiles.base import PipelineConfig
from toolkit.run.files import atomic_path, sample_path
from toolkit.run.folder import read_json
from toolkit.show.style import INK, figure, save_figure
from tools.command import run

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "runs" / "pictures"
IMG = ROOT / "docs" / "img"
TEST_SEEDS = (5, 7, 9, 10, 14, 15)  # full-body people of the test split
WIDTH = 1200  # of a picture in docs, pixels
SIDE_PX, TITLE_PX, GAP_PX = 210, 34, 6  # four_people: rows, heads, and the space between rows
FOUR_SHOWN = {"coarse": "coarse", "one_shot": "refined", "truth": "truth"}  # record, its head


def save_photo(name: str, pixels: UInt8[np.ndarray, "H W 3"]) -> Path:
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


PHOTOS = {
    "compare": lambda: sample_path("person.jpg"),
    "astronaut": lambda: save_photo("astronaut", skimage.data.astronaut()),
    "hopper": hopper,
    **{f"person_{seed}": lambda seed=seed: test_person(seed) for seed in TEST_SEEDS},
}


def draw(name: str) -> None:
    """Run the main job on one photo and keep its comparison sheet, small."""
    build_avatar(PHOTOS[name](), RUNS / name, PipelineConfig())
    sheet = Image.open(RUNS / name / "compare.png").convert("RGB")
    sheet = sheet.resize(
        (WIDTH, round(WIDTH * sheet.height / sheet.width)), Image.Resampling.LANCZOS
    )
    with atomic_path(IMG / f"{name}.{'png' if name == 'compare' else 'jpg'}") as path:
        if path.suffix == ".png":
            sheet.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
        else:
            sheet.save(path, quality=85)


def four_people(evaluation: Path, path: Path, num: int = 4) -> None:
    """Photo, coarse, refined and truth at front, side and back, of an evaluation's first people."""
    people = read_json(evaluation / "details.json")["people"][:num]
    width, side = (WIDTH - SIDE_PX) / 9, SIDE_PX  # of one view; of the photo
    fig = figure(WIDTH, TITLE_PX + len(people) * (side + GAP_PX) - GAP_PX)
    for row, person in enumerate(people):
        top = 1 - (TITLE_PX + row * (side + GAP_PX)) / (fig.get_figheight() * fig.dpi)
        folder, left = evaluation / "people" / person, SIDE_PX
        _picture(fig, np.asarray(Image.open(folder / "photo.png")), (0, top, side, side))
        strips = [
            np.asarray(Image.open(folder / f"{name}.png").convert("RGB")) for name in FOUR_SHOWN
        ]
        for strip in _tight(strips):
            _picture(fig, strip, (left, top, 3 * width, side))
            left += 3 * width
    for left, words in (
        (SIDE_PX / 2, "photo"),
        *((SIDE_PX + (3 * i + 1.5) * width, w) for i, w in enumerate(FOUR_SHOWN.values())),
    ):
        fig.text(
            left / WIDTH,
            1 - TITLE_PX / 2 / (fig.get_figheight() * fig.dpi),
            words,
            color=INK,
            fontsize=13,
            ha="center",
            va="center",
        )
    save_jpeg(fig, path)


def _tight(strips: list) -> list:
    """Front, side and back without the white around them, all views at one scale."""
    side, aspect = strips[0].shape[0], (WIDTH - SIDE_PX) / 9 / SIDE_PX
    views = [strip[:, i * side : (i + 1) * side] for strip in strips for i in range(3)]
    reach = 0.0  # of the person from the middle, as a share of what a view of full height shows
    for view in views:
        rows, columns = np.nonzero((view < 250).any(-1))
        reach = max(
            reach,
            np.abs(2 * rows / side - 1).max(initial=0),
            np.abs(2 * columns / side - 1).max(initial=0) / aspect,
        )
    height = min(1.0, reach + 0.03) * side
    (top, bottom), (left, right) = (
        (round((side - s) / 2), round((side + s) / 2)) for s in (height, height * aspect)
    )
    return [
        np.concatenate([view[top:bottom, left:right] for view in views[3 * k : 3 * k + 3]], 1)
        for k in range(len(strips))
    ]


def _picture(
    fig: Figure, pixels: UInt8[np.ndarray, "H W 3"], place: tuple[float, float, float, float]
) -> None:
    """Show an array at left, top (as a share of the figure), width and height in pixels."""
    left, top, width, height = place
    pixels_high = fig.get_figheight() * fig.dpi
    ax = fig.add_axes(
        (left / WIDTH, top - height / pixels_high, width / WIDTH, height / pixels_high)
    )
    ax.axis("off")
    ax.imshow(pixels, aspect="auto", interpolation="lanczos")


def save_jpeg(fig: Figure, path: Path) -> None:
    """A figure as a JPEG of moderate size."""
    with atomic_path(RUNS / f"{path.stem}.png") as tmp:
        save_figure(fig, tmp)
        with Image.open(tmp) as image, atomic_path(path) as out:
            image.convert("RGB").save(out, quality=88, optimize=True)


def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(help=f"of {', '.join(PHOTOS)}, four_people; else all but four_people"),
    ] = None,
    evaluation: Annotated[
        Path, typer.Option(help="folder of an evaluation, for four_people")
    ] = ROOT / "runs" / "evaluation_test",
    img: Annotated[Path, typer.Option(help="folder for four_people")] = IMG,
) -> None:
    """Draw the named pictures."""
    if unknown := sorted(set(names or []) - {*PHOTOS, "four_people"}):
        fail("pictures", got=unknown, wanted="names from --help", fix="Leave them out for all.")
    for name in names or PHOTOS:
        if name == "four_people":
            four_people(evaluation, img / "four_people.jpg")
        else:
            draw(name)


if __name__ == "__main__":
    raise SystemExit(run(main))
