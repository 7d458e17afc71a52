"""SSIM on the CPU: compiled loops over the window, with the gradient written out.

No library serves: scikit-image's SSIM has no gradient, and with torch's matrix products SSIM took
half of the refit's time. Here each row is read once for all five moments, and only three
derivatives are stored for the way back. `ssim.ssim_map` calls it; tests compare it with
scikit-image and with the matrix products.

    forward:   rows of x, y --filter down--> a line of 5 moments --filter across--> SSIM, slopes
    backward:  slopes * gradient of SSIM --the transposed filters--> gradient of x

Letters: x and y are the two stacks of pictures; mx, my, mxx, myy and mxy are the local means of x,
y, x^2, y^2 and x y: the five moments. A row of a picture is one line of W * D numbers, pixel by
pixel, so that the loops are long and the channels need no axis of their own.
"""

import numba
import numpy as np
import torch
from torch import Tensor

from toolkit.measure.ssim_window import SSIM_C1, SSIM_C2, window_weights

_fast = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})


class CompiledSsim(torch.autograd.Function):
    """Stacks x, y (C,H,W,D) -> SSIM (C,h,w,D) at every `stride`-th row and column.

    Only x gets a gradient: in a fit, y is the target.
    """

    @staticmethod
    def forward(ctx, x: Tensor, y: Tensor, sigma_px: float, stride: int) -> Tensor:
        num, height, width, depth = x.shape
        lines = [
            t.detach().contiguous().numpy().reshape(num, height, width * depth) for t in (x, y)
        ]
        weights = (
            window_weights(height, sigma_px, stride),
            np.repeat(window_weights(width, sigma_px, stride), depth, axis=1),
        )
        shape = (num, weights[0].shape[1], weights[1].shape[1])
        similarity = np.empty(shape, np.float32)
        # d SSIM / d mx, d mxx, d mxy at each pixel; empty if x needs no gradient
        slopes = np.empty((3, *shape) if x.requires_grad else (3, 0, 0, 0), np.float32)
        _forward(*lines, weights, (stride, depth), similarity, slopes)
        ctx.for_backward = lines, weights, (stride, depth), slopes
        return torch.from_numpy(similarity.reshape(num, shape[1], -1, depth))

    @staticmethod
    def backward(ctx, v: Tensor):
        (x, y), weights, step, slopes = ctx.for_backward
        out = np.empty_like(x)
        _backward(
            x, y, weights, step, slopes * v.contiguous().numpy().reshape(slopes.shape[1:]), out
        )
        return torch.from_numpy(out).view(len(x), x.shape[1], -1, step[1]), None, None, None


@_fast
def _forward(x, y, weights, step, similarity, slopes):
    """For each row of the result: filter down into five lines of moments, then across; compare."""
    rows, columns = weights
    stride, depth = step
    reach, length = rows.shape[0] // 2, x.shape[2]
    # buffers for one row, made once and reused for all rows
    phases = np.zeros((5, stride, similarity.shape[2] + (2 * reach + stride) * depth), np.float32)
    moments = np.empty((5, similarity.shape[2]), np.float32)
    line = np.empty((5, length), np.float32)
    for p in range(x.shape[0]):
        for r in range(similarity.shape[1]):
            line[:] = 0
            for k in range(2 * reach + 1):
                source = r * stride + k - reach
                if 0 <= source < x.shape[1]:  # beyond the border the weights are 0
                    _add_moments(x[p, source], y[p, source], rows[k, r], line)
            _filter_columns(line, columns, step, phases, moments)
            _compare(moments, similarity[p, r], slopes, p, r)


@_fast
def _add_moments(x, y, weight, line):
    """Add one weighted row to the five lines of moments.

    One loop per moment, because LLVM does not vectorise a loop over many arrays that might overlap.
    """
    _add(x, weight, line[0])
    _add(y, weight, line[1])
    _add_product(x, x, weight, line[2])
    _add_product(y, y, weight, line[3])
    _add_product(x, y, weight, line[4])


@_fast
def _add(x, weight, line):
    for j in range(len(line)):
        line[j] += weight * x[j]


