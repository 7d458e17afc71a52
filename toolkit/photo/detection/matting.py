"""Closed-form matting where a person mask is unsure: how much of each pixel the person covers.

A mask says inside or outside. Along its rim that is wrong by a pixel or two; a narrow gap, such as
between an arm and the trunk, it often closes. There the background's colours would be painted on
the avatar. Matting assumes that in a window of 3x3 pixels the colours of person and background each
lie on a line in colour space. Coverage is then a linear function of colour in each window, windows
overlap, and from coverage known around the unsure pixels a sparse linear system gives theirs.

The package `pymatting` solves the same equations for whole pictures, but its first import compiles
for half a minute. Few pixels are unsure here, so that numpy is fast enough.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_dilation, binary_erosion, zoom
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

SOLVE_SIDE_PX = 640  # larger windows are solved at about this size: the refit sees 512 px
PULL = 1e-6
EPS = 1e-7  # variance added to a window's colours, so that a flat window has an inverse


def refine_coverage(
    image: Float[np.ndarray, "H W 3"],
    mask: Float[np.ndarray, "H W"],
    unsure: Bool[np.ndarray, "H W"],
    *,
    rim_px: int = 3,
) -> Float[np.ndarray, "H W"]:
    """The mask, solved anew from the picture's colours along its rim and where it is unsure.

    Args:
        image: RGB in [0, 1].
        mask: coverage in [0, 1]; over 0.5 is inside.
        unsure: pixels inside that may be background.
        rim_px: width of the rim on each side of the contour, in pixels at `SOLVE_SIDE_PX`.

    Returns:
        Coverage in [0, 1], and exactly 0 or 1 where it was not solved.

    Source: Levin, Lischinski and Weiss 2008, A Closed-Form Solution to Natural Image Matting.
    """
    shrink = max(1, round(max(mask.shape) / SOLVE_SIDE_PX))
    maps = np.dstack([image, mask, mask * unsure])
    small = _block_means(maps, shrink) if shrink > 1 else maps
    inside = small[..., 3] > 0.5
    rim = binary_dilation(inside, iterations=rim_px)
    rim &= ~binary_erosion(inside, iterations=rim_px, border_value=1)
    coverage = solve_coverage(small[..., :3], inside, rim | inside & (small[..., 4] > 0.25))
    if shrink > 1:
        coverage = zoom(coverage, shrink, order=1, grid_mode=True, mode="nearest")
    return coverage[: mask.shape[0], : mask.shape[1]]


def _block_means(image: Float[np.ndarray, "H W C"], side: int) -> Float[np.ndarray, "h w C"]:
    """Means of square blocks; the last row and column are repeated to fill theirs."""
    height, width, channels = image.shape
    padded = np.pad(image, [(0, -height % side), (0, -width % side), (0, 0)], mode="edge")
    rows, columns = padded.shape[0] // side, padded.shape[1] // side
    return padded.reshape(rows, side, columns, side, channels).mean(axis=(1, 3))


def solve_coverage(
    image: Float[np.ndarray, "H W 3"],
    inside: Bool[np.ndarray, "H W"],
    unknown: Bool[np.ndarray, "H W"],
) -> Float[np.ndarray, "H W"]:
    """Coverage of the unknown pixels; the others keep 1 inside and 0 outside."""
    alpha = inside.astype(np.float32)
    if not unknown.any() or inside.all() or not inside.any():
        return alpha
    windows = _windows_with(unknown)
    weights = _laplacians(image.reshape(-1, 3)[windows])
    size = image.shape[0] * image.shape[1]
    rows, columns = np.repeat(windows, 9, axis=1).ravel(), np.tile(windows, 9).ravel()
    place = np.cumsum(unknown.ravel()) - 1  # of each unknown pixel in the system
    free = unknown.ravel()[rows]  # only equations of unknown pixels are wanted
    matrix = coo_matrix(
        (weights.ravel()[free], (place[rows[free]], columns[free])), (int(unknown.sum()), size)
    ).tocsc()
    right = -matrix[:, ~unknown.ravel()] @ alpha.ravel()[~unknown.ravel()]
    left = matrix[:, unknown.ravel()]
    # a weak pull to the mask's own value, for pixels that no window ties to a known one
    left.setdiag(left.diagonal() + PULL)
    alpha[unknown] = spsolve(left, right + PULL * alpha[unknown]).clip(0, 1)
    return alpha


def _windows_with(unknown: Bool[np.ndarray, "H W"]) -> Int[np.ndarray, "K 9"]:
    """Flat pixel indices of all 3x3 windows in the picture that hold an unknown pixel."""
    centers = binary_dilation(unknown, structure=np.ones((3, 3)))
    centers[[0, -1]] = centers[:, [0, -1]] = False
    row, column = np.nonzero(centers)
    width = unknown.shape[1]
    around = np.array([y * width + x for y in (-1, 0, 1) for x in (-1, 0, 1)])
    return (row * width + column)[:, None] + around


def _laplacians(colors: Float[np.ndarray, "K 9 3"]) -> Float[np.ndarray, "K 9 9"]:
    """Each window's share of the matting Laplacian.

    It measures how far nine values are from a linear function of the nine colours, least squares
    over the slope and offset: delta_ij - (1 + c_i^T (C + eps/9)^-1 c_j) / 9, with centred colours c
    and their covariance C.
    """
    centred = colors.astype(np.float64) - colors.mean(axis=1, keepdims=True)
    covariance = centred.transpose(0, 2, 1) @ centred / 9 + EPS / 9 * np.eye(3)
    explained = centred @ np.linalg.solve(covariance, centred.transpose(0, 2, 1))
    return np.eye(9) - (1 + explained) / 9
