"""Train the depth lifter on what the landmark net says about people whose bodies are known.

    python -m tools.train.lift_samples                       # once: the net's answers -> runs/lift
    python -m tools.train.lift_samples --split val
    python -m tools.train.lift                         # 2 minutes; weights -> data/models/

Most of a batch is real answers of the net; the rest are other poses, shapes and cameras, projected,
with the errors (in metres, all points together) that the net made on a random person.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from toolkit.body.npz import load_body
from toolkit.photo.detection.keypoint_names import MIRROR
from toolkit.photo.smplify.lifter import (
    FLIP_POINT,
    FLIP_TURN,
    HIPS,
    MIRROR_JOINTS,
    NUM_JOINTS,
    Lifter,
    describe,
    mirrored,
    save_lifter,
)
from toolkit.photo.smplify.pose_prior import pose_statistics
from toolkit.photo.smplify.reduced_body import ReducedBody
from toolkit.photo.smplify.unknowns import VIEW

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Pairs:
    """Inputs and truths of N people.

    Attributes:
        inputs: of `describe`. points: picture metres, hips at 0. turns: axis-angle; row 0 unused.
    """

    inputs: Tensor
    points: Tensor
    turns: Tensor

    def __getitem__(self, index) -> "Pairs":
        return Pairs(self.inputs[index], self.points[index], self.turns[index])

    def __len__(self) -> int:
        return len(self.inputs)

    def mirrored(self) -> "Pairs":
        return Pairs(
            mirrored(self.inputs),
            self.points[:, MIRROR] * FLIP_POINT,
            self.turns[:, MIRROR_JOINTS] * FLIP_TURN,
        )

    @staticmethod
    def joined(*parts: "Pairs") -> "Pairs":
        return Pairs(
            *(torch.cat([getattr(p, n) for p in parts]) for n in ("inputs", "points", "turns"))
        )


def load_answers(folder: Path, split: str) -> dict[str, Tensor]:
    """All blocks of `lift_samples.py`, one after the other."""
    blocks = []
    for path in sorted(folder.glob(f"{split}_*.npz")):
        with np.load(path, allow_pickle=False) as data:
            blocks.append({k: torch.from_numpy(data[k]) for k in data.files})
    if not blocks:
        raise SystemExit(f"{folder} holds no {split}_*.npz: run tools/train/lift_samples.py first")
    return {k: torch.cat([b[k] for b in blocks]) for k in blocks[0]}


def true_points(small: ReducedBody, betas: Tensor, poses: Tensor) -> Tensor:
    """The net's 33 points on the bodies, pelvis at the origin, metres."""
    one = torch.vmap(lambda b, p: small.posed(b, p, surface=False)[0])
    return torch.cat(
        [one(b, p) for b, p in zip(betas.split(64), poses[:, :NUM_JOINTS].split(64), strict=True)]
    )


def pixels_of(points: Tensor, pelvis: Tensor, K: Tensor) -> Tensor:
    """World points (N, 33, 3) around the pelvis to pixels."""
    cam = points @ VIEW + pelvis[:, None]
    return cam[..., :2] / cam[..., 2:] * K[:, None, [0, 1], [0, 1]] + K[:, None, :2, 2]


def pairs_of(answers: dict[str, Tensor], points: Tensor) -> Pairs:
    """Inputs, and the truth in picture metres: true metres in true pixels, times the scale."""
    inputs, scale = describe(answers["keypoints"], answers["world"])
    hips = points[:, HIPS].mean(1)
    depth = (answers["pelvis"] + hips @ VIEW)[:, 2]
    factor = answers["K"][:, 0, 0] / depth * scale
    return Pairs(
        inputs,
        (points - hips[:, None]) * factor[:, None, None],
        answers["pose"][:, :NUM_JOINTS].float(),
    )


def imagined(
    answers: dict[str, Tensor], points: Tensor, small: ReducedBody, num: int, seed: int, wide: float
) -> Pairs:
    """Other poses, shapes and cameras, with the net's errors on random real people.

    Args:
        points: the answers' true points.
        wide: share of poses far beyond the usual ones of photos.
    """
    rng = torch.Generator().manual_seed(seed)
    donor, shape = torch.randint(len(points), (2, num), generator=rng)
    poses = other_poses(answers["pose"][:, :NUM_JOINTS], num, wide, rng)
    placed = true_points(small, answers["betas"][shape], poses)
    K, pelvis = torch.eye(3).repeat(num, 1, 1), torch.zeros(num, 3)
    K[:, 0, 0] = K[:, 1, 1] = 1000.0
    half_view = torch.deg2rad(10 + 10 * torch.rand(num, generator=rng))
    pelvis[:, 2] = 1.15 / half_view.tan()
    pelvis[:, :2] = 0.03 * torch.randn(num, 2, generator=rng) * pelvis[:, 2:]
    metres = (answers["pelvis"][:, 2] / answers["K"][:, 0, 0])[:, None, None]
    error = answers["keypoints"][..., :2] - pixels_of(points, answers["pelvis"], answers["K"])
    pixels = (
        pixels_of(placed, pelvis, K) + (error * metres)[donor] * (1000.0 / pelvis[:, 2:])[..., None]
    )
    world_error = answers["world"] - centered(points)
    made = {
        "keypoints": torch.cat([pixels, answers["keypoints"][donor][..., 2:]], dim=-1),
        "world": centered(placed) + world_error[donor],
        "pelvis": pelvis,
        "K": K,
        "pose": poses,
    }
    return pairs_of(made, placed)


