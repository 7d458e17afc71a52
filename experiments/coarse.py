"""Score the small LHM by sector on rendered people whose truth is known, and draw a sheet.

    python -m experiments.coarse --split val --num 16 --sheet runs/coarse/sheet.png

Masked PSNR (dB, inside the true silhouette, on white) and perceptual distance (x 1000, two views a
sector). `front` is the photo's own view at 256 px, `inner` the same less the outermost 3 pixels,
where half a pixel of silhouette decides; `side` and `back` are turntable views within 30 degrees of
90/270 and of 180. Baselines: `mirrored`, our avatar with the front's colours at the mirrored place
wherever the photo saw nothing; `nearest`, the true body in the clothes, hair and light of the
training person whose front is most like ours (--train); the untrained network; the photo painted
straight through the body; the photo's mean colour.
"""

import argparse
import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from tqdm import tqdm

from experiments.coarse_baselines import FrontLibrary, dress_like, mirror_front, rows_seen
from toolkit.body.anchors import sample_anchors
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.coarse.observe import lay_out, observe
from toolkit.coarse.small import AnchorTransformer, load_coarse, predict
from toolkit.evaluate.scores import crop_square, person_square
from toolkit.gaussians import SH_C0
from toolkit.measure.perceptual import compare_features, load_features
from toolkit.photo.crop import sample_bilinear
from toolkit.prior.orbit import OrbitConfig, orbit
from toolkit.render.api import render
from tools.train.people import Sample, list_people, load_sample

LOOK_PX = 224  # side of the square that the perceptual net sees, as in `toolkit evaluate`


def sectors(seed: int) -> dict[str, list[int]]:
    """Turntable frames of each sector."""
    azimuth = orbit(OrbitConfig(seed=seed)).azimuths_deg % 360
    to_back = (azimuth - 180).abs()
    side = ((azimuth - 90).abs() <= 30) | ((azimuth - 270).abs() <= 30)
    return {"side": side.nonzero()[:, 0].tolist(), "back": (to_back <= 30).nonzero()[:, 0].tolist()}


def psnr(rgb, truth_rgba, *, border_px: int = 0) -> float:
    """dB inside the silhouette, less a border."""
    outside = (truth_rgba[..., 3] <= 0.5).float().reshape(-1, 1, *truth_rgba.shape[-3:-1])
    outside = F.max_pool2d(outside, 2 * border_px + 1, 1, border_px)
    inside = outside.reshape(truth_rgba.shape[:-1]) == 0
    return float(-10 * torch.log10(((rgb - truth_rgba[..., :3])[inside] ** 2).mean()))


class Truth:
    """What a person's pictures are compared with; the net sees the truth once."""

    def __init__(self, person: Sample, groups: dict[str, list[int]]):
        self.person, self.groups = person, groups
        self.chosen = {name: group[:: max(1, len(group) - 1)][:2] for name, group in groups.items()}
        self.rgba = [person.photo_rgba, *person.turn_rgba[sum(self.chosen.values(), [])]]
        self.boxes = [person_square(x[..., 3]) for x in self.rgba]
        self.alpha = self._crops([x[..., :3] for x in self.rgba])[..., 3]
        self.features = load_features()(self._crops([x[..., :3] for x in self.rgba])[..., :3])

    def _crops(self, pictures) -> torch.Tensor:
        return torch.stack(
            [
                crop_square(p, x[..., 3:], box, LOOK_PX)
                for p, x, box in zip(pictures, self.rgba, self.boxes, strict=True)
            ]
        )

    def scores(self, front, turn) -> dict[str, float]:
        """PSNR and perceptual distance of the photo's view and of the turntable's sectors."""
        photo = self.person.photo_rgba[None]
        found = {"front": psnr(front, photo), "inner": psnr(front, photo, border_px=3)} | {
            k: psnr(turn[v], self.person.turn_rgba[v]) for k, v in self.groups.items()
        }
        pictures = self._crops([front[0], *turn[sum(self.chosen.values(), [])]])[..., :3]
        names = ["front", *(k for k, v in self.chosen.items() for _ in v)]
        distances = compare_features(load_features()(pictures), self.features, self.alpha)
        for name in dict.fromkeys(names):
            at = [i for i, n in enumerate(names) if n == name]
            found[f"{name}_perceptual"] = 1000 * float(distances[at].mean())
        return found


def renders(gaussians, guess, sample: Sample, body, anchors):
    """The photo's view and the turntable."""
    rig = Rig.build(body, anchors, guess.betas)
    front = render(pose_gaussians(gaussians, rig, guess.pose, guess.transl), sample.crop.camera)
    turn = render(pose_gaussians(gaussians, rig, a_pose(), sample.transl), sample.turn_cameras)
    return front, turn


