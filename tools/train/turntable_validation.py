"""What the turntable training logs about validation people."""

import math

import torch

from toolkit.measure.perceptual import EfficientNetLite
from toolkit.prior.turntable.clips import ClipStore
from toolkit.prior.turntable.model import TurntablePrior
from tools.train.critic import distance, inside_person

SIGMAS = (0.3, 0.5, 0.7, 0.9)


@torch.no_grad()
def validate(
    model: TurntablePrior, validation: ClipStore, repair: bool, num_people: int = 4
) -> list[float]:
    """Denoising loss at each of SIGMAS, always with the same people and noise."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for index in range(min(num_people, len(validation))):
        pair = validation.pair([index]).views(torch.arange(0, 13, 3))
        noise = torch.randn(pair.truth.shape, generator=generator)
        condition = pair.condition(repair=repair)
        rows.append(
            [model.loss(pair.truth, torch.tensor([s]), condition, noise).item() for s in SIGMAS]
        )
    return [round(x, 4) for x in torch.tensor(rows).mean(dim=0).tolist()]


@torch.no_grad()
def validate_one_step(
    model: TurntablePrior, validation: ClipStore, net: EfficientNetLite, num_people: int = 12
) -> dict[str, float]:
    """PSNR and perceptual distance of side and back views, with the coarse clip's beside it."""
    values = {name: [] for name in ("psnr", "distance", "coarse_psnr", "coarse_distance")}
    for index in range(min(num_people, len(validation))):
        pair = validation.pair([index], coarse_reference=True).views(torch.arange(3, 11))
        truth = pair.truth[0].transpose(0, 1)
        inside = inside_person(truth, 0)[:, None]
        clean = model.one_step(pair.condition(repair=True))
        for clip, kind in ((clean, ""), (pair.coarse, "coarse_")):
            views = clip[0].transpose(0, 1).clamp(-1, 1)
            error = ((views - truth) / 2).square().mean(1, keepdim=True)
            values[f"{kind}psnr"].append(-10 * math.log10((error * inside).sum() / inside.sum()))
            values[f"{kind}distance"].append(distance(net, views, truth).item())
    return {name: round(sum(v) / len(v), 4) for name, v in values.items()}
