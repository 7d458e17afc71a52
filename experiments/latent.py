"""Does SDEdit win with the latent prior? Validation people, frames before any refit.

    python -m experiments.latent                       # 24 people, 45 minutes on one core
    python -m experiments.latent --people 2 --out runs/latent.json --sheet runs/latent.jpg

SDEdit with Euler steps, from several strengths, under the latent prior that is given the front
picture only (the paper's setting) and under the one that also sees the coarse clip (the posterior).
Controls: the coarse clip through the autoencoder alone, for the decoder may sharpen; the truth
through the autoencoder, which bounds what any latent prior can do. Seeds: how far answers to the
same photo differ where it saw the person and where it did not.
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

from experiments.document import Out, TableOnly, markdown_table, mean_of, number, publish
from toolkit.evaluate.clip_scores import ClipScorer, summarise
from toolkit.prior.latent.model import LatentPrior
from toolkit.prior.latent.shipped import load_latent
from toolkit.prior.sdedit import SDEditConfig
from toolkit.refine.edit import as_clip, as_frames, refine_clip
from toolkit.run.folder import digest, read_json, write_json
from toolkit.run.progress import Progress, silent
from toolkit.show.pictures import contact_sheet
from tools.command import run_with

FOLDER = Path("runs/latent_people")
STRENGTHS = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0)
STEPS = 6  # evaluations of the prior
SEEDS = (1, 2, 3)  # beside seed 0, for the spread
SPREAD_AT = 0.8  # strength at which the spread is measured
BODIES = {"true": "true body", "photo": "estimated body"}
KINDS = {"latent": "front picture only", "posterior": "front picture and coarse clip"}
CONTROLS = {
    "coarse": "coarse clip",
    "coarse_coded": "coarse clip through the autoencoder",
    "truth_coded": "truth through the autoencoder",
}
SHOWN = {"psnr": ("PSNR, dB", 2), "perceptual": ("perceptual", 3), "kid": ("KID x1000", 0)}
SHOWN |= {"sharpness": ("sharpness", 2), "seen_psnr": ("PSNR where seen, dB", 2)}


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    people: Annotated[int, typer.Option(help="number of validation people")] = 24
    autoencoder: Annotated[Path | None, typer.Option(help="weights; else those that ship")] = None
    flow: Annotated[Path | None, typer.Option(help="weights; else those that ship")] = None
    sheet: Annotated[Path | None, typer.Option(help="picture: side and back of people")] = None
    rows: Annotated[int, typer.Option(help="people on the sheet")] = 6
    table_only: TableOnly = False
    out: Out = None


def main(settings: Settings) -> None:
    """Measure; write docs/results/latent.json and its tables."""
    publish(
        "latent",
        lambda: measure(settings),
        tables,
        table_only=settings.table_only,
        out=settings.out,
    )


def edit(scorer: ClipScorer, prior: LatentPrior, strength: float, seed: int = 0) -> Tensor:
    """SDEdit of a person's coarse clip; frames in [0, 1]."""
    config = SDEditConfig(strength, 20, 1.0, max_steps=STEPS)
    generator = torch.Generator().manual_seed(seed)
    return refine_clip(prior, scorer.bench.turntable, config, generator=generator)


@torch.no_grad()
def coded(prior: LatentPrior, frames: Float[Tensor, "T H W 3"]) -> Float[Tensor, "T H W 3"]:
    """Frames through the autoencoder and back."""
    net = prior.autoencoder
    return as_frames(net.decode_clip(net.encode_clip(as_clip(frames))))


def clips_of(scorer: ClipScorer, priors: dict[str, LatentPrior]) -> dict[str, Tensor]:
    """Every row's frames."""
    coarse, latent = scorer.bench.turntable.rgb, priors["latent"]
    clips = {
        "coarse": coarse,
        "coarse_coded": coded(latent, coarse),
        "truth_coded": coded(latent, scorer.reference.scene.views.rgb),
    }
    for kind, prior in priors.items():
        clips |= {f"{kind} {s:g}": edit(scorer, prior, s) for s in STRENGTHS}
    return clips


def spread(scorer: ClipScorer, prior: LatentPrior, first: Tensor) -> dict[str, float]:
    """Root mean square difference of pixels between seeds, in [0, 1], side and back."""
    clips = torch.stack([first, *(edit(scorer, prior, SPREAD_AT, seed) for seed in SEEDS)])
    deviation = clips.var(0).mean(-1, keepdim=True)
    turntable = scorer.bench.turntable
    person, seen = turntable.alpha > 0.5, turntable.seen
    masks = {"seen": person & (seen > 0.9), "hidden": person & (seen < 0.1)}
    return {name: float(deviation[mask].mean().sqrt()) for name, mask in masks.items()}


