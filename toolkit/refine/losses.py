"""What the refit minimises: pictures that differ, and Gaussians that left their coarse places."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.gaussians import Gaussians
from toolkit.measure.ssim import ssim_map
from toolkit.refine.target import FitTarget
from toolkit.render.api import render


def picture_losses(
    posed: Gaussians, target: FitTarget, views: list[int], background: Float[Tensor, " 3"]
) -> dict[str, Float[Tensor, ""]]:
    """`l1`, `dssim` and `alpha` (silhouette) of some views, as mean errors per pixel of the person.

    Args:
        posed: in the target's pose.
        target: pictures on white, coverage, confidence.
        views: indices into the target's cameras.
        background: colour behind both pictures.
    """
    # At a turntable's few pixels the usual 0.3 px of blur would hide holes between thin Gaussians,
    # which every larger picture then shows (5 dB worse at twice the size). `render` is antialiased.
    drawn = render(posed, target.cameras[views], background=background)
    rgb, alpha, confidence = (v[views] for v in (target.rgb, target.alpha, target.confidence))
    # The target lies on white: rgb = color * alpha + 1 - alpha. Adding (1 - alpha) (background - 1)
    # swaps white for this step's background. Pixels without confidence are black in both pictures.
    image = confidence * drawn.rgb
    wanted = confidence * torch.addcmul(rgb, 1 - alpha, background.to(rgb) - 1)
    # Sums over the picture are divided by the person's area, so that a small person in a large
    # picture counts as much as a large one; by 1 % of the picture where a view shows nobody.
    area = alpha.sum((1, 2, 3)).clamp_min(0.01 * alpha[0].numel())

    def per_person(error: Float[Tensor, "C h w D"]) -> Float[Tensor, ""]:
        return (error.sum((1, 2, 3)) / area).mean() / error.shape[3]

    # D-SSIM = (1 - SSIM) / 2, as in 3DGS. Every second row and column is enough for a window of 11
    # pixels and costs a third; a quarter of the pixels, times 4 and halved, makes the factor 2.
    dissimilar = 2 * confidence[:, ::2, ::2, 0] * (1 - ssim_map(image, wanted, stride=2))
    wrong_cover = (confidence * (drawn.alpha - alpha)).abs()
    return {
        "l1": per_person((image - wanted).abs()),
        "dssim": per_person(dissimilar[..., None]),
        "alpha": per_person(wrong_cover),
    }


def change_losses(raw: dict[str, Tensor], start: dict[str, Tensor]) -> dict[str, Float[Tensor, ""]]:
    """How far the Gaussians are from the coarse ones: `stay` (mm^2) and `shape`.

    Args:
        raw: parameters that are fitted: means (N,3), quats (N,4), raw_scales (N,3), raw_opacities
            (N,), sh0 (N,1,3), sh_rest (N,K-1,3); see `refine.refit`.
        start: their values at the beginning.
    """
    moved = {name: raw[name] - start[name] for name in raw}
    return {
        "stay": (1e3 * moved["means"]).square().sum(-1).mean(),
        "shape": moved["raw_scales"].square().mean() + moved["raw_opacities"].square().mean(),
    }


def speckle_loss(
    colors: Float[Tensor, "N 3"], neighbours: tuple[Tensor, Tensor]
) -> Float[Tensor, ""]:
    """Squared difference between each Gaussian's change of colour and its neighbours' mean change.

    A clip of 192 pixels leaves the colours of single Gaussians free; a larger picture then shows
    speckle. Changes that a whole neighbourhood shares cost nothing.

    Args:
        colors: change of the colour coefficients since the start.
        neighbours: from `nearest_neighbours`.
    """
    return (colors - NeighbourMean.apply(colors, *neighbours)).square().mean()


class NeighbourMean(torch.autograd.Function):
    """Mean of (N,C) values over each row's neighbours, the same to the last bit in every run.

    The gradient of a plain indexed read, `values[neighbours]`, adds up what arrives at one row with
    atomic operations, in whatever order the threads reach it; float sums depend on their order.
    Here each row collects its own gradient from a list of the rows that read it.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        values: Float[Tensor, "N C"],
        neighbours: Int[Tensor, "N K"],
        readers: Int[Tensor, "N M"],
    ) -> Float[Tensor, "N C"]:
        ctx.save_for_backward(readers)
        ctx.num = neighbours.shape[1]
        return values[neighbours].mean(1)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, grad: Float[Tensor, "N C"]
    ) -> tuple[Float[Tensor, "N C"], None, None]:
        (readers,) = ctx.saved_tensors
        padded = torch.cat([grad, torch.zeros_like(grad[:1])])  # the row that pads `readers`
        return padded[readers].sum(1) / ctx.num, None, None


def nearest_neighbours(
    means: Float[Tensor, "N 3"], num: int = 6
) -> tuple[Int[Tensor, "N K"], Int[Tensor, "N M"]]:
    """Indices of the nearest other centres, and the inverse relation.

    The inverse lists for each Gaussian the ones that have it among their neighbours. Rows are
    filled up with N, the index of no Gaussian.
    """
    from scipy.spatial import cKDTree

    points = means.cpu().numpy()
    num = min(num, len(points) - 1)
    _, index = cKDTree(points).query(points, k=num + 1)
    near = index.reshape(len(points), -1)[:, 1:]  # the nearest of all is the point itself
    # sort the pairs (reader, neighbour) by neighbour: each row's readers then lie side by side
    order = np.argsort(near.ravel(), kind="stable")
    counts = np.bincount(near.ravel(), minlength=len(points))
    place = np.arange(near.size) - np.repeat(np.cumsum(counts) - counts, counts)
    readers = np.full((len(points), counts.max(initial=0)), len(points))
    readers[near.ravel()[order], place] = order // max(num, 1)
    return tuple(torch.from_numpy(table).to(means.device) for table in (near, readers))
