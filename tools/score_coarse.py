"""Score the small LHM by sector on rendered people whose truth is known, and draw a sheet.

    python tools/score_coarse.py --split val --num 16 --sheet runs/coarse/sheet.png

Masked PSNR (dB, inside the true silhouette, on white). `front` is the photo's own view at 256 px,
`inner` the same less the outermost 3 pixels, where half a pixel of silhouette decides; `side` and
`back` are turntable views within 30 degrees of 90/270 and of 180. Baselines: the mean colour of the
photo, the photo painted straight through the body, and the untrained network.
"""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from make_people import Sample, list_people, load_sample
from PIL import Image
from tqdm import tqdm

from toolkit.body.anchors import sample_anchors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.coarse.pixel_aligned import lay_out, observe, sample
from toolkit.coarse.small import AnchorTransformer, load_coarse
from toolkit.gaussians import SH_C0
from toolkit.prior.orbit import OrbitConfig, orbit
from toolkit.render.api import render


def sectors(seed: int) -> dict[str, list[int]]:
    """Turntable frames of each sector."""
    azimuth = orbit(OrbitConfig(seed=seed)).azimuths_deg % 360
    to_back = (azimuth - 180).abs()
    side = ((azimuth - 90).abs() <= 30) | ((azimuth - 270).abs() <= 30)
    return {"side": side.nonzero()[:, 0].tolist(),
            "back": (to_back <= 30).nonzero()[:, 0].tolist()}


def psnr(rgb, truth_rgba, *, border_px: int = 0) -> float:
    """dB inside the silhouette, less a border."""
    outside = (truth_rgba[..., 3] <= 0.5).float().reshape(-1, 1, *truth_rgba.shape[-3:-1])
    outside = F.max_pool2d(outside, 2 * border_px + 1, 1, border_px)
    inside = outside.reshape(truth_rgba.shape[:-1]) == 0
    return float(-10 * torch.log10(((rgb - truth_rgba[..., :3])[inside] ** 2).mean()))


def sector_psnr(front, turn, person: Sample, groups: dict) -> dict[str, float]:
    """PSNR of the photo's view and of the turntable's sectors."""
    photo = person.photo_rgba[None]
    return {"front": psnr(front, photo), "inner": psnr(front, photo, border_px=3)} | {
        k: psnr(turn[v], person.turn_rgba[v]) for k, v in groups.items()}


def renders(gaussians, guess, sample: Sample, body, anchors):
    """The photo's view and the turntable."""
    rig = Rig.build(body, anchors, guess.betas)
    front = render(pose_gaussians(gaussians, rig, guess.pose, guess.transl), sample.crop.camera)
    turn = render(pose_gaussians(gaussians, rig, a_pose(), sample.transl), sample.turn_cameras)
    return front, turn


@torch.no_grad()
def score_person(path: Path, models: dict, body, anchors, layout) -> tuple[dict, list]:
    """PSNR of every variant and sector, and a row of pictures."""
    person = load_sample(path)
    guess = SimpleNamespace(betas=person.betas, pose=person.pose, transl=person.transl)
    seen = observe(person.crop, guess, body, anchors)
    groups, scores, row = sectors(int(path.stem)), {}, []
    for name, model in models.items():
        gaussians = model(person.crop, layout, seen)
        if name == "painted_through":
            (pixels,), _ = person.crop.camera.project(seen.posed)
            gaussians = gaussians.replace(
                sh=((sample(person.crop.rgb, pixels) - 0.5) / SH_C0)[:, None])
        front, turn = renders(gaussians, guess, person, body, anchors)
        scores[name] = sector_psnr(front.rgb, turn.rgb, person, groups)
        scores[name]["iou"] = iou(turn.alpha[..., 0], person.turn_rgba[..., 3])
        if name == "coarse":
            row = picture_row(person, front, turn)
    mean = person.photo_rgba[person.photo_rgba[..., 3] > 0.9][:, :3].mean(0)
    scores["mean_fill"] = sector_psnr(mean.expand(1, *person.photo_rgba.shape[:2], 3),
                                      mean.expand(*person.turn_rgba.shape[:3], 3), person, groups)
    return scores, row


def iou(alpha, truth) -> float:
    a, b = alpha > 0.5, truth > 0.5
    return float((a & b).sum() / (a | b).sum())


def picture_row(person: Sample, front, turn) -> list:
    """photo | coarse in the photo's view | coarse 0, 3, 7, 10 of 13 | truth of the same."""
    frames = [0, 3, 7, 10]
    square = [person.photo_rgba[..., :3], front.rgb[0]]
    small = [np.asarray(Image.fromarray(as_bytes(x)).resize((192, 192))) for x in square]
    return small + [as_bytes(turn.rgb[i]) for i in frames] + [
        as_bytes(person.turn_rgba[i, ..., :3]) for i in frames]


def as_bytes(x) -> np.ndarray:
    return (x.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def main(args) -> None:
    """Score, print the table, write JSON and the sheet."""
    body = BodyModel.load()
    anchors = sample_anchors(body, num=args.anchors)
    fresh = AnchorTransformer().eval()
    models = {"coarse": load_coarse(args.weights), "untrained": fresh, "painted_through": fresh}
    layout = lay_out(anchors, fresh.num_tokens)
    rows, table = [], []
    for path in tqdm(list_people(args.people, args.split)[:args.num]):
        scores, row = score_person(path, models, body, anchors, layout)
        table.append(scores)
        rows.append(np.concatenate(row, axis=1))
    mean = {name: {k: round(float(np.nanmean([t[name][k] for t in table])), 2)
                   for k in table[0][name]} for name in table[0]}
    print(json.dumps(mean, indent=1).replace("\n  ", " "))
    if args.sheet:
        Path(args.sheet).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(rows[:args.rows])).save(args.sheet)
    if args.json:
        Path(args.json).write_text(json.dumps({"people": len(table), "psnr_db": mean}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["train", "val", "test"], default="val")
    parser.add_argument("--num", type=int, default=16)
    parser.add_argument("--rows", type=int, default=8, help="people on the sheet")
    parser.add_argument("--anchors", type=int, default=20_000)
    parser.add_argument("--weights", help="default: data/models/coarse.safetensors")
    parser.add_argument("--people", default="runs/people")
    parser.add_argument("--sheet")
    parser.add_argument("--json")
    main(parser.parse_args())
