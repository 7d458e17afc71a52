"""Train the autoencoder of turntable frames in whose space the latent prior works.

    python -m tools.bake.perceptual --net lite1 --out runs/lite1.safetensors
    python -m tools.train.autoencoder --clips runs/clips --minutes 60 --out runs/autoencoder

Loss: absolute error, a perceptual distance in features of EfficientNet-Lite1 (the evaluation
measures in those of Lite0, another net) and, from --critic-from on, a critic on the same features.
Batches are crops of 96x96 px: both networks only look at neighbours, so they run at any size.

The learning rate follows a cosine over --minutes of training time, which counts across restarts;
the command resumes from the checkpoint in --out. With --decoder-of the latents stay as they are, so
that a flow model that was trained on them fits the better decoder, too.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from jaxtyping import Float
from torch import Tensor

from toolkit.measure.perceptual import EfficientNetLite, compare_features
from toolkit.prior.latent.autoencoder import FrameAutoencoder
from toolkit.prior.turntable.clips import ClipStore
from tools.command import run_with
from tools.train.critic import (
    Critic,
    critic_loss,
    distance,
    inside_person,
    judged,
    load_lite1,
    masked_mean,
)
from tools.train.timed import TimedTraining

CROP = 96  # px


@dataclass(frozen=True)
class Settings:
    """The options of this command."""

    clips: Annotated[list[Path], typer.Option(help="folders of shards; may be repeated")] = (
        Path("runs/clips"),
    )
    out: Annotated[Path, typer.Option(help="folder for weights, log and checkpoint")] = Path(
        "runs/autoencoder"
    )
    minutes: Annotated[float, typer.Option(help="training time in all, with restarts")] = 60
    every: Annotated[float, typer.Option(help="minutes between checkpoints")] = 5
    batch: Annotated[int, typer.Option(help="crops per step")] = 10
    lr: Annotated[float, typer.Option(help="learning rate at its highest")] = 2e-3
    perceptual: Annotated[float, typer.Option(help="weight of the perceptual distance")] = 0.5
    judged: Annotated[int, typer.Option(help="crops per step for the perceptual distance")] = 6
    adversarial: Annotated[float, typer.Option(help="weight of the critic")] = 0.02
    critic_from: Annotated[float, typer.Option(help="share of the minutes it starts after")] = 0.5
    feature_weights: Annotated[Path, typer.Option(help="EfficientNet-Lite1")] = Path(
        "runs/lite1.safetensors"
    )
    ema: Annotated[float, typer.Option(help="decay of the averaged weights per step")] = 0.998
    decoder_of: Annotated[
        Path | None, typer.Option(help="keep this file's latents, train only the decoder further")
    ] = None
    threads: Annotated[int, typer.Option(help="of torch")] = 1
    seed: Annotated[int, typer.Option(help="of weights and draws")] = 0


class Trainer(TimedTraining):
    """The autoencoder beside its critic; everything but the critic survives a restart."""

    def __init__(self, settings: Settings):
        super().__init__(first_model(settings), settings, warm_up=100, weight_decay=0)
        self.features = load_lite1(settings.feature_weights)
        self.critic = Critic()
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), 2e-3, (0.5, 0.99))

    def learn(self, crops: Float[Tensor, "N 3 96 96"], generator: torch.Generator) -> float:
        """One step of all networks; returns the loss."""
        return self.descend(self._loss(crops, generator))

    def _loss(self, crops: Tensor, generator: torch.Generator) -> Tensor:
        latents = self.model.encode(crops)
        noise = torch.randn(latents.shape, generator=generator)
        made = self.model.decode(latents + self.model.config.noise * noise)
        loss = (made - crops).abs().mean()
        some = slice(self.settings.judged)  # crops come in random order
        fake, real, mask = judged(self.features, made[some], crops[some])
        loss = loss + self.settings.perceptual * compare_features(fake, real, mask).mean()
        if self.settings.adversarial and self.progress > self.settings.critic_from:
            wrong = critic_loss(self.critic, [f.detach() for f in fake], real, mask)
            self.critic_optimiser.zero_grad()
            wrong.backward()
            self.critic_optimiser.step()
            loss = loss - self.settings.adversarial * masked_mean(self.critic(fake), mask)
        return loss


def first_model(settings: Settings) -> FrameAutoencoder:
    """A fresh autoencoder, or a trained one of which only the decoder goes on."""
    if settings.decoder_of is None:
        return FrameAutoencoder()
    # The averages of `standard` are frozen with the encoder: a flow model may know its latents.
    model = FrameAutoencoder.load(settings.decoder_of)
    model.decoder.requires_grad_(True)
    return model


def draw_crops(
    store: ClipStore, count: int, generator: torch.Generator
) -> Float[Tensor, "N 3 96 96"]:
    """Crops of frames of random people: mostly true ones, some coarse ones, half mirrored."""
    crops = []
    for _ in range(count):
        person = int(torch.randint(len(store), (), generator=generator))
        pair = store.pair([person])
        clip = pair.truth if torch.rand((), generator=generator) < 0.8 else pair.coarse
        frame = clip[0, :, int(torch.randint(clip.shape[2], (), generator=generator))]
        top = int(torch.randint(frame.shape[1] - CROP + 1, (), generator=generator))
        crop = frame[:, top : top + CROP]
        crops.append(crop.flip(-1) if torch.rand((), generator=generator) < 0.5 else crop)
    return torch.stack(crops)


@torch.no_grad()
def validate(
    model: FrameAutoencoder, store: ClipStore, net: EfficientNetLite, num_people: int = 12
) -> dict[str, float]:
    """PSNR over whole frames and inside the person, and perceptual distance, of the round trip."""
    whole, inside, distances = [], [], []
    for index in range(min(num_people, len(store))):
        truth = store.pair([index]).truth[0].transpose(0, 1)
        made = model.decode(model.encode(truth)).clamp(-1, 1)
        error = ((made - truth) / 2).square().mean(1, keepdim=True)
        mask = inside_person(truth, 0)[:, None]
        whole.append(-10 * math.log10(error.mean()))
        inside.append(-10 * math.log10((error * mask).sum() / mask.sum()))
        distances.append(distance(net, made, truth).item())
    means = {"psnr": whole, "psnr_inside": inside, "distance": distances}
    return {name: round(sum(values) / len(values), 4) for name, values in means.items()}


def main(settings: Settings) -> None:
    """Train, or go on from the checkpoint in `settings.out`."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    trainer = Trainer(settings)
    store = ClipStore(*settings.clips)
    validation = ClipStore(*settings.clips, split="val")
    generator = torch.Generator().manual_seed(settings.seed + trainer.step)
    losses: list[float] = []
    while trainer.progress < 1:
        losses.append(trainer.learn(draw_crops(store, settings.batch, generator), generator))
        if trainer.step % 50 == 0:
            store.refresh()
        if trainer.tick():
            model = trainer.averaged()
            model.save(settings.out / "autoencoder.safetensors", **trainer.notes)
            loss = round(sum(losses) / len(losses), 4)
            numbers = validate(model, validation, trainer.features)
            trainer.report({"people": len(store), "loss": loss} | numbers)
            losses = []


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
