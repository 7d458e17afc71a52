"""The networks before the video prior at their real size, with random weights.

In float32, in float32 under autocast, and in bfloat16: seconds, memory, and the error against
float32. What random weights predict is nonsense; time, memory and rounding are those of real ones.
"""

import contextlib
from collections.abc import Callable

import torch
from torch import nn

from toolkit.coarse.lhm.encoders import BodyEncoder, HeadEncoder
from toolkit.coarse.lhm.network import LHM, forward
from toolkit.photo.multihmr.model import MultiHMR
from tools.upkeep.gpu_check_bench import Bench, Values, cost, relative_error, seeded

PRECISIONS = ("float32", "autocast", "bfloat16")


def lhm(bench: Bench) -> Values:
    """LHM with both of its encoders, in every precision."""
    sizes, values = bench.sizes, {}
    with seeded(), torch.device(bench.device), torch.no_grad():
        model, body = LHM(sizes.lhm), BodyEncoder(sizes.sapiens)
        head = HeadEncoder(sizes.head, sizes.widths, sizes.lhm.dim)
        _fill_body(model)
        person = torch.randn(1, 3, sizes.body_px, sizes.body_px)
        crop = torch.rand(1, 3, sizes.head_px, sizes.head_px)
        points = torch.rand(sizes.lhm.points, 3)
    parts = [part.eval().requires_grad_(False) for part in (model, body, head)]
    exact = None
    for precision in PRECISIONS:
        body.autocast = precision == "autocast"
        if precision == "bfloat16":  # the parts that `load_network` casts, and both encoders
            for part in (model.transformer, model.motion_embed_mlp, *parts[1:]):
                part.to(torch.bfloat16)
        tokens, seconds, _ = cost(bench.device, lambda: body(person), repeats=2)
        values[f"Sapiens {precision} s"] = seconds
        call = lambda: forward(model, tokens, head(crop), points).latent  # noqa: B023, E731
        latent, seconds, peak = cost(bench.device, call, repeats=2)
        values |= {f"LHM {precision} s": seconds, f"LHM {precision} GB": peak}
        if exact is None:
            exact = latent
        else:
            values[f"LHM {precision} error %"] = 100 * relative_error(latent, exact)
    return values


def _fill_body(model: LHM) -> None:
    """The buffers that a checkpoint brings: octaves of the points, and a body that does not move.

    Joints hang on each other in a row, and every point follows all of them alike.
    """
    waves = model.config.waves // 3
    octaves = torch.pi * 2.0 ** torch.arange(waves)
    model.pcl_embed.basis.copy_(torch.block_diag(*[octaves[None]] * 3))
    model.skin.skinning_weight.fill_(1 / model.config.joints)
    model.skin.smplx_layer.parents.copy_(torch.arange(model.config.joints) - 1)


def pose(bench: Bench) -> Values:
    """Multi-HMR on one picture, in every precision."""
    with seeded(), torch.device(bench.device):
        net = MultiHMR(bench.sizes.pose).to(bench.device).eval().requires_grad_(False)
        picture = torch.rand(3, bench.sizes.pose.size_px, bench.sizes.pose.size_px)
    values, exact = {}, None
    for precision in PRECISIONS:
        try:
            encode = _encoder(net, picture, precision)
            tokens, seconds, peak = cost(bench.device, encode, repeats=2)
        except RuntimeError as error:
            values[f"{precision} fails"] = str(error).splitlines()[0][:80]
            continue
        values |= {f"encoder {precision} s": seconds, f"encoder {precision} GB": peak}
        exact = tokens if exact is None else exact
        if precision != "float32":
            values[f"encoder {precision} error %"] = 100 * relative_error(tokens, exact)
    net.float()
    widest = 2 * (bench.sizes.pose.size_px // bench.sizes.pose.vit.patch) + 1
    # random scores would find hundreds of people; a window as wide as the picture leaves one
    people, seconds, peak = cost(
        bench.device, lambda: net(picture, threshold=1e-3, nms=widest), repeats=2
    )
    return values | {"whole net s": seconds, "whole net GB": peak, "people": len(people)}


def _encoder(net: nn.Module, picture: torch.Tensor, precision: str) -> Callable[[], torch.Tensor]:
    """The image encoder of Multi-HMR on a picture, which takes nearly all of its time."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    encoder, images = net.backbone.encoder.to(dtype), picture[None].to(dtype)
    wanted = precision == "autocast"

    def run() -> torch.Tensor:
        cast = torch.autocast(picture.device.type, torch.bfloat16) if wanted else None
        with torch.no_grad(), cast or contextlib.nullcontext():
            return encoder(images)

    return run
