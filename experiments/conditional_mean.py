"""Is the coarse avatar's blurred back the conditional mean, or has the model not learnt enough?

    python -m experiments.conditional_mean                    # 24 validation people, the tables
    python -m experiments.conditional_mean --people 2 --out runs/conditional_mean.json
    python -m experiments.conditional_mean --people 0 --figure docs/img/conditional_mean.jpg \\
        --out runs/conditional_mean.json

For each person, other people are drawn whose photo is the same (`toolkit.people.alternatives`), and
rendered on the person's turntable. The avatar, made from the one photo, is compared with each of
these truths and with their mean. What is drawn again:

    choices   prints, yokes, tails of hair, and the legs that the photo does not show
    grain     wrinkles and strands as well: fair behind, too much at the side, where the photo saw
              half of them
    light     only the light, for the first few people

Squared errors are taken inside the mean silhouette (`person`) and 2 px inside of it (`inner`);
`head`, `trunk` and `legs` are bands of rows. `tint` is the part of the bias that one gain per view
and colour channel would mend.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from experiments.coarse_scores import as_bytes, sectors
from experiments.conditional_mean_person import draw_avatar, draw_truths, examine
from experiments.conditional_mean_summary import summarise, tables
from experiments.document import Out, TableOnly, publish
from toolkit.body.anchors import sample_anchors
from toolkit.body.npz import load_body
from toolkit.coarse.from_photo import load_coarse
from toolkit.coarse.observation import lay_out
from toolkit.people.sample import sample_person
from toolkit.run.files import atomic_path
from tools.command import run_with
from tools.train.people import FIRST_SEED, load_sample, write_people

IN_FIGURE = (3, 9, 11, 18)  # numbers of validation people: prints, a hem, a check, a cap
HEIGHT_PX = 250  # of a row of the figure


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    people: Annotated[int, typer.Option(help="number of people")] = 24
    split: Annotated[str, typer.Option(help="train, val or test")] = "val"
    truths: Annotated[int, typer.Option(help="truths per person, with its own")] = 12
    light: Annotated[int, typer.Option(help="people also under other lights")] = 3
    weights: Annotated[Path | None, typer.Option(help="else those that ship")] = None
    rendered: Annotated[Path, typer.Option(help="folder of rendered people")] = Path("runs/people")
    parts: Annotated[
        Path, typer.Option(help="keeps what each person gave: a killed run goes on")
    ] = Path("runs/conditional_mean")
    figure: Annotated[Path | None, typer.Option(help="picture of four people")] = None
    table_only: TableOnly = False
    out: Out = None


def main(settings: Settings) -> None:
    """Measure and write docs/results/conditional_mean.json with its tables."""
    publish(
        "conditional_mean",
        lambda: measure(settings),
        tables,
        table_only=settings.table_only,
        out=settings.out,
    )


def measure(settings: Settings) -> dict:
    """Examine every person and average."""
    torch.set_num_threads(1)
    body, model = load_body(), load_coarse(settings.weights)
    anchors = sample_anchors(body, num=20_000)
    setup = SimpleNamespace(
        body=body, anchors=anchors, model=model, layout=lay_out(anchors, model.num_tokens)
    )
    if settings.figure:
        draw_figure(setup, settings)
    rows = []
    for path in tqdm(write_people(settings.rendered, settings.split, num=settings.people)):
        part = settings.parts / settings.split / f"{path.stem}.json"
        if not part.exists():
            lit = int(path.stem) % 1_000_000 < settings.light
            of_person = examine(path, setup, settings.split, settings.truths, lit)
            with atomic_path(part) as tmp:
                tmp.write_text(json.dumps(of_person))
        rows += json.loads(part.read_text())
    return {
        "split": settings.split,
        "people": settings.people,
        "truths": settings.truths,
        "table": summarise(rows),
    }


def draw_figure(setup: SimpleNamespace, settings: Settings) -> None:
    """photo | truth and three others from behind | the mean of all | the avatar; a row each."""
    rows = []
    for index in IN_FIGURE:
        (path,) = write_people(settings.rendered, settings.split, num=1, first=index)
        sample, seed = load_sample(path), FIRST_SEED[settings.split] + index
        back = sectors(seed)["back"]
        middle = back[len(back) // 2]
        person = sample_person(seed, settings.split)
        truths = draw_truths(person, sample, [middle], settings.truths, False)["choices"][0][:, 0]
        turn = draw_avatar(sample, setup)
        rows.append([sample.photo_rgba[..., :3], *truths[:4], truths.mean(0), turn.rgb[middle]])
    with atomic_path(settings.figure) as path:
        Image.fromarray(np.concatenate([strip(row) for row in rows])).save(path, quality=88)


def strip(pictures: list[Float[Tensor, "h w 3"]]) -> UInt8[np.ndarray, "H W 3"]:
    """Pictures side by side at one height, the turntable's without their white margins."""
    cut = [pictures[0], *(picture[:, 12:-12] for picture in pictures[1:])]
    images = [Image.fromarray(as_bytes(picture)) for picture in cut]
    sizes = [(round(HEIGHT_PX * image.width / image.height), HEIGHT_PX) for image in images]
    return np.concatenate(
        [
            np.asarray(image.resize(size, Image.Resampling.LANCZOS))
            for image, size in zip(images, sizes, strict=True)
        ],
        axis=1,
    )


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
