"""SDEdit: noise a coarse clip part of the way, then denoise it under a video prior. The one loop.

Flow-matching notation throughout. A noisy clip lies on the straight line between the clean clip x0
and the noise eps, sigma `s` in [0, 1] of the way along:

    x_s = (1 - s) x0 + s eps            velocity along the line: v = dx/ds = eps - x0

So from x_s and a predicted v both ends of the line follow: the clean clip is `x - s v`, the noise
`x + (1 - s) v`. The schedule of noise levels is `sigmas_for`; `strength` says where in it SDEdit
starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail

# velocity(x, sigma, condition) -> v: what SDEdit needs of a prior (see prior.prior for the rest)
Velocity = Callable[[Tensor, Tensor, Any], Tensor]
Callback = Callable[[int, float, Tensor], None]
Project = Callable[[int, float, Tensor], Tensor]

# Share of the predicted noise that a step from sigma s to r replaces by fresh noise. With 0 the
# noise is fixed once and the way back is an ODE; the others are stochastic samplers.
RENOISE = {
    "ode": lambda s, r: 0.0,  # Euler, the paper's solver
    "ancestral": lambda s, r: 1.0 - (r * (1 - s) / (s * (1 - r))) ** 2,  # DDPM's posterior variance
    "sigma": lambda s, r: s,  # Ani3DHuman, 2602.19089
    "full": lambda s, r: 1.0,  # diffusers' stochastic_sampling; loses variance (see the tests)
}


@dataclass(frozen=True)
class SDEditConfig:
    """How far a clip is noised and how it comes back."""

    strength: float = 0.8  # how far back in the schedule to start: 1 pure noise, 0 no change
    num_inference_steps: int = 50  # length of the full schedule
    shift: float = 3.0  # > 1 bends towards high noise: s' = shift s / (1 + (shift-1) s)
    sampler: str = "ode"  # a key of RENOISE
    stochasticity: float = 1.0  # scales the fresh noise of the stochastic samplers, [0, 1]
    max_steps: int | None = None  # run only so many, spread evenly down to 0; None: all
    guidance: float = 0.0  # share of the clean estimate that is the input where `keep` is 1

    def __post_init__(self):
        _check_schedule(self.num_inference_steps, self.shift)
        start_index(self.strength, self.num_inference_steps)
        if self.sampler not in RENOISE:
            fail(
                "sampler",
                got=repr(self.sampler),
                wanted=f"one of {sorted(RENOISE)}",
                fix="The paper's solver is 'ode'.",
            )
        if self.max_steps is not None and self.max_steps < 1:
            fail("max_steps", got=self.max_steps, wanted="at least 1, or None", fix="Try None.")
        if not (0 <= self.stochasticity <= 1 and 0 <= self.guidance <= 1):
            fail(
                "SDEditConfig",
                wanted="both in [0, 1]",
                got=f"stochasticity {self.stochasticity}, guidance {self.guidance}",
                fix="Use guidance 0 to switch the pull off.",
            )

    @property
    def start_sigma(self) -> float:
        """Noise level of the first step; 0 at strength 0."""
        return start_sigma(self.strength, self.num_inference_steps, self.shift)

    @property
    def num_steps(self) -> int:
        """Steps that are run: calls of the prior, fewer than the schedule's below strength 1."""
        return len(_chosen_sigmas(self)) - 1


