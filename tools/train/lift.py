"""Train the depth lifter on what the landmark net says about people whose bodies are known.

    python -m tools.train.lift_samples                 # once: the net's answers -> runs/lift
    python -m tools.train.lift_samples --split val
    python -m tools.train.lift                         # 2 minutes; weights -> data/models/

Most of a batch is real answers of the net; the rest are other poses, shapes and cameras, projected,
with the errors (in metres, all points together) that the net made on a random person.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from toolkit.body.npz import load_body
from toolkit.photo.smplify.lifter import Lifter, save_lifter
from toolkit.photo.smplify.reduced_body import ReducedBody
from toolkit.run.files import DATA_DIR
from tools.command import run_with
from tools.train.lift_pairs import Pairs, imagined, load_answers, pairs_of, true_points

LIMBS = slice(11, 33)  # of the 33 points: shoulders to feet, without the face
NET_POINTS = slice(66, 165)  # where the inputs hold the landmark net's own 3D points


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    answers: Annotated[Path, typer.Option(help="folder of lift_samples")] = Path("runs/lift")
    out: Annotated[Path, typer.Option(help="weights to write")] = (
        DATA_DIR / "models" / "lift.safetensors"
    )
    steps: Annotated[int, typer.Option(help="of the optimiser")] = 5000
    batch: Annotated[int, typer.Option(help="people per step")] = 160
    imagined_batch: Annotated[int, typer.Option(help="of them imagined")] = 48
    wide: Annotated[float, typer.Option(help="share of far-off poses among the imagined")] = 0.5
    dropout: Annotated[float, typer.Option(help="of the network")] = 0.1
    seed: Annotated[int, typer.Option(help="of weights and draws")] = 0


def loss_of(answer: tuple[Tensor, Tensor], truth: Pairs) -> Float[Tensor, ""]:
    """Laplace negative log likelihood of points and turns, which is robust against wrong points.

    The network answers with a value and the logarithm of its expected error for each number.
    """
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
    net = pairs.inputs[:, NET_POINTS].unflatten(1, (33, 3))
    depth_mm, net_depth_mm = (
        (p[:, LIMBS, 2] - pairs.points[:, LIMBS, 2]).abs().mean() * 1e3 for p in (points, net)
    )
    turn = torch.rad2deg((turns[:, 1:, :3] - pairs.turns[:, 1:]).abs().mean())
    lifter.train()
    return {
        "nll": float(loss_of((points, turns), pairs)),
        "depth_mm": float(depth_mm),
        "net_depth_mm": float(net_depth_mm),
        "turn_deg": float(turn),
    }


def train(real: Pairs, other: Pairs, val: Pairs, settings: Settings) -> Lifter:
    """AdamW with a cosine; a batch is part real, part imagined, each mirrored at random."""
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    lifter = Lifter(dropout=settings.dropout).train()
    optimizer = torch.optim.AdamW(lifter.parameters(), lr=1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, settings.steps, pct_start=0.1)
    sources = [Pairs.joined(p, p.mirrored()) for p in (real, other)]
    counts = (settings.batch - settings.imagined_batch, settings.imagined_batch)
    for step in tqdm(range(settings.steps), mininterval=10):
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


def main(settings: Settings) -> None:
    """Train, report and write the weights."""
    torch.set_num_threads(1)
    small = ReducedBody.of(load_body())
    answers, val = (load_answers(settings.answers, split) for split in ("train", "val"))
    points, val_points = (true_points(small, a["betas"], a["pose"]) for a in (answers, val))
    other = imagined(
        answers, points, small, num=2 * len(points), seed=settings.seed, wide=settings.wide
    )
    lifter = train(pairs_of(answers, points), other, pairs_of(val, val_points), settings)
    result = report(lifter, pairs_of(val, val_points))
    save_lifter(
        lifter,
        settings.out,
        people=str(len(points)),
        steps=str(settings.steps),
        seed=str(settings.seed),
        **{f"val_{k}": f"{v:.3f}" for k, v in result.items()},
    )
    print({k: round(v, 3) for k, v in result.items()})


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
