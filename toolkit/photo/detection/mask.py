"""The person mask: two networks say where the person is, the picture where exactly it ends.

A guided filter brings the networks' contour to the nearest edge of the picture; matting then solves
for the coverage of its rim and of the pixels that the networks do not agree about.

The guided filter is ours because neither scipy nor scikit-image has one, and OpenCV's sits in its
large contrib build.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, label, uniform_filter, zoom

from toolkit.photo.detection import nets
from toolkit.photo.detection.matting import refine_coverage
from toolkit.photo.detection.roi import Roi, crop, paste

EDGE_GAIN = 6.0  # slope at which the mask crosses 0.5; makes the band of half-covered pixels narrow
SURE = 0.8  # below it the mean of the networks is unsure: 1 % of the person, 4/5 of false pixels
FILTER_SIDE_PX = 640  # the filter fits its linear models in a window shrunk to about this size


def agreement(
    image: Float[np.ndarray, "H W 3"], soft_mask: Float[np.ndarray, "256 256"], roi: Roi
) -> float:
    """Share in [0, 1] of the landmark net's mask that the selfie net, by itself, calls a person."""
    pose = paste(soft_mask, roi, image.shape[:2]) > 0.5
    if pose.sum() < 16:
        return 0.0
    return float((_selfie(image, _window(pose)) > 0.5)[pose].mean())


def refine_mask(
    image: Float[np.ndarray, "H W 3"], soft_mask: Float[np.ndarray, "256 256"], roi: Roi
) -> Float[np.ndarray, "H W"]:
    """Mask of one person over the whole picture, in [0, 1].

    Args:
        image: RGB in [0, 1].
        soft_mask: the landmark net's mask inside `roi`; it is coarse, but of one person only.
        roi: the square that `soft_mask` covers.
    """
    pose = paste(soft_mask, roi, image.shape[:2])
    if (pose > 0.5).sum() < 16:
        return pose
    window = _window(pose > 0.5)
    # The selfie net has more pixels per person, but it would also mark a neighbour: use it only
    # near the landmark net's mask.
    near = gaussian_filter(pose, max(2.0, window.size / 60)) > 0.15
    both = np.where(near, 0.5 * (pose + _selfie(image, window)), 0.0).astype(np.float32)
    rows, cols = (
        slice(max(0, int(c - window.size / 2)), int(c + window.size / 2) + 1)
        for c in window.center[::-1]
    )
    mask = np.zeros_like(both)
    mask[rows, cols] = guided_filter(
        image[rows, cols],
        both[rows, cols],
        radius=max(2, round(window.size / 90)),
        shrink=max(1, round(window.size / FILTER_SIDE_PX)),
    )
    # A probability fades slowly, like a halo; true coverage is 0 or 1 but for a narrow band.
    mask = _main_pieces((EDGE_GAIN * (mask - 0.5) + 0.5).clip(0, 1))
    mask[rows, cols] = refine_coverage(image[rows, cols], mask[rows, cols], both[rows, cols] < SURE)
    return _main_pieces(mask)


def _selfie(image: np.ndarray, window: Roi) -> Float[np.ndarray, "H W"]:
    """The selfie net's probability of person over the whole picture; 0 outside the window."""
    picture = crop(image, window, nets.SELFIE_SIZE)
    return paste(nets.run_selfie(picture), window, image.shape[:2])


def _window(mask: np.ndarray, margin: float = 1.25) -> Roi:
    """Upright square around a mask, with some background, which the selfie net needs."""
    rows, cols = np.nonzero(mask)
    center = np.array([cols.min() + cols.max(), rows.min() + rows.max()]) / 2 + 0.5
    return Roi(center, margin * float(max(np.ptp(rows), np.ptp(cols)) + 1))


def guided_filter(
    image: Float[np.ndarray, "H W 3"],
    mask: Float[np.ndarray, "H W"],
    *,
    radius: int,
    shrink: int = 1,
    eps: float = 1e-3,
) -> Float[np.ndarray, "H W"]:
    """Edge-aware smoothing: `mask` becomes a local linear function of the colours of `image`.

    Args:
        image: the guide, RGB in [0, 1].
        mask: what is smoothed, in [0, 1].
        radius: half side of the local window in pixels.
        shrink: fit on every `shrink`-th pixel only and interpolate the coefficients.
        eps: colour variance below which a window counts as flat.

    Source: He et al. 2013, Guided Image Filtering, eq 14-16; He and Sun 2015 for `shrink`.
    """

    def mean(field: np.ndarray) -> np.ndarray:
        side = 2 * max(1, radius // shrink) + 1
        return uniform_filter(field, size=[side, side] + [0] * (field.ndim - 2), mode="nearest")

    guide, target = image[::shrink, ::shrink], mask[::shrink, ::shrink, None]
    mean_i, mean_p = mean(guide), mean(target)  # the paper's letters: I guide, p mask
    cov_ip = mean(guide * target) - mean_i * mean_p
    cov_ii = (
        mean(guide[..., :, None] * guide[..., None, :])
        - mean_i[..., :, None] * mean_i[..., None, :]
    )
    # Least squares per window, mask = a . colour + b (eq 14, 15), then the mean of all windows that
    # hold a pixel (eq 16).
    a = np.linalg.solve(cov_ii + eps * np.eye(3, dtype=np.float32), cov_ip[..., None])[..., 0]
    b = mean_p - (a * mean_i).sum(-1, keepdims=True)
    coefficients = mean(np.concatenate([a, b], axis=-1))
    if shrink > 1:
        factors = [n / m for n, m in zip(mask.shape, coefficients.shape, strict=False)] + [1]
        coefficients = zoom(coefficients, factors, order=1)
    return (coefficients[..., :3] * image).sum(-1) + coefficients[..., 3]


def _main_pieces(mask: np.ndarray, keep_share: float = 0.03) -> np.ndarray:
    """Drop specks: connected pieces smaller than a share of the largest."""
    parts, count = label(mask > 0.5)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    small = 1 + np.flatnonzero(sizes[1:] < keep_share * sizes[1:].max())
    return np.where(np.isin(parts, small), 0.0, mask).astype(np.float32)
