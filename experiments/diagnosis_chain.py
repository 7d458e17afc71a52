"""From the prior's frames to the gain from the photo alone, step by step. Part of the diagnosis.

Every row compares a refined result with the coarse avatar under the same conditions, and differs
from the row above by one thing only:

    frames      the prior's pictures of the turntable, on the true body
    refit       an avatar fitted to them, seen in the same views
    photo_term  the photo as a second target of the refit
    photo_pose  the same avatar in the photo's pose, at the turntable's scale
    size        the same views at the evaluation's picture size
    estimated   the body estimated from the photo: what a user gets
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.diagnosis_people import each_person, open_person
from experiments.document import markdown_table, number
from toolkit.cameras import Cameras
from toolkit.evaluate.bench import Bench
from toolkit.evaluate.cases import Case, true_views
from toolkit.evaluate.reference import Reference
from toolkit.evaluate.scenes import photo_scene
from toolkit.evaluate.scores import score_views
from toolkit.evaluate.stats import mean_interval, person_values, ratio_interval
from toolkit.evaluate.variants import coarse_frames, prior_frames
from toolkit.profiles.base import PipelineConfig
from toolkit.profiles.choose import load_profile
from toolkit.refine.target import clip_target
from toolkit.render.api import Render
from toolkit.run.folder import digest

MEASURES = ("psnr", "perceptual", "sharpness")
STEPS = {
    "frames": "the prior's frames, in their own views",
    "refit": "an avatar fitted to them",
    "photo_term": "fitted to the photo as well",
    "photo_pose": "in the photo's pose",
    "size": "at the evaluation's picture size",
    "estimated": "on the estimated body: from the photo alone",
}


def measure_person(seed: int, folder: Path) -> dict:
    """Step -> "coarse" and "refined" -> measure -> value; side and back."""
    estimated = open_person(seed, folder)
    bench = estimated.on_true_body()
    own, full = Reference.of(bench.turntable_scene), Reference.of(bench.scene)
    small = Reference.of(photo_scene(at_clip_scale(bench), bench.body))
    guessed = full.with_scene(estimated.scene)  # the same truth, seen with the estimated body
    frames = {"coarse": coarse_frames(bench), "refined": prior_frames(bench)}
    # joint 0 is the pelvis: the turntable has it at the origin
    target = clip_target(bench.turntable, bench.clip, -bench.coarse.rig.joints[0])
    without = {"coarse": bench.coarse, "refined": bench.fit_to(bench.coarse, [target])}
    both = {"coarse": bench.coarse, "refined": bench.refit(bench.clip)}
    alone = {"coarse": estimated.coarse, "refined": estimated.refit(estimated.clip)}
    avatars = {
        "refit": (own, without),
        "photo_term": (own, both),
        "photo_pose": (small, both),
        "size": (full, both),
        "estimated": (guessed, alone),
    }
    rows = {"frames": {name: values(drawn, own) for name, drawn in frames.items()}}
    for step, (reference, pair) in avatars.items():
        rows[step] = {
            name: values(reference.scene.draw(avatar), reference) for name, avatar in pair.items()
        }
    return rows


def at_clip_scale(bench: Bench) -> Case:
    """The case with its true views drawn so that a metre has as many pixels as in the clip."""
    case, views = bench.case, bench.case.views
    zoom = px_per_m(bench.turntable.cameras) / px_per_m(views.cameras)
    side_px = round(zoom * views.cameras.height)
    cameras = views.cameras.resized(side_px, side_px)
    return replace(case, views=true_views(case.person, cameras, views.azimuths_deg))


def px_per_m(cameras: Cameras) -> float:
    """Pixels per metre at the world's origin, where the pelvis is; mean over cameras around it."""
    return float((cameras.Ks[:, 1, 1] / cameras.centers.norm(dim=1)).mean())


def values(drawn: Render, reference: Reference) -> dict[str, float]:
    """The shown measures, mean over side and back views."""
    chosen = person_values(score_views(drawn, reference), "side_back")
    return {name: chosen[name] for name in MEASURES}


def measure(people: int) -> dict:
    """Everybody; per step the means, the gain over coarse, and the change of the distance in %."""
    key = digest(load_profile("embedded").fingerprint, repr(PipelineConfig()))
    persons = each_person("chain", people, key, measure_person)
    return {"people": people, "rows": {step: summary(persons, step) for step in STEPS}}


def summary(persons: list[dict], step: str) -> dict:
    """Intervals of one step; `left` is the perceptual distance as a share of coarse's."""
    columns = {
        name: {m: [p[step][name][m] for p in persons] for m in MEASURES}
        for name in ("coarse", "refined")
    }
    coarse, refined = columns["coarse"], columns["refined"]
    gain = np.subtract(refined["psnr"], coarse["psnr"])
    return {
        **{
            name: {m: mean_interval(v, np.random.default_rng(0)) for m, v in column.items()}
            for name, column in columns.items()
        },
        "gain_db": mean_interval(gain, np.random.default_rng(0)),
        "left": ratio_interval(
            refined["perceptual"], coarse["perceptual"], np.random.default_rng(0)
        ),
    }


def table(numbers: dict) -> str:
    """One row per step, with what it costs against the row above."""
    heads = ["", "coarse: dB", "perceptual", "refined: dB", "perceptual", "gain, dB"]
    heads += ["perceptual, change in %", "lost by this step: dB", "perceptual, points of %"]
    lines, above = [], None
    for step, words in STEPS.items():
        row = numbers["rows"][step]
        gain, change = row["gain_db"]["mean"], 100 * (row["left"]["mean"] - 1)
        low, high = (100 * (row["left"][end] - 1) for end in ("low", "high"))
        lines.append(
            [
                words,
                *(
                    number(row[name][m]["mean"], digits)
                    for name in ("coarse", "refined")
                    for m, digits in (("psnr", 2), ("perceptual", 3))
                ),
                f"{gain:+.2f} [{row['gain_db']['low']:+.2f}, {row['gain_db']['high']:+.2f}]",
                f"{change:+.1f} [{low:+.1f}, {high:+.1f}]",
                # a loss is positive: the gain in dB falls, or the change of the distance rises
                *(["", ""] if above is None else signed(above[0] - gain, change - above[1])),
            ]
        )
        above = gain, change
    caption = (
        f"{numbers['people']} validation people, side and back, with 95 % bootstrap interval; each "
        "row changes one thing more:"
    )
    return f"{caption}\n\n{markdown_table(heads, lines)}"


def signed(loss_db: float, loss_points: float) -> list[str]:
    """A step's losses; what it wins has a minus."""
    return [f"{loss_db:+.2f}", f"{loss_points:+.1f}"]