@torch.no_grad()
def score_person(path: Path, models: dict, setup, library) -> tuple[dict, list]:
    """Scores of every variant and sector, and a row of pictures."""
    person = load_sample(path)
    guess = SimpleNamespace(betas=person.betas, pose=person.pose, transl=person.transl)
    seen = observe(person.crop, guess, setup.body, setup.anchors)
    truth, scores, row = Truth(person, sectors(int(path.stem))), {}, []

    def add(name, front, turn):
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
            row = picture_row(person, front, turn)
            mirrored = mirror_front(gaussians, seen.visible, setup.layout)
            add("mirrored", *renders(mirrored, guess, person, setup.body, setup.anchors))
            if library:
                rig = Rig.build(setup.body, setup.anchors, guess.betas)
                standing = pose_gaussians(gaussians, rig, a_pose(), person.transl)
                seed = library.nearest(turn.rgb[0], rows_seen(standing, seen.visible, person))
                add("nearest", *dress_like(seed, person))
    mean = person.photo_rgba[person.photo_rgba[..., 3] > 0.9][:, :3].mean(0)
    scores["mean_fill"] = truth.scores(
        *(
            torch.where(x[..., 3:] > 0.5, mean, torch.ones(3))
            for x in (person.photo_rgba[None], person.turn_rgba)
        )
    )
    return scores, row


def seconds_to_predict(path: Path, model: AnchorTransformer, setup) -> list[float]:
    """Wall time of `predict` for one photo: the first call, and the median of the next three."""
    person, times = load_sample(path), []
    guess = SimpleNamespace(
        betas=person.betas, pose=person.pose, transl=person.transl, camera=person.crop.camera
    )
    for _ in range(4):
        start = time.perf_counter()
        predict(
            model,
            person.crop.rgb.permute(1, 2, 0),
            person.crop.mask,
            guess,
            setup.body,
            setup.anchors,
        )
        times.append(time.perf_counter() - start)
    return [round(times[0], 2), round(float(np.median(times[1:])), 2)]


def iou(alpha, truth) -> float:
    a, b = alpha > 0.5, truth > 0.5
    return float((a & b).sum() / (a | b).sum())


def picture_row(person: Sample, front, turn) -> list:
    """photo | coarse in the photo's view | coarse 0, 3, 7, 10 of 13 | truth of the same."""
    frames = [0, 3, 7, 10]
    square = [person.photo_rgba[..., :3], front.rgb[0]]
    small = [np.asarray(Image.fromarray(as_bytes(x)).resize((192, 192))) for x in square]
    return (
        small
        + [as_bytes(turn.rgb[i]) for i in frames]
        + [as_bytes(person.turn_rgba[i, ..., :3]) for i in frames]
    )


def as_bytes(x) -> np.ndarray:
    return (x.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def main(args) -> None:
    """Score, print the table, write JSON and the sheet."""
    torch.set_num_threads(1)
    body = load_body()
    anchors = sample_anchors(body, num=args.anchors)
    fresh = AnchorTransformer().eval()
    models = {"coarse": load_coarse(args.weights), "untrained": fresh, "painted_through": fresh}
    if args.only_coarse:
        models = {"coarse": models["coarse"]}
    setup = SimpleNamespace(body=body, anchors=anchors, layout=lay_out(anchors, fresh.num_tokens))
    others = list_people(args.people, "train")[: args.train]
    library = FrontLibrary.load(others) if others else None
    paths, rows, table = list_people(args.people, args.split)[: args.num], [], []
    seconds = seconds_to_predict(paths[0], models["coarse"], setup)
    print("seconds to predict, first and later:", *seconds)
    for path in tqdm(paths):
        scores, row = score_person(path, models, setup, library)
        table.append(scores)
        rows.append(np.concatenate(row, axis=1))
    mean = {
        name: {k: round(float(np.nanmean([t[name][k] for t in table])), 2) for k in table[0][name]}
        for name in table[0]
    }
    print(json.dumps(mean, indent=1).replace("\n  ", " "))
    if args.sheet:
        Path(args.sheet).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(rows[: args.rows])).save(args.sheet)
    if args.json:
        Path(args.json).write_text(
            json.dumps({"people": len(table), "seconds": seconds, "mean": mean}, indent=1)
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["train", "val", "test"], default="val")
    parser.add_argument("--num", type=int, default=16)
    parser.add_argument("--rows", type=int, default=8, help="people on the sheet")
    parser.add_argument("--anchors", type=int, default=20_000)
    parser.add_argument("--train", type=int, default=4000, help="people `nearest` chooses from")
    parser.add_argument("--only-coarse", action="store_true")
    parser.add_argument("--weights", help="default: data/models/coarse.safetensors")
    parser.add_argument("--people", default="runs/people")
    parser.add_argument("--sheet")
    parser.add_argument("--json")
    main(parser.parse_args())
