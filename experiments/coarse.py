"""How good is the coarse avatar? Rendered test people on their true body, beside baselines.

    python -m experiments.coarse                                  # the tables; renders its people
    python -m experiments.coarse --num 4 --train 0 --out runs/coarse.json --sheet runs/sheet.png

PSNR (dB, inside the true silhouette, on white) and perceptual distance (x 1000, two views per
sector). `front` is the photo's own view at 256 px; `inner` is the same without the outermost 3
pixels, where half a pixel of silhouette decides; `side` and `back` are turntable views within 30
degrees of 90/270 and of 180.

The baselines: `mirrored` is our avatar with the front's colours at the mirrored place wherever the
photo saw nothing; `nearest` is the true body in the clothes, hair and light of the training person
whose front looks most like ours; then the untrained network, the photo painted straight through the
body, and the photo's mean colour.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from tqdm import tqdm

from experiments.coarse_baselines import FrontLibrary, dress_like, mirror_front
from experiments.coarse_scores import Truth, as_bytes, iou, renders, rows_seen, sectors
from experiments.document import Out, TableOnly, markdown_table, number, publish
from toolkit.body.anchors import sample_anchors
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.coarse.from_photo import load_coarse, predict
from toolkit.coarse.observation import lay_out, observe
from toolkit.coarse.small import AnchorTransformer
from toolkit.gaussians import SH_C0
from toolkit.photo.crop import sample_bilinear
from toolkit.render.api import Render
from toolkit.run.files import atomic_path
from tools.command import run_with
from tools.train.people import Sample, load_sample, write_people

NAMES = {
    "coarse": "**coarse**",
    "mirrored": "the front mirrored to the back, on our shape",
    "nearest": "the nearest of {nearest_of:,} training people: its clothes, hair and light",
    "untrained": "untrained: the photo painted on the body",
    "painted_through": "the photo painted straight through the body",
    "mean_fill": "the photo's mean colour",
}
COLUMNS = {
    "front": ("front, dB", 2),
    "inner": ("without a 3 px rim", 2),
    "side": ("side", 2),
    "back": ("back", 2),
    "front_perceptual": ("perceptual x 1000: front", 0),
    "side_perceptual": ("side", 0),
    "back_perceptual": ("back", 0),
    "iou": ("silhouette IoU", 2),
}
GOAL_FRONT_DB = 24


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    num: Annotated[int, typer.Option(help="number of people to score")] = 64
    split: Annotated[str, typer.Option(help="val or test")] = "test"
    train: Annotated[int, typer.Option(help="people that `nearest` chooses from; 0: none")] = 4000
    again: Annotated[int, typer.Option(help="training people to score as well; 0: none")] = 32
    anchors: Annotated[int, typer.Option(help="number of Gaussians")] = 20_000
    weights: Annotated[Path | None, typer.Option(help="else those that ship")] = None
    people: Annotated[Path, typer.Option(help="folder of rendered people")] = Path("runs/people")
    sheet: Annotated[Path | None, typer.Option(help="picture of the first people")] = None
    rows: Annotated[int, typer.Option(help="people on the sheet")] = 8
    table_only: TableOnly = False
    out: Out = None


def main(settings: Settings) -> None:
    """Measure and write docs/results/coarse.json with its tables."""
    publish(
        "coarse",
        lambda: measure(settings),
        tables,
        table_only=settings.table_only,
        out=settings.out,
    )


def measure(settings: Settings) -> dict:
    """Score people of the split, and some that the network was trained on."""
    torch.set_num_threads(1)
    body, fresh = load_body(), AnchorTransformer().eval()
    anchors = sample_anchors(body, num=settings.anchors)
    coarse = load_coarse(settings.weights)
    models = {"coarse": coarse, "untrained": fresh, "painted_through": fresh}
    setup = SimpleNamespace(body=body, anchors=anchors, layout=lay_out(anchors, fresh.num_tokens))
    cache = settings.people / f"fronts_{settings.train}.npz"
    library = FrontLibrary.draw(settings.train, cache) if settings.train else None
    paths = write_people(settings.people, settings.split, num=settings.num)
    seconds = seconds_to_predict(paths[0], coarse, setup)
    means, pictures = score_people(paths, models, setup, library)
    if settings.sheet:
        with atomic_path(settings.sheet) as path:
            Image.fromarray(np.concatenate(pictures[: settings.rows])).save(path)
    numbers = {
        "split": settings.split,
        "people": len(paths),
        "nearest_of": settings.train,
        "seconds_first": seconds[0],
        "seconds": seconds[1],
        "means": means,
    }
    if settings.again:
        others = write_people(settings.people, "train", num=settings.again)
        again, _ = score_people(others, {"coarse": coarse}, setup, None)
        numbers["training"] = {"people": settings.again, "means": again}
    return numbers


def score_people(
    paths: list[Path],
    models: dict[str, AnchorTransformer],
    setup: SimpleNamespace,
    library: FrontLibrary | None,
) -> tuple[dict[str, dict[str, float]], list[np.ndarray]]:
    """Means over people for each variant, and a strip of pictures per person."""
    scores, strips = [], []
    for path in tqdm(paths, desc="people"):
        of_person, strip = score_person(path, models, setup, library)
        scores.append(of_person)
        strips.append(np.concatenate(strip, axis=1))
    means = {
        name: {k: float(np.nanmean([s[name][k] for s in scores])) for k in scores[0][name]}
        for name in scores[0]
    }
    return means, strips


@torch.no_grad()
def score_person(
    path: Path,
    models: dict[str, AnchorTransformer],
    setup: SimpleNamespace,
    library: FrontLibrary | None,
) -> tuple[dict[str, dict], list[np.ndarray]]:
    """Scores of every variant and sector, and the pictures of the coarse one."""
    person = load_sample(path)
    guess = SimpleNamespace(betas=person.betas, pose=person.pose, transl=person.transl)
    seen = observe(person.crop, guess, setup.body, setup.anchors)
    truth, scores, strip = Truth(person, sectors(int(path.stem))), {}, []

    def add(name: str, front: Render, turn: Render) -> None:
        scores[name] = truth.scores(front.rgb.clamp(0, 1), turn.rgb.clamp(0, 1))
        scores[name]["iou"] = iou(turn.alpha[..., 0], person.turn_rgba[..., 3])

    for name, model in models.items():
        gaussians = model(person.crop, setup.layout, seen)
        if name == "painted_through":
            (pixels,), _ = person.crop.camera.project(seen.posed)
            gaussians = gaussians.replace(
                sh=((sample_bilinear(person.crop.rgb, pixels) - 0.5) / SH_C0)[:, None]
            )
        front, turn = renders(gaussians, guess, person, setup.body, setup.anchors)
        add(name, front, turn)
        if name == "coarse":
            strip = picture_strip(person, front, turn)
            mirrored = mirror_front(gaussians, seen.visible, setup.layout)
            add("mirrored", *renders(mirrored, guess, person, setup.body, setup.anchors))
            if library:
                rig = Rig.build(setup.body, setup.anchors, guess.betas)
                standing = pose_gaussians(gaussians, rig, a_pose(), person.transl)
                seed = library.nearest(turn.rgb[0], rows_seen(standing, seen.visible, person))
                add("nearest", *dress_like(seed, person))
    mean = person.photo_rgba[person.photo_rgba[..., 3] > 0.9][:, :3].mean(0)
    filled = (
        torch.where(rgba[..., 3:] > 0.5, mean, torch.ones(3))
        for rgba in (person.photo_rgba[None], person.turn_rgba)
    )
    scores["mean_fill"] = truth.scores(*filled)
    return scores, strip


def seconds_to_predict(
    path: Path, model: AnchorTransformer, setup: SimpleNamespace
) -> tuple[float, float]:
    """Wall time of `predict` for one photo: the first call, and the median of the next three."""
    person, times = load_sample(path), []
    guess = SimpleNamespace(
        betas=person.betas, pose=person.pose, transl=person.transl, camera=person.crop.camera
    )
    picture = person.crop.rgb.permute(1, 2, 0)
    for _ in range(4):
        start = time.perf_counter()
        predict(model, picture, person.crop.mask, guess, setup.body, setup.anchors)
        times.append(time.perf_counter() - start)
    return times[0], float(np.median(times[1:]))


def picture_strip(person: Sample, front: Render, turn: Render) -> list[np.ndarray]:
    """photo | coarse in the photo's view | coarse in frames 0, 3, 7, 10 of 13 | their truths."""
    frames = [0, 3, 7, 10]
    square = [person.photo_rgba[..., :3], front.rgb[0]]
    small = [np.asarray(Image.fromarray(as_bytes(x)).resize((192, 192))) for x in square]
    return (
        small
        + [as_bytes(turn.rgb[i]) for i in frames]
        + [as_bytes(person.turn_rgba[i, ..., :3]) for i in frames]
    )


