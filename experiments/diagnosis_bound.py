"""How near does the refit come to the truth if its target is the truth? Part of the diagnosis.

The coarse avatar on the *true* body is fitted to *true* pictures of the turntable, and scored in
views that lie between the fitted ones. What is missing then is the refit's fault (steps, tied
colours, number of Gaussians), not the prior's or the body's.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from experiments.diagnosis_people import each_person, open_person, weights_key
from experiments.document import markdown_table, number
from experiments.refit import SLOW
from toolkit.body.rig import Avatar
from toolkit.coarse.from_photo import load_coarse
from toolkit.evaluate.bench import Bench
from toolkit.evaluate.reference import Reference
from toolkit.evaluate.scenes import Scene, turntable_scene
from toolkit.evaluate.scores import score_views
from toolkit.evaluate.stats import mean_interval, person_values
from toolkit.measure.sectors import azimuths_deg
from toolkit.prior.orbit import Orbit, turntable_cameras
from toolkit.profiles.base import PipelineConfig
from toolkit.refine.refit import FitConfig, fit
from toolkit.refine.target import FitTarget
from toolkit.run.folder import digest

MEASURES = ("psnr", "perceptual", "sharpness")
COUNTS = (20_000, 40_000)


@dataclass(frozen=True)
class Way:
    """One way of fitting."""

    words: str
    config: FitConfig


def adam(steps: int, smooth: float) -> FitConfig:
    """Adam alone, from the coarse colours."""
    return FitConfig(steps, color_passes=0, learning_rates=SLOW, smooth=smooth)


TIED = FitConfig().smooth
WAYS = {
    "100_free": Way("100 Adam steps, colours not tied", adam(100, 0.0)),
    "100_tied": Way("100 Adam steps, colours tied", adam(100, TIED)),
    "400_free": Way("400 Adam steps, colours not tied", adam(400, 0.0)),
    "400_tied": Way("400 Adam steps, colours tied", adam(400, TIED)),
    "linear": Way("2 linear passes, 30 Adam steps", FitConfig(30, color_passes=2)),
    "default": Way("the default of `FitConfig`", FitConfig()),
}


def between(orbit: Orbit) -> Orbit:
    """The directions half-way between an orbit's, the last one between its end and its start."""
    azimuths, elevations = orbit.azimuths_deg, orbit.elevations_deg
    step = (azimuths.roll(-1) - azimuths) % 360
    return Orbit((azimuths + step / 2) % 360, (elevations + elevations.roll(-1)) / 2)


def true_target(scene: Scene) -> FitTarget:
    """The true pictures of a scene as a target, every pixel trusted in full."""
    views = scene.views
    weight = torch.ones_like(views.alpha)
    return FitTarget(scene.pose, scene.transl, scene.cameras, views.rgb, views.alpha, weight)


def scene_between(bench: Bench) -> Scene:
    """The turntable's pose, seen from between its views."""
    orbit = between(bench.turntable.orbit)
    cameras = turntable_cameras(orbit, size=bench.config.clip_size)
    return turntable_scene(bench.case, bench.body, cameras, azimuths_deg(cameras))


def measure_person(seed: int, folder: Path, *, num_gaussians: int) -> dict:
    """Way -> measure -> value; side and back."""
    config = PipelineConfig(num_gaussians=num_gaussians)
    bench = open_person(seed, folder, config).on_true_body()
    target, reference = true_target(bench.turntable_scene), Reference.of(scene_between(bench))
    coarse = bench.coarse
    rows = {"coarse": values(reference, coarse)}
    for name, way in WAYS.items():
        generator = torch.Generator().manual_seed(config.seed)
        gaussians, _ = fit(coarse.gaussians, coarse.rig, [target], way.config, generator=generator)
        rows[name] = values(reference, Avatar(gaussians, coarse.rig))
    return rows


def values(reference: Reference, avatar: Avatar) -> dict[str, float]:
    """The shown measures of an avatar, mean over side and back views."""
    views = score_views(reference.scene.draw(avatar), reference)
    chosen = person_values(views, "side_back")
    return {name: chosen[name] for name in MEASURES}


def measure(people: int) -> dict:
    """Everybody with one number of Gaussians, then with the next: the anchors are made once."""
    key, rows = digest(weights_key(load_coarse()), repr(WAYS)), {}
    for num in COUNTS:
        persons = each_person(
            f"bound_{num}", people, key, partial(measure_person, num_gaussians=num)
        )
        rows[str(num)] = {
            way: {
                m: mean_interval([p[way][m] for p in persons], np.random.default_rng(0))
                for m in MEASURES
            }
            for way in ("coarse", *WAYS)
        }
    return {"people": people, "rows": rows}


def table(numbers: dict) -> str:
    """One row per number of Gaussians and way."""
    heads = ["", "PSNR, dB", "perceptual", "perceptual, change in %", "sharpness"]
    lines = []
    for count, rows in sorted(numbers["rows"].items()):
        for name in ("coarse", *WAYS):
            row = rows[name]
            words = "coarse avatar" if name == "coarse" else WAYS[name].words
            change = 100 * (row["perceptual"]["mean"] / rows["coarse"]["perceptual"]["mean"] - 1)
            lines.append(
                [
                    f"{int(count):,} Gaussians: {words}",
                    number(row["psnr"]["mean"], 2),
                    number(row["perceptual"]["mean"], 3),
                    "" if name == "coarse" else f"{change:+.1f}",
                    number(row["sharpness"]["mean"], 2),
                ]
            )
    caption = (
        f"{numbers['people']} validation people, true body, fitted to the true pictures of the "
        "turntable, scored in the views between them, side and back:"
    )
    return f"{caption}\n\n{markdown_table(heads, lines)}"
