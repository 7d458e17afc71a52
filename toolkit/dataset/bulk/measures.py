"""How good an avatar of the set is, in its photo's own view, and which gate it fails."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.rig import Avatar
from toolkit.cameras import Cameras
from toolkit.dataset.bulk.config import Gates
from toolkit.gaussians import Gaussians
from toolkit.measure.drift import measure_drift
from toolkit.measure.misalignment import measure_misalignment
from toolkit.photo.load import Photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.orbit import static_orbit, turntable_cameras
from toolkit.refine.turntable import pose_for_turntable
from toolkit.render.api import render

VIEWS = (512, 256)  # height and width of the pictures in which the loss of storing is measured
MAX_DB = 99.0  # of pictures that are equal


def measure(
    photo: Photo, body: PhotoBody, coarse: Avatar, refined: Avatar
) -> dict[str, float | None]:
    """Name -> number; None where it could not be measured (no texture that can be matched).

    Args:
        photo: that the avatars were made from.
        body: shape, pose and camera of the photo.
        coarse: avatar.
        refined: the same Gaussians, moved.
    """
    posed = [avatar.posed(body.pose, body.transl) for avatar in (coarse, refined)]
    metrics = {}
    for name, gaussians in zip(("coarse", "refined"), posed, strict=True):
        with torch.no_grad():
            view = render(gaussians, body.camera)
        found, _ = measure_misalignment(view.rgb[0], view.alpha[0], photo.rgb, body.mask)
        metrics |= {
            f"iou_{name}": found.iou,
            f"psnr_db_{name}": found.psnr_db,
            f"shift_percent_{name}": found.shift_percent,
        }
    drift = measure_drift(*posed)
    metrics |= {"drift_mm": drift.mean_mm, "drift_p95_mm": drift.p95_mm}
    return {name: rounded(value) for name, value in metrics.items()}


def rounded(value: float) -> float | None:
    """Six significant digits; None for NaN, which JSON does not have."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def failing_gate(metrics: dict[str, float | None], gates: Gates) -> tuple[str, str] | None:
    """The first gate that an avatar fails (reason, detail), or None."""
    iou, drift = metrics["iou_refined"], metrics["drift_mm"]
    shift = metrics["shift_percent_refined"]
    if iou < gates.min_iou:
        return "silhouette does not fit", f"IoU {iou:.3f}, wanted {gates.min_iou}"
    if shift is not None and shift > gates.max_shift_percent:
        return (
            "texture misaligned",
            f"{shift:.2f} % of the height, wanted {gates.max_shift_percent}",
        )
    if drift > gates.max_drift_mm:
        return "Gaussians drifted", f"{drift:.2f} mm, wanted {gates.max_drift_mm}"
    return None


def round_trip_db(avatars: list[Avatar], stored: list[Gaussians], body: PhotoBody) -> float:
    """The worst PSNR between renders of avatars before and after storing, on the person's pixels.

    Five views each: the photo's, and the A pose from front, left, back and right.
    """
    around = turntable_cameras(static_orbit(4), size=VIEWS)
    values = []
    for avatar, gaussians in zip(avatars, stored, strict=True):
        again = Avatar(gaussians, avatar.rig)
        values += psnrs(pose_for_turntable(avatar), pose_for_turntable(again), around)
        first, second = (a.posed(body.pose, body.transl) for a in (avatar, again))
        values += psnrs(first, second, body.camera)
    return rounded(min(values))


@torch.no_grad()
def psnrs(first: Gaussians, second: Gaussians, cameras: Cameras) -> list[float]:
    """PSNR of each view in decibels, on the pixels that the first covers."""
    a, b = render(first, cameras), render(second, cameras)
    return [
        _psnr(x, y, inside)
        for x, y, inside in zip(a.rgb, b.rgb, a.alpha[..., 0] > 0.5, strict=True)
    ]


def _psnr(a: Float[Tensor, "H W 3"], b: Float[Tensor, "H W 3"], inside: Tensor) -> float:
    error = (a - b)[inside].square()
    if not len(error):
        return MAX_DB
    return float(min(-10 * np.log10(max(float(error.mean()), 1e-12)), MAX_DB))
