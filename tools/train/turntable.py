"""Train the turntable prior on clips of procedural people: plain, repairer, or both in one net.

The `--pictures` share of steps looks at the clean estimate: squared error, a perceptual distance in
features of EfficientNet-Lite1 (the evaluation measures in those of Lite0: another net) and a
critic. For the repairer that is the single step from pure noise, which the pipeline runs; for the
plain prior, the estimate at any noise level. The other steps are squared error alone.

The learning rate follows a cosine over --minutes of training time, counted across restarts; a
checkpoint and EMA weights are written every --every minutes, and the command resumes from it. New
shards in --clips are picked up while it runs.

    python -m tools.bake.perceptual --net lite1 --out runs/lite1.safetensors
    python -m tools.train.turntable --repair 1 --pictures 0.95 --through --out runs/repairer
    python -m tools.train.turntable --repair 0 --pictures 0.5 --out runs/plain
"""

import argparse
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from toolkit.measure.perceptual import EfficientNetLite, compare_features
from toolkit.prior.turntable.clips import ClipPair, ClipStore
from toolkit.prior.turntable.model import TurntablePrior
from toolkit.run.files import atomic_path
from tools.train.adversary import Critic, critic_loss, load_lite1, masked_mean, person, pictures
from tools.train.validation import validate, validate_one_step

PERCEPTUAL_VIEWS = 6  # of a batch, drawn anew each step


@dataclass
class State:
    """All that a restart needs."""

    model: TurntablePrior
    optimiser: torch.optim.AdamW
    ema: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    seconds: float = 0.0
    features: EfficientNetLite | None = None
    critic: Critic | None = None
    critic_optimiser: torch.optim.Adam | None = None


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    model = TurntablePrior.load(args.start) if args.start else TurntablePrior()
    if args.through and not model.config.through:
        model = model.looking_through()
    model = model.train().requires_grad_().to(memory_format=torch.channels_last)
    state = State(model, torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01))
    state.ema = {k: v.clone() for k, v in model.state_dict().items()}
    if (args.out / "checkpoint.safetensors").exists():
        load_checkpoint(state, args.out / "checkpoint.safetensors")
    if args.pictures:
        state.features, state.critic = load_lite1(args.feature_weights), Critic()
        state.critic_optimiser = torch.optim.Adam(state.critic.parameters(), 2e-3, (0.5, 0.99))
    store, val = ClipStore(*args.clips), ClipStore(args.clips[0], split="val")
    train(state, store, val, args)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, nargs="+", default=[Path("runs/clips")])
    parser.add_argument("--out", type=Path, default=Path("runs/turntable"))
    parser.add_argument("--minutes", type=float, default=80, help="total, restarts included")
    parser.add_argument("--every", type=float, default=5, help="minutes between checkpoints")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--views", type=int, default=5, help="views of a clip in one step")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--repair", type=float, default=0.7, help="share of repairer steps")
    parser.add_argument("--pictures", type=float, default=0.0, help="share of steps that look")
    parser.add_argument("--fidelity", type=float, default=0.2, help="squared error's weight there")
    parser.add_argument("--perceptual", type=float, default=1.0, help="its weight")
    parser.add_argument("--adversarial", type=float, default=0.1, help="the critic's weight")
    parser.add_argument("--feature-weights", default="runs/lite1.safetensors")
    parser.add_argument("--turned", type=float, default=2.0, help="weight of side and back views")
    parser.add_argument("--start", help="weights to start from")
    parser.add_argument(
        "--through",
        action="store_true",
        help="the repairer also sees the front's colours carried through the body",
    )
    parser.add_argument(
        "--sigmas",
        type=float,
        nargs=2,
        default=(0.2, 1.3),
        help="mean and deviation of log(s / (1 - s))",
    )
    parser.add_argument("--ema", type=float, default=0.997)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def train(state: State, store: ClipStore, val: ClipStore, args) -> None:
    generator = torch.Generator().manual_seed(args.seed + state.step)
    losses: dict[bool, list[float]] = {True: [], False: []}
    last_save, clock = state.seconds, time.monotonic()
    while state.seconds < 60 * args.minutes:
        repair = float(torch.rand((), generator=generator)) < args.repair
        losses[repair].append(train_step(state, store, repair, generator, args))
        if state.step % 50 == 0:
            store.refresh()
        now = time.monotonic()
        state.seconds, clock = state.seconds + now - clock, now
        if state.seconds - last_save > 60 * args.every or state.seconds >= 60 * args.minutes:
            last_save = state.seconds
            report(state, losses, val, len(store), args)
            losses = {True: [], False: []}


