"""Numba kernels that composite a tile front to back, and its backward pass, front to back too.

For one pixel, T the light that still passes, w_i = alpha_i T_i, and q_i = colour_i . v with v the
loss gradient of the pixel:  d loss / d alpha_i = T_i q_i - R_i / (1 - alpha_i),  where R_i is what
all later Gaussians and the background add to the loss. R starts at its total, known from the
forward picture, and loses w_i q_i at each step, so no list of pairs is stored.

Loops go Gaussian by Gaussian, then over strips of its box that are eight pixels wide, then down
the rows of a strip: dx stays the same, so a row costs little besides exp and blending. Four
channels are composited at once. A tile row holds T, R and four channels (colour or v) side by side,
each with eight spare columns, so that a strip may start at any pixel; spare columns hold T = 0 and
stay out of every sum.
"""

import math

import numpy as np
from numba import njit

from toolkit.render.cpu.project_covars import ALPHA_MIN
from toolkit.render.cpu.simd import (
    LANES,
    any_lane,
    counting,
    lanes,
    load,
    peek,
    smaller,
    store,
    total,
    where,
)
from toolkit.render.cpu.tiles import TILE_H, TILE_W

ALPHA_MAX = np.float32(0.999)  # gsplat 1.5.3
T_STOP = np.float32(1e-4)  # a pixel is full when the next T would be this or less
CHANNELS = 4
SPLAT = 12  # floats a packed splat, see tiles.pack_splats
_PLANE = TILE_W + LANES  # floats from T to R to the channels of one pixel
_ROW = (2 + CHANNELS) * _PLANE
_CUT = np.float32(ALPHA_MIN)
_ONE, _ZERO, _HALF = np.float32(1), np.float32(0), np.float32(0.5)
_TWO, _FOUR = np.float32(2), np.float32(4)
_EXP = tuple(
    np.float32(c)
    for c in (  # exp(-u) on [0, 1], relative error 3e-8
        1.0,
        -0.9999985471,
        0.4999738932,
        -0.1665062155,
        0.0412022980,
        -0.0076336977,
        0.0008417204,
    )
)
_CHECK = 32  # splats between two looks whether the tile is full

_fast = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
_inline = njit(forceinline=True, error_model="numpy", fastmath={"contract", "nsz"})


def scratch() -> np.ndarray:
    """Rows of one tile: T, R and four channels."""
    return np.empty((TILE_H, 2 + CHANNELS, _PLANE), np.float32)


@_inline
def _exp_minus(power):
    """exp(-power) = exp(-power / 8)^8; power above 8 counts as 8, fainter than ALPHA_MIN."""
    u = smaller(power, lanes(8.0)) * lanes(0.125)
    uu = u * u  # pairs first (Estrin): a shorter chain of waiting than Horner's rule
    low = (lanes(_EXP[0]) + u * lanes(_EXP[1])) + uu * (lanes(_EXP[2]) + u * lanes(_EXP[3]))
    high = (lanes(_EXP[4]) + u * lanes(_EXP[5])) + uu * lanes(_EXP[6])
    e = low + (uu * uu) * high
    e = e * e
    e = e * e
    return e * e


@_inline
def _strip_rows(splat, my, da, db, clip):
    """Rows of the strip dx in [da, db] where the splat can be visible, inside clip's rows."""
    ha, b, hc, reach, lean = (
        peek(splat, 2),
        peek(splat, 3),
        peek(splat, 4),
        peek(splat, 6),
        peek(splat, 7),
    )
    up, down = min(max(-lean, da), db), min(max(lean, da), db)  # dx of the topmost, lowest point
    root_up = math.sqrt(max(_ZERO, b * b * up * up - _FOUR * hc * (ha * up * up - reach)))
    root_down = math.sqrt(max(_ZERO, b * b * down * down - _FOUR * hc * (ha * down * down - reach)))
    scale = _HALF / hc
    first = my - (b * up + root_up) * scale - _HALF
    last = my - (b * down - root_down) * scale - _HALF
    first, last = max(first, np.float32(clip[2])), min(last, np.float32(clip[3] - 1))
    return int(first), int(last + _ONE)


