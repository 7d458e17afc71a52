"""Turntables of the coarse model beside the truth: what the turntable prior is trained on.

Writes shards `OUT/{split}_{first seed}.npz` of up to 25 people:
    clips       (N,3,T,H,W,3) uint8 on white; [:,0] the truth, [:,1] the coarse clip, [:,2] the
                same painted with the front's colours all round (`toolkit.refine.turntable.colors_through`)
    seen        (N,T,H,W) uint8; share of each pixel of the coarse clip that the photo saw
    azimuths_deg, elevations_deg (N,T), seeds (N,)
View 0 is the front. Existing shards are kept, so the command resumes.

    python -m tools.train.people --split train --num 4000 && python -m tools.train.people --split val
    python -m tools.train.clips --split train --count 4000
    python -m tools.train.clips --split val --count 48

Every second person gets the true body, the others one that is off like a fitted one.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from tqdm import tqdm

from toolkit.body.anchors import sample_anchors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig, pose_gaussians
from toolkit.coarse.observe import lay_out, observe
from toolkit.coarse.small import load_coarse
from toolkit.prior.orbit import OrbitConfig, orbit
from toolkit.refine.turntable import colors_through, seen_by_photo
from toolkit.render.api import render
from toolkit.run.files import atomic_path
from tools.train.people import Sample, list_people, load_sample

SHARD = 25


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", default="train", choices=["train", "val"])
    parser.add_argument("--first", type=int, default=0, help="first person in the folder")
    parser.add_argument("--count", type=int, default=1000, help="number of people")
    parser.add_argument("--coarse-model", help="weights; default: those that ship")
    parser.add_argument("--people", default="runs/people", help="folder of make_people.py")
    parser.add_argument("--anchors", type=int, default=20_000, help="Gaussians of the coarse model")
    parser.add_argument("--out", type=Path, default=Path("runs/clips"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    paths = list_people(args.people, args.split)[args.first : args.first + args.count]
    clips = clip_maker(args)
    with tqdm(total=len(paths), unit="person") as bar:
        for start in range(0, len(paths), SHARD):
            write_shard(paths[start : start + SHARD], args, clips, bar)


def write_shard(paths: list[Path], args, clips: Callable, bar) -> None:
    """Clips of some people, unless the shard is there already."""
    seeds = [int(path.stem) for path in paths]
    target = args.out / f"{args.split}_{seeds[0]:07d}.npz"
    if target.exists():
        bar.update(len(paths))
        return
    made = []
    for path in paths:
        made.append(clips(path))
        bar.update()
    orbits = [orbit(OrbitConfig(seed=seed)) for seed in seeds]
    with atomic_path(target) as tmp, open(tmp, "wb") as file:
        np.savez(
            file,
            clips=np.stack([c for c, _ in made]),
            seen=np.stack([s for _, s in made]),
            seeds=np.array(seeds),
            azimuths_deg=np.stack([o.azimuths_deg.numpy() for o in orbits]),
            elevations_deg=np.stack([o.elevations_deg.numpy() for o in orbits]),
        )


def clip_maker(args) -> Callable[[Path], tuple[np.ndarray, np.ndarray]]:
    """A function from a person's file to (truth and coarse clip, what the photo saw)."""
    body, model = load_body(), load_coarse(args.coarse_model)
    anchors = sample_anchors(body, num=args.anchors)
    layout = lay_out(anchors, model.num_tokens)

    @torch.no_grad()
    def clips(path: Path) -> tuple[np.ndarray, np.ndarray]:
        person = load_sample(path)
        guess = fitted_body(person, int(path.stem), body)
        seen = observe(person.crop, guess, body, anchors)
        rig = Rig.build(body, anchors, guess.betas)
        gaussians = model(person.crop, layout, seen)
        posed = pose_gaussians(gaussians, rig, a_pose(), -rig.joints[0])
        coarse = render(posed, person.turn_cameras).rgb
        known = seen_by_photo(posed, seen.visible, person.turn_cameras)[..., 0]
        painted = posed.recolored(colors_through(Avatar(gaussians, rig), seen.visible))
        through = render(painted, person.turn_cameras).rgb
        return to_bytes(torch.stack([person.turn_rgba[..., :3], coarse, through])), to_bytes(known)

    return clips


def fitted_body(person: Sample, seed: int, body: BodyModel) -> SimpleNamespace:
    """The true body for even seeds; for odd ones with errors of the size that a fit leaves."""
    rng = np.random.default_rng([seed, 99])
    size = float(seed % 2)
    betas = person.betas + 0.3 * size * torch.from_numpy(rng.normal(size=len(person.betas))).float()
    turn = np.deg2rad(3.0) * size * rng.normal(size=(22, 3))
    pose = person.pose.clone()
    pose[:22] += torch.from_numpy(turn).float()
    return SimpleNamespace(betas=betas, pose=pose, transl=-body.rest_joints(betas)[0])


def to_bytes(clips: torch.Tensor) -> np.ndarray:
    return (clips.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


if __name__ == "__main__":
    main()