def other_poses(known: Tensor, num: int, wide: float, rng: torch.Generator) -> Tensor:
    """Poses between two known ones; a share `wide` is bent at random and turned further away."""
    first, second = (known[torch.randint(len(known), (num,), generator=rng)] for _ in range(2))
    poses = torch.lerp(first, second, 0.5 * torch.rand(num, 1, 1, generator=rng))
    spread = pose_statistics()[1][1:]
    far = (torch.rand(num, 1, 1, generator=rng) < wide).float()
    size = far * (0.2 + 0.6 * torch.rand(num, 1, 1, generator=rng))
    poses[:, 1:] += size * spread * torch.randn(num, NUM_JOINTS - 1, 3, generator=rng)
    poses[:, 0, 1] += far[:, 0, 0] * torch.deg2rad(120 * torch.rand(num, generator=rng) - 60)
    return poses


def centered(points: Tensor) -> Tensor:
    return points - points[:, HIPS].mean(1, keepdim=True)


def loss_of(answer: tuple[Tensor, Tensor], truth: Pairs) -> Tensor:
    """Laplace negative log likelihood of points and turns; robust against wrong points."""
    points, turns = answer
    root2 = math.sqrt(2)
    total = 0.0
    for got, want in ((points, truth.points), (turns[:, 1:], truth.turns[:, 1:])):
        log_spread = got[..., 3:].clamp(-6, 1)
        total = total + (root2 * (got[..., :3] - want).abs() / log_spread.exp() + log_spread).mean()
    return total


@torch.no_grad()
def report(lifter: Lifter, pairs: Pairs) -> dict[str, float]:
    """Mean errors of the lifter and of the landmark net itself: mm along the view, degrees."""
    points, turns = lifter.eval().symmetric(pairs.inputs)
    net = pairs.inputs[:, 66:165].unflatten(1, (33, 3))
    limbs = slice(11, 33)
    depth, was = (
        (p[:, limbs, 2] - pairs.points[:, limbs, 2]).abs().mean() * 1e3 for p in (points, net)
    )
    turn = torch.rad2deg((turns[:, 1:, :3] - pairs.turns[:, 1:]).abs().mean())
    lifter.train()
    return {
        "nll": float(loss_of((points, turns), pairs)),
        "depth_mm": float(depth),
        "net_depth_mm": float(was),
        "turn_deg": float(turn),
    }


def train(real: Pairs, other: Pairs, val: Pairs, args) -> Lifter:
    """AdamW with a cosine; a batch is part real, part imagined, each mirrored at random."""
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    lifter = Lifter(dropout=args.dropout).train()
    optimizer = torch.optim.AdamW(lifter.parameters(), lr=1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, args.steps, pct_start=0.1)
    sources = [Pairs.joined(p, p.mirrored()) for p in (real, other)]
    counts = (args.batch - args.imagined_batch, args.imagined_batch)
    for step in tqdm(range(args.steps), mininterval=10):
        batch = Pairs.joined(
            *(
                source[torch.randint(len(source), (n,), generator=generator)]
                for source, n in zip(sources, counts, strict=True)
            )
        )
        loss = loss_of(lifter(batch.inputs), batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(lifter.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            tqdm.write(
                f"{step + 1} train {loss.item():.3f} val "
                + " ".join(f"{k} {v:.3f}" for k, v in report(lifter, val).items())
            )
    return lifter.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=Path, default=Path("runs/lift"))
    parser.add_argument("--out", type=Path, default=ROOT / "data/models/lift.safetensors")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=160)
    parser.add_argument("--imagined-batch", type=int, default=48)
    parser.add_argument("--wide", type=float, default=0.5, help="share of far-off poses")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    small = ReducedBody.of(load_body())
    answers, val = (load_answers(args.answers, split) for split in ("train", "val"))
    points, val_points = (true_points(small, a["betas"], a["pose"]) for a in (answers, val))
    other = imagined(answers, points, small, 2 * len(points), args.seed, args.wide)
    lifter = train(pairs_of(answers, points), other, pairs_of(val, val_points), args)
    result = report(lifter, pairs_of(val, val_points))
    save_lifter(
        lifter,
        args.out,
        people=str(len(points)),
        steps=str(args.steps),
        seed=str(args.seed),
        **{f"val_{k}": f"{v:.3f}" for k, v in result.items()},
    )
    print({k: round(v, 3) for k, v in result.items()})


if __name__ == "__main__":
    main()
