"""The avatars that are compared: coarse, refined, and controls that show where a gain comes from.

Every refit uses the same photo, the same views and (in sum) the same number of steps. Only the
pictures to which it fits differ. So if the unsharp mask gained as much as the prior, the prior
would not be the reason.
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

REACHES_DEG = (60.0, 120.0, 180.0)  # each refit of `progressive` uses the views up to this azimuth
UNSHARP_PX, UNSHARP_AMOUNT = 1.5, 1.0  # sigma of the blur, pixels; share of the detail added
TRUE_FIT_PX = 256  # longer side of the true views in the upper bound's refit


def paper_recipe(bench: Bench) -> Avatar:
    """SDEdit as in the paper: strength 0.8, and a prior that does not see the coarse clip."""
    clip = refine_clip(
        PixelPrior(plain_velocity(load_turntable("plain"))),
        bench.turntable,
        PAPER_POINT,
        generator=torch.Generator().manual_seed(bench.config.seed),
    )
    return bench.refit(clip)


def progressive(bench: Bench) -> Avatar:
    """Refits from the front to the back; together they take as many steps as the single one."""
    steps = -(-bench.config.fit.steps // len(REACHES_DEG))  # rounded up
    return progressive_refit(
        bench.coarse,
        bench.turntable.orbit,
        bench.visible,
        bench.edit,
        lambda avatar, target: bench.fit_to(avatar, [target, bench.photo_target], steps),
        reaches_deg=REACHES_DEG,
    )


def upper_bound(bench: Bench) -> Avatar:
    """The refit to the truth instead of the prior's clip: to the very views that are scored.

    What it misses, no prior can gain: the number of Gaussians and the body's pose are the limit.
    """
    scene, views = bench.scene, bench.scene.views
    # smaller pictures make the refit faster
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
        torch.ones_like(alpha),  # weight: every pixel of the truth counts in full
    )
    return bench.fit_to(bench.coarse, [target, bench.photo_target])


def unsharp_mask(clip: Float[Tensor, "T H W 3"]) -> Float[Tensor, "T H W 3"]:
    """Every frame sharpened: the clip plus what a Gaussian blur of it takes away.

    It raises contrast, but knows nothing of people and adds no detail.
    """
    reach = round(3 * UNSHARP_PX)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / UNSHARP_PX) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)  # a row; its transpose is the column
    planes = F.pad(clip.permute(0, 3, 1, 2), (reach,) * 4, mode="replicate")
    # a Gaussian blur is separable: along the rows, then along the columns
    smooth = F.conv2d(F.conv2d(planes, kernel, groups=3), kernel.mT, groups=3)
    smooth = smooth.permute(0, 2, 3, 1)
    return (clip + UNSHARP_AMOUNT * (clip - smooth)).clamp(0, 1)


def as_render(
    bench: Bench, clip: Float[Tensor, "T H W 3"], alpha: Float[Tensor, "T H W 1"]
) -> Render:
    """A clip as if it were rendered. Its depth is the coarse avatar's, for `consistency`."""
    with torch.no_grad():
        depth = render(pose_for_turntable(bench.coarse), bench.turntable.cameras).depth
    return Render(clip, alpha, depth)


def prior_frames(bench: Bench) -> Render:
    """The prior's own pictures, before any refit."""
    return as_render(bench, *matte(bench.clip, bench.turntable.alpha))


def coarse_frames(bench: Bench) -> Render:
    """The coarse turntable, with which the prior's frames are compared."""
    return as_render(bench, bench.turntable.rgb, bench.turntable.alpha)


# name: what makes it. An Avatar is scored in every pose, a Render only in the turntable's.
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
    # these get a bench with the true body, see `PersonScorer.score`
    "coarse_true_body": lambda bench: bench.coarse,
    "refined_true_body": lambda bench: bench.refit(bench.clip),
    "upper_bound_true_body": upper_bound,
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
    "upper_bound_true_body": "upper bound on the true body",
}
FRAMES = ("coarse_frames", "prior_frames")
TRUE_BODY = ("coarse_true_body", "refined_true_body", "upper_bound_true_body")
# what a variant is compared with, if not with "coarse"
BASE = {"prior_frames": "coarse_frames"}
BASE |= dict.fromkeys(("refined_true_body", "upper_bound_true_body"), "coarse_true_body")
REFINED = "one_shot"  # what `python -m toolkit avatar` makes


def why_not(name: str, *, posable: bool) -> str | None:
    """Why a variant cannot be made here, or None.

    Args:
        name: of the variant.
        posable: whether the people can be posed anew, as our own can.
    """
    if name in FRAMES and not posable:
        return "foreign people have no truth in the turntable's A pose"
    if name in TRUE_BODY and not posable:
        return "the true body of foreign people is not known"
    return esrgan.why_not() if name == "esrgan_refit" else None
