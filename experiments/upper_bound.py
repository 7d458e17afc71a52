"""How good can the refit get? Gaussians on bare anchors, fitted to *true* pictures of val people.

The clip a video prior makes can only be worse than the truth, so these numbers bound the method
from above. Scored on views between the fitted ones. Val people only: the test set stays unseen.

    python -m experiments.upper_bound --people 3 --steps 200
"""

import argparse
import json
import time
from types import SimpleNamespace

import torch

from toolkit.body.anchors import sample_anchors
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.gaussians import Gaussians
from toolkit.measure.drift import measure_drift
from toolkit.measure.metrics import masked_psnr, masked_ssim
from toolkit.measure.sectors import azimuths_deg, mean_by_sector
from toolkit.people.draw.render import render_person
from toolkit.people.sample import sample_person
from toolkit.prior.orbit import Orbit, static_orbit, turntable_cameras
from toolkit.refine.refit import FitConfig, LearningRates, fit
from toolkit.refine.target import FitTarget, photo_target
from toolkit.render.api import render


def true_target(person, cameras, pose) -> FitTarget:
    """Pictures of the person in the turntable's pose."""
    views = render_person(person, cameras, pose=pose, supersample=2)
    return FitTarget(
        pose, person.transl, cameras, views.rgb, views.alpha, torch.ones_like(views.alpha)
    )


def true_photo(person) -> FitTarget:
    """The photo of the person, cut out by its true mask, with the true body."""
    views = render_person(person, person.photo_camera, supersample=2)
    body = SimpleNamespace(camera=person.photo_camera, pose=person.pose, transl=person.transl)
    return photo_target(views.rgb[0], views.alpha[0, ..., 0], body)


def crude_start(rig: Rig, target: FitTarget) -> Gaussians:
    """Round Gaussians on the anchors, in the blurred colour of the view that sees them best."""
    n = len(rig.anchors_rest)
    distance = torch.cdist(rig.anchors_rest[::8], rig.anchors_rest).topk(4, largest=False).values
    spacing = distance[:, 1:].mean(1).repeat_interleave(8)[:n]
    plain = Gaussians.from_colors(
        rig.anchors_rest,
        torch.eye(4)[:1].repeat(n, 1),
        spacing[:, None].repeat(1, 3),
        torch.full((n,), 0.9),
        torch.full((n, 3), 0.5),
    )
    posed = pose_gaussians(plain, rig, target.pose, target.transl)
    pixels, depth = target.cameras.project(posed.means)
    size = torch.tensor([target.cameras.width, target.cameras.height])
    blurred = torch.nn.functional.avg_pool2d(target.rgb.permute(0, 3, 1, 2), 5, 1, 2)
    colors = torch.nn.functional.grid_sample(
        blurred, (2 * pixels / size - 1)[:, None], align_corners=False
    )[:, :, 0].mT
    nearest = depth.argmin(0)  # no visibility here: crude on purpose
    return Gaussians.from_colors(
        plain.means,
        plain.quats,
        plain.scales * 0.7,
        plain.opacities,
        colors[nearest, torch.arange(n)].clamp(0, 1),
    )


def scores(gaussians: Gaussians, rig: Rig, target: FitTarget) -> dict[str, dict[str, float]]:
    """PSNR and SSIM inside the person, by sector."""
    drawn = render(pose_gaussians(gaussians, rig, target.pose, target.transl), target.cameras)
    angles = azimuths_deg(target.cameras)
    table = {
        name: mean_by_sector(metric(drawn.rgb, target.rgb, target.alpha > 0.5), angles)
        for name, metric in (("psnr", masked_psnr), ("ssim", masked_ssim))
    }
    return {k: {s: round(v, 3) for s, v in row.items()} for k, row in table.items()}


def one_person(seed: int, config: FitConfig, num_gaussians: int) -> dict:
    """Fit to 13 true views and the photo, score on 12 others."""
    person, body = sample_person(seed, "val"), load_body()
    rig = Rig.build(body, sample_anchors(body, num_gaussians), person.betas)
    fitted = true_target(person, turntable_cameras(static_orbit(13)), a_pose())
    between = Orbit((torch.arange(12) + 0.5) * 360 / 13, torch.full((12,), 5.0))
    held_out = true_target(person, turntable_cameras(between), a_pose())
    photo, start = true_photo(person), crude_start(rig, fitted)
    begin = time.perf_counter()
    refined, history = fit(start, rig, [fitted, photo], config)
    seconds = time.perf_counter() - begin
    drift = {k: round(v, 3) for k, v in measure_drift(start, refined).to_dict().items()}
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "start": scores(start, rig, held_out),
        "held_out": scores(refined, rig, held_out),
        "fitted": scores(refined, rig, fitted),
        "photo": scores(refined, rig, photo),
        "drift": drift,
        "loss": round(float(history.loss[-10:].mean()), 4),
    }


def main() -> None:
    """Print one JSON line a person."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1)
    parser.add_argument("--gaussians", type=int, default=20_000)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of FitConfig or of LearningRates",
    )
    options = parser.parse_args()
    changes = {k: json.loads(v) for k, v in (pair.split("=") for pair in options.set)}
    rates = {k: changes.pop(k) for k in vars(LearningRates()) if k in changes}
    config = FitConfig(**changes, learning_rates=LearningRates(**rates))
    for seed in range(options.people):
        print(json.dumps(one_person(seed, config, options.gaussians)))


if __name__ == "__main__":
    main()
