"""Numba kernels that order the visible Gaussians of one picture and hand them to tiles.

One radix sort by depth for the whole picture, then a counting sort into tiles that keeps that
order: linear in Gaussians, and no sort per tile. A *rank* is a place in the depth order, a *slot*
is one (Gaussian, tile) pair; the slots of one rank are neighbours, so their gradients are summed
without atomics and always in the same order.

Letters: N Gaussians, R visible ones, M slots.

Source: Kerbl et al. 2023 (3DGS), section 6, for tiles; the exact boxes are ours.
"""

import math

import numpy as np

from toolkit.render.cpu.jit import kernel

TILE_W, TILE_H = 32, 32  # pixels, powers of two; the rows of one tile stay in the L1 cache
_ZERO, _HALF = np.float32(0), np.float32(0.5)
_MARGIN = np.float32(1e-3)  # boxes are a little generous; the kernels test every pixel's alpha


@kernel
def depth_order(radii, depth_bits):
    """Indices of the visible Gaussians, near to far; equal depths keep their order.

    Args:
        radii: (N,2) pixels; a Gaussian with radius 0 is not visible.
        depth_bits: (N,) uint32, the bits of positive float32 depths, which sort like the depths.
    """
    count = 0
    for n in range(radii.shape[0]):
        count += radii[n, 0] > 0 and radii[n, 1] > 0
    order, spare = np.empty(count, np.int32), np.empty(count, np.int32)
    # Radix sort: three passes over 11 bits each, the last digit first. Linear in N, and stable.
    histogram = np.zeros((3, 2048), np.int64)
    k = 0
    for n in range(radii.shape[0]):
        if radii[n, 0] > 0 and radii[n, 1] > 0:
            order[k] = n
            k += 1
            key = depth_bits[n]
            histogram[0, key & 2047] += 1
            histogram[1, (key >> 11) & 2047] += 1
            histogram[2, key >> 22] += 1
    for digit in range(3):
        total = 0
        for b in range(2048):
            count_of_digit = histogram[digit, b]
            histogram[digit, b] = total  # from counts to the place where each digit begins
            total += count_of_digit
        shift = 11 * digit
        for k in range(count):
            n = order[k]
            b = (depth_bits[n] >> shift) & 2047
            spare[histogram[digit, b]] = n
            histogram[digit, b] += 1
        order, spare = spare, order
    return order


@kernel
def _first_pixel(edge, size):
    """First pixel whose centre is at or after `edge`, in [0, size]; a call to ceil costs more."""
    return int(min(max(edge + _HALF, _ZERO), np.float32(size)))


@kernel
def pack_splats(order, geometry, reaches, colors, size):
    """Splats in depth order, and the half-open pixel boxes outside which they are too faint.

    Args:
        geometry: means2d (N,2), conics (N,3), opacities (N,).
        reaches: (N,) the exponent at which alpha falls below ALPHA_MIN, log(opacity / ALPHA_MIN).
        colors: (N,X), X <= 4.
        size: width and height in pixels.

    Returns:
        splats (R, 12): mean x, mean y, a/2, b, c/2, opacity, reach, dx of the lowest visible
            point, four channels (zeros after X).
        boxes (R, 4) int32: x0, x1, y0, y1; empty boxes have x1 <= x0 or y1 <= y0.
    """
    means2d, conics, opacities = geometry
    width, height = size
    splats = np.zeros((order.size, 12), np.float32)
    boxes = np.empty((order.size, 4), np.int32)
    for r in range(order.size):
        n = order[r]
        mx, my = means2d[n, 0], means2d[n, 1]
        a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
        reach = max(reaches[n], _ZERO) + _MARGIN
        splats[r, 0], splats[r, 1], splats[r, 5], splats[r, 6] = mx, my, opacities[n], reach
        splats[r, 2], splats[r, 3], splats[r, 4] = _HALF * a, b, _HALF * c
        for k in range(colors.shape[1]):
            splats[r, 8 + k] = colors[n, k]
        # Half width and height of the ellipse  a/2 dx^2 + b dx dy + c/2 dy^2 <= reach.
        det = (a + 0.0) * c - (b + 0.0) * b  # float64: needles cancel
        scale = np.float32(2.0 * reach / max(det, 1e-30))
        hx, hy = math.sqrt(scale * c), math.sqrt(scale * a)
        splats[r, 7] = -b * hy / a
        boxes[r, 0], boxes[r, 1] = _first_pixel(mx - hx, width), _first_pixel(mx + hx, width)
        boxes[r, 2], boxes[r, 3] = _first_pixel(my - hy, height), _first_pixel(my + hy, height)
    return splats, boxes


@kernel
def fill_tiles(boxes, tiles_x, tiles_y):
    """Slots of every tile, near to far.

    Returns:
        offsets (tiles + 1,): tile t owns entries offsets[t] to offsets[t + 1] of `entries`.
        entries (M, 2) int32: rank and slot.
        first_slot (R + 1,): slots first_slot[r] to first_slot[r + 1] belong to rank r.
    """
    count = boxes.shape[0]
    first_slot = np.empty(count + 1, np.int32)
    # Counting sort: first count the entries of every tile, then write each to its place.
    offsets = np.zeros(tiles_x * tiles_y + 1, np.int64)
    slot = 0
    for r in range(count):
        first_slot[r] = slot
        if boxes[r, 1] > boxes[r, 0] and boxes[r, 3] > boxes[r, 2]:
            for ty in range(boxes[r, 2] // TILE_H, (boxes[r, 3] - 1) // TILE_H + 1):
                for tx in range(boxes[r, 0] // TILE_W, (boxes[r, 1] - 1) // TILE_W + 1):
                    offsets[ty * tiles_x + tx + 1] += 1
                    slot += 1
    first_slot[count] = slot
    for t in range(tiles_x * tiles_y):
        offsets[t + 1] += offsets[t]
    entries = np.empty((slot, 2), np.int32)
    cursor = offsets[:-1].copy()  # where the next entry of each tile goes
    for r in range(count):
        slot = first_slot[r]
        if first_slot[r + 1] > slot:
            for ty in range(boxes[r, 2] // TILE_H, (boxes[r, 3] - 1) // TILE_H + 1):
                for tx in range(boxes[r, 0] // TILE_W, (boxes[r, 1] - 1) // TILE_W + 1):
                    t = ty * tiles_x + tx
                    entries[cursor[t], 0], entries[cursor[t], 1] = r, slot
                    cursor[t] += 1
                    slot += 1
    return offsets, entries, first_slot