def train_step(state: State, store: ClipStore, repair: bool, generator, args) -> float:
    look = float(torch.rand((), generator=generator)) < args.pictures
    pair = store.draw(
        args.batch,
        args.views,
        generator,
        turned=args.turned,
        coarse_reference=True if look and repair else None,
    )
    loss = (
        picture_loss(state, pair, repair, generator, args)
        if look
        else denoising_loss(state.model, pair, repair, generator, args)
    )
    state.optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimiser.param_groups[0]["lr"] = learning_rate(state, args)
    state.optimiser.step()
    state.step += 1
    decay = min(args.ema, (1 + state.step) / (10 + state.step))
    for key, value in state.model.state_dict().items():
        state.ema[key].lerp_(value, 1 - decay)
    return loss.item()


def denoising_loss(model: TurntablePrior, pair: ClipPair, repair: bool, generator, args) -> Tensor:
    sigma = draw_sigmas(generator, args)
    noise = torch.randn(pair.truth.shape, generator=generator)
    return model.loss(pair.truth, sigma, pair.condition(repair=repair), noise)


def draw_sigmas(generator, args) -> Tensor:
    """Log-normal in t = s / (1 - s); the default is centred where the strength sweep works."""
    mean, std = args.sigmas
    return torch.sigmoid(mean + std * torch.randn(args.batch, generator=generator))


def picture_loss(state: State, pair: ClipPair, repair: bool, generator, args) -> Tensor:
    """Squared error in c_out units, perceptual distance, and what the critic thinks of it."""
    model, condition = state.model, pair.condition(repair=repair)
    if repair:
        clean, unit = model.one_step(condition), model.config.residual_std
    else:
        s = draw_sigmas(generator, args).reshape(-1, 1, 1, 1, 1)
        noise, d = torch.randn(pair.truth.shape, generator=generator), model.config.data_std
        clean = model.clean((1 - s) * pair.truth + s * noise, s.flatten(), condition)
        unit = s * d / ((1 - s) ** 2 * d**2 + s**2).sqrt()
    error = ((clean - pair.truth) / unit).square().mean()
    views, truth = (c.transpose(1, 2).flatten(0, 1) for c in (clean, pair.truth))
    some = torch.randperm(len(views), generator=generator)[:PERCEPTUAL_VIEWS]
    views, truth, mask = views[some], truth[some], person(truth[some])
    with torch.no_grad():
        real = state.features(pictures(truth))
    fake = state.features(pictures(views))
    loss = args.fidelity * error + args.perceptual * compare_features(fake, real, mask).mean()
    if args.adversarial:
        wrong = critic_loss(state.critic, [f.detach() for f in fake], real, mask)
        state.critic_optimiser.zero_grad()
        wrong.backward()
        state.critic_optimiser.step()
        loss = loss - args.adversarial * masked_mean(state.critic(fake), mask)
    return loss


def learning_rate(state: State, args) -> float:
    progress = min(1.0, state.seconds / (60 * args.minutes))
    return args.lr * min(1.0, (state.step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * progress))


def report(state: State, losses, val: ClipStore, num_people: int, args) -> None:
    """Write checkpoint and EMA weights, validate them, append a line to the log."""
    save_checkpoint(state, args.out / "checkpoint.safetensors")
    smooth = TurntablePrior(state.model.config)
    smooth.load_state_dict(state.ema)
    smooth.save(
        args.out / "turntable.safetensors",
        step=str(state.step),
        minutes=f"{state.seconds / 60:.1f}",
        people=str(num_people),
    )
    row = {
        "step": state.step,
        "minutes": round(state.seconds / 60, 1),
        "people": num_people,
        "lr": round(learning_rate(state, args), 6),
    }
    if args.pictures and args.repair:
        row["val_one_step"] = validate_one_step(smooth, val, state.features)
    for repair, name in ((True, "repair"), (False, "plain")):
        row[f"loss_{name}"] = round(sum(losses[repair]) / max(1, len(losses[repair])), 4)
        row[f"val_{name}"] = validate(smooth, val, repair)
    with open(args.out / "log.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def save_checkpoint(state: State, path: Path) -> None:
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in state.ema.items()}
    for name, parameter in state.model.named_parameters():
        moments = state.optimiser.state[parameter]
        tensors |= {f"first.{name}": moments["exp_avg"], f"second.{name}": moments["exp_avg_sq"]}
    with atomic_path(path) as tmp:
        save_file(
            {k: v.contiguous() for k, v in tensors.items()},
            tmp,
            metadata={"step": str(state.step), "seconds": str(state.seconds)},
        )


def load_checkpoint(state: State, path: Path) -> None:
    with safe_open(str(path), "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        state.step = int(file.metadata()["step"])
        state.seconds = float(file.metadata()["seconds"])

    def part(name: str) -> dict[str, Tensor]:
        return {k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)}

    state.model.load_state_dict(part("model."))
    state.ema = part("ema.")
    first, second = part("first."), part("second.")
    for name, parameter in state.model.named_parameters():
        state.optimiser.state[parameter] = {
            "step": torch.tensor(float(state.step)),
            "exp_avg": first[name],
            "exp_avg_sq": second[name],
        }


if __name__ == "__main__":
    main()
