"""What does the turntable prior do to the coarse clip? Validation people, frames before any refit.

    python -m experiments.turntable                       # makes its clips, writes the table
    python -m experiments.turntable --people 4 --out runs/turntable.json --sheet runs/sheet.png
    python -m experiments.turntable --people 0 --out runs/t.json --samples runs/samples.jpg

The rows: the coarse clip; the same avatar with every hidden Gaussian in the colours that the front
view carries through the body, which the repairer is shown as a guess; the repairer in one step from
pure noise; and the mean of its answers to the clip and to the mirrored clip, which `avatar` uses.
PSNR is taken inside the true silhouette; the perceptual distance (features of EfficientNet-Lite0)
over side and back views. Every second person's body has the errors of a real fit.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import imageio.v3 as iio
import numpy as np
import torch
import typer
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from experiments.document import Out, TableOnly, markdown_table, number, publish
from experiments.turntable_sheets import comparison_sheet, sample_sheet
from toolkit.measure.perceptual import load_features
from toolkit.prior.samplers import self_ensemble
from toolkit.prior.sdedit import Velocity, sdedit
from toolkit.prior.turntable.clips import ClipPair, ClipStore
from toolkit.prior.turntable.shipped import OPERATING_POINT, load_turntable
from tools.command import run_with
from tools.train.clips import clip_maker, write_clips
from tools.train.critic import distance
from tools.train.fit_errors import FitErrors
from tools.train.people import write_people

SECTORS = {  # name: degrees from the front
    "front": (0, 35),
    "three-quarter": (35, 70),
    "side": (70, 110),
    "side-back": (110, 145),
    "back": (145, 181),
}
SIDE_AND_BACK_DEG = 70  # views that the perceptual distance is taken over start here


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    people: Annotated[int, typer.Option(help="number of people")] = 48
    split: Annotated[str, typer.Option(help="val or train")] = "val"
    repairer: Annotated[Path | None, typer.Option(help="weights; else those that ship")] = None
    plain: Annotated[Path | None, typer.Option(help="weights; else those that ship")] = None
    clips: Annotated[Path, typer.Option(help="folder of clips")] = Path("runs/clips")
    rendered: Annotated[Path, typer.Option(help="folder of rendered people")] = Path("runs/people")
    sheet: Annotated[Path | None, typer.Option(help="picture: side and back of people")] = None
    rows: Annotated[int, typer.Option(help="people on the sheet")] = 4
    samples: Annotated[
        Path | None, typer.Option(help="picture of 16 people drawn from pure noise")
    ] = None
    table_only: TableOnly = False
    out: Out = None


def main(settings: Settings) -> None:
    """Measure and write docs/results/turntable.json with its table."""
    publish(
        "turntable",
        lambda: measure(settings),
        tables,
        table_only=settings.table_only,
        out=settings.out,
    )


def measure(settings: Settings) -> dict:
    """Edit every clip in all ways and score the frames."""
    torch.set_num_threads(1)
    paths = write_people(settings.rendered, settings.split, num=max(settings.people, 16))
    write_clips(paths, settings.clips, settings.split, clip_maker(FitErrors()))
    store = ClipStore(settings.clips, split=settings.split)
    if settings.samples:
        people = [store.pair([i]) for i in range(16)]
        iio.imwrite(settings.samples, sample_sheet(load_turntable("plain", settings.plain), people))
    pairs = [store.pair([i], coarse_reference=True) for i in range(settings.people)]
    velocity = load_turntable("repairer", settings.repairer).velocity
    clips = {
        "coarse": [p.coarse for p in pairs],
        "the front's colours carried through the body": [p.carried for p in pairs],
        "repairer, one step": [repair(velocity, p) for p in tqdm(pairs)],
        "the same, with the mirrored clip": [repair(self_ensemble(velocity), p) for p in pairs],
    }
    if settings.sheet:
        iio.imwrite(settings.sheet, comparison_sheet(pairs[: settings.rows], clips))
    return {
        "split": settings.split,
        "people": len(pairs),
        "rows": {name: score(pairs, made) for name, made in clips.items() if pairs},
    }


@torch.no_grad()
def repair(velocity: Velocity, pair: ClipPair) -> Float[Tensor, "1 3 T H W"]:
    """One step from pure noise, the setting that `avatar` runs."""
    return sdedit(
        velocity,
        pair.coarse,
        pair.condition(repair=True),
        config=OPERATING_POINT,
        generator=torch.Generator().manual_seed(0),
    )


@torch.no_grad()
def score(pairs: list[ClipPair], clips: list[Float[Tensor, "1 3 T H W"]]) -> dict[str, float]:
    """Mean PSNR by angle from the front, and the perceptual distance of side and back."""
    by_sector: dict[str, list[float]] = {name: [] for name in SECTORS}
    distances, net = [], load_features()
    for pair, clip in zip(pairs, clips, strict=True):
        inside = (pair.truth < 0.98).any(dim=1, keepdim=True)  # not white: a person
        error = ((clip.clamp(-1, 1) - pair.truth) / 2).square().mean(dim=1, keepdim=True) * inside
        psnr = -10 * torch.log10(error.sum((0, 1, 3, 4)) / inside.sum((0, 1, 3, 4)))
        angle = (pair.azimuths_deg[0] + 180).remainder(360).sub(180).abs()
        for name, (low, high) in SECTORS.items():
            by_sector[name] += psnr[(angle >= low) & (angle < high)].tolist()
        views, truth = (
            c[0].transpose(0, 1)[angle >= SIDE_AND_BACK_DEG] for c in (clip, pair.truth)
        )
        distances.append(float(distance(net, views.clamp(-1, 1), truth)))
    means = {name: float(np.mean(values)) for name, values in by_sector.items() if values}
    return means | {"perceptual": float(np.mean(distances))}


def tables(numbers: dict) -> dict[str, str]:
    """One row per clip, PSNR by sector and the perceptual distance."""
    rows = [
        [name, *(number(row[s], 2) for s in SECTORS), number(row["perceptual"], 3)]
        for name, row in numbers["rows"].items()
    ]
    caption = f"{numbers['people']} {numbers['split']} people, clips of 192x96, PSNR in dB:\n\n"
    heads = ["", *SECTORS, "perceptual, side and back"]
    return {"": caption + markdown_table(heads, rows)}


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