@_inline
def _all_full(tile):
    """True if no pixel of the tile lets more than T_STOP through."""
    for y in range(TILE_H):
        for x in range(0, TILE_W, LANES):
            if any_lane(load(tile, y * _ROW + x) > lanes(0.0)):
                return False
    return True


@_inline
def _splat_forward(splat, clip, left, top, tile):
    """Add one splat to a tile; True if any pixel took it.

    Args:
        splat, tile: addresses of its packed values and of the tile's rows.
        clip: x0, x1, y0, y1 in tile pixels.
        left, top: the tile's first pixel.
    """
    x0, x1, y0, y1 = clip
    mx, my = peek(splat, 0) - np.float32(left), peek(splat, 1) - np.float32(top)
    hc, opacity = lanes(peek(splat, 4)), lanes(peek(splat, 5))
    c0, c1, c2, c3 = (
        lanes(peek(splat, 8)),
        lanes(peek(splat, 9)),
        lanes(peek(splat, 10)),
        lanes(peek(splat, 11)),
    )
    zero, taken = lanes(0.0), lanes(0.0)
    for x in range(x0, x1, LANES):
        left_dx = np.float32(x) + _HALF - mx
        if x1 - x0 > LANES:
            right_dx = np.float32(min(x + LANES, x1)) - _HALF - mx
            y0, y1 = _strip_rows(splat, my, left_dx, right_dx, clip)
        dx = lanes(left_dx) + counting()
        base, slope = lanes(peek(splat, 2)) * dx * dx, lanes(peek(splat, 3)) * dx
        dy = lanes(np.float32(y0) + _HALF - my)
        at = tile + 4 * (y0 * _ROW + x)
        for _ in range(y0, y1):
            T = load(at, 0)
            alpha = opacity * _exp_minus(base + dy * (slope + hc * dy))
            alpha = smaller(alpha, lanes(ALPHA_MAX))
            hit = (alpha >= lanes(_CUT)) & (T > zero)
            weight = where(hit, alpha * T, zero)
            rest = T - weight
            full = (rest <= lanes(T_STOP)) & hit
            weight = where(full, zero, weight)
            store(at, 0, where(full, zero - T, rest))
            store(at, 2 * _PLANE, load(at, 2 * _PLANE) + weight * c0)
            store(at, 3 * _PLANE, load(at, 3 * _PLANE) + weight * c1)
            store(at, 4 * _PLANE, load(at, 4 * _PLANE) + weight * c2)
            store(at, 5 * _PLANE, load(at, 5 * _PLANE) + weight * c3)
            taken = taken + weight
            dy = dy + lanes(1.0)
            at += 4 * _ROW
    return any_lane(taken > zero)


@_fast
def _write_tile(rows, left, top, background, picture, alphas):
    height, width, channels = picture.shape
    wide = min(TILE_W, width - left)
    for y in range(min(TILE_H, height - top)):
        for x in range(wide):
            alphas[top + y, left + x] = _ONE - abs(rows[y, 0, x])
        if channels >= 3:  # spelled out: the compiler then writes whole vectors
            for x in range(wide):
                T = abs(rows[y, 0, x])
                picture[top + y, left + x, 0] = rows[y, 2, x] + T * background[0]
                picture[top + y, left + x, 1] = rows[y, 3, x] + T * background[1]
                picture[top + y, left + x, 2] = rows[y, 4, x] + T * background[2]
        for k in range(3 if channels >= 3 else 0, channels):
            for x in range(wide):
                picture[top + y, left + x, k] = (
                    rows[y, 2 + k, x] + abs(rows[y, 0, x]) * background[k]
                )