def measure_person(seed: int, folder: Path, priors: dict[str, LatentPrior]) -> dict:
    """body -> row -> numbers."""
    result = {}
    estimated = ClipScorer.from_seed(seed, "val", folder)
    for body in BODIES:
        bench = estimated.bench if body == "photo" else estimated.bench.on_true_body()
        scorer = ClipScorer(bench)
        clips = clips_of(scorer, priors)
        result[body] = {name: scorer.score_clip(clip) for name, clip in clips.items()}
        for kind, prior in priors.items():
            first = clips[f"{kind} {SPREAD_AT:g}"]
            result[body][f"{kind} {SPREAD_AT:g}"]["spread"] = spread(scorer, prior, first)
    return result


def measure(settings: Settings) -> dict:
    """Everybody; what a killed run has finished with the same weights is read back."""
    torch.set_num_threads(1)
    weights = {"autoencoder": settings.autoencoder, "flow": settings.flow}
    priors = {kind: load_latent(posterior=kind == "posterior", **weights) for kind in KINDS}
    nets = (priors["latent"].autoencoder, priors["latent"].flow)
    key = digest(*(w.numpy().tobytes() for net in nets for w in net.state_dict().values()))[:12]
    persons = []
    with Progress("people", settings.people) as tick, silent():
        for seed in range(settings.people):
            folder = FOLDER / f"val_{seed:07d}"
            path = folder / f"latent_{key}.json"
            if not path.is_file():
                write_json(path, measure_person(seed, folder, priors))
            persons.append(read_json(path))
            tick()
    if settings.sheet:
        iio.imwrite(settings.sheet, sheet(settings.rows, priors))
    return {
        "people": settings.people,
        "steps": STEPS,
        "spread_at": SPREAD_AT,
        "rows": {body: summary(persons, body) for body in BODIES},
        "spread": {
            body: {kind: mean_spread(persons, body, kind) for kind in KINDS} for body in BODIES
        },
    }


def summary(persons: list[dict], body: str) -> dict:
    """row -> measure -> interval, with the change from coarse."""
    scores = {
        name: [{k: v for k, v in p[body][name].items() if k != "spread"} for p in persons]
        for name in persons[0][body]
    }
    return summarise(scores, baseline="coarse")


def mean_spread(persons: list[dict], body: str, kind: str) -> dict[str, float]:
    """Mean over people of the differences between seeds."""
    values = [p[body][f"{kind} {SPREAD_AT:g}"]["spread"] for p in persons]
    return {name: float(np.nanmean([v[name] for v in values])) for name in values[0]}


def sheet(num: int, priors: dict[str, LatentPrior]) -> np.ndarray:
    """Side and back of people on their true bodies: coarse, some strengths, truth."""
    tiles = []
    for seed in range(num):
        folder = FOLDER / f"val_{seed:07d}"
        scorer = ClipScorer(ClipScorer.from_seed(seed, "val", folder).bench.on_true_body())
        azimuths = scorer.reference.scene.views.azimuths_deg
        chosen = [int(abs((azimuths - a + 180) % 360 - 180).argmin()) for a in (90, 180)]
        clips = {"coarse": scorer.bench.turntable.rgb}
        for kind, prior in priors.items():
            clips |= {f"{kind} {s:g}": edit(scorer, prior, s) for s in (0.4, 0.6, 0.8, 1.0)}
        clips["truth"] = scorer.reference.scene.views.rgb
        tiles += [torch.cat([clip[i] for i in chosen], dim=1) for clip in clips.values()]
    return contact_sheet(tiles, columns=len(clips), labels=list(clips) * num)


def tables(numbers: dict) -> dict[str, str]:
    """One table per body, and the spread of seeds."""
    parts = {words: body_table(numbers, body) for body, words in BODIES.items()}
    heads = [f"between seeds at strength {numbers['spread_at']:g}", "where seen", "where hidden"]
    lines = [
        [f"{KINDS[kind]}, {BODIES[body]}", number(row["seen"], 3), number(row["hidden"], 3)]
        for body, kinds in numbers["spread"].items()
        for kind, row in kinds.items()
    ]
    return parts | {"seeds": markdown_table(heads, lines)}


def body_table(numbers: dict, body: str) -> str:
    """Means, with the changes from coarse in percent."""
    rows, lines = numbers["rows"][body], []
    for name, row in rows.items():
        kind, _, strength = name.partition(" ")
        words = CONTROLS.get(name) or f"{KINDS[kind]}, strength {strength}"
        changes = [
            ""
            if name == "coarse"
            else f"{100 * (mean_of(row, m) / mean_of(rows['coarse'], m) - 1):+.0f}"
            for m in ("perceptual", "kid")
        ]
        lines.append(
            [words, *(number(mean_of(row, m), d) for m, (_, d) in SHOWN.items()), *changes]
        )
    heads = ["", *(title for title, _ in SHOWN.values()), "perceptual, %", "KID, %"]
    caption = (
        f"{numbers['people']} validation people, side and back; Euler, {numbers['steps']} steps, "
        "shift 1, so that strength is the start sigma:"
    )
    return f"{caption}\n\n{markdown_table(heads, lines)}"


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
