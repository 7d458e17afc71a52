"""The rows of `experiments.samplers`: ways to make a clip, and ways to make an avatar of it."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.rig import Avatar
from toolkit.evaluate.clip_scores import ClipScorer
from toolkit.evaluate.variants import unsharp_mask
from toolkit.prior.prior import PixelPrior
from toolkit.prior.samplers import h_transform, held, self_ensemble, start_levels
from toolkit.prior.sdedit import SDEditConfig, Velocity
from toolkit.refine.edit import refine_clip
from toolkit.refine.iterate import RefitInLoop, progressive_refit, update_dataset
from toolkit.refine.target import FitTarget, clip_target
from toolkit.refine.turntable import Turntable

FIT_STEPS = 120  # of each refit row, in sum
ONE_STEP = SDEditConfig(1.0, 20, 1.0, max_steps=1)  # from pure noise: where the repairer does best

MakeClip = Callable[[ClipScorer], Float[Tensor, "T H W 3"]]
MakeAvatar = Callable[[ClipScorer], Avatar]


def clip_rows(
    prior: str, velocity: Velocity, strength: float, steps: int, guidance: float
) -> dict[str, MakeClip]:
    """The samplers: each makes a clip of a person."""
    base = SDEditConfig(strength, 20, 1.0, max_steps=steps)
    whole = replace(base, strength=1.0)
    repair = prior == "repairer"

    def run(
        config: SDEditConfig,
        change: Callable[[ClipScorer], Velocity] | None = None,
        guided: bool = False,
    ) -> MakeClip:
        def make(scorer: ClipScorer) -> Float[Tensor, "T H W 3"]:
            inner = velocity if change is None else change(scorer)
            return scorer.edit(inner, config, repair=repair, keep=scorer.keep if guided else None)

        return make

    def visible(scorer: ClipScorer) -> Velocity:
        alpha = scorer.bench.turntable.alpha.permute(3, 0, 1, 2)[None]
        return held(velocity, scorer.x0, start_levels(scorer.keep, alpha, 1.0))

    rows = {
        "ODE (paper's solver)": run(base),
        "ODE from pure noise": run(whole),
        "one step from pure noise": run(ONE_STEP),
        "the same, self-ensemble": run(ONE_STEP, lambda s: self_ensemble(velocity)),
        "ancestral": run(replace(base, sampler="ancestral")),
        "renoise by sigma (Ani3DHuman)": run(replace(base, sampler="sigma")),
        "full renoise (diffusers)": run(replace(base, sampler="full")),
        "self-guided, by sigma": run(
            replace(base, sampler="sigma", guidance=guidance), guided=True
        ),
        "h-transform, alpha 4": run(whole, lambda s: h_transform(velocity, s.x0, 4.0)),
        "h-transform, 2 seen, 8 unseen": run(
            whole, lambda s: h_transform(velocity, s.x0, 8.0 - 6.0 * s.keep)
        ),
        "visibility-aware start": run(whole, visible),
    }
    return {f"{prior}: {name}": row for name, row in rows.items()}


def refit(scorer: ClipScorer, steps: int) -> Callable[[Avatar, FitTarget], Avatar]:
    """The refit of any avatar to one target, in so many steps."""
    return lambda avatar, target: scorer.bench.fit_to(avatar, [target], steps)


def refit_once(
    scorer: ClipScorer,
    clip: Float[Tensor, "T H W 3"],
    avatar: Avatar | None = None,
    steps: int = FIT_STEPS,
) -> Avatar:
    """An avatar, the coarse one if none is given, fitted to a clip."""
    bench = scorer.bench
    target = clip_target(bench.turntable, clip, -bench.coarse.rig.joints[0])
    return refit(scorer, steps)(avatar or bench.coarse, target)


def refit_rows(
    prior: str, velocity: Velocity, strength: float, steps: int
) -> dict[str, MakeAvatar]:
    """Avatars: the same steps of refit, spent in different places.

    The repairer's outer passes edit in one step from pure noise, its operating point.
    """
    config = SDEditConfig(strength, 20, 1.0, max_steps=steps)
    repair = prior == "repairer"
    inside = (steps // 2 - 1, steps - 2)  # not at once, and not at the very end

    def in_loop(scorer: ClipScorer) -> Avatar:
        share = FIT_STEPS // (len(inside) + 1)
        bench = scorer.bench
        hook = RefitInLoop(bench.coarse, bench.turntable, refit(scorer, share), inside)
        clip = scorer.edit(velocity, config, repair=repair, project=hook)
        return refit_once(scorer, clip, hook.avatar, share)

    rows = {
        "refit to its own renders": lambda s: refit_once(s, s.bench.turntable.rgb),
        "refit to the unsharp mask": lambda s: refit_once(s, unsharp_mask(s.bench.turntable.rgb)),
        f"refit once: {prior}": lambda s: refit_once(s, s.edit(velocity, config, repair=repair)),
        f"refit inside the loop: {prior}": in_loop,
    }
    return rows | (repeated_rows(velocity) if repair else {})


def repeated_rows(velocity: Velocity) -> dict[str, MakeAvatar]:
    """Edits and refits in turns; only for the repairer, which looks at the avatar's renders."""

    def edit(turntable: Turntable) -> Float[Tensor, "T H W 3"]:
        generator = torch.Generator().manual_seed(0)
        return refine_clip(PixelPrior(velocity), turntable, ONE_STEP, generator=generator)

    def repeat(
        scorer: ClipScorer, method: Callable[..., Avatar], passes: int, **options: object
    ) -> Avatar:
        bench = scorer.bench
        fit = refit(scorer, FIT_STEPS // passes)
        return method(bench.coarse, bench.turntable.orbit, bench.visible, edit, fit, **options)

    return {
        "refit once, one step: repairer": lambda s: refit_once(
            s, s.edit(velocity, ONE_STEP, repair=True)
        ),
        "progressive refit, one step: repairer": lambda s: repeat(s, progressive_refit, 3),
        "data set update, one step: repairer": lambda s: repeat(
            s, update_dataset, 6, generator=torch.Generator().manual_seed(0)
        ),
    }
