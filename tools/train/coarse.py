"""Train the coarse model (a small LHM) on rendered people, with views that the network never sees.

    python -m tools.train.people --num 4000         # once; more may be added while this runs
    python -m tools.train.coarse --minutes 80       # resumes; weights -> runs/coarse

The draws follow the clock, so a second run gives other weights of the same quality.
"""

import copy
import math
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import typer

from toolkit.body.anchors import sample_anchors
from toolkit.body.npz import load_body
from toolkit.coarse.from_photo import save_coarse
from toolkit.coarse.observation import lay_out
from toolkit.coarse.small import AnchorTransformer
from tools.command import run_with
from tools.train.coarse_losses import Setup, recolored, step_loss
from tools.train.people import FOLDER, list_people, load_sample

LEARNING_RATE = 1e-3
CHECKPOINT_SECONDS = 120
ANCHOR_SETS = ((20_000, 0), (8_000, 1), (8_000, 2))  # number and seed; a step draws one of them


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    minutes: Annotated[float, typer.Option(help="training time in all, with restarts")] = 80
    batch: Annotated[int, typer.Option(help="people per step")] = 1
    people: Annotated[Path, typer.Option(help="folder of tools.train.people")] = FOLDER
    out: Annotated[Path, typer.Option(help="folder for weights, log and checkpoint")] = Path(
        "runs/coarse"
    )


@dataclass
class State:
    """What a restart needs: weights, their running average, the optimiser and counters."""

    model: AnchorTransformer
    average: AnchorTransformer
    optimizer: torch.optim.AdamW
    counters: dict[str, float] = field(default_factory=lambda: {"step": 0, "seconds": 0.0})


def main(settings: Settings) -> None:
    """Optimise until the minutes are used up, or go on from the checkpoint."""
    torch.set_num_threads(1)  # two threads on a shared machine are slower than one
    torch.manual_seed(0)
    settings.out.mkdir(parents=True, exist_ok=True)
    body = load_body()
    anchors = [sample_anchors(body, num=n, seed=s) for n, s in ANCHOR_SETS]
    model = AnchorTransformer()
    now = time.time_ns() % 2**31  # a resumed run must not see the same people again
    setup = Setup(
        body,
        anchors,
        [lay_out(a, model.num_tokens) for a in anchors],
        random.Random(now),
        torch.Generator().manual_seed(now),
    )
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01
    )
    state = State(model, copy.deepcopy(model).requires_grad_(False), optimizer)
    if (settings.out / "last.pt").is_file():
        load(settings.out / "last.pt", state)
    train(state, setup, settings)


def train(state: State, setup: Setup, settings: Settings) -> None:
    """The loop itself."""
    counters = state.counters
    people, history, last_save = list_people(settings.people, "train"), [], time.time()
    while counters["seconds"] < 60 * settings.minutes:
        start = time.time()
        history += train_step(state, setup, people, settings)
        counters["seconds"] += time.time() - start
        if time.time() - last_save > CHECKPOINT_SECONDS:
            save(state, settings.out)
            report(state, settings.out, history, len(people))
            # People that were rendered meanwhile are picked up.
            people, history, last_save = list_people(settings.people, "train"), [], time.time()
    save(state, settings.out)


def train_step(
    state: State, setup: Setup, people: list[Path], settings: Settings
) -> list[tuple[float, float]]:
    """One step; returns image loss and surface distance of each person."""
    done = state.counters["seconds"] / (60 * settings.minutes)
    warm_up = min(1.0, (state.counters["step"] + 1) / 50)
    for group in state.optimizer.param_groups:
        group["lr"] = LEARNING_RATE * warm_up * (0.5 + 0.5 * math.cos(math.pi * done))
    state.optimizer.zero_grad()
    losses = []
    for _ in range(settings.batch):
        sample = recolored(load_sample(setup.rng.choice(people)), setup)
        of_person = step_loss(state.model, sample, setup)
        (of_person["loss"] / settings.batch).backward()
        losses.append((of_person["image"].item(), of_person["surface_m"].item()))
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimizer.step()
    state.counters["step"] += 1
    # The average forgets faster in the beginning, when the weights still move far.
    keep = min(0.998, state.counters["step"] / (state.counters["step"] + 10))
    for slow, fast in zip(state.average.parameters(), state.model.parameters(), strict=True):
        slow.lerp_(fast.detach(), 1 - keep)
    return losses


def save(state: State, out: Path) -> None:
    """Checkpoint, and the averaged weights alone."""
    torch.save(
        {
            "model": state.model.state_dict(),
            "average": state.average.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "state": state.counters,
        },
        out / "last.tmp",
    )
    (out / "last.tmp").replace(out / "last.pt")
    save_coarse(state.average, out / "coarse.safetensors")


def load(path: Path, state: State) -> None:
    """Fill a fresh state from a checkpoint."""
    saved = torch.load(path, weights_only=True)
    state.model.load_state_dict(saved["model"])
    state.average.load_state_dict(saved["average"])
    state.optimizer.load_state_dict(saved["optimizer"])
    state.counters = saved["state"]


def report(state: State, out: Path, history: list[tuple[float, float]], num_people: int) -> None:
    """One line in the log; `tools.train.learning_curve` reads it."""
    image, surface = torch.tensor(history).mean(dim=0).tolist()
    with open(out / "log.txt", "a") as log:
        log.write(
            f"{time.strftime('%H:%M:%S')} step {state.counters['step']} "
            f"{state.counters['seconds']:.0f} s image loss {image:.4f} "
            f"surface {100 * surface:.2f} cm people {num_people}\n"
        )


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
