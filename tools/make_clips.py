"""Render turntable clips of procedural people for training the turntable prior.

Writes shards `OUT/{split}_{first seed}.npz` of up to 25 people:
    clips       (N,2,T,H,W,3) uint8; [:,0] the truth, [:,1] the coarse clip, both on white
    azimuths_deg, elevations_deg (N,T), seeds (N,)
View 0 is the front. Existing shards are kept, so the command resumes.

    python tools/make_clips.py --split train --first 0 --count 1000
    python tools/make_clips.py --split val --first 1000000 --count 32
    python tools/make_clips.py --coarse-model data/models/coarse.safetensors --out runs/clips_coarse
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from toolkit.body.motion import a_pose
from toolkit.people.render import render_person
from toolkit.people.sample import sample_person
from tqdm import tqdm

from toolkit.assets import atomic_path
from toolkit.prior.degrade import degrade, seen_by_first
from toolkit.prior.orbit import OrbitConfig, orbit, turntable_cameras

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
    parser.add_argument("--out", type=Path, default=Path("runs/clips"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    coarse = coarse_clips(args.coarse_model) if args.coarse_model else degraded_truth
    seeds = range(args.first, args.first + args.count)
    with tqdm(total=args.count, unit="person") as bar:
        for start in range(0, args.count, SHARD):
            write_shard(list(seeds[start:start + SHARD]), args, coarse, bar)


def write_shard(seeds: list[int], args, coarse, bar) -> None:
    path = args.out / f"{args.split}_{seeds[0]:07d}.npz"
    if path.exists():
        bar.update(len(seeds))
        return
    clips, orbits = [], []
    for seed in seeds:
        views = orbit(OrbitConfig(num_views=args.views, seed=seed, max_amplitude_deg=10.0))
        clips.append(person_clips(seed, turntable_cameras(views), args, coarse))
        orbits.append(views)
        bar.update()
    with atomic_path(path) as tmp, open(tmp, "wb") as file:
        np.savez(file, clips=np.stack(clips), seeds=np.array(seeds),
                 azimuths_deg=np.stack([o.azimuths_deg.numpy() for o in orbits]),
                 elevations_deg=np.stack([o.elevations_deg.numpy() for o in orbits]))


def person_clips(seed: int, cameras, args, coarse) -> np.ndarray:
    """Truth and coarse clip (2,T,H,W,3) uint8 of one person."""
    person = sample_person(seed, split=args.split)
    with torch.no_grad():
        views = render_person(person, cameras, pose=a_pose(), supersample=args.supersample)
        pair = torch.stack([views.rgb, coarse(person, views, cameras)])
    return (pair.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def degraded_truth(person, views, cameras) -> torch.Tensor:
    """Stand-in for the coarse model: truth smeared where view 0 does not see."""
    alpha = views.alpha[..., 0]
    seen, grid = seen_by_first(cameras, views.depth, alpha, views.normals)
    return degrade(views.rgb, alpha, seen, grid,
                   generator=torch.Generator().manual_seed(person.seed))


def coarse_clips(path: str):
    """The coarse model's own turntables, from the person's photo and true body."""
    raise NotImplementedError(path)


if __name__ == "__main__":
    main()
