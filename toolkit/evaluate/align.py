"""The similarity from the estimated body to the true one, taken off before anything is scored.

One photo does not tell size from distance: a small person nearby looks like a tall one far away.
Coarse and refined avatars share one estimated body, so the same transform is taken off both. It is
applied to the *cameras*, so that the Gaussians and their view-dependent colours stay untouched.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.errors import fail


@dataclass(frozen=True)
class Similarity:
    """`x -> scale * rotation x + shift`, from the estimated world to the true one.

    Attributes:
        scale: true metres per estimated metre.
        rotation: proper, no reflection.
        shift: metres.
    """

    scale: float
    rotation: Float[Tensor, "3 3"]
    shift: Float[Tensor, " 3"]

    def __call__(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        """Points of the estimated world, brought into the true one."""
        return self.scale * points @ self.rotation.T + self.shift

    def into_estimated(self, cameras: Cameras) -> Cameras:
        """The true cameras as seen from the estimated world: the same pictures, depth / scale."""
        # R x_true + t with x_true = s A x + b is s (R A x + (R b + t) / s), and a factor before
        # the projection does not move a pixel: so R A and (R b + t) / s see the same picture
        viewmats = torch.eye(4).repeat(len(cameras), 1, 1)
        turn = cameras.viewmats[:, :3, :3]
        viewmats[:, :3, :3] = turn @ self.rotation
        viewmats[:, :3, 3] = (turn @ self.shift + cameras.viewmats[:, :3, 3]) / self.scale
        return Cameras(viewmats, cameras.Ks, cameras.width, cameras.height)

    def into_true(self, cameras: Cameras) -> Cameras:
        """The way back: cameras of the estimated world moved to the true one."""
        viewmats = torch.eye(4).repeat(len(cameras), 1, 1)
        turn = cameras.viewmats[:, :3, :3] @ self.rotation.T
        viewmats[:, :3, :3] = turn
        viewmats[:, :3, 3] = self.scale * cameras.viewmats[:, :3, 3] - turn @ self.shift
        return Cameras(viewmats, cameras.Ks, cameras.width, cameras.height)


def fit_similarity(estimated: Float[Tensor, "N 3"], true: Float[Tensor, "N 3"]) -> Similarity:
    """Least squares over corresponding points; never a reflection.

    Args:
        estimated: points in the estimated world, metres.
        true: the same points in the true world, metres.

    Raises:
        InputError: numbers differ, fewer than three points, or all in one place.

    Source: Umeyama 1991, eqs. 40-43.
    """
    if estimated.shape != true.shape or len(estimated) < 3:
        fail(
            "fit_similarity",
            got=f"{tuple(estimated.shape)} and {tuple(true.shape)}",
            wanted="two sets of equal size, three points or more",
            fix="Give the same joints.",
        )
    x, y = estimated.double(), true.double()
    center_x, center_y = x.mean(0), y.mean(0)
    x, y = x - center_x, y - center_y
    if not (x.square().sum() > 1e-12 and torch.isfinite(y).all()):
        fail(
            "fit_similarity",
            got="points in one place, or NaN",
            wanted="a body's joints",
            fix="Look at the estimated pose.",
        )
    u, strength, vt = torch.linalg.svd(y.T @ x)
    # where the best orthogonal matrix is a mirror, the weakest direction is turned round
    signs = torch.ones(3, dtype=x.dtype)
    signs[2] = torch.sign(torch.linalg.det(u) * torch.linalg.det(vt))
    rotation = u @ torch.diag(signs) @ vt
    scale = float((strength * signs).sum() / x.square().sum())
    return Similarity(scale, rotation.float(), (center_y - scale * rotation @ center_x).float())


def joint_errors_mm(estimated: Float[Tensor, "N 3"], true: Float[Tensor, "N 3"]) -> dict:
    """Mean joint error with the hips at one place (MPJPE) and after the similarity (PA-MPJPE).

    Args:
        estimated: COCO's 17 keypoints of the estimated body, metres.
        true: those of the true body, metres.
    """
    aligned = fit_similarity(estimated, true)(estimated)
    hips = (true - estimated)[[11, 12]].mean(0)  # COCO's left and right hip
    return {
        "pa_mpjpe_mm": 1e3 * float((aligned - true).norm(dim=-1).mean()),
        "mpjpe_mm": 1e3 * float((estimated + hips - true).norm(dim=-1).mean()),
    }
