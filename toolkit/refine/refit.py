"""Refit the Gaussians of an avatar to pictures; none is added, none removed, their order stays.

The refined turntable (all views in one pose) and the photo (its own pose and camera) are
`FitTarget`s. Each step poses the Gaussians, renders a few views, and takes one Adam step on
what 3D Gaussian splatting optimises: logarithms of scales and logits of opacities, here alone
called `raw_scales` and `raw_opacities`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.rig import Rig
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.measure.ssim import ssim_map
from toolkit.refine.target import FitTarget
from toolkit.render.api import render


@dataclass(frozen=True)
class LearningRates:
    """Adam's step sizes; larger than gsplat's because a refit has hundreds of steps, not 30 000."""

    means: float = 3e-4  # metres
    raw_scales: float = 2e-2  # of the logarithm
    raw_opacities: float = 3e-2  # of the logit
    quats: float = 3e-3
    sh0: float = 4e-2  # colour changes by 0.28 times this
    sh_rest: float = 1e-3


@dataclass(frozen=True)
class FitConfig:
    """What a refit depends on besides its targets; losses are means over the person's pixels."""

    steps: int = 100
    views_per_step: int = 4  # of each target; a target with fewer shows them all
    single_every: int = 2  # a target of one view (the photo, the dearest) is shown every so many
    # steps beside others, and then weighs so many times more: same result at 2, half the cost
    learning_rates: LearningRates = field(default_factory=LearningRates)
    final_rate: float = 0.1  # learning rates fall to this share, exponentially
    l1: float = 0.8
    dssim: float = 0.2
    alpha: float = 0.2  # silhouette
    stay: float = 2e-4  # mean squared way of the centres, mm^2
    shape: float = 1e-3  # squared change of log-scale and logit-opacity
    growth: float = 0.4  # a log-scale exceeds the coarse one by no more: needles would make fur
    smooth: float = 1.0  # colour change unlike the neighbours': speckle, seen in larger pictures
    random_background: bool = True  # white, black or a colour; a hole then costs
    seed: int = 0

    def __post_init__(self):
        if self.steps < 0 or self.views_per_step < 1 or self.single_every < 1:
            fail(
                "FitConfig",
                got=f"steps {self.steps}, views_per_step {self.views_per_step}, "
                f"single_every {self.single_every}",
                fix="Try 200, 4 and 1.",
                wanted="steps >= 0, views_per_step >= 1 and single_every >= 1",
            )


@dataclass(frozen=True)
class History:
    """Loss of every step: the total and its weighted parts."""

    loss: Float[Tensor, " T"]
    parts: dict[str, Float[Tensor, " T"]]


def fit(
    gaussians: Gaussians,
    rig: Rig,
    targets: Sequence[FitTarget],
    config: FitConfig | None = None,
    *,
    generator: torch.Generator | None = None,
    callback: Callable[[int, float], None] | None = None,
) -> tuple[Gaussians, History]:
    """Move the Gaussians, one to one, towards the targets.

    Args:
        gaussians: coarse avatar in the rig's zero pose.
        rig: how it is posed.
        targets: at least one.
        config: defaults if None.
        generator: draws views and backgrounds; made from `config.seed` if None.
        callback: called after each step with its index and loss.

    Raises:
        InputError: no targets, or the rig has another number of Gaussians.
    """
    config = config or FitConfig()
    _check(gaussians, rig, targets)
    generator = generator or torch.Generator().manual_seed(config.seed)
    coarse, targets = gaussians.detach(), [target.cropped() for target in targets]
    with torch.no_grad():  # neither the pose nor the anchors are fitted
        motions = [rig.motions(target.pose, target.transl) for target in targets]
    raw = _to_raw(coarse)
    start = {name: value.detach().clone() for name, value in raw.items()}
    neighbours = _neighbours(coarse.means) if config.smooth > 0 else None
    optimizer = _adam(raw, config.learning_rates)
    decay = config.final_rate ** (1 / max(config.steps, 1))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)
    decks = [_deck(len(target.cameras), config.views_per_step, generator) for target in targets]
    rows: list[dict[str, float]] = []
    for step in range(config.steps):
        background = _background(config, generator)
        unposed = _from_raw(raw)
        parts = _stay_losses(raw, start, config, neighbours)
        for target, motion, deck in zip(targets, motions, decks, strict=True):
            every = config.single_every if len(target.cameras) == 1 and len(targets) > 1 else 1
            if step % every:
                continue
            posed = motion.apply(unposed)
            for name, value in _picture_losses(posed, target, next(deck), background):
                parts[name] = parts[name] + every * getattr(config, name) * value
        loss = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            raw["raw_scales"].clamp_(max=start["raw_scales"] + config.growth)
        rows.append({name: value.item() for name, value in parts.items()})
        if callback is not None:
            callback(step, loss.item())
    return _from_raw(raw).detach(), _history(rows)


