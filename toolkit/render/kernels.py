"""Numba kernels that composite a tile front to back, and its backward pass, front to back too.

For one pixel, T the light that still passes, w_i = alpha_i T_i, and q_i = colour_i . v with v the
loss gradient of the pixel:  d loss / d alpha_i = T_i q_i - R_i / (1 - alpha_i),  where R_i is what
all later Gaussians and the background add to the loss. R starts at its total, known from the
forward picture, and loses w_i q_i at each step, so no list of pairs is stored.
"""

import math

import numpy as np
from numba import njit

from toolkit.render.projection import ALPHA_MIN

ALPHA_MAX = np.float32(0.999)  # gsplat 1.5.3
T_STOP = np.float32(1e-4)      # a pixel is full when the next T would be this or less
_CUT = np.float32(ALPHA_MIN)
_ONE, _ZERO, _HALF, _TWO = np.float32(1), np.float32(0), np.float32(0.5), np.float32(2)

_fast = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})


@_fast
def _alpha(splat, dx, dy):
    """Alpha before the cap, and its Gaussian factor."""
    power = dx * (splat[2] * dx + splat[3] * dy) + splat[4] * dy * dy
    return splat[5] * math.exp(-max(power, _ZERO)), power


@_fast
def _clip(box, x_from, y_from, tile_w, tile_h):
    return (max(box[0], x_from), min(box[1], x_from + tile_w),
            max(box[2], y_from), min(box[3], y_from + tile_h))


