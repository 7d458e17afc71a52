"""Is the coarse avatar's blurred back the conditional mean, or has the model not learnt enough?

    python -m experiments.conditional_mean --people 24 --light 3 --figure docs/img/conditional_mean.jpg

For each person, draw twins (`toolkit.people.alternatives`: the same photo, hidden parts drawn again),
render them on the person's turntable and compare the avatar, made from the one photo, with every
twin and with their mean. `choices`: prints, yokes, tails, legs are drawn again; `grain`: wrinkles
and strands as well (fair behind, too much at the side, where the photo saw half of them); `light`:
only the light, for the first few people. Squared errors inside the mean silhouette (`person`), and
2 px inside of it (`inner`); `head`, `trunk` and `legs` are bands of rows. `tint` is what of the
bias one gain a view and channel would mend.
"""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import binary_erosion
from tqdm import tqdm

from experiments.coarse import as_bytes, renders, sectors
from toolkit.body.anchors import sample_anchors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.coarse.observe import lay_out, observe
from toolkit.coarse.small import load_coarse
from toolkit.measure.blur import band_contrast
from toolkit.measure.metrics import masked_psnr
from toolkit.measure.variance import split_error
from toolkit.people.alternatives import relit, twins, with_other_grain
from toolkit.people.draw.render import render_person
from toolkit.people.sample import sample_person
from toolkit.run.files import atomic_path
from tools.train.people import Sample, list_people, load_sample

NECK, HIPS = 12, 0  # joints between the bands
INNER_PX = 2
LIGHTS = 4  # other lights a person


def draw_truths(person, sample: Sample, frames: list[int], args) -> dict[str, tuple]:
    """RGB and alpha (M,C,H,W,.) of the person and its twins, of every kind."""
    same, rng = twins(person, args.twins - 1), np.random.default_rng(person.seed)
    groups = {"choices": same, "grain": [with_other_grain(t, rng) for t in same]}
    if person.seed % 1_000_000 < args.light:
        groups["light"] = relit(person, LIGHTS)
    found = {}
    for kind, group in groups.items():
        views = [
            render_person(
                p, sample.turn_cameras[frames], pose=a_pose(), transl=sample.transl, supersample=2
            )
            for p in [person, *group]
        ]
        found[kind] = torch.stack([v.rgb for v in views]), torch.stack([v.alpha for v in views])
    return found


def draw_models(models: dict, sample: Sample, setup) -> dict[str, tuple]:
    """Front and turntable of every checkpoint."""
    guess = SimpleNamespace(betas=sample.betas, pose=sample.pose, transl=sample.transl)
    with torch.no_grad():
        seen = observe(sample.crop, guess, setup.body, setup.anchors)
        return {
            name: renders(
                model(sample.crop, setup.layout, seen), guess, sample, setup.body, setup.anchors
            )
            for name, model in models.items()
        }


def regions(alpha, sample: Sample, frames: list[int], body: BodyModel) -> dict[str, torch.Tensor]:
    """Masks (C,H,W) by name, from the mean coverage."""
    person = alpha.mean(0)[..., 0] > 0.5
    inner = np.stack([binary_erosion(m, iterations=INNER_PX) for m in person.numpy()])
    joints = body(sample.betas, a_pose(), sample.transl).joints
    rows = sample.turn_cameras[frames].project(joints[[NECK, HIPS]])[0][..., 1]
    row = torch.arange(person.shape[1])[None, :, None] + 0.5
    neck, hips = rows[:, :1, None], rows[:, 1:, None]
    return {
        "person": person,
        "inner": torch.from_numpy(inner),
        "head": person & (row < neck),
        "trunk": person & (row >= neck) & (row < hips),
        "legs": person & (row >= hips),
    }


