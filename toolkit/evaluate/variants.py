"""The avatars that are compared: coarse, refined, and the controls that tell what did the refining.

Every refit sees the same photo, the same views and (in sum) the same number of steps; only the
pictures it is fitted to differ.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.body.rig import Avatar
from toolkit.evaluate import esrgan
from toolkit.evaluate.bench import Bench
from toolkit.prior.prior import PixelPrior
from toolkit.prior.turntable.shipped import PAPER_POINT, load_turntable, plain_velocity
from toolkit.refine.edit import refine_clip
from toolkit.refine.iterate import progressive_refit
from toolkit.refine.target import FitTarget, matte
from toolkit.refine.turntable import pose_for_turntable
from toolkit.render.api import Render, render

REACHES_DEG = (60.0, 120.0, 180.0)  # how far from the front each step of the progressive refit sees
UNSHARP_PX, UNSHARP_AMOUNT = 1.5, 1.0
TRUE_FIT_PX = 256  # longer side of the true views in the upper bound's refit


def paper_recipe(bench: Bench) -> Avatar:
    """SDEdit in the strict sense: strength 0.8 under a prior that never saw a coarse render."""
    clip = refine_clip(
        PixelPrior(plain_velocity(load_turntable("plain"))),
        bench.turntable,
        PAPER_POINT,
        generator=torch.Generator().manual_seed(bench.config.seed),
    )
    return bench.refit(clip)


def progressive(bench: Bench) -> Avatar:
    """From the front to the back; all its refits together take as many steps as the one."""
    steps = -(-bench.config.fit.steps // len(REACHES_DEG))
    return progressive_refit(
        bench.coarse,
        bench.turntable.orbit,
        bench.visible,
        bench.edit,
        lambda avatar, target: bench.fit_to(avatar, [target, bench.photo_target], steps),
        reaches_deg=REACHES_DEG,
    )


def upper_bound(bench: Bench) -> Avatar:
    """The refit with the truth instead of the prior: fitted to the very views that are scored."""
    scene, views = bench.scene, bench.scene.views
    zoom = min(1.0, TRUE_FIT_PX / max(views.cameras.height, views.cameras.width))
    size = (round(views.cameras.height * zoom), round(views.cameras.width * zoom))
    rgb, alpha = (
        F.interpolate(
            v.permute(0, 3, 1, 2), size, mode="bilinear", antialias=True, align_corners=False
        )
        .permute(0, 2, 3, 1)
        .clamp(0, 1)
        for v in (views.rgb, views.alpha)
    )
    target = FitTarget(
        scene.pose,
        scene.transl,
        scene.cameras.resized(size[1], size[0]),
        rgb,
        alpha,
        torch.ones_like(alpha),
    )
    return bench.fit_to(bench.coarse, [target, bench.photo_target])


def unsharp_mask(clip: Float[Tensor, "T H W 3"]) -> Float[Tensor, "T H W 3"]:
    """Every frame sharpened the classical way: no knowledge of people, no new detail."""
    reach = round(3 * UNSHARP_PX)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / UNSHARP_PX) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    planes = F.pad(clip.permute(0, 3, 1, 2), (reach,) * 4, mode="replicate")
    smooth = F.conv2d(F.conv2d(planes, kernel, groups=3), kernel.mT, groups=3)
    smooth = smooth.permute(0, 2, 3, 1)
    return (clip + UNSHARP_AMOUNT * (clip - smooth)).clamp(0, 1)


def frames(bench: Bench, clip: Float[Tensor, "T H W 3"], alpha: Tensor) -> Render:
    """A clip as if it were rendered: depth is the coarse avatar's, for the reprojection."""
    with torch.no_grad():
        depth = render(pose_for_turntable(bench.coarse), bench.turntable.cameras).depth
    return Render(clip, alpha, depth)


def prior_frames(bench: Bench) -> Render:
    """The prior's own pictures, before any refit."""
    return frames(bench, *matte(bench.clip, bench.turntable.alpha))


def coarse_frames(bench: Bench) -> Render:
    """The coarse turntable, to hold the prior's frames against."""
    return frames(bench, bench.turntable.rgb, bench.turntable.alpha)


# name: what makes it. An Avatar is scored in every pose; a Render in the turntable's alone.
VARIANTS: dict[str, Callable[[Bench], Avatar | Render]] = {
    "coarse": lambda bench: bench.coarse,
    "self_refit": lambda bench: bench.refit(bench.turntable.rgb),
    "unsharp_refit": lambda bench: bench.refit(unsharp_mask(bench.turntable.rgb)),
    "esrgan_refit": lambda bench: bench.refit(esrgan.restore(bench.turntable.rgb)),
    "paper_recipe": paper_recipe,
    "one_shot": lambda bench: bench.refit(bench.clip),
    "progressive": progressive,
    "coarse_frames": coarse_frames,
    "prior_frames": prior_frames,
    "upper_bound": upper_bound,
    "coarse_true_body": lambda bench: bench.coarse,  # these two get a bench with the true body
    "refined_true_body": lambda bench: bench.refit(bench.clip),
}
MEANING = {
    "coarse": "coarse avatar",
    "self_refit": "coarse, refitted to its own renders",
    "unsharp_refit": "unsharp mask + refit",
    "esrgan_refit": "per-frame Real-ESRGAN + refit",
    "paper_recipe": "plain prior, strength 0.8 + refit",
    "one_shot": "prior + one-shot refit (what `avatar` does)",
    "progressive": "prior + progressive refit",
    "coarse_frames": "coarse frames (A pose)",
    "prior_frames": "the prior's frames (A pose)",
    "upper_bound": "upper bound: refit to the true views",
    "coarse_true_body": "coarse avatar on the true body",
    "refined_true_body": "prior + one-shot refit on the true body",
}
FRAMES = ("coarse_frames", "prior_frames")
TRUE_BODY = ("coarse_true_body", "refined_true_body")
# what a variant is compared with, if not with "coarse": the same without what it adds
BASE = {"prior_frames": "coarse_frames", "refined_true_body": "coarse_true_body"}
REFINED = "one_shot"  # what `python -m toolkit avatar` leaves


def why_not(name: str, *, posable: bool) -> str | None:
    """Why a variant cannot be made here, or None."""
    if name in FRAMES and not posable:
        return "foreign people have no truth in the turntable's A pose"
    if name in TRUE_BODY and not posable:
        return "the true body of foreign people is not known"
    return esrgan.why_not() if name == "esrgan_refit" else None