@_fast
def composite_forward(plan, background, out, rows, start, stop):
    """Composite tiles start..stop of one picture.

    Args:
        plan: splats, boxes, offsets, entries of `toolkit.render.cpu.tiles`.
        background: (X,), X <= 4.
        out: picture (H,W,X), alpha (H,W), used (M,) uint8 by slot.
        rows: from `scratch`, not shared with another thread.
    """
    splats, boxes, offsets, entries = plan
    picture, alphas, used = out
    tiles_x = (picture.shape[1] + TILE_W - 1) // TILE_W
    splats_at, tile = splats.ctypes.data, rows.ctypes.data
    for t in range(start, stop):
        left, top = (t % tiles_x) * TILE_W, (t // tiles_x) * TILE_H
        rows[:] = _ZERO
        rows[:, 0, :TILE_W] = _ONE
        done, first = False, offsets[t]
        for e in range(first, offsets[t + 1]):
            if (e - first) % _CHECK == _CHECK - 1 and not done:
                done = _all_full(tile)
            rank, slot = entries[e, 0], entries[e, 1]
            hit = False
            if not done:
                clip = (
                    max(boxes[rank, 0] - left, 0),
                    min(boxes[rank, 1] - left, TILE_W),
                    max(boxes[rank, 2] - top, 0),
                    min(boxes[rank, 3] - top, TILE_H),
                )
                hit = _splat_forward(splats_at + 4 * SPLAT * rank, clip, left, top, tile)
            used[slot] = hit
        _write_tile(rows, left, top, background, picture, alphas)


@_fast
def _read_tile(rows, left, top, kept, grads):
    """Rows of the backward pass: T = 1, R = its total, v."""
    picture, alphas = kept
    v_picture, v_alphas = grads
    height, width, channels = picture.shape
    wide = min(TILE_W, width - left)
    rows[:] = _ZERO
    rows[:, 0, :wide] = _ONE
    for y in range(min(TILE_H, height - top)):
        for x in range(wide):
            rows[y, 1, x] = (alphas[top + y, left + x] - _ONE) * v_alphas[top + y, left + x]
        if channels >= 3:
            for x in range(wide):
                v0, v1, v2 = (
                    v_picture[top + y, left + x, 0],
                    v_picture[top + y, left + x, 1],
                    v_picture[top + y, left + x, 2],
                )
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
    rows[min(TILE_H, height - top) :, 0] = _ZERO


@_inline
def _splat_backward(splat, clip, left, top, tile):
    """Gradient sums of one splat from one tile; repeats the forward pass's decisions."""
    x0, x1, y0, y1 = clip
    mx, my = peek(splat, 0) - np.float32(left), peek(splat, 1) - np.float32(top)
    hc, opacity, zero = lanes(peek(splat, 4)), lanes(peek(splat, 5)), lanes(0.0)
    m0, m1, m2, m11, m12, m22 = zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3 = zero, zero, zero, zero
    for x in range(x0, x1, LANES):
        left_dx = np.float32(x) + _HALF - mx
        if x1 - x0 > LANES:
            right_dx = np.float32(min(x + LANES, x1)) - _HALF - mx
            y0, y1 = _strip_rows(splat, my, left_dx, right_dx, clip)
        dx = lanes(left_dx) + counting()
        base, slope = lanes(peek(splat, 2)) * dx * dx, lanes(peek(splat, 3)) * dx
        dy = lanes(np.float32(y0) + _HALF - my)
        at = tile + 4 * (y0 * _ROW + x)
        s0, s2, s22 = zero, zero, zero
        for _ in range(y0, y1):
            T = load(at, 0)
            raw = opacity * _exp_minus(base + dy * (slope + hc * dy))
            alpha = smaller(raw, lanes(ALPHA_MAX))
            hit = (alpha >= lanes(_CUT)) & (T > zero)
            weight = where(hit, alpha * T, zero)
            rest = T - weight
            full = (rest <= lanes(T_STOP)) & hit
            weight = where(full, zero, weight)
            store(at, 0, where(full, zero - T, rest))
            v0, v1, v2, v3 = (
                load(at, 2 * _PLANE),
                load(at, 3 * _PLANE),
                load(at, 4 * _PLANE),
                load(at, 5 * _PLANE),
            )
            q = weight * (
                lanes(peek(splat, 8)) * v0
                + lanes(peek(splat, 9)) * v1
                + lanes(peek(splat, 10)) * v2
                + lanes(peek(splat, 11)) * v3
            )
            c0, c1, c2, c3 = c0 + weight * v0, c1 + weight * v1, c2 + weight * v2, c3 + weight * v3
            remains = load(at, _PLANE) - q
            store(at, _PLANE, remains)
            g = remains * alpha / (lanes(1.0) - alpha) - q
            g = where((weight > zero) & (raw <= lanes(ALPHA_MAX)), g, zero)
            s0, s2, s22 = s0 + g, s2 + g * dy, s22 + g * dy * dy
            dy = dy + lanes(1.0)
            at += 4 * _ROW
        m0, m1, m11 = m0 + s0, m1 + s0 * dx, m11 + s0 * dx * dx
        m2, m12, m22 = m2 + s2, m12 + s2 * dx, m22 + s22
    return (
        total(m0),
        total(m1),
        total(m2),
        total(m11),
        total(m12),
        total(m22),
        total(c0),
        total(c1),
        total(c2),
        total(c3),
    )


@_fast
def composite_backward(plan, kept, grads, slot_grads, rows, start, stop):
    """Gradients of tiles start..stop, one row a slot; rows of unused slots are left undefined.

    Args:
        kept: picture (H,W,X), alpha (H,W), used (M,).
        grads: v_picture (H,W,X), v_alpha (H,W).
        slot_grads: (M, 10): sums of g, g dx, g dy, g dx^2, g dx dy, g dy^2 with g the gradient of
            the exponent, then the gradients of four channels.
    """
    splats, boxes, offsets, entries = plan
    picture, alphas, used = kept
    tiles_x = (picture.shape[1] + TILE_W - 1) // TILE_W
    splats_at, tile = splats.ctypes.data, rows.ctypes.data
    for t in range(start, stop):
        if offsets[t] == offsets[t + 1]:
            continue
        left, top = (t % tiles_x) * TILE_W, (t // tiles_x) * TILE_H
        _read_tile(rows, left, top, (picture, alphas), grads)
        for e in range(offsets[t], offsets[t + 1]):
            rank, slot = entries[e, 0], entries[e, 1]
            if used[slot]:
                clip = (
                    max(boxes[rank, 0] - left, 0),
                    min(boxes[rank, 1] - left, TILE_W),
                    max(boxes[rank, 2] - top, 0),
                    min(boxes[rank, 3] - top, TILE_H),
                )
                (
                    slot_grads[slot, 0],
                    slot_grads[slot, 1],
                    slot_grads[slot, 2],
                    slot_grads[slot, 3],
                    slot_grads[slot, 4],
                    slot_grads[slot, 5],
                    slot_grads[slot, 6],
                    slot_grads[slot, 7],
                    slot_grads[slot, 8],
                    slot_grads[slot, 9],
                ) = _splat_backward(splats_at + 4 * SPLAT * rank, clip, left, top, tile)


@_fast
def sum_slots(plan, used, slot_grads, out):
    """Sum each Gaussian's slots and write its gradients at its index.

    Args:
        plan: order, first_slot, splats.
        out: v_means2d (N,2), v_conics (N,3), v_opacities (N,), v_colors (N,X), zeroed.
    """
    order, first_slot, splats = plan
    v_means2d, v_conics, v_opacities, v_colors = out
    for r in range(order.size):
        m0 = m1 = m2 = m11 = m12 = m22 = c0 = c1 = c2 = c3 = _ZERO
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
        a, b, c = _TWO * splats[r, 2], splats[r, 3], _TWO * splats[r, 4]
        v_means2d[n, 0], v_means2d[n, 1] = -(a * m1 + b * m2), -(b * m1 + c * m2)
        v_conics[n, 0], v_conics[n, 1], v_conics[n, 2] = _HALF * m11, m12, _HALF * m22
        v_opacities[n] += -m0 / splats[r, 5]
        channels = v_colors.shape[1]
        v_colors[n, 0] = c0
        if channels > 1:
            v_colors[n, 1] = c1
        if channels > 2:
            v_colors[n, 2] = c2
        if channels > 3:
            v_colors[n, 3] = c3
