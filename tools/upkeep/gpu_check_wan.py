"""Wan2.1 at its real size with random weights: time, memory against the plan, and one SDEdit."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from toolkit.prior.orbit import static_orbit
from toolkit.prior.prior import Condition
from toolkit.prior.sdedit import SDEditConfig
from toolkit.prior.wan.advice import advice_for
from toolkit.prior.wan.config import WanCondition
from toolkit.prior.wan.encoders import TEXT_TOKENS
from toolkit.prior.wan.memory import LADDER, choose_plan, gpu_memory_gb, phase_gb
from toolkit.prior.wan.model import WanPrior
from toolkit.refine.edit import edit_clip
from tools.upkeep.gpu_check_bench import Bench, Values, cost, relative_error, seeded, sound

SIGMA = 0.7  # a noise level in the middle


def random_prior(bench: Bench, clip: tuple[int, int, int]) -> WanPrior:
    """A prior as `WanPrior.load` makes it, but for the text encoder: embedded prompts are noise.

    Args:
        clip: frames, height and width in pixels.
    """
    from diffusers import AutoencoderKLWan, WanTransformer3DModel

    sizes = bench.sizes
    dtype = torch.bfloat16 if bench.on_gpu else torch.float32
    with seeded(), torch.device(bench.device):
        transformer = WanTransformer3DModel(**sizes.transformer)
        vae = AutoencoderKLWan(**sizes.vae).eval().requires_grad_(False)
        text, negative = torch.randn(2, 1, TEXT_TOKENS, sizes.text_dim).to(dtype)
    advice = advice_for(sizes.transformer, 3.0)
    plan = choose_plan(gpu_memory_gb(bench.device), sizes.transformer, clip, dtype=dtype)
    base = WanCondition(text, negative, guidance_scale=advice.guidance_scale)
    prior = WanPrior(_cast(transformer, dtype), vae, base, plan, bench.device)
    prior.shift = advice.shift
    return prior._settle()


def _cast(transformer: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The types that a loaded checkpoint has: its class keeps a few parts in float32."""
    kept = set(transformer._keep_in_fp32_modules or ())
    for name, parameter in transformer.named_parameters():
        exact = kept & set(name.split("."))
        parameter.data = parameter.data.to(torch.float32 if exact else dtype)
    return transformer.eval().requires_grad_(False)


def _clip(size: tuple[int, int, int]) -> torch.Tensor:
    return 2 * torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1)) - 1


def phases(bench: Bench) -> Values:
    """Encode, one guided velocity, decode, for clips of both lengths: seconds, GB, the plan."""
    values = {}
    for size in bench.sizes.clips:
        prior, clip, name = random_prior(bench, size), _clip(size), f"{size[0]} frames"
        planned = _planned(bench.sizes.transformer, size, prior)
        z, seconds, peak = cost(bench.device, lambda: prior.to_latents(clip))  # noqa: B023
        values |= {f"{name}, encode s": seconds, f"{name}, encode GB": peak}
        v, seconds, peak = cost(bench.device, lambda: prior.velocity(z, SIGMA, prior.base))  # noqa: B023
        values |= {f"{name}, velocity s": seconds, f"{name}, velocity GB": peak}
        values[f"{name}, velocity planned GB"] = planned[0]
        back, seconds, peak = cost(bench.device, lambda: prior.to_clip(z))  # noqa: B023
        values |= {f"{name}, decode s": seconds, f"{name}, decode GB": peak}
        values[f"{name}, VAE planned GB"] = planned[1]
        values[f"{name}, finite"] = sound(z, v, back)
        del prior
    return values


def _planned(
    transformer: Mapping, size: tuple[int, int, int], prior: WanPrior
) -> tuple[float, float]:
    """What the plan expects of the transformer's phase and of the VAE's."""
    where, tiled = prior.plan.transformer, prior.plan.tiled_vae
    return phase_gb(transformer, size, where=where, tiled=tiled, dtype=prior.transformer.dtype)


def plans(bench: Bench) -> Values:
    """The same velocity with a resident, a swapped and a streamed transformer."""
    size = bench.sizes.clips[0]
    prior = random_prior(bench, size)
    z = prior.to_latents(_clip(size))
    values, first = {}, None
    for where in dict.fromkeys(where for where, _ in LADDER):  # streamed last: it stays so
        prior.plan = replace(prior.plan, transformer=where)
        if where != "resident":
            prior.transformer.to("cpu")
        prior._settle()
        v, seconds, peak = cost(bench.device, lambda: prior.velocity(z, SIGMA, prior.base))
        values |= {f"{where} s": seconds, f"{where} GB": peak}
        if first is None:
            first = v
        else:
            values[f"{where} off by %"] = 100 * relative_error(v, first)
    return values


def sdedit(bench: Bench) -> Values:
    """Four steps of SDEdit, from frames to frames."""
    size = bench.sizes.clips[0]
    prior, clip, orbit = random_prior(bench, size), _clip(size), static_orbit(size[0])
    known = Condition(orbit.azimuths_deg, orbit.elevations_deg, clip[:, :, 0], coarse=clip)
    config = SDEditConfig(strength=1.0, num_inference_steps=4, shift=prior.shift)
    generator = torch.Generator().manual_seed(0)
    edited, seconds, peak = cost(
        bench.device, lambda: edit_clip(prior, known, config, generator=generator)
    )
    moved = float((edited - clip).abs().mean())
    return {"4 steps s": seconds, "GB": peak, "mean change": moved, "finite": sound(edited)}
