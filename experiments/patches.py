"""What is an exact prior worth whose only data are the patches of the photo? Frames, no refit.

    python -m experiments.patches                        # 12 people, about 20 CPU seconds each
    python -m experiments.patches --people 2 --out runs/patches.json --sheet runs/patches.jpg

The prior is `toolkit.prior.patches`; nothing is trained. Coarse avatars on the true body; the
edited Gaussians themselves are rendered on the turntable. SDEdit starts from three noise levels,
from the coarse avatar's own detail and from carried detail.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import imageio.v3 as iio
import numpy as np
import torch
import typer
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from experiments.document import Out, TableOnly, markdown_table, mean_of, number, publish
from toolkit.evaluate.clip_scores import ClipScorer, summarise, timed
from toolkit.people.sample import FIRST_SEED
from toolkit.prior.patches.prior import PatchPrior
from toolkit.prior.sdedit import SDEditConfig
from toolkit.refine.edit import as_frames, clip_condition, edit_clip
from toolkit.run.files import atomic_path
from toolkit.run.progress import silent
from tools.command import run_with

STARTS = {  # start sigma: settings; few steps at low noise, where one takes long
    0.3: SDEditConfig(strength=0.3, num_inference_steps=20, shift=1.0, max_steps=3),
    0.6: SDEditConfig(strength=0.6, num_inference_steps=20, shift=1.0, max_steps=4),
    0.98: SDEditConfig(strength=0.95, num_inference_steps=20, shift=3.0, max_steps=8),
}
FROM_CARRIED = 0.3  # so little noise that the carried layout stays
COLUMNS = {  # measure: head, digits
    "psnr": ("PSNR, dB", 2),
    "perceptual": ("perceptual", 3),
    "kid": ("KID x1000", 0),
    "sharpness": ("sharpness", 2),
    "kept_psnr": ("PSNR to coarse where seen, dB", 1),
    "seconds": ("CPU s", 1),
}


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    people: Annotated[int, typer.Option(help="number of people")] = 12
    # people 0 to 11 were looked at while the method was made
    first: Annotated[int, typer.Option(help="number of the first one")] = 12
    split: Annotated[Literal["val", "train"], typer.Option(help="which people")] = "val"
    folder: Annotated[Path, typer.Option(help="keeps photos, bodies and coarse avatars")] = Path(
        "runs/sampler_people"
    )
    parts: Annotated[
        Path, typer.Option(help="keeps what each person gave: a killed run goes on")
    ] = Path("runs/patches")
    sheet: Annotated[
        Path | None, typer.Option(help="picture: side and back of the people; scores them anew")
    ] = None
    table_only: TableOnly = False
    out: Out = None


def main(settings: Settings) -> None:
    """Measure and write docs/results/patches.json with its table."""
    publish(
        "patches",
        lambda: measure(settings),
        tables,
        table_only=settings.table_only,
        out=settings.out,
    )


def measure(settings: Settings) -> dict:
    """Score every clip of every person; each person's scores are kept in a file."""
    torch.set_num_threads(1)
    people, strips = [], []
    for index in tqdm(range(settings.first, settings.first + settings.people)):
        part = settings.parts / settings.split / f"{index:05d}.json"
        if settings.sheet or not part.exists():
            scorer = open_person(settings, index)
            clips = make_clips(scorer)
            scores = {n: scorer.score_clip(c) | {"seconds": s} for n, (c, s) in clips.items()}
            strips.append(strip(scorer, clips))
            with atomic_path(part) as tmp:
                tmp.write_text(json.dumps(scores))
        people.append(json.loads(part.read_text()))
    if settings.sheet:
        iio.imwrite(settings.sheet, (torch.cat(strips).numpy() * 255).astype(np.uint8))
    rows = summarise({n: [p[n] for p in people] for n in people[0]}, baseline="coarse")
    return {"people": len(people), "split": settings.split, "order": list(rows), "rows": rows}


def open_person(settings: Settings, index: int) -> ClipScorer:
    """A person on the true body, brought from the photo to the coarse clip."""
    with silent():
        scorer = ClipScorer.from_seed(
            FIRST_SEED[settings.split] + index,
            settings.split,
            settings.folder / f"{settings.split}_{index:05d}",
        )
        scorer = replace(scorer, bench=scorer.bench.on_true_body())
        scorer.prepare()
    return scorer


@torch.no_grad()
def make_clips(scorer: ClipScorer) -> dict[str, tuple[Float[Tensor, "T H W 3"], float]]:
    """Name -> frames, and the CPU seconds that they took."""
    bench, known = scorer.bench, clip_condition(scorer.bench.turntable)
    own = PatchPrior.of(bench.coarse, bench.visible)
    carried, seconds = timed(lambda: PatchPrior.of(bench.coarse, bench.visible, carried=True))

    def edited(prior: PatchPrior, sigma: float) -> tuple[Tensor, float]:
        noise = torch.Generator().manual_seed(bench.config.seed)
        return timed(lambda: as_frames(edit_clip(prior, known, STARTS[sigma], generator=noise)))

    return {
        "coarse": (bench.turntable.rgb, 0.0),
        "carried detail": (as_frames(carried.decode(carried.start[None], known)), seconds),
        **{f"patches from sigma {sigma:g}": edited(own, sigma) for sigma in STARTS},
        f"carried detail, then patches from {FROM_CARRIED:g}": edited(carried, FROM_CARRIED),
    }


def strip(scorer: ClipScorer, clips: dict) -> Float[Tensor, "h w 3"]:
    """Truth and every clip: the side over the back."""
    frames = [scorer.reference.scene.views.rgb, *(clip for clip, _ in clips.values())]
    azimuths = scorer.bench.turntable.orbit.azimuths_deg
    views = [int((azimuths - wanted).abs().argmin()) for wanted in (90, 180)]
    return torch.cat([torch.cat([f[v] for f in frames], 1) for v in views]).clamp(0, 1)


def tables(numbers: dict) -> dict[str, str]:
    """One row per clip, and the paired change of the perceptual distance."""
    lines = []
    for name in numbers["order"]:
        row = numbers["rows"][name]
        values = [number(mean_of(row, m), digits) for m, (_, digits) in COLUMNS.items()]
        change = row["change"]["perceptual"]
        known = name != "coarse" and change
        lines.append(
            [name, *values, f"{change['mean']:+.3f}, p={change['p']:.2g}" if known else ""]
        )
    caption = (
        f"{numbers['people']} {numbers['split']} people, true body, A pose, side and back, the "
        "edited Gaussians rendered without a refit:\n\n"
    )
    heads = ["", *(head for head, _ in COLUMNS.values()), "change of perceptual"]
    return {"": caption + markdown_table(heads, lines)}


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