def tables(numbers: dict) -> dict[str, str]:
    """Coarse beside its baselines, and how much better it does on people it was trained on."""
    rows = [
        [
            NAMES[name].format(**numbers),
            *(number(row.get(key), digits) for key, (_, digits) in COLUMNS.items()),
        ]
        for name, row in sorted(numbers["means"].items(), key=lambda item: [*NAMES].index(item[0]))
    ]
    met = "met" if numbers["means"]["coarse"]["front"] >= GOAL_FRONT_DB else "**missed**"
    caption = (
        f"{numbers['people']} {numbers['split']} people, true body, 20,000 Gaussians. Goal in "
        f"front: {GOAL_FRONT_DB} dB, {met}. One photo takes "
        f"{number(numbers['seconds'], 2)} s on one core, {number(numbers['seconds_first'], 1)} s "
        "the first time in a process.\n\n"
    )
    text = {"": caption + markdown_table(["", *(head for head, _ in COLUMNS.values())], rows)}
    if "training" in numbers:
        groups = {
            f"{numbers['people']} {numbers['split']} people": numbers["means"],
            f"{numbers['training']['people']} training people": numbers["training"]["means"],
        }
        rows = [
            [name, *(number(m["coarse"][s] - m["mean_fill"][s], 2) for s in ("side", "back"))]
            for name, m in groups.items()
        ]
        heads = ["PSNR of coarse above the mean colour, dB", "side", "back"]
        text["on training people"] = markdown_table(heads, rows)
    return text


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