@_fast
def composite_forward(plan, size, background, out, start, stop):
    """Composite tiles start..stop of one picture.

    Args:
        plan: splats, boxes, offsets, entries of `toolkit.render.tiles`.
        size: width, height, tiles_x, tile_w, tile_h.
        background: (X,).
        out: picture (H,W,X), alpha (H,W), used (M,) uint8 by slot.
    """
    splats, boxes, offsets, entries = plan
    width, height, tiles_x, tile_w, tile_h = size
    picture, alphas, used = out
    channels = picture.shape[2]
    light = np.empty((tile_h, tile_w), np.float32)  # T; negative once the pixel is full
    color = np.empty((tile_h, tile_w, channels), np.float32)
    for t in range(start, stop):
        x_from, y_from = (t % tiles_x) * tile_w, (t // tiles_x) * tile_h
        light[:] = _ONE
        color[:] = _ZERO
        for e in range(offsets[t], offsets[t + 1]):
            splat = splats[entries[e, 0]]
            x0, x1, y0, y1 = _clip(boxes[entries[e, 0]], x_from, y_from, tile_w, tile_h)
            hit = False
            for y in range(y0, y1):
                dy = np.float32(y) + _HALF - splat[1]
                for x in range(x0, x1):
                    T = light[y - y_from, x - x_from]
                    alpha, power = _alpha(splat, np.float32(x) + _HALF - splat[0], dy)
                    alpha = min(alpha, ALPHA_MAX)
                    if T <= _ZERO or power < _ZERO or alpha < _CUT:
                        continue
                    rest = T * (_ONE - alpha)
                    if rest <= T_STOP:
                        light[y - y_from, x - x_from] = -T
                        continue
                    hit = True
                    light[y - y_from, x - x_from] = rest
                    for k in range(channels):
                        color[y - y_from, x - x_from, k] += alpha * T * splat[6 + k]
            used[entries[e, 1]] = hit
        for y in range(y_from, min(y_from + tile_h, height)):
            for x in range(x_from, min(x_from + tile_w, width)):
                T = abs(light[y - y_from, x - x_from])
                alphas[y, x] = _ONE - T
                for k in range(channels):
                    picture[y, x, k] = color[y - y_from, x - x_from, k] + T * background[k]


@_fast
def composite_backward(plan, size, kept, grads, slot_grads, start, stop):
    """Gradients of tiles start..stop, one row a slot.

    Args:
        kept: picture (H,W,X), alpha (H,W), used (M,).
        grads: v_picture (H,W,X), v_alpha (H,W).
        slot_grads: (M, 6 + X): gradient of mean x, mean y, conic a, b, c, opacity, colour.
    """
    splats, boxes, offsets, entries = plan
    width, height, tiles_x, tile_w, tile_h = size
    picture, alphas, used = kept
    v_picture, v_alphas = grads
    channels = picture.shape[2]
    light = np.empty((tile_h, tile_w), np.float32)
    later = np.empty((tile_h, tile_w), np.float32)
    for t in range(start, stop):
        if offsets[t] == offsets[t + 1]:
            continue
        x_from, y_from = (t % tiles_x) * tile_w, (t // tiles_x) * tile_h
        for y in range(y_from, min(y_from + tile_h, height)):
            for x in range(x_from, min(x_from + tile_w, width)):
                total = -(_ONE - alphas[y, x]) * v_alphas[y, x]
                for k in range(channels):
                    total += v_picture[y, x, k] * picture[y, x, k]
                later[y - y_from, x - x_from] = total
                light[y - y_from, x - x_from] = _ONE
        for e in range(offsets[t], offsets[t + 1]):
            slot = entries[e, 1]
            slot_grads[slot, :] = _ZERO
            if not used[slot]:
                continue
            splat = splats[entries[e, 0]]
            x0, x1, y0, y1 = _clip(boxes[entries[e, 0]], x_from, y_from, tile_w, tile_h)
            m0 = mx = my = mxx = mxy = myy = _ZERO
            for y in range(y0, y1):
                dy = np.float32(y) + _HALF - splat[1]
                for x in range(x0, x1):
                    T = light[y - y_from, x - x_from]
                    dx = np.float32(x) + _HALF - splat[0]
                    raw, power = _alpha(splat, dx, dy)
                    alpha = min(raw, ALPHA_MAX)
                    if T <= _ZERO or power < _ZERO or alpha < _CUT:
                        continue
                    rest = T * (_ONE - alpha)
                    if rest <= T_STOP:
                        light[y - y_from, x - x_from] = -T
                        continue
                    q = _ZERO
                    for k in range(channels):
                        q += splat[6 + k] * v_picture[y, x, k]
                        slot_grads[slot, 6 + k] += alpha * T * v_picture[y, x, k]
                    remains = later[y - y_from, x - x_from] - alpha * T * q
                    later[y - y_from, x - x_from] = remains
                    light[y - y_from, x - x_from] = rest
                    if raw > ALPHA_MAX:
                        continue
                    v_power = -alpha * (T * q - remains / (_ONE - alpha))
                    m0 += v_power
                    mx += v_power * dx
                    my += v_power * dy
                    mxx += v_power * dx * dx
                    mxy += v_power * dx * dy
                    myy += v_power * dy * dy
            slot_grads[slot, 0] = -(_TWO * splat[2] * mx + splat[3] * my)
            slot_grads[slot, 1] = -(splat[3] * mx + _TWO * splat[4] * my)
            slot_grads[slot, 2], slot_grads[slot, 3] = _HALF * mxx, mxy
            slot_grads[slot, 4], slot_grads[slot, 5] = _HALF * myy, -m0 / splat[5]


@_fast
def sum_slots(order, first_slot, slot_grads, out):
    """Sum each Gaussian's slots and write them at its index.

    Args:
        out: v_means2d (N,2), v_conics (N,3), v_opacities (N,), v_colors (N,X), zeroed.
    """
    v_means2d, v_conics, v_opacities, v_colors = out
    total = np.empty(slot_grads.shape[1], np.float32)
    for r in range(order.size):
        total[:] = _ZERO
        for slot in range(first_slot[r], first_slot[r + 1]):
            for k in range(total.size):
                total[k] += slot_grads[slot, k]
        n = order[r]
        v_means2d[n, 0], v_means2d[n, 1] = total[0], total[1]
        v_conics[n, 0], v_conics[n, 1], v_conics[n, 2] = total[2], total[3], total[4]
        v_opacities[n] = total[5]
        for k in range(v_colors.shape[1]):
            v_colors[n, k] = total[6 + k]