def shift_sigma(sigma: Tensor, shift: float) -> Tensor:
    """Move noise levels towards 1 by an odds factor: `s/(1-s)` is multiplied by `shift`."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def sigmas_for(num_inference_steps: int, shift: float = 1.0) -> Float[Tensor, " M"]:
    """The full schedule from 1 down to 0, equal to diffusers' FlowMatchEulerDiscreteScheduler.

    The smallest level 1/1000 is shifted twice: a quirk of diffusers 0.42 (their issue 13243) that
    is copied here so that the schedules agree.
    """
    _check_schedule(num_inference_steps, shift)
    # Evenly spaced levels, then bent towards 1 by the shift. Video models use shift > 1, because
    # neighbouring pixels and frames are so alike that only much noise hides a clip's layout.
    last = float(shift_sigma(torch.tensor(1e-3, dtype=torch.float64), shift))
    even = torch.linspace(1.0, last, num_inference_steps, dtype=torch.float64)
    return torch.cat([shift_sigma(even, shift), torch.zeros(1, dtype=torch.float64)]).float()


def _check_schedule(num_inference_steps: int, shift: float) -> None:
    if num_inference_steps < 1 or shift <= 0:
        fail(
            "noise schedule",
            got=f"{num_inference_steps} steps, shift {shift}",
            wanted="at least one step and shift > 0",
            fix="Typical: 20 to 50 steps, shift 1 to 8.",
        )


def start_index(strength: float, num_inference_steps: int) -> int:
    """First step that is run: the last `int(N * strength)` of N are kept, as in diffusers.

    Raises:
        InputError: strength outside [0, 1], or so small that no step is left.
    """
    if not 0 <= strength <= 1:
        fail("strength", got=strength, wanted="a value in [0, 1]", fix="The paper uses 0.8.")
    # Strength counts steps, not noise: with shift 3, strength 0.8 starts at sigma 0.92
    kept = int(num_inference_steps * strength)
    if kept == 0 and strength > 0:
        fail(
            "strength",
            got=f"{strength} of {num_inference_steps} steps, which keeps none",
            wanted="at least one step",
            fix=f"Use strength >= {1 / num_inference_steps:.3g}.",
        )
    return num_inference_steps - kept


def start_sigma(strength: float, num_inference_steps: int = 50, shift: float = 1.0) -> float:
    """Noise level at which SDEdit starts. Report it beside strength, which only counts steps."""
    return float(sigmas_for(num_inference_steps, shift)[start_index(strength, num_inference_steps)])


def sdedit(
    velocity: Velocity,
    x0: Tensor,
    condition: Any = None,
    *,
    config: SDEditConfig = SDEditConfig(),  # noqa: B008 - frozen
    keep: Tensor | None = None,
    project: Project | None = None,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Noise `x0` to the start level of `config.strength` and denoise it under a prior.

    Args:
        velocity: of the prior, `velocity(x, sigma, condition)`; sigma is a 0-d tensor.
        x0: coarse clip in [-1, 1], e.g. (B,3,T,H,W), or latents.
        condition: handed to `velocity` untouched.
        keep: in [0, 1], broadcast to `x0`: where the photo saw, used with `config.guidance`.
        project: (index, sigma, clean estimate) -> the estimate to go on with instead, e.g. renders
            of Gaussians fitted to it (`refine.iterate.RefitInLoop`).
        generator: of all noise; drawn on the CPU.
        callback: called after each step with (index, next sigma, clean estimate).

    More samplers are velocities made of velocities: `prior.samplers`.

    Source: Meng et al. 2022 (SDEdit), Alg. 1, in flow form; guidance: Ani3DHuman, 2602.19089.
    """
    sigmas = _chosen_sigmas(config)
    fresh = lambda: torch.randn(x0.shape, generator=generator, dtype=x0.dtype).to(x0.device)  # noqa: E731
    # Start: the coarse clip, noised. Strength 0 leaves one level only, sigma 0, and nothing to do.
    x = x0 if len(sigmas) == 1 else (1 - sigmas[0]) * x0 + sigmas[0] * fresh()
    for index, (s, r) in enumerate(pairwise(sigmas)):  # from level s down to level r
        v = velocity(x, s, condition)
        clean, noise = x - s * v, x + (1 - s) * v  # both ends of the line through x
        if keep is not None:  # guidance: pull what the photo saw back to the input
            clean = clean + config.guidance * keep * (x0 - clean)
        if project is not None:
            clean = project(index, float(s), clean)
        share = config.stochasticity * RENOISE[config.sampler](float(s), float(r))
        if share > 0 and r > 0:  # square roots keep the noise at unit variance
            noise = share**0.5 * fresh() + (1 - share) ** 0.5 * noise
        x = (1 - r) * clean + r * noise  # back onto the line, at level r
        if callback is not None:
            callback(index, float(r), clean)
    return x


def _chosen_sigmas(config: SDEditConfig) -> Float[Tensor, " M"]:
    """The levels that are visited, from the start level to 0."""
    sigmas = sigmas_for(config.num_inference_steps, config.shift)
    sigmas = sigmas[start_index(config.strength, config.num_inference_steps) :]
    if config.max_steps is not None and config.max_steps < len(sigmas) - 1:
        sigmas = sigmas[torch.linspace(0, len(sigmas) - 1, config.max_steps + 1).round().long()]
    return sigmas