def _check(gaussians: Gaussians, rig: Rig, targets: Sequence[FitTarget]) -> None:
    if not targets:
        fail("targets", got="none", wanted="one or more FitTarget", fix="Give the turntable.")
    if len(rig.anchors_rest) != len(gaussians):
        fail(
            "fit",
            got=f"{len(gaussians)} Gaussians on {len(rig.anchors_rest)} anchors",
            wanted="one Gaussian an anchor",
            fix="Use the rig the Gaussians were made with.",
        )


def _to_raw(gaussians: Gaussians) -> dict[str, Tensor]:
    raw = {
        "means": gaussians.means,
        "quats": gaussians.quats,
        "raw_scales": gaussians.scales.clamp_min(1e-9).log(),
        "raw_opacities": torch.logit(gaussians.opacities.clamp(1e-4, 1 - 1e-4)),
        "sh0": gaussians.sh[:, :1],
        "sh_rest": gaussians.sh[:, 1:],
    }
    return {name: value.detach().clone().requires_grad_() for name, value in raw.items()}


def _from_raw(raw: dict[str, Tensor]) -> Gaussians:
    return Gaussians(
        means=raw["means"],
        quats=torch.nn.functional.normalize(raw["quats"], dim=-1),
        scales=raw["raw_scales"].exp(),
        opacities=raw["raw_opacities"].sigmoid(),
        sh=torch.cat([raw["sh0"], raw["sh_rest"]], dim=1),
    )


def _adam(raw: dict[str, Tensor], rates: LearningRates) -> torch.optim.Adam:
    groups = [{"params": [value], "lr": getattr(rates, name)} for name, value in raw.items()]
    # 3DGS has 1e-15, at which a Gaussian that hardly shows still takes full steps; hidden ones
    # would drift, to be seen in the next pose. A Gaussian in plain view has gradients near 1e-5
    return torch.optim.Adam(groups, eps=1e-7)


def _deck(num: int, hand: int, generator: torch.Generator):
    """Endless hands of view indices; every view is shown once before one is shown again."""
    hand, cards = min(hand, num), []
    while True:
        while len(cards) < hand:
            cards += torch.randperm(num, generator=generator).tolist()
        yield cards[:hand]
        cards = cards[hand:]


def _background(config: FitConfig, generator: torch.Generator) -> Float[Tensor, " 3"]:
    kind, color = torch.rand(1, generator=generator).item(), torch.rand(3, generator=generator)
    if not config.random_background or kind < 1 / 3:
        return torch.ones(3)
    return torch.zeros(3) if kind < 2 / 3 else color


