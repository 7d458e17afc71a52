"""Numba kernels for the backward pass of compositing: front to back as well, and without atomics.

For one pixel, let v be the loss gradient of its colour, T_i the light that reaches Gaussian i,
w_i = alpha_i T_i its weight and q_i = colour_i . v. A larger alpha_i adds colour i to the pixel and
darkens everything behind by the factor 1 - alpha_i:

    d loss / d alpha_i = T_i q_i - R_i / (1 - alpha_i)

R_i = sum of w_j q_j over all later Gaussians j, and the background. The sum over *all* of them is
known at once from the forward picture: it is picture . v. So the kernel starts with R at this total
and subtracts w_i q_i at each step. The forward pass therefore stores no list of pairs, and T is
simply computed again. (gsplat walks back to front instead, and divides T by 1 - alpha.)

Why no atomics are needed: on a GPU many tiles add to the gradient of the same Gaussian at once, so
each addition must be atomic, and the order of the additions is a matter of luck. Here every
(Gaussian, tile) pair has a row of its own in memory, a *slot*. `composite_backward` writes slots,
each from one thread only; `sum_slots` then adds a Gaussian's slots in a fixed order. The gradients
are the same bits in every run, with any number of threads.

The layout of a tile in memory is described in `toolkit.render.cpu.composite_shared`.
"""

import numpy as np

from toolkit.render.cpu.composite_shared import (
    CUT,
    HALF,
    ONE,
    PLANE,
    ROW,
    SPLAT,
    TWO,
    ZERO,
    exp_minus,
    load_channels,
    strip_rows,
    tile_clip,
)
from toolkit.render.cpu.jit import inline, kernel
from toolkit.render.cpu.rules import ALPHA_MAX, T_STOP
from toolkit.render.cpu.simd import LANES, counting, lanes, load, peek, smaller, store, total, where
from toolkit.render.cpu.tiles import TILE_H, TILE_W


