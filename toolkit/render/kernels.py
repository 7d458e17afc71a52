"""Numba kernels that composite a tile front to back, and its backward pass, front to back too.

For one pixel, T the light that still passes, w_i = alpha_i T_i, and q_i = colour_i . v with v the
loss gradient of the pixel:  d loss / d alpha_i = T_i q_i - R_i / (1 - alpha_i),  where R_i is what
all later Gaussians and the background add to the loss. R starts at its total, known from the
forward picture, and loses w_i q_i at each step, so no list of pairs is stored.

Loops go Gaussian by Gaussian, then over the rows of its box, eight pixels at a time. Four channels
are composited at once. A tile keeps flat planes (T, R, colour or v) with eight spare columns, so
that eight lanes may start at any pixel; spare columns hold T = 0 and stay out of every sum.
"""

import math

import numpy as np
from numba import njit

from toolkit.render.projection import ALPHA_MIN
from toolkit.render.simd import (
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

ALPHA_MAX = np.float32(0.999)  # gsplat 1.5.3
T_STOP = np.float32(1e-4)      # a pixel is full when the next T would be this or less
CHANNELS = 4
SPLAT = 12                     # floats a packed splat, see tiles.pack_splats
_CUT = np.float32(ALPHA_MIN)
_ONE, _ZERO, _HALF, _TWO = np.float32(1), np.float32(0), np.float32(0.5), np.float32(2)
_EXP = tuple(np.float32(c) for c in (  # exp(-u) on [0, 1], relative error 3e-8
    1.0, -0.9999985471, 0.4999738932, -0.1665062155, 0.0412022980, -0.0076336977, 0.0008417204))
_CHECK = 32  # splats between two looks whether the tile is full

_fast = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
_inline = njit(forceinline=True, error_model="numpy", fastmath={"contract", "nsz"})


def scratch(tile: tuple[int, int]) -> np.ndarray:
    """Planes of one tile of (width, height) pixels: T, R, and four channels."""
    return np.empty((2 + CHANNELS) * (tile[0] + LANES) * tile[1], np.float32)


@_inline
def _exp_minus(power):
    """exp(-power) = exp(-power / 8)^8; power above 8 counts as 8, fainter than ALPHA_MIN."""
    u = smaller(power, lanes(8.0)) * lanes(0.125)
    e = lanes(_EXP[5]) + u * lanes(_EXP[6])
    e = lanes(_EXP[4]) + u * e
    e = lanes(_EXP[3]) + u * e
    e = lanes(_EXP[2]) + u * e
    e = lanes(_EXP[1]) + u * e
    e = lanes(_EXP[0]) + u * e
    e = e * e
    e = e * e
    return e * e


@_inline
def _row_span(splat, mx, dy, x0, x1):
    """Pixels x0..x1 of a row, cut to where the splat is at least ALPHA_MIN; short rows stay."""
    if x1 - x0 <= LANES:
        return x0, x1
    a, by = peek(splat, 2), peek(splat, 3) * dy
    inside = by * by - _TWO * _TWO * a * (peek(splat, 4) * dy * dy - peek(splat, 6))
    if inside <= _ZERO:
        return x0, x0
    half, scale = math.sqrt(inside), _HALF / a
    middle = mx - _HALF
    low, high = middle - (by + half) * scale, middle - (by - half) * scale
    return max(x0, int(math.ceil(low))), min(x1, int(math.floor(high)) + 1)


@_inline
def _all_full(light, plane):
    """True if no pixel of the tile lets more than T_STOP through."""
    for k in range(0, plane, LANES):
        if any_lane(load(light, k) > lanes(0.0)):
            return False
    return True


@_inline
def _splat_forward(splat, clip, corner, tile, stride):
    """Add one splat to a tile; True if any pixel took it.

    Args:
        splat, tile: addresses of its packed values and of the tile's planes.
        clip: x0, x1, y0, y1 in tile pixels.
        corner: the tile's first pixel; stride, plane: floats a row and a plane.
    """
    x0, x1, y0, y1 = clip
    stride, plane = stride
    mx, my = peek(splat, 0) - np.float32(corner[0]), peek(splat, 1) - np.float32(corner[1])
    ha, b, hc, opacity = lanes(peek(splat, 2)), peek(splat, 3), peek(splat, 4), lanes(peek(splat, 5))
    c0, c1, c2, c3 = (lanes(peek(splat, 8)), lanes(peek(splat, 9)), lanes(peek(splat, 10)),
                      lanes(peek(splat, 11)))
    taken = lanes(0.0)
    for y in range(y0, y1):
        dy = np.float32(y) + _HALF - my
        by, cy = lanes(b * dy), lanes(hc * dy * dy)
        start, stop = _row_span(splat, mx, dy, x0, x1)
        for x in range(start, stop, LANES):
            at = y * stride + x
            T = load(tile, at)
            dx = lanes(np.float32(x) + _HALF - mx) + counting()
            alpha = smaller(opacity * _exp_minus(dx * (ha * dx + by) + cy), lanes(ALPHA_MAX))
            hit = (alpha >= lanes(_CUT)) & (T > lanes(0.0))
            weight = where(hit, alpha * T, lanes(0.0))
            rest = T - weight
            full = (rest <= lanes(T_STOP)) & hit
            weight = where(full, lanes(0.0), weight)
            store(tile, at, where(full, lanes(0.0) - T, rest))
            taken = taken + weight
            at += 2 * plane
            store(tile, at, load(tile, at) + weight * c0)
            store(tile, at + plane, load(tile, at + plane) + weight * c1)
            store(tile, at + 2 * plane, load(tile, at + 2 * plane) + weight * c2)
            store(tile, at + 3 * plane, load(tile, at + 3 * plane) + weight * c3)
    return any_lane(taken > lanes(0.0))


@_fast
def _clear(planes, size):
    """T = 1 inside the tile, 0 in the spare columns; every other plane 0."""
    tile_w, tile_h = size
    stride = tile_w + LANES
    planes[:] = _ZERO
    for y in range(tile_h):
        planes[y * stride:y * stride + tile_w] = _ONE


@_fast
def _write_tile(planes, size, corner, background, picture, alphas):
    tile_w, tile_h = size
    stride = tile_w + LANES
    plane = stride * tile_h
    for y in range(corner[1], min(corner[1] + tile_h, picture.shape[0])):
        for x in range(corner[0], min(corner[0] + tile_w, picture.shape[1])):
            at = (y - corner[1]) * stride + x - corner[0]
            T = abs(planes[at])
            alphas[y, x] = _ONE - T
            for k in range(picture.shape[2]):
                picture[y, x, k] = planes[at + (2 + k) * plane] + T * background[k]


@_fast
def composite_forward(plan, size, background, out, planes, start, stop):
    """Composite tiles start..stop of one picture.

    Args:
        plan: splats, boxes, offsets, entries of `toolkit.render.tiles`.
        size: tiles_x, tile_w, tile_h.
        background: (X,), X <= 4.
        out: picture (H,W,X), alpha (H,W), used (M,) uint8 by slot.
        planes: from `scratch`, not shared with another thread.
    """
    splats, boxes, offsets, entries = plan
    tiles_x, tile_w, tile_h = size
    picture, alphas, used = out
    stride = tile_w + LANES, (tile_w + LANES) * tile_h
    splats_at, tile_at = splats.ctypes.data, planes.ctypes.data
    for t in range(start, stop):
        left, top = (t % tiles_x) * tile_w, (t // tiles_x) * tile_h
        _clear(planes, (tile_w, tile_h))
        done, first = False, offsets[t]
        for e in range(first, offsets[t + 1]):
            if (e - first) % _CHECK == _CHECK - 1 and not done:
                done = _all_full(tile_at, stride[1])
            rank, slot = entries[e, 0], entries[e, 1]
            hit = False
            if not done:
                clip = (max(boxes[rank, 0] - left, 0), min(boxes[rank, 1] - left, tile_w),
                        max(boxes[rank, 2] - top, 0), min(boxes[rank, 3] - top, tile_h))
                hit = _splat_forward(splats_at + 4 * SPLAT * rank, clip, (left, top), tile_at,
                                     stride)
            used[slot] = hit
        _write_tile(planes, (tile_w, tile_h), (left, top), background, picture, alphas)


@_fast
def _read_tile(planes, size, corner, kept, grads):
    """Fill the planes of the backward pass: T = 1, R = its total, v."""
    picture, alphas = kept
    v_picture, v_alphas = grads
    tile_w, tile_h = size
    stride = tile_w + LANES
    plane = stride * tile_h
    planes[:] = _ZERO
    for y in range(corner[1], min(corner[1] + tile_h, picture.shape[0])):
        for x in range(corner[0], min(corner[0] + tile_w, picture.shape[1])):
            at = (y - corner[1]) * stride + x - corner[0]
            rest = -(_ONE - alphas[y, x]) * v_alphas[y, x]
            for k in range(picture.shape[2]):
                rest += v_picture[y, x, k] * picture[y, x, k]
                planes[at + (2 + k) * plane] = v_picture[y, x, k]
            planes[at] = _ONE
            planes[at + plane] = rest


@_inline
def _splat_backward(splat, clip, corner, tile, stride):
    """Gradients of one splat from one tile; repeats the forward pass's decisions."""
    x0, x1, y0, y1 = clip
    stride, plane = stride
    mx, my = peek(splat, 0) - np.float32(corner[0]), peek(splat, 1) - np.float32(corner[1])
    ha, b, hc, opacity = lanes(peek(splat, 2)), peek(splat, 3), peek(splat, 4), lanes(peek(splat, 5))
    zero = lanes(0.0)
    m0, m1, m2, m11, m12, m22 = zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3 = zero, zero, zero, zero
    for y in range(y0, y1):
        row = np.float32(y) + _HALF - my
        dy, by, cy = lanes(row), lanes(b * row), lanes(hc * row * row)
        start, stop = _row_span(splat, mx, row, x0, x1)
        for x in range(start, stop, LANES):
            at = y * stride + x
            T = load(tile, at)
            dx = lanes(np.float32(x) + _HALF - mx) + counting()
            raw = opacity * _exp_minus(dx * (ha * dx + by) + cy)
            alpha = smaller(raw, lanes(ALPHA_MAX))
            hit = (alpha >= lanes(_CUT)) & (T > zero)
            weight = where(hit, alpha * T, zero)
            rest = T - weight
            full = (rest <= lanes(T_STOP)) & hit
            weight = where(full, zero, weight)
            store(tile, at, where(full, zero - T, rest))
            at += plane
            v0, v1, v2, v3 = (load(tile, at + plane), load(tile, at + 2 * plane),
                              load(tile, at + 3 * plane), load(tile, at + 4 * plane))
            q = weight * (lanes(peek(splat, 8)) * v0 + lanes(peek(splat, 9)) * v1
                          + lanes(peek(splat, 10)) * v2 + lanes(peek(splat, 11)) * v3)
            c0, c1, c2, c3 = c0 + weight * v0, c1 + weight * v1, c2 + weight * v2, c3 + weight * v3
            remains = load(tile, at) - q
            store(tile, at, remains)
            v_power = remains * alpha / (lanes(1.0) - alpha) - q
            v_power = where((weight > zero) & (raw <= lanes(ALPHA_MAX)), v_power, zero)
            along = v_power * dx
            m0, m1, m2 = m0 + v_power, m1 + along, m2 + v_power * dy
            m11, m12, m22 = m11 + along * dx, m12 + along * dy, m22 + v_power * (dy * dy)
    return total(m0), total(m1), total(m2), total(m11), total(m12), total(m22), \
        total(c0), total(c1), total(c2), total(c3)


@_fast
def composite_backward(plan, size, kept, grads, slot_grads, planes, start, stop):
    """Gradients of tiles start..stop, one row a slot; rows of unused slots are left undefined.

    Args:
        kept: picture (H,W,X), alpha (H,W), used (M,).
        grads: v_picture (H,W,X), v_alpha (H,W).
        slot_grads: (M, 10): sums of g, g dx, g dy, g dx^2, g dx dy, g dy^2 with g the gradient of
            the exponent, then the gradients of four channels.
    """
    splats, boxes, offsets, entries = plan
    tiles_x, tile_w, tile_h = size
    picture, alphas, used = kept
    stride = tile_w + LANES, (tile_w + LANES) * tile_h
    splats_at, tile_at = splats.ctypes.data, planes.ctypes.data
    for t in range(start, stop):
        if offsets[t] == offsets[t + 1]:
            continue
        left, top = (t % tiles_x) * tile_w, (t // tiles_x) * tile_h
        _read_tile(planes, (tile_w, tile_h), (left, top), (picture, alphas), grads)
        for e in range(offsets[t], offsets[t + 1]):
            rank, slot = entries[e, 0], entries[e, 1]
            if used[slot]:
                clip = (max(boxes[rank, 0] - left, 0), min(boxes[rank, 1] - left, tile_w),
                        max(boxes[rank, 2] - top, 0), min(boxes[rank, 3] - top, tile_h))
                (slot_grads[slot, 0], slot_grads[slot, 1], slot_grads[slot, 2],
                 slot_grads[slot, 3], slot_grads[slot, 4], slot_grads[slot, 5],
                 slot_grads[slot, 6], slot_grads[slot, 7], slot_grads[slot, 8],
                 slot_grads[slot, 9]) = _splat_backward(
                    splats_at + 4 * SPLAT * rank, clip, (left, top), tile_at, stride)


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
