"""Numba kernels that composite a tile front to back.

For every pixel, and every Gaussian i from near to far (3DGS, equation 3):

    alpha_i = opacity_i exp(-(a/2 dx^2 + b dx dy + c/2 dy^2))    (a, b, c): the conic, cov^-1
    colour += T alpha_i colour_i                                 T: light that still passes
    T      *= 1 - alpha_i

Near to far, and not the other way round, because a pixel can then stop early: once T is almost
zero, nothing behind can be seen. Background fills what is left: colour + T background.

The layout of a tile in memory is described in `toolkit.render.cpu.composite_shared`.

Source: Kerbl et al. 2023 (3DGS); gsplat 1.5.3, RasterizeToPixels3DGSFwd.cu.
"""

import numpy as np

from toolkit.render.cpu.composite_shared import (
    CUT,
    HALF,
    ONE,
    PLANE,
    ROW,
    SPLAT,
    ZERO,
    exp_minus,
    strip_rows,
    tile_clip,
)
from toolkit.render.cpu.jit import inline, kernel
from toolkit.render.cpu.rules import ALPHA_MAX, T_STOP
from toolkit.render.cpu.simd import (
    LANES,
    any_lane,
    counting,
    lanes,
    load,
    peek,
    smaller,
    store,
    where,
)
from toolkit.render.cpu.tiles import TILE_H, TILE_W

_CHECK = 32  # splats between two looks whether the tile is full


@kernel
def composite_forward(plan, background, out, rows, start, stop):
    """Composite tiles start..stop of one picture.

    Args:
        plan: splats, boxes, offsets, entries of `toolkit.render.cpu.tiles`.
        background: (X,), X <= 4.
        out: picture (H,W,X), alpha (H,W), used (M,) uint8: did any pixel take this slot? The
            backward pass skips the others.
        rows: from `scratch`, not shared with another thread.
    """
    splats, boxes, offsets, entries = plan
    picture, alphas, used = out
    tiles_x = (picture.shape[1] + TILE_W - 1) // TILE_W
    splats_at, tile = splats.ctypes.data, rows.ctypes.data
    for t in range(start, stop):
        left, top = (t % tiles_x) * TILE_W, (t // tiles_x) * TILE_H
        rows[:] = ZERO
        rows[:, 0, :TILE_W] = ONE  # all light passes at first; the spare columns stay at T = 0
        done, first = False, offsets[t]
        for e in range(first, offsets[t + 1]):
            if (e - first) % _CHECK == _CHECK - 1 and not done:
                done = _all_full(tile)
            rank, slot = entries[e, 0], entries[e, 1]
            hit = False
            if not done:
                clip = tile_clip(boxes, rank, left, top)
                hit = _splat_forward(splats_at + 4 * SPLAT * rank, clip, left, top, tile)
            used[slot] = hit
        _write_tile(rows, left, top, background, picture, alphas)


@inline
def _all_full(tile):
    """True if no pixel of the tile lets more than T_STOP through."""
    for y in range(TILE_H):
        for x in range(0, TILE_W, LANES):
            if any_lane(load(tile, y * ROW + x) > lanes(0.0)):
                return False
    return True


@inline
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
    c0, c1 = lanes(peek(splat, 8)), lanes(peek(splat, 9))
    c2, c3 = lanes(peek(splat, 10)), lanes(peek(splat, 11))
    zero, taken = lanes(0.0), lanes(0.0)
    for x in range(x0, x1, LANES):
        left_dx = np.float32(x) + HALF - mx  # pixel centres lie at +0.5
        if x1 - x0 > LANES:  # a wide splat is slanted: each strip has rows of its own
            right_dx = np.float32(min(x + LANES, x1)) - HALF - mx
            y0, y1 = strip_rows(splat, my, left_dx, right_dx, clip)
        dx = lanes(left_dx) + counting()
        base, slope = lanes(peek(splat, 2)) * dx * dx, lanes(peek(splat, 3)) * dx
        dy = lanes(np.float32(y0) + HALF - my)
        at = tile + 4 * (y0 * ROW + x)  # addresses count bytes, a float has four
        for _ in range(y0, y1):
            T = load(at, 0)
            alpha = opacity * exp_minus(base + dy * (slope + hc * dy))
            alpha = smaller(alpha, lanes(ALPHA_MAX))
            hit = (alpha >= lanes(CUT)) & (T > zero)
            weight = where(hit, alpha * T, zero)
            rest = T - weight  # = T (1 - alpha)
            # The Gaussian that would fill the pixel is left out, as in gsplat. The sign of T then
            # marks the pixel as full, and its size still tells how much background shows.
            full = (rest <= lanes(T_STOP)) & hit
            weight = where(full, zero, weight)
            store(at, 0, where(full, zero - T, rest))
            store(at, 2 * PLANE, load(at, 2 * PLANE) + weight * c0)
            store(at, 3 * PLANE, load(at, 3 * PLANE) + weight * c1)
            store(at, 4 * PLANE, load(at, 4 * PLANE) + weight * c2)
            store(at, 5 * PLANE, load(at, 5 * PLANE) + weight * c3)
            taken = taken + weight
            dy = dy + lanes(1.0)
            at += 4 * ROW
    return any_lane(taken > zero)


@kernel
def _write_tile(rows, left, top, background, picture, alphas):
    """Copy a finished tile into the picture, over the background."""
    height, width, channels = picture.shape
    wide = min(TILE_W, width - left)
    for y in range(min(TILE_H, height - top)):
        for x in range(wide):
            alphas[top + y, left + x] = ONE - abs(rows[y, 0, x])
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