def _picture_losses(
    posed: Gaussians, target: FitTarget, views: list[int], background: Tensor
) -> list[tuple[str, Tensor]]:
    """L1, D-SSIM and silhouette loss of some views, per pixel of the person."""
    # at a turntable's few pixels the usual 0.3 px of blur would hide holes between thin Gaussians,
    # to be seen in every larger picture: 5 dB worse at twice the size
    drawn = render(posed, target.cameras[views], background=background)
    rgb, alpha, confidence = (v[views] for v in (target.rgb, target.alpha, target.confidence))
    # the target is on white: swap it for this step's background; blank what is not trusted
    image = confidence * drawn.rgb
    wanted = confidence * torch.addcmul(rgb, 1 - alpha, background.to(rgb) - 1)
    area = alpha.sum((1, 2, 3)).clamp_min(0.01 * alpha[0].numel())

    def per_person(error: Tensor) -> Tensor:
        return (error.sum((1, 2, 3)) / area).mean() / error.shape[3]

    # every second row and column is enough for a window of 11 px
    dissimilar = 2 * confidence[:, ::2, ::2, 0] * (1 - ssim_map(image, wanted, stride=2))
    wrong_cover = (confidence * (drawn.alpha - alpha)).abs()
    return [
        ("l1", per_person((image - wanted).abs())),
        ("dssim", per_person(dissimilar[..., None])),
        ("alpha", per_person(wrong_cover)),
    ]


def _stay_losses(
    raw: dict[str, Tensor],
    start: dict[str, Tensor],
    config: FitConfig,
    neighbours: tuple[Tensor, Tensor] | None,
) -> dict[str, Tensor]:
    """How far the Gaussians left the coarse ones, weighted; the pictures' parts start at 0."""
    moved = {name: raw[name] - start[name] for name in raw}
    parts = {name: torch.zeros(()).to(raw["means"]) for name in ("l1", "dssim", "alpha")}
    parts["stay"] = config.stay * (1e3 * moved["means"]).square().sum(-1).mean()
    parts["shape"] = config.shape * (
        moved["raw_scales"].square().mean() + moved["raw_opacities"].square().mean()
    )
    if neighbours is not None:
        color = moved["sh0"][:, 0]
        around = _NeighbourMean.apply(color, *neighbours)
        parts["smooth"] = config.smooth * (color - around).square().mean()
    return parts


class _NeighbourMean(torch.autograd.Function):
    """Mean of (N,C) values over each row's neighbours, the same to the last bit in every run.

    The gradient of a plain indexed read, `values[neighbours]`, adds up what arrives at one row with
    atomic operations, in whatever order the threads reach it; float sums depend on their order.
    Here each row collects its own gradient from a list of the rows that read it.
    """

    @staticmethod
    def forward(ctx, values: Tensor, neighbours: Tensor, readers: Tensor) -> Tensor:
        ctx.save_for_backward(readers)
        ctx.num = neighbours.shape[1]
        return values[neighbours].mean(1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        (readers,) = ctx.saved_tensors
        padded = torch.cat([grad, torch.zeros_like(grad[:1])])  # the row that pads `readers`
        return padded[readers].sum(1) / ctx.num, None, None


def _neighbours(means: Tensor, num: int = 6) -> tuple[Tensor, Tensor]:
    """Indices (N, num) of the nearest other centres, and the inverse relation.

    The inverse, (N, most), lists who has a Gaussian among its neighbours, filled up with N.
    """
    from scipy.spatial import cKDTree

    points = means.cpu().numpy()
    num = min(num, len(points) - 1)
    _, index = cKDTree(points).query(points, k=num + 1)
    near = index.reshape(len(points), -1)[:, 1:]
    order = np.argsort(near.ravel(), kind="stable")
    counts = np.bincount(near.ravel(), minlength=len(points))
    place = np.arange(near.size) - np.repeat(np.cumsum(counts) - counts, counts)
    readers = np.full((len(points), counts.max(initial=0)), len(points))
    readers[near.ravel()[order], place] = order // max(num, 1)
    return tuple(torch.from_numpy(table).to(means.device) for table in (near, readers))


def _history(rows: list[dict[str, float]]) -> History:
    names = rows[0].keys() if rows else ()
    parts = {name: torch.tensor([row[name] for row in rows]) for name in names}
    return History(torch.stack(list(parts.values())).sum(0) if parts else torch.zeros(0), parts)
