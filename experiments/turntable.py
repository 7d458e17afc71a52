"""SDEdit of held-out clips under the turntable prior: a picture sheet and PSNR per sector.

Columns: truth, coarse, then the repairer and the plain prior at each start sigma; every person has
a row of side views and a row of back views. With `--samples`, also people drawn from pure noise.

    python -m experiments.turntable --weights runs/turntable/turntable.safetensors --out runs/sheet
    python -m experiments.turntable --weights data/models/turntable_plain.safetensors --people 0 \
        --samples 16 --out runs/samples
"""

import argparse
import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from torch import Tensor

from toolkit.prior.sdedit import SDEditConfig, sdedit
from toolkit.prior.turntable.clips import ClipPair, ClipStore, to_pictures
from toolkit.prior.turntable.model import TurntablePrior

SIGMAS = (0.3, 0.5, 0.7, 0.9)
SECTORS = {
    "front": (0, 35),
    "three_quarter": (35, 70),
    "side": (70, 110),
    "side_back": (110, 145),
    "back": (145, 181),
}


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    model = TurntablePrior.load(args.weights)
    store = ClipStore(args.clips, split=args.split)
    pairs = [
        store.pair([i], coarse_reference=args.coarse_reference)
        for i in range(min(args.people, len(store)))
    ]
    results = {"coarse": [p.coarse for p in pairs]}
    for repair in (True, False):
        for sigma in args.sigmas:
            name = f"{'repair' if repair else 'plain'} {sigma}"
            results[name] = [edit(model, pair, repair, sigma, args) for pair in pairs]
    args.out.mkdir(parents=True, exist_ok=True)
    if pairs:
        scores = {name: sector_psnr(pairs, clips) for name, clips in results.items()}
        (args.out / "scores.json").write_text(json.dumps(scores, indent=1))
        iio.imwrite(args.out / "sheet.png", sheet(pairs[: args.rows], results))
        for name, row in scores.items():
            print(f"{name:12s}", " ".join(f"{k} {v:6.2f}" for k, v in row.items()))
    if args.samples:
        people = [store.pair([i]) for i in range(min(args.samples, len(store)))]
        iio.imwrite(args.out / "samples.png", sample_sheet(model, people))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="data/models/turntable.safetensors")
    parser.add_argument("--clips", type=Path, default=Path("runs/clips"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--out", type=Path, default=Path("runs/sheet"))
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--rows", type=int, default=4, help="people on the sheet")
    parser.add_argument("--samples", type=int, default=0, help="people sampled from pure noise")
    parser.add_argument("--steps", type=int, default=8, help="Euler steps from the start sigma")
    parser.add_argument("--sampler", default="ode")
    parser.add_argument("--sigmas", type=float, nargs="*", default=SIGMAS)
    parser.add_argument("--coarse-reference", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def edit(model: TurntablePrior, pair: ClipPair, repair: bool, sigma: float, args) -> Tensor:
    """SDEdit from `sigma` (to one step of the unshifted schedule) in `args.steps` steps."""
    length = 1 + round((args.steps - 1) / sigma)
    config = SDEditConfig(min(1.0, (args.steps + 0.5) / length), length, 1.0, args.sampler)
    return sdedit(
        model.velocity,
        pair.coarse,
        pair.condition(repair=repair),
        config=config,
        generator=torch.Generator().manual_seed(0),
    )


def sector_psnr(pairs: list[ClipPair], clips: list[Tensor]) -> dict[str, float]:
    """Mean PSNR inside the true silhouette, by angle from the front."""
    found = {name: [] for name in SECTORS}
    for pair, clip in zip(pairs, clips, strict=True):
        inside = (pair.truth < 0.98).any(dim=1, keepdim=True)
        error = ((clip.clamp(-1, 1) - pair.truth) / 2).square().mean(dim=1, keepdim=True) * inside
        psnr = -10 * torch.log10(error.sum((0, 1, 3, 4)) / inside.sum((0, 1, 3, 4)))
        angle = (pair.azimuths_deg[0] + 180).remainder(360).sub(180).abs()
        for name, (low, high) in SECTORS.items():
            found[name] += psnr[(angle >= low) & (angle < high)].tolist()
    return {name: round(float(np.mean(values)), 2) for name, values in found.items() if values}


def sheet(pairs: list[ClipPair], results: dict[str, list[Tensor]]) -> np.ndarray:
    rows = []
    for index, pair in enumerate(pairs):
        for wanted in (90, 180):
            view = int((pair.azimuths_deg[0] - wanted).abs().argmin())
            clips = [pair.truth] + [clips[index] for clips in results.values()]
            rows.append(torch.cat([to_pictures(c[0])[view] for c in clips], dim=1))
    return (torch.cat(rows).numpy() * 255).astype(np.uint8)


def sample_sheet(model: TurntablePrior, pairs: list[ClipPair]) -> np.ndarray:
    """People drawn from pure noise given the front picture: that picture, then every other view.

    Two people a row, in four steps that renoise fully: the few-step sampler for a prior whose clean
    estimates were trained as pictures.
    """
    rows = []
    for pair in pairs:
        clip = sdedit(
            model.velocity,
            pair.coarse,
            pair.condition(repair=False),
            config=SDEditConfig(1.0, 4, 3.0, "full"),
            generator=torch.Generator().manual_seed(1),
        )
        frames = torch.cat([to_pictures(pair.truth[0])[:1], to_pictures(clip[0])[::2]])
        rows.append(torch.cat(list(frames[:, 6:-6, 8:-8]), dim=1))
    if len(rows) % 2:
        rows.append(torch.ones_like(rows[0]))
    both = [torch.cat(rows[i : i + 2], dim=1) for i in range(0, len(rows), 2)]
    return (torch.cat(both).numpy() * 255).astype(np.uint8)


if __name__ == "__main__":
    main()