def compare(drawn, truths, masks: dict) -> dict[str, dict]:
    """Split, PSNRs and the part of the bias that a gain would mend, by region."""
    mean, found = truths.mean(0), {}
    for name, mask in masks.items():
        split, m = split_error(drawn, truths, mask), mask[..., None].float()
        gain = (m * drawn * mean).sum((1, 2), True) / (m * drawn**2).sum((1, 2), True)
        mended = split_error(drawn * gain, truths, mask)
        singles = torch.stack([masked_psnr(drawn, t, mask) for t in truths])
        found[name] = {
            "bias": split.bias.mean(),
            "variance": split.variance.mean(),
            "tint": (split.bias - mended.bias).mean(),
            "psnr_one": singles.mean(),
            "psnr_mean": masked_psnr(drawn, mean, mask).mean(),
        }
    return {name: {k: float(v) for k, v in row.items()} for name, row in found.items()}


def contrasts(drawn, truths, mask) -> dict[str, list]:
    """Mean squared contrast in four octaves of a single truth, of the mean and of the avatar."""

    def energy(pictures):
        bands = [band_contrast(p, m) ** 2 for p, m in zip(pictures, mask.float(), strict=True)]
        return np.nanmean(bands, axis=0).tolist()

    return {
        "truth": np.mean([energy(t) for t in truths[:4]], axis=0).tolist(),
        "mean": energy(truths.mean(0)),
        "avatar": energy(drawn),
    }


def examine(path: Path, models: dict, setup, args) -> list[dict]:
    """All rows of one person."""
    sample, seed = load_sample(path), int(path.stem)
    person = sample_person(seed, args.split)
    groups = {k: v[:: max(1, len(v) - 1)][:2] for k, v in sectors(seed).items()}
    frames = sorted({f for group in groups.values() for f in group})
    drawn, rows = draw_models(models, sample, setup), []
    truths = draw_truths(person, sample, frames, args)
    off = (truths["choices"][0][0] - sample.turn_rgba[frames][..., :3]).abs().max()
    if off > 0.003:  # half a grey level, and rounding
        raise SystemExit(f"{path}: the generator draws it otherwise today; run make_people again")
    for kind, (rgb, alpha) in truths.items():
        masks = regions(alpha, sample, frames, setup.body)
        for sector, group in groups.items():
            at = [frames.index(f) for f in group]
            chosen = {name: mask[at] for name, mask in masks.items()}
            for name, (_, turn) in drawn.items():
                if name != "coarse":  # an extra checkpoint: one number will do
                    chosen = {"person": chosen["person"]}
                scores = compare(turn.rgb[group], rgb[:, at], chosen)
                rows.append(
                    {
                        "seed": seed,
                        "kind": kind,
                        "sector": sector,
                        "model": name,
                        "framing": person.attributes["framing"],
                        "regions": scores,
                        "contrast": contrasts(turn.rgb[group], rgb[:, at], chosen["person"]),
                    }
                )
    return rows


