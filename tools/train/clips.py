"""Turntables of the coarse model beside the truth: what the turntable prior is trained on.

    python -m tools.train.people --split train --num 4000
    python -m tools.train.clips --split train --count 4000
    python -m tools.train.clips --split val --count 48

Writes shards OUT/SPLIT_FIRSTSEED.npz of up to 25 people:
    clips       (N,3,T,H,W,3) uint8 on white; [:,0] the truth, [:,1] the coarse clip, [:,2] the same
                with hidden Gaussians in the front's colours (`toolkit.refine.turntable`)
    seen        (N,T,H,W) uint8; share of each pixel of the coarse clip that the photo saw
    azimuths_deg, elevations_deg (N,T); seeds (N,)

View 0 is the front. Existing shards are kept, so the command resumes. Even seeds get the true body,
odd ones a body with the errors of a real fit (`tools.train.fit_errors`).
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from jaxtyping import UInt8
from tqdm import tqdm

from toolkit.body.anchors import sample_anchors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig, pose_gaussians
from toolkit.coarse.from_photo import load_coarse
from toolkit.coarse.observation import lay_out, observe
from toolkit.prior.orbit import OrbitConfig, orbit
from toolkit.refine.turntable import carried_colors, seen_by_photo
from toolkit.render.api import render
from toolkit.run.files import atomic_path
from tools.command import run
from tools.train.fit_errors import FitErrors
from tools.train.people import FOLDER, Sample, list_people, load_sample, to_bytes

SHARD = 25


ClipMaker = Callable[[Path], tuple[UInt8[np.ndarray, "3 T H W 3"], UInt8[np.ndarray, "T H W"]]]


def main(  # noqa: PLR0913 - one argument per option
    split: Annotated[Literal["train", "val"], typer.Option(help="which people")] = "train",
    first: Annotated[int, typer.Option(help="number of the first person in the folder")] = 0,
    count: Annotated[int, typer.Option(help="number of people")] = 1000,
    coarse_model: Annotated[Path | None, typer.Option(help="weights; else those that ship")] = None,
    people: Annotated[Path, typer.Option(help="folder of tools.train.people")] = FOLDER,
    anchors: Annotated[int, typer.Option(help="Gaussians of the coarse model")] = 20_000,
    fit_errors: Annotated[
        Path | None, typer.Option(help="file of tools.train.fit_errors; else the one that ships")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for the shards")] = Path("runs/clips"),
) -> None:
    """Write the shards that are missing."""
    torch.set_num_threads(1)
    paths = list_people(people, split)[first : first + count]
    make_clips = clip_maker(FitErrors(fit_errors), coarse_model, anchors)
    write_clips(paths, out, split, make_clips)


def write_clips(paths: list[Path], out: Path, split: str, make_clips: ClipMaker) -> None:
    """Render the clips of people in files of `tools.train.people`, shard by shard."""
    with tqdm(total=len(paths), unit="person", desc="clips") as bar:
        for start in range(0, len(paths), SHARD):
            shard = paths[start : start + SHARD]
            target = out / f"{split}_{int(shard[0].stem):07d}.npz"
            if target.exists():
                bar.update(len(shard))
            else:
                write_shard(shard, target, make_clips, bar)


def write_shard(paths: list[Path], target: Path, make_clips: ClipMaker, bar: tqdm) -> None:
    """Clips of some people in one file."""
    seeds = [int(path.stem) for path in paths]
    pairs = []
    for path in paths:
        pairs.append(make_clips(path))
        bar.update()
    orbits = [orbit(OrbitConfig(seed=seed)) for seed in seeds]
    with atomic_path(target) as tmp, open(tmp, "wb") as file:
        np.savez(
            file,
            clips=np.stack([clips for clips, _ in pairs]),
            seen=np.stack([seen for _, seen in pairs]),
            seeds=np.array(seeds),
            azimuths_deg=np.stack([o.azimuths_deg.numpy() for o in orbits]),
            elevations_deg=np.stack([o.elevations_deg.numpy() for o in orbits]),
        )


def clip_maker(
    fit_errors: FitErrors, coarse_model: Path | None = None, num_anchors: int = 20_000
) -> ClipMaker:
    """A function from a person's file to (truth, coarse and carried clip; what the photo saw)."""
    body, model = load_body(), load_coarse(coarse_model)
    anchors = sample_anchors(body, num=num_anchors)
    layout = lay_out(anchors, model.num_tokens)

    @torch.no_grad()
    def make_clips(path: Path) -> tuple[np.ndarray, np.ndarray]:
        person = load_sample(path)
        guess = fitted_body(person, int(path.stem), body, fit_errors)
        seen = observe(person.crop, guess, body, anchors)
        rig = Rig.build(body, anchors, guess.betas)
        gaussians = model(person.crop, layout, seen)
        posed = pose_gaussians(gaussians, rig, a_pose(), -rig.joints[0])
        coarse = render(posed, person.turn_cameras).rgb
        photo_saw = seen_by_photo(posed, seen.visible, person.turn_cameras)[..., 0]
        painted = posed.recolored(carried_colors(Avatar(gaussians, rig), seen.visible))
        carried = render(painted, person.turn_cameras).rgb
        clips = torch.stack([person.turn_rgba[..., :3], coarse, carried])
        return to_bytes(clips), to_bytes(photo_saw)

    return make_clips


def fitted_body(
    person: Sample, seed: int, body: BodyModel, fit_errors: FitErrors
) -> SimpleNamespace:
    """The true body for even seeds; for odd ones with the errors of a fit to another photo."""
    betas, pose = person.betas, person.pose
    if seed % 2:
        betas, pose = fit_errors.apply(betas, pose, np.random.default_rng([seed, 99]))
    return SimpleNamespace(betas=betas, pose=pose, transl=-body.rest_joints(betas)[0])


if __name__ == "__main__":
    raise SystemExit(run(main))
