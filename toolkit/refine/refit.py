"""Refit the Gaussians of an avatar to pictures. None is added, none removed, their order stays.

The refined turntable (all views in one pose) and the photo (its own pose and camera) are
`FitTarget`s. Each step poses the Gaussians, renders a few views and takes one Adam step. Adam works
on what 3D Gaussian splatting optimises: logarithms of scales and logits of opacities, called
`raw_scales` and `raw_opacities` in this file and in `losses`.

One to one means: Gaussian i of the refined avatar is Gaussian i of the coarse one, moved a little.
There is no densification and no pruning; `losses.change_losses` pulls every Gaussian towards its
coarse place and shape; scales cannot outgrow the coarse ones (`FitConfig.growth`); and Adam's eps
keeps those that no picture shows from drifting.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.rig import Rig
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.refine.colors import solve_colors
from toolkit.refine.losses import change_losses, nearest_neighbours, picture_losses, speckle_loss
from toolkit.refine.target import FitTarget


@dataclass(frozen=True)
class LearningRates:
    """Adam's step sizes; larger than gsplat's because a refit has hundreds of steps, not 30 000."""

    means: float = 4.5e-4  # metres
    raw_scales: float = 3e-2  # of the logarithm
    raw_opacities: float = 4.5e-2  # of the logit
    quats: float = 4.5e-3
    sh0: float = 6e-2  # colour changes by 0.28 times this
    sh_rest: float = 1.5e-3


@dataclass(frozen=True)
class FitConfig:
    """Settings of a refit; the losses are means over the person's pixels."""

    steps: int = 60  # of Adam; 30 do for the sides and the back, the photo's own view wants more
    color_passes: int = 2  # of `colors.solve_colors` before; without them Adam needs 100 steps
    views_per_step: int = 4  # of each target; a target with fewer shows them all
    # The photo is one large view and costs as much as the rest of a step. So a target of one view
    # is shown every 2nd step only, with weight 2: the same result at half the cost.
    single_every: int = 2
    learning_rates: LearningRates = field(default_factory=LearningRates)
    final_rate: float = 0.1  # learning rates fall to this share, exponentially
    l1: float = 0.8  # weight of the colour error; this and the next as in 3DGS
    dssim: float = 0.2
    alpha: float = 0.2  # weight of the silhouette error
    stay: float = 2e-4  # weight of the mean squared displacement of the centres, mm^2
    shape: float = 1e-3  # weight of squared changes of log-scale and logit-opacity
    growth: float = 0.4  # a scale grows to exp(0.4) = 1.5 times the coarse one at most: longer
    # Gaussians become needles, which look like fur
    smooth: float = 1.0  # weight of colour changes that the neighbours do not share: speckle
    random_background: bool = True  # white, black or a colour: it shows through every hole

    def __post_init__(self):
        counts = {"steps": 0, "color_passes": 0, "views_per_step": 1, "single_every": 1}
        for name, least in counts.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                fail(
                    f"FitConfig.{name}",
                    got=repr(value),
                    wanted=f"a whole number of at least {least}",
                    fix=f"The default is {FitConfig.__dataclass_fields__[name].default}.",
                )
        for name in ("l1", "dssim", "alpha", "stay", "shape", "growth", "smooth"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                fail(
                    f"FitConfig.{name}",
                    got=value,
                    wanted="a finite weight of at least 0",
                    fix=f"The default is {FitConfig.__dataclass_fields__[name].default}.",
                )
        if not 0 < self.final_rate <= 1:
            fail("FitConfig.final_rate", got=self.final_rate, wanted="in (0, 1]", fix="Try 0.1.")


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
        generator: draws views and backgrounds; seeded with 0 if None.
        callback: called after each step with its index and loss.

    Returns:
        The moved Gaussians, in the same order, and the loss of every step.

    Raises:
        InputError: no targets, or the rig has another number of Gaussians.
    """
    config = config or FitConfig()
    _check(gaussians, rig, targets)
    generator = generator or torch.Generator().manual_seed(0)
    coarse, targets = gaussians.detach(), [target.cropped() for target in targets]
    with torch.no_grad():  # neither the pose nor the anchors are fitted
        motions = [rig.motions(target.pose, target.transl) for target in targets]
    coarse = solve_colors(coarse, motions, targets, passes=config.color_passes)
    raw = _to_raw(coarse)  # the parameters, with gradients
    start = {name: value.detach().clone() for name, value in raw.items()}
    neighbours = nearest_neighbours(coarse.means) if config.smooth > 0 else None
    optimizer = _adam(raw, config.learning_rates)
    decay = config.final_rate ** (1 / max(config.steps, 1))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)
    batches = [_batches(len(t.cameras), config.views_per_step, generator) for t in targets]
    rows: list[dict[str, float]] = []
    for step in range(config.steps):
        background = _background(config, generator)
        unposed = _from_raw(raw)
        parts = _weighted_changes(raw, start, config, neighbours)
        for target, motion, views in zip(targets, motions, batches, strict=True):
            every = config.single_every if len(target.cameras) == 1 and len(targets) > 1 else 1
            if step % every:
                continue
            posed = motion.apply(unposed)
            for name, value in picture_losses(posed, target, next(views), background).items():
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
            wanted="one Gaussian per anchor",
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
    # Adam divides by the gradient's own size. With 3DGS's eps of 1e-15 a Gaussian that hardly shows
    # would take full steps all the same; hidden ones would drift, visibly in the next pose. A
    # Gaussian in plain view has gradients near 1e-5, so 1e-7 does not slow it.
    return torch.optim.Adam(groups, eps=1e-7)


def _batches(num: int, size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Endless batches of view indices; every view comes once before one comes again."""
    size, queue = min(size, num), []
    while True:
        while len(queue) < size:
            queue += torch.randperm(num, generator=generator).tolist()
        yield queue[:size]
        queue = queue[size:]


def _background(config: FitConfig, generator: torch.Generator) -> Float[Tensor, " 3"]:
    kind, color = torch.rand(1, generator=generator).item(), torch.rand(3, generator=generator)
    if not config.random_background or kind < 1 / 3:
        return torch.ones(3)
    return torch.zeros(3) if kind < 2 / 3 else color


def _weighted_changes(
    raw: dict[str, Tensor],
    start: dict[str, Tensor],
    config: FitConfig,
    neighbours: tuple[Tensor, Tensor] | None,
) -> dict[str, Float[Tensor, ""]]:
    """The parts of the loss that need no picture, weighted; those that do start at 0."""
    parts = {name: torch.zeros(()).to(raw["means"]) for name in ("l1", "dssim", "alpha")}
    parts |= {n: getattr(config, n) * value for n, value in change_losses(raw, start).items()}
    if neighbours is not None:
        color_change = (raw["sh0"] - start["sh0"])[:, 0]
        parts["smooth"] = config.smooth * speckle_loss(color_change, neighbours)
    return parts


def _history(rows: list[dict[str, float]]) -> History:
    names = rows[0].keys() if rows else ()
    parts = {name: torch.tensor([row[name] for row in rows]) for name in names}
    return History(torch.stack(list(parts.values())).sum(0) if parts else torch.zeros(0), parts)
