"""How good can the refit get? Gaussians on bare anchors, fitted to *true* pictures.

    python -m experiments.upper_bound                                      # 4 validation people
    python -m experiments.upper_bound --steps 400 --out runs/upper_bound.json

The clip that a video prior makes can only be worse than the truth, so these numbers bound the
method from above. They are taken on views between the fitted ones. Validation people only: the test
people stay unseen.
"""

import time
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from experiments.document import Out, TableOnly, markdown_table, number, publish
from toolkit.body.anchors import sample_anchors
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.cameras import Cameras
from toolkit.gaussians import Gaussians
from toolkit.measure.drift import measure_drift
from toolkit.measure.metrics import masked_psnr
from toolkit.measure.sectors import azimuths_deg, mean_by_sector
from toolkit.people.draw.render import render_person
from toolkit.people.person import Person
from toolkit.people.sample import sample_person
from toolkit.prior.orbit import Orbit, static_orbit, turntable_cameras
from toolkit.refine.refit import FitConfig, fit
from toolkit.refine.target import FitTarget, photo_target
from toolkit.render.api import render
from tools.command import run

SECTORS = ("front", "three-quarter", "side", "back", "all")
ROWS = {
    "start": "start: round Gaussians on the anchors, views in between",
    "held_out": "refitted, views in between",
    "fitted": "refitted, the fitted views",
    "photo": "refitted, the photo",
}


def true_target(person: Person, cameras: Cameras, pose: Float[Tensor, "55 3"]) -> FitTarget:
    """Pictures of the person in the turntable's pose."""
    views = render_person(person, cameras, pose=pose, supersample=2)
    return FitTarget(
        pose, person.transl, cameras, views.rgb, views.alpha, torch.ones_like(views.alpha)
    )


def true_photo(person: Person) -> FitTarget:
    """The photo of the person, cut out by its true mask, with the true body."""
    views = render_person(person, person.photo_camera, supersample=2)
    body = SimpleNamespace(camera=person.photo_camera, pose=person.pose, transl=person.transl)
    return photo_target(views.rgb[0], views.alpha[0, ..., 0], body)


def crude_start(rig: Rig, target: FitTarget) -> Gaussians:
    """Round Gaussians on the anchors, in the blurred colour of the nearest camera's view."""
    n = len(rig.anchors_rest)
    # Spacing of every eighth anchor from its three nearest neighbours; the first is itself.
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


def psnr_by_sector(gaussians: Gaussians, rig: Rig, target: FitTarget) -> dict[str, float]:
    """PSNR in dB inside the person."""
    drawn = render(pose_gaussians(gaussians, rig, target.pose, target.transl), target.cameras)
    psnr = masked_psnr(drawn.rgb, target.rgb, target.alpha > 0.5)
    return mean_by_sector(psnr, azimuths_deg(target.cameras))


def one_person(seed: int, steps: int, num_gaussians: int) -> dict[str, dict[str, float]]:
    """Fit to 13 true views and the photo; score there and on 12 views in between."""
    person, body = sample_person(seed, "val"), load_body()
    rig = Rig.build(body, sample_anchors(body, num_gaussians), person.betas)
    fitted = true_target(person, turntable_cameras(static_orbit(13)), a_pose())
    between = Orbit((torch.arange(12) + 0.5) * 360 / 13, torch.full((12,), 5.0))
    held_out = true_target(person, turntable_cameras(between), a_pose())
    photo, start = true_photo(person), crude_start(rig, fitted)
    begin = time.perf_counter()
    refined, _ = fit(start, rig, [fitted, photo], FitConfig(steps=steps))
    return {
        "start": psnr_by_sector(start, rig, held_out),
        "held_out": psnr_by_sector(refined, rig, held_out),
        "fitted": psnr_by_sector(refined, rig, fitted),
        "photo": psnr_by_sector(refined, rig, photo),
        "moved_mm": {"all": measure_drift(start, refined).to_dict()["mean_mm"]},
        "seconds": {"all": time.perf_counter() - begin},
    }


def measure(num: int, steps: int, num_gaussians: int) -> dict:
    """Means over people."""
    torch.set_num_threads(1)
    people = [one_person(seed, steps, num_gaussians) for seed in tqdm(range(num), desc="people")]
    means = {
        row: {s: float(np.mean([p[row][s] for p in people])) for s in people[0][row]}
        for row in people[0]
    }
    return {"people": num, "split": "val", "steps": steps, "gaussians": num_gaussians} | means


def tables(numbers: dict) -> dict[str, str]:
    """PSNR by sector, before and after the refit."""
    rows = [
        [words, *(number(numbers[row].get(sector), 2) for sector in SECTORS)]
        for row, words in ROWS.items()
    ]
    caption = (
        f"{numbers['people']} {numbers['split']} people, {numbers['gaussians']:,} Gaussians, "
        f"{numbers['steps']} steps, PSNR in dB inside the person. The Gaussians move by "
        f"{number(numbers['moved_mm']['all'], 1)} mm on average:\n\n"
    )
    return {"": caption + markdown_table(["", *SECTORS], rows)}


def main(
    people: Annotated[int, typer.Option(help="number of people")] = 4,
    gaussians: Annotated[int, typer.Option(help="number of Gaussians")] = 20_000,
    steps: Annotated[int, typer.Option(help="of the refit")] = FitConfig().steps,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Measure and write docs/results/upper_bound.json with its table."""
    publish(
        "upper_bound",
        lambda: measure(people, steps, gaussians),
        tables,
        table_only=table_only,
        out=out,
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
