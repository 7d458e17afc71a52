"""Train the turntable prior on clips of procedural people: plain, repairer, or both in one net.

    python -m tools.bake.perceptual --net lite1 --out runs/lite1.safetensors
    python -m tools.train.turntable --repair 1 --pictures 0.95 --carried --out runs/repairer
    python -m tools.train.turntable --repair 0 --pictures 0.5 --out runs/plain

A share of the steps (--pictures) judges the clean estimate as a picture: squared error, a
perceptual distance in features of EfficientNet-Lite1 (the evaluation measures in those of Lite0,
another net) and a critic. For the repairer this estimate is the single step from pure noise that
the pipeline runs; for the plain prior it is the estimate at any noise level. The other steps are
the squared error of a flow model.

The learning rate follows a cosine over --minutes of training time, which counts across restarts. A
checkpoint and averaged (EMA) weights are written every --every minutes, and the command resumes
from them. New shards in --clips are picked up while it runs.
"""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer

from toolkit.prior.turntable.clips import ClipStore
from toolkit.prior.turntable.model import TurntablePrior
from tools.command import run_with
from tools.train.critic import Critic, load_lite1
from tools.train.turntable_losses import denoising_loss, picture_loss
from tools.train.turntable_state import State, load_checkpoint, save_checkpoint
from tools.train.turntable_validation import validate, validate_one_step


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    clips: Annotated[list[Path], typer.Option(help="folders of shards; may be repeated")] = (
        Path("runs/clips"),
    )
    out: Annotated[Path, typer.Option(help="folder for weights, log and checkpoint")] = Path(
        "runs/turntable"
    )
    minutes: Annotated[float, typer.Option(help="training time in all, with restarts")] = 80
    every: Annotated[float, typer.Option(help="minutes between checkpoints")] = 5
    batch: Annotated[int, typer.Option(help="clips per step")] = 2
    views: Annotated[int, typer.Option(help="views of a clip in one step")] = 5
    lr: Annotated[float, typer.Option(help="learning rate at its highest")] = 1e-3
    repair: Annotated[float, typer.Option(help="share of steps that train the repairer")] = 0.7
    pictures: Annotated[float, typer.Option(help="share of steps that judge pictures")] = 0.0
    fidelity: Annotated[float, typer.Option(help="weight of squared error in those steps")] = 0.2
    perceptual: Annotated[float, typer.Option(help="weight of the perceptual distance")] = 1.0
    adversarial: Annotated[float, typer.Option(help="weight of the critic")] = 0.1
    feature_weights: Annotated[Path, typer.Option(help="EfficientNet-Lite1")] = Path(
        "runs/lite1.safetensors"
    )
    turned: Annotated[float, typer.Option(help="how much likelier side and back views are")] = 2.0
    start: Annotated[Path | None, typer.Option(help="weights to start from")] = None
    carried: Annotated[
        bool,
        typer.Option("--carried", help="the repairer also sees the front's colours carried around"),
    ] = False
    sigmas: Annotated[
        tuple[float, float], typer.Option(help="mean and deviation of log(s / (1 - s))")
    ] = (0.2, 1.3)
    ema: Annotated[float, typer.Option(help="decay of the averaged weights per step")] = 0.997
    threads: Annotated[int, typer.Option(help="of torch")] = 1
    seed: Annotated[int, typer.Option(help="of weights and draws")] = 0


def main(settings: Settings) -> None:
    """Train, or go on from the checkpoint in `settings.out`."""
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    model = TurntablePrior.load(settings.start) if settings.start else TurntablePrior()
    if settings.carried and not model.config.carried:
        model = model.with_carried_input()
    model = model.train().requires_grad_().to(memory_format=torch.channels_last)
    state = State(model, torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=0.01))
    state.ema = {k: v.clone() for k, v in model.state_dict().items()}
    if (settings.out / "checkpoint.safetensors").exists():
        load_checkpoint(state, settings.out / "checkpoint.safetensors")
    if settings.pictures:
        state.features, state.critic = load_lite1(settings.feature_weights), Critic()
        state.critic_optimiser = torch.optim.Adam(state.critic.parameters(), 2e-3, (0.5, 0.99))
    validation = ClipStore(settings.clips[0], split="val")
    train(state, ClipStore(*settings.clips), validation, settings)


def train(state: State, store: ClipStore, validation: ClipStore, settings: Settings) -> None:
    """Step until the minutes are used up."""
    generator = torch.Generator().manual_seed(settings.seed + state.step)
    losses: dict[bool, list[float]] = {True: [], False: []}  # of repairer and plain steps
    last_save, clock = state.seconds, time.monotonic()
    while state.seconds < 60 * settings.minutes:
        repair = float(torch.rand((), generator=generator)) < settings.repair
        losses[repair].append(train_step(state, store, repair, generator, settings))
        if state.step % 50 == 0:
            store.refresh()
        now = time.monotonic()
        state.seconds, clock = state.seconds + now - clock, now
        finished = state.seconds >= 60 * settings.minutes
        if finished or state.seconds - last_save > 60 * settings.every:
            last_save = state.seconds
            report(state, losses, validation, len(store), settings)
            losses = {True: [], False: []}


def train_step(
    state: State, store: ClipStore, repair: bool, generator: torch.Generator, settings: Settings
) -> float:
    """One batch, one step of the optimiser, one step of the average; returns the loss."""
    judge = float(torch.rand((), generator=generator)) < settings.pictures
    pair = store.draw(
        settings.batch,
        settings.views,
        generator,
        turned=settings.turned,
        coarse_reference=True if judge and repair else None,
    )
    loss = (
        picture_loss(state, pair, repair, generator, settings)
        if judge
        else denoising_loss(state.model, pair, repair, generator, settings)
    )
    state.optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimiser.param_groups[0]["lr"] = learning_rate(state, settings)
    state.optimiser.step()
    state.step += 1
    # The average forgets faster in the beginning, when the weights still move far.
    decay = min(settings.ema, (1 + state.step) / (10 + state.step))
    for key, value in state.model.state_dict().items():
        state.ema[key].lerp_(value, 1 - decay)
    return loss.item()


def learning_rate(state: State, settings: Settings) -> float:
    """Fifty steps of warm-up, then a cosine to zero at the last minute."""
    progress = min(1.0, state.seconds / (60 * settings.minutes))
    warm_up = min(1.0, (state.step + 1) / 50)
    return settings.lr * warm_up * (0.5 + 0.5 * math.cos(math.pi * progress))


def report(
    state: State,
    losses: dict[bool, list[float]],
    validation: ClipStore,
    num_people: int,
    settings: Settings,
) -> None:
    """Write checkpoint and averaged weights, validate them, append a line to the log."""
    save_checkpoint(state, settings.out / "checkpoint.safetensors")
    smooth = TurntablePrior(state.model.config)
    smooth.load_state_dict(state.ema)
    smooth.save(
        settings.out / "turntable.safetensors",
        step=str(state.step),
        minutes=f"{state.seconds / 60:.1f}",
        people=str(num_people),
    )
    row = {
        "step": state.step,
        "minutes": round(state.seconds / 60, 1),
        "people": num_people,
        "lr": round(learning_rate(state, settings), 6),
    }
    if settings.pictures and settings.repair:
        row["val_one_step"] = validate_one_step(smooth, validation, state.features)
    for repair, name in ((True, "repair"), (False, "plain")):
        row[f"loss_{name}"] = round(sum(losses[repair]) / max(1, len(losses[repair])), 4)
        row[f"val_{name}"] = validate(smooth, validation, repair)
    with open(settings.out / "log.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