def pictures(path: Path, models: dict, setup, args) -> list:
    """Photo, truth and three twins from behind, the mean of all, the avatar."""
    sample, seed = load_sample(path), int(path.stem)
    person, group = sample_person(seed, args.split), sectors(seed)["back"]
    middle = group[len(group) // 2]
    truths = draw_truths(person, sample, [middle], args)["choices"][0][:, 0]
    _, turn = draw_models({"coarse": models["coarse"]}, sample, setup)["coarse"]
    return [sample.photo_rgba[..., :3], *truths[:4], truths.mean(0), turn.rgb[middle]]


def summarise(rows: list[dict]) -> dict:
    """Means over people; shares and ceilings from the mean squared errors."""
    found = {}

    def belongs(row: dict, framing: str) -> tuple:
        return row["kind"], row["sector"], row["model"], framing

    for group in sorted({belongs(r, f) for r in rows for f in ("all", r["framing"])}):
        chosen = [r for r in rows if group in (belongs(r, "all"), belongs(r, r["framing"]))]
        table = {
            name: region_summary([r["regions"][name] for r in chosen])
            for name in chosen[0]["regions"]
        }
        energy = {
            k: np.sum([r["contrast"][k] for r in chosen], axis=0) for k in chosen[0]["contrast"]
        }
        table["contrast_to_truth"] = {
            k: np.sqrt(energy[k] / energy["truth"]).round(3).tolist() for k in ("mean", "avatar")
        }
        kind, sector, model, framing = group
        found[f"{model}/{kind}/{sector}/{framing}"] = {"people": len(chosen)} | table
    return found


def region_summary(rows: list[dict]) -> dict:
    """Mean squares x 1000, their shares with a bootstrap interval, PSNRs and the ceilings in dB."""
    bias, variance = (np.array([r[k] for r in rows]) for k in ("bias", "variance"))
    pick = np.random.default_rng(0).integers(len(rows), size=(2000, len(rows)))
    shares = variance[pick].sum(1) / (bias + variance)[pick].sum(1)
    total, tint = bias.mean() + variance.mean(), np.mean([r["tint"] for r in rows])
    return {
        "bias": 1000 * bias.mean(),
        "variance": 1000 * variance.mean(),
        "tint": 1000 * tint,
        "irreducible": variance.mean() / total,
        "irreducible_low_high": np.quantile(shares, (0.025, 0.975)).tolist(),
        "psnr_one": np.mean([r["psnr_one"] for r in rows]),
        "psnr_mean": np.mean([r["psnr_mean"] for r in rows]),
        "ceiling_db": 10 * np.log10(total / variance.mean()),
        "sampler_db": 10 * np.log10(total / (2 * variance.mean())),
    }


def sheet(rows: list[list], height: int = 250) -> np.ndarray:
    """photo | truth, three twins from behind | their mean | the avatar; a row a person."""
    tiles = []
    for row in rows:
        cut = [row[0], *(x[:, 12:-12] for x in row[1:])]
        cut = [Image.fromarray(as_bytes(x)) for x in cut]
        tiles.append(
            np.concatenate(
                [
                    np.asarray(
                        x.resize((round(height * x.width / x.height), height), Image.LANCZOS)
                    )
                    for x in cut
                ],
                axis=1,
            )
        )
    return np.concatenate(tiles)


def main(args) -> None:
    """Examine, print and write."""
    torch.set_num_threads(1)
    body = load_body()
    anchors = sample_anchors(body, num=20_000)
    models = {"coarse": load_coarse(None)}
    models |= {Path(p).stem: load_coarse(p) for p in args.weights}
    setup = SimpleNamespace(
        body=body, anchors=anchors, layout=lay_out(anchors, models["coarse"].num_tokens)
    )
    paths, found = list_people(args.data, args.split), []
    parts = Path(args.out, args.split)  # a person's rows; what is there already is not done again
    parts.mkdir(parents=True, exist_ok=True)
    for path in tqdm(paths[args.first : args.first + args.people]):
        part = parts / f"{path.stem}.json"
        if not part.exists():
            with atomic_path(part) as tmp:
                Path(tmp).write_text(json.dumps(examine(path, models, setup, args)))
    for part in sorted(parts.glob("[0-9]*.json")):
        found += json.loads(part.read_text())
    report = {"split": args.split, "twins": args.twins, "table": summarise(found)}
    Path(args.out, f"{args.split}.json").write_text(json.dumps(report, indent=1))
    for name, table in report["table"].items():
        print(name, json.dumps(table["person"], default=float))
    if args.figure:
        args.light = 0
        rows = [pictures(p, models, setup, args) for p in paths if int(p.stem) in args.show]
        with atomic_path(args.figure) as path:
            Image.fromarray(sheet(rows)).save(path, quality=88)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["train", "val", "test"], default="val")
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--twins", type=int, default=12, help="truths a person, with its own")
    parser.add_argument("--light", type=int, default=0, help="people also under other lights")
    parser.add_argument("--data", default="runs/people", help="of make_people")
    parser.add_argument("--weights", nargs="*", default=[], help="more checkpoints to compare")
    parser.add_argument("--out", default="runs/conditional_mean")
    parser.add_argument("--figure")
    parser.add_argument(
        "--show",
        type=int,
        nargs="*",
        help="people in the figure, by seed",
        default=[1_000_003, 1_000_009, 1_000_011, 1_000_018],
    )
    main(parser.parse_args())
