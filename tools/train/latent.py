"""Train the latent prior: a flow model of turntables in the space of our autoencoder.

    python -m tools.train.autoencoder --out runs/autoencoder
    python -m tools.train.latent --clips runs/clips --minutes 480

Half of the steps train the plain prior, which is given the front picture and the angles; the other
half also show it the coarse clip (the posterior). The loss is a flow model's squared error at
noise levels that are log-normal in s / (1 - s). With --perceptual the clean estimate is also
decoded and compared with the true pictures: squared error in latents says little about the edges
that a viewer sees. The velocity is then no longer the exact one of a flow model.

The learning rate follows a cosine over --minutes of training time, which counts across restarts;
the command resumes from the checkpoint in --out. New shards in --clips are picked up.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from toolkit.prior.latent.autoencoder import SCALE, FrameAutoencoder
from toolkit.prior.latent.model import FlowNet, LatentCondition, save_flow
from toolkit.prior.turntable.clips import ClipPair, ClipStore
from tools.command import run_with
from tools.train.critic import distance, load_lite1
from tools.train.timed import TimedTraining

SIGMAS = (0.3, 0.5, 0.7, 0.9)  # at which validation people are denoised


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    autoencoder: Annotated[Path, typer.Option(help="weights of tools.train.autoencoder")] = Path(
        "runs/autoencoder/autoencoder.safetensors"
    )
    clips: Annotated[list[Path], typer.Option(help="folders of shards; may be repeated")] = (
        Path("runs/clips"),
    )
    out: Annotated[Path, typer.Option(help="folder for weights, log and checkpoint")] = Path(
        "runs/latent"
    )
    minutes: Annotated[float, typer.Option(help="training time in all, with restarts")] = 480
    every: Annotated[float, typer.Option(help="minutes between checkpoints")] = 5
    batch: Annotated[int, typer.Option(help="clips per step")] = 2
    views: Annotated[int, typer.Option(help="views of a clip in one step")] = 7
    lr: Annotated[float, typer.Option(help="learning rate at its highest")] = 6e-4
    plain: Annotated[float, typer.Option(help="share of steps without the coarse clip")] = 0.5
    sigmas: Annotated[
        tuple[float, float], typer.Option(help="mean and deviation of log(s / (1 - s))")
    ] = (0.3, 1.4)
    perceptual: Annotated[
        float, typer.Option(help="weight of the perceptual distance of clean estimates")
    ] = 0.0
    judged: Annotated[int, typer.Option(help="frames per step for the perceptual distance")] = 3
    feature_weights: Annotated[Path, typer.Option(help="EfficientNet-Lite1, for it")] = Path(
        "runs/lite1.safetensors"
    )
    ema: Annotated[float, typer.Option(help="decay of the averaged weights per step")] = 0.999
    threads: Annotated[int, typer.Option(help="of torch")] = 1
    seed: Annotated[int, typer.Option(help="of weights and draws")] = 0


@dataclass(frozen=True)
class LatentPair:
    """Latents of true, coarse and carried clips, of true and coarse front; seen; angles; truth."""

    clips: Float[Tensor, "3 B L T h w"]
    fronts: Float[Tensor, "2 B L h w"]
    seen: Float[Tensor, "B 1 T h w"]
    azimuths_deg: Float[Tensor, "B T"]
    elevations_deg: Float[Tensor, "B T"]
    truth: Float[Tensor, "B 3 T H W"]

    def condition(self, *, plain: bool, coarse_front: bool) -> LatentCondition:
        """For the plain prior or the posterior; the front picture is the true or the coarse one."""
        shown = () if plain else (self.clips[1], self.clips[2], self.seen)
        front = self.fronts[int(coarse_front)]
        return LatentCondition(self.azimuths_deg, self.elevations_deg, front, *shown)


class LatentStore:
    """Clips as latents, encoded when first drawn; mirror images are people of their own."""

    def __init__(self, store: ClipStore, autoencoder: FrameAutoencoder):
        self.store, self.autoencoder = store, autoencoder
        self._latents: dict[tuple[int, bool], tuple[Tensor, Tensor]] = {}

    def person(self, index: int, mirrored: bool, views: Tensor) -> LatentPair:
        """Some views of one person."""
        pair = self.store.pair([index])
        pair = pair.mirrored() if mirrored else pair
        key = (index, mirrored)
        if key not in self._latents:
            self._latents[key] = self._encode(pair)
        clips, seen = (t.float() for t in self._latents[key])
        return LatentPair(
            clips[:, :, :, views],
            clips[:2, :, :, 0],
            seen[:, :, views],
            pair.azimuths_deg[:, views],
            pair.elevations_deg[:, views],
            pair.truth[:, :, views],
        )

    @torch.no_grad()
    def _encode(self, pair: ClipPair) -> tuple[Tensor, Tensor]:
        clips = torch.cat([pair.truth, pair.coarse, pair.carried])
        latents = self.autoencoder.encode_clip(clips)[:, None]  # (3, 1, L, T, h, w)
        return latents.half(), F.avg_pool3d(pair.seen, (1, SCALE, SCALE)).half()

    def draw(self, batch: int, num_views: int, generator: torch.Generator) -> LatentPair:
        """A random training batch: people, views and mirror."""
        rows = []
        for _ in range(batch):
            person = int(torch.randint(len(self.store), (), generator=generator))
            mirrored = bool(torch.rand((), generator=generator) < 0.5)
            views = torch.randperm(13, generator=generator)[:num_views]
            rows.append(self.person(person, mirrored, views))
        return LatentPair(
            torch.cat([r.clips for r in rows], dim=1),
            torch.cat([r.fronts for r in rows], dim=1),
            torch.cat([r.seen for r in rows]),
            torch.cat([r.azimuths_deg for r in rows]),
            torch.cat([r.elevations_deg for r in rows]),
            torch.cat([r.truth for r in rows]),
        )


class Trainer(TimedTraining):
    """The flow model of the latents, beside what judges its pictures."""

    def __init__(self, settings: Settings, autoencoder: FrameAutoencoder):
        super().__init__(FlowNet(), settings, warm_up=200, weight_decay=0.01)
        self.autoencoder = autoencoder.requires_grad_(False)
        self.features = load_lite1(settings.feature_weights) if settings.perceptual else None

    def learn(self, pair: LatentPair, generator: torch.Generator) -> tuple[bool, float, float]:
        """One step; returns whether it was a plain one, the flow loss, the perceptual distance."""
        coins = torch.rand(2, generator=generator)
        plain, coarse_front = bool(coins[0] < self.settings.plain), bool(coins[1] < 0.5)
        x0 = pair.clips[0]
        mean, std = self.settings.sigmas
        sigma = torch.sigmoid(mean + std * torch.randn(len(x0), generator=generator))
        noise = torch.randn(x0.shape, generator=generator)
        known = pair.condition(plain=plain, coarse_front=coarse_front)
        error, clean = self.model.loss(x0, sigma, known, noise)
        if self.features is None:
            return plain, self.descend(error), math.nan
        off = self._distance(clean, pair.truth, generator)
        self.descend(error + self.settings.perceptual * off)
        return plain, error.item(), off.item()

    def _distance(self, clean: Tensor, truth: Tensor, generator: torch.Generator) -> Tensor:
        """Perceptual distance of some decoded frames from the true ones."""
        frames, truth = (t.transpose(1, 2).flatten(0, 1) for t in (clean, truth))
        some = torch.randperm(len(frames), generator=generator)[: self.settings.judged]
        return distance(self.features, self.autoencoder.decode(frames[some]), truth[some])


@torch.no_grad()
def validate(flow: FlowNet, people: LatentStore, plain: bool, num: int = 6) -> list[float]:
    """Loss at each of SIGMAS, always with the same people and noise."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for index in range(min(num, len(people.store))):
        pair = people.person(index, False, torch.arange(0, 13, 2))
        known, x0 = pair.condition(plain=plain, coarse_front=True), pair.clips[0]
        noise = torch.randn(x0.shape, generator=generator)
        rows.append([flow.loss(x0, torch.tensor([s]), known, noise)[0].item() for s in SIGMAS])
    return [round(x, 4) for x in torch.tensor(rows).mean(dim=0).tolist()]


def main(settings: Settings) -> None:
    """Train, or go on from the checkpoint in `settings.out`."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    autoencoder = FrameAutoencoder.load(settings.autoencoder)
    trainer = Trainer(settings, autoencoder)
    people = LatentStore(ClipStore(*settings.clips), autoencoder)
    validation = LatentStore(ClipStore(*settings.clips, split="val"), autoencoder)
    generator = torch.Generator().manual_seed(settings.seed + trainer.step)
    losses: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    while trainer.progress < 1:
        pair = people.draw(settings.batch, settings.views, generator)
        plain, *loss = trainer.learn(pair, generator)
        losses[plain].append(loss)
        if trainer.step % 50 == 0:
            people.store.refresh()
        if trainer.tick():
            flow = trainer.averaged()
            save_flow(flow, settings.out / "flow.safetensors", **trainer.notes)
            row = {"people": len(people.store)}
            for kind, name in ((True, "plain"), (False, "posterior")):
                means = [round(sum(x) / len(x), 4) for x in zip(*losses[kind], strict=True)]
                row[f"loss_{name}"] = means[: 1 + bool(settings.perceptual)]
                row[f"val_{name}"] = validate(flow, validation, kind)
            trainer.report(row)
            losses = {True: [], False: []}


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