@_fast
def _add_product(x, y, weight, line):
    for j in range(len(line)):
        line[j] += weight * x[j] * y[j]


@_fast
def _filter_columns(line, columns, step, phases, moments):
    """Filter the five lines across, at every `stride`-th column.

    The columns are first sorted by phase (column modulo stride). Then each weight of the window
    reads numbers that lie side by side in memory, at any stride; that is what makes it fast.
    """
    stride, depth = step
    reach = columns.shape[0] // 2
    for m in range(5):
        for column in range(line.shape[1] // depth):
            phase, place = (column + reach) % stride, (column + reach) // stride
            for d in range(depth):
                phases[m, phase, place * depth + d] = line[m, column * depth + d]
        moments[m] = 0
        for k in range(2 * reach + 1):
            _add_product(
                columns[k], phases[m, k % stride, k // stride * depth :], np.float32(1), moments[m]
            )


@_fast
def _compare(moments, similarity, slopes, p, r):
    """SSIM = a1 a2 / (b1 b2), and its derivatives by mx, mxx and mxy.

    The derivatives by my and myy are not needed, since y gets no gradient.
    Source: Wang et al. 2004, Eq. 13.
    """
    with_gradient = slopes.shape[1] > 0
    for c in range(len(similarity)):
        mx, my = moments[0, c], moments[1, c]
        a1 = 2 * mx * my + np.float32(SSIM_C1)
        a2 = 2 * (moments[4, c] - mx * my) + np.float32(SSIM_C2)
        b1 = mx * mx + my * my + np.float32(SSIM_C1)
        b2 = moments[2, c] - mx * mx + moments[3, c] - my * my + np.float32(SSIM_C2)
        over = 1 / (b1 * b2)
        value = a1 * a2 * over
        similarity[c] = value
        if with_gradient:
            slopes[0, p, r, c] = 2 * (my * (a2 - a1) * over + mx * value * (1 / b2 - 1 / b1))
            slopes[1, p, r, c] = -value / b2
            slopes[2, p, r, c] = 2 * a1 * over


@_fast
def _backward(x, y, weights, step, slopes, out):
    """Gradient of x: K'v0 + 2 x K'v1 + y K'v2.

    v0, v1, v2 are the gradients of the moments mx = K x, mxx = K x^2 and mxy = K x y, with K the
    filter. Its transpose K' spreads each value back over the pixels from which it came.
    """
    rows, columns = weights
    stride, depth = step
    reach, (h, length) = rows.shape[0] // 2, slopes.shape[2:]
    column = np.empty((3, length), np.float32)
    phases = np.empty((3, stride, length + (2 * reach + stride) * depth), np.float32)
    for p in range(x.shape[0]):
        for i in range(x.shape[1]):
            column[:] = 0
            for k in range(2 * reach + 1):
                r = i - k + reach  # the window around row r has its weight k on row i
                if r % stride == 0 and 0 <= r // stride < h:
                    for m in range(3):
                        _add(slopes[m, p, r // stride], rows[k, r // stride], column[m])
            _spread_columns(column, columns, step, phases)
            _gather(x[p, i], y[p, i], phases, (stride, depth, reach), out[p, i])


@_fast
def _spread_columns(column, columns, step, phases):
    """Spread each value back over its columns; sorted by phase as in `_filter_columns`."""
    stride, depth = step
    phases[:] = 0
    for m in range(3):
        for k in range(columns.shape[0]):
            line = phases[m, k % stride, k // stride * depth :]
            _add_product(columns[k], column[m], np.float32(1), line[: column.shape[1]])


@_fast
def _gather(x, y, phases, step, out):
    """Undo the sorting by phase, and add up the three terms of the gradient."""
    stride, depth, reach = step
    for column in range(len(x) // depth):
        phase, place = (column + reach) % stride, (column + reach) // stride
        for d in range(depth):
            j, q = column * depth + d, place * depth + d
            out[j] = (
                phases[0, phase, q] + 2 * x[j] * phases[1, phase, q] + y[j] * phases[2, phase, q]
            )