@kernel
def composite_backward(plan, forward_results, gradients, slot_grads, rows, start, stop):
    """Gradients of tiles start..stop, one row per slot; rows of unused slots stay undefined.

    Args:
        plan: splats, boxes, offsets, entries of `toolkit.render.cpu.tiles`.
        forward_results: picture (H,W,X), alpha (H,W), used (M,).
        gradients: v_picture (H,W,X), v_alpha (H,W).
        slot_grads: (M, 10): sums over the pixels of g, g dx, g dy, g dx^2, g dx dy, g dy^2 with g
            the gradient of the exponent, then the gradients of four channels.
        rows: from `scratch`, not shared with another thread.
    """
    splats, boxes, offsets, entries = plan
    picture, alphas, used = forward_results
    tiles_x = (picture.shape[1] + TILE_W - 1) // TILE_W
    splats_at, tile = splats.ctypes.data, rows.ctypes.data
    for t in range(start, stop):
        if offsets[t] == offsets[t + 1]:
            continue
        left, top = (t % tiles_x) * TILE_W, (t // tiles_x) * TILE_H
        _read_tile(rows, left, top, (picture, alphas), gradients)
        for e in range(offsets[t], offsets[t + 1]):
            rank, slot = entries[e, 0], entries[e, 1]
            if used[slot]:
                clip = tile_clip(boxes, rank, left, top)
                sums = _splat_backward(splats_at + 4 * SPLAT * rank, clip, left, top, tile)
                _write_slot(slot_grads, slot, sums)


@inline
def _write_slot(slot_grads, slot, sums):
    slot_grads[slot, 0], slot_grads[slot, 1], slot_grads[slot, 2] = sums[0], sums[1], sums[2]
    slot_grads[slot, 3], slot_grads[slot, 4], slot_grads[slot, 5] = sums[3], sums[4], sums[5]
    slot_grads[slot, 6], slot_grads[slot, 7] = sums[6], sums[7]
    slot_grads[slot, 8], slot_grads[slot, 9] = sums[8], sums[9]


@kernel
def _read_tile(rows, left, top, forward_results, gradients):
    """Fill the rows of a tile for the backward pass: T = 1, R = its total, channels = v."""
    picture, alphas = forward_results
    v_picture, v_alphas = gradients
    height, width, channels = picture.shape
    wide = min(TILE_W, width - left)
    rows[:] = ZERO
    rows[:, 0, :wide] = ONE
    for y in range(min(TILE_H, height - top)):
        for x in range(wide):
            # alpha = 1 - T: for the loss it is one more channel, in which no Gaussian has colour
            # and the background has colour -1
            rows[y, 1, x] = (alphas[top + y, left + x] - ONE) * v_alphas[top + y, left + x]
        if channels >= 3:  # spelled out: the compiler then reads whole vectors
            for x in range(wide):
                v0 = v_picture[top + y, left + x, 0]
                v1 = v_picture[top + y, left + x, 1]
                v2 = v_picture[top + y, left + x, 2]
                rows[y, 2, x], rows[y, 3, x], rows[y, 4, x] = v0, v1, v2
                rows[y, 1, x] += (
                    v0 * picture[top + y, left + x, 0]
                    + v1 * picture[top + y, left + x, 1]
                    + v2 * picture[top + y, left + x, 2]
                )
        for k in range(3 if channels >= 3 else 0, channels):
            for x in range(wide):
                v = v_picture[top + y, left + x, k]
                rows[y, 2 + k, x] = v
                rows[y, 1, x] += v * picture[top + y, left + x, k]
    rows[min(TILE_H, height - top) :, 0] = ZERO


@inline
def _splat_backward(splat, clip, left, top, tile):
    """Gradient sums of one splat from one tile; repeats the forward pass's decisions."""
    x0, x1, y0, y1 = clip
    mx, my = peek(splat, 0) - np.float32(left), peek(splat, 1) - np.float32(top)
    hc, opacity, zero = lanes(peek(splat, 4)), lanes(peek(splat, 5)), lanes(0.0)
    m0, m1, m2, m11, m12, m22 = zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3 = zero, zero, zero, zero
    for x in range(x0, x1, LANES):
        left_dx = np.float32(x) + HALF - mx
        if x1 - x0 > LANES:
            right_dx = np.float32(min(x + LANES, x1)) - HALF - mx
            y0, y1 = strip_rows(splat, my, left_dx, right_dx, clip)
        dx = lanes(left_dx) + counting()
        base, slope = lanes(peek(splat, 2)) * dx * dx, lanes(peek(splat, 3)) * dx
        dy = lanes(np.float32(y0) + HALF - my)
        at = tile + 4 * (y0 * ROW + x)
        s0, s2, s22 = zero, zero, zero  # sums of g, g dy, g dy^2 down the strip, where dx is fixed
        for _ in range(y0, y1):
            T = load(at, 0)
            raw = opacity * exp_minus(base + dy * (slope + hc * dy))
            alpha = smaller(raw, lanes(ALPHA_MAX))
            hit = (alpha >= lanes(CUT)) & (T > zero)
            weight = where(hit, alpha * T, zero)
            rest = T - weight
            full = (rest <= lanes(T_STOP)) & hit
            weight = where(full, zero, weight)
            store(at, 0, where(full, zero - T, rest))
            v0, v1, v2, v3 = load_channels(at)
            q = _dot_channels(splat, weight, v0, v1, v2, v3)
            c0, c1, c2, c3 = c0 + weight * v0, c1 + weight * v1, c2 + weight * v2, c3 + weight * v3
            remains = load(at, PLANE) - q  # R_i, what lies behind this splat
            store(at, PLANE, remains)
            # The gradient of the exponent: alpha = opacity exp(-power), so it is -alpha d/d alpha.
            # Where alpha was clamped to ALPHA_MAX it does not move, and the gradient is 0.
            g = remains * alpha / (lanes(1.0) - alpha) - q
            g = where((weight > zero) & (raw <= lanes(ALPHA_MAX)), g, zero)
            s0, s2, s22 = s0 + g, s2 + g * dy, s22 + g * dy * dy
            dy = dy + lanes(1.0)
            at += 4 * ROW
        m0, m1, m11 = m0 + s0, m1 + s0 * dx, m11 + s0 * dx * dx
        m2, m12, m22 = m2 + s2, m12 + s2 * dx, m22 + s22
    moments = total(m0), total(m1), total(m2), total(m11), total(m12), total(m22)
    return (*moments, total(c0), total(c1), total(c2), total(c3))


@inline
def _dot_channels(splat, weight, v0, v1, v2, v3):
    """w_i q_i: what the splat adds to the loss, colour . v times its weight."""
    return weight * (
        lanes(peek(splat, 8)) * v0
        + lanes(peek(splat, 9)) * v1
        + lanes(peek(splat, 10)) * v2
        + lanes(peek(splat, 11)) * v3
    )


@kernel
def sum_slots(plan, used, slot_grads, out):
    """Sum each Gaussian's slots and write its gradients at its index.

    Args:
        plan: order, first_slot, splats.
        used: (M,) uint8, slots that the forward pass took.
        slot_grads: (M, 10), from `composite_backward`.
        out: v_means2d (N,2), v_conics (N,3), v_opacities (N,), v_colors (N,X), zeroed.
    """
    order, first_slot, splats = plan
    v_means2d, v_conics, v_opacities, v_colors = out
    for r in range(order.size):
        m0 = m1 = m2 = m11 = m12 = m22 = c0 = c1 = c2 = c3 = ZERO
        for slot in range(first_slot[r], first_slot[r + 1]):
            if used[slot]:
                m0 += slot_grads[slot, 0]
                m1 += slot_grads[slot, 1]
                m2 += slot_grads[slot, 2]
                m11 += slot_grads[slot, 3]
                m12 += slot_grads[slot, 4]
                m22 += slot_grads[slot, 5]
                c0 += slot_grads[slot, 6]
                c1 += slot_grads[slot, 7]
                c2 += slot_grads[slot, 8]
                c3 += slot_grads[slot, 9]
        n = order[r]
        # Chain rule through  power = a/2 dx^2 + b dx dy + c/2 dy^2,  dx = x - mean x,  and through
        # alpha = opacity exp(-power). The splat holds a/2 and c/2.
        a, b, c = TWO * splats[r, 2], splats[r, 3], TWO * splats[r, 4]
        v_means2d[n, 0], v_means2d[n, 1] = -(a * m1 + b * m2), -(b * m1 + c * m2)
        v_conics[n, 0], v_conics[n, 1], v_conics[n, 2] = HALF * m11, m12, HALF * m22
        v_opacities[n] += -m0 / splats[r, 5]
        channels = v_colors.shape[1]
        v_colors[n, 0] = c0
        if channels > 1:
            v_colors[n, 1] = c1
        if channels > 2:
            v_colors[n, 2] = c2
        if channels > 3:
            v_colors[n, 3] = c3
