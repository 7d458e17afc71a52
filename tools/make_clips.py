"""Render turntable clips of procedural people for training the turntable prior.

Writes shards `OUT/{split}_{first seed}.npz` of up to 25 people:
    clips       (N,2,T,H,W,3) uint8; [:,0] the truth, [:,1] the coarse clip, both on white
    azimuths_deg, elevations_deg (N,T), seeds (N,)
View 0 is the front. Existing shards are kept, so the command resumes.

    python tools/make_clips.py --split train --first 0 --count 1000
    python tools/make_clips.py --split val --first 1000000 --count 32
    python tools/make_clips.py --coarse-model data/models/coarse.safetensors --out runs/clips_coarse

With --coarse-model the people come from `tools/make_people.py` and the coarse clip is the model's
own turntable, from the true body or (every second person) from one that is off like a fitted one.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from make_people import Sample, list_people, load_sample
from tqdm import tqdm

from toolkit.assets import atomic_path
from toolkit.body.anchors import sample_anchors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.coarse.pixel_aligned import lay_out, observe
from toolkit.coarse.small import load_coarse
from toolkit.people.render import render_person
from toolkit.people.sample import sample_person
from toolkit.prior.degrade import degrade, seen_by_first
from toolkit.prior.orbit import OrbitConfig, orbit, turntable_cameras
from toolkit.render.api import render

SHARD = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="train", choices=["train", "val"])
    parser.add_argument("--first", type=int, default=0, help="first person seed")
    parser.add_argument("--count", type=int, default=1000, help="number of people")
    parser.add_argument("--views", type=int, default=13)
    parser.add_argument("--supersample", type=int, default=2)
    parser.add_argument("--coarse-model", default=None, help="weights; default: degraded truth")
    parser.add_argument("--people", default="runs/people", help="folder of make_people.py")
    parser.add_argument("--anchors", type=int, default=20_000, help="Gaussians of the coarse model")
    parser.add_argument("--out", type=Path, default=Path("runs/clips"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.coarse_model:
        paths = list_people(args.people, args.split)[args.first:args.first + args.count]
        jobs, clips = {int(path.stem): path for path in paths}, coarse_clips(args)
    else:
        jobs = {seed: seed for seed in range(args.first, args.first + args.count)}
        clips = lambda seed: degraded_clips(seed, args)  # noqa: E731
    with tqdm(total=len(jobs), unit="person") as bar:
        for start in range(0, len(jobs), SHARD):
            write_shard(dict(list(jobs.items())[start:start + SHARD]), args, clips, bar)


def write_shard(jobs: dict, args, clips: Callable, bar) -> None:
    """Clips of some people, {seed: job}, unless the shard is there already."""
    path = args.out / f"{args.split}_{min(jobs):07d}.npz"
    if path.exists():
        bar.update(len(jobs))
        return
    made, orbits = [], []
    for seed, job in jobs.items():
        orbits.append(orbit(OrbitConfig(num_views=args.views, seed=seed)))
        made.append(clips(job))
        bar.update()
    with atomic_path(path) as tmp, open(tmp, "wb") as file:
        np.savez(file, clips=np.stack(made), seeds=np.array(list(jobs)),
                 azimuths_deg=np.stack([o.azimuths_deg.numpy() for o in orbits]),
                 elevations_deg=np.stack([o.elevations_deg.numpy() for o in orbits]))


def degraded_clips(seed: int, args) -> np.ndarray:
    """Truth, and the truth smeared where view 0 does not see (2,T,H,W,3)."""
    person = sample_person(seed, split=args.split)
    cameras = turntable_cameras(orbit(OrbitConfig(num_views=args.views, seed=seed)))
    views = render_person(person, cameras, pose=a_pose(), supersample=args.supersample)
    alpha = views.alpha[..., 0]
    seen, grid = seen_by_first(cameras, views.depth, alpha, views.normals)
    coarse = degrade(views.rgb, alpha, seen, grid,
                     generator=torch.Generator().manual_seed(person.seed))
    return to_bytes(torch.stack([views.rgb, coarse]))


def coarse_clips(args) -> Callable[[Path], np.ndarray]:
    """Truth, and the coarse model's turntable from the person's photo."""
    body, model = BodyModel.load(), load_coarse(args.coarse_model)
    anchors = sample_anchors(body, num=args.anchors)
    layout = lay_out(anchors, model.num_tokens)

    @torch.no_grad()
    def clips(path: Path) -> np.ndarray:
        person = load_sample(path)
        guess = fitted_body(person, int(path.stem), body)
        gaussians = model(person.crop, layout, observe(person.crop, guess, body, anchors))
        rig = Rig.build(body, anchors, guess.betas)
        posed = pose_gaussians(gaussians, rig, a_pose(), -rig.joints[0])
        coarse = render(posed, person.turn_cameras).rgb
        return to_bytes(torch.stack([person.turn_rgba[..., :3], coarse]))

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
