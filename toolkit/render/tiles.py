"""Numba kernels that order the visible Gaussians of one picture and hand them to tiles.

One radix sort by depth for the whole picture, then a counting sort into tiles that keeps that
order: linear in Gaussians, and no sort per tile. A *rank* is a place in the depth order, a *slot*
is one (Gaussian, tile) pair; the slots of one rank are neighbours, so their gradients are summed
without atomics and always in the same order.
"""

import math

import numpy as np
from numba import njit

from toolkit.render.projection import ALPHA_MIN

_fast = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})


@_fast
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
            here = histogram[digit, b]
            histogram[digit, b] = total
            total += here
        shift = 11 * digit
        for k in range(count):
            n = order[k]
            b = (depth_bits[n] >> shift) & 2047
            spare[histogram[digit, b]] = n
            histogram[digit, b] += 1
        order, spare = spare, order
    return order


@_fast
def pack_splats(order, means2d, conics, opacities, colors, size):
    """Splats in depth order, and the half-open pixel boxes outside which they are too faint.

    Returns:
        splats (R, 12): mean x, mean y, a/2, b, c/2, opacity, reach (the largest exponent that
            is visible), dx of the lowest visible point, four channels (zeros after X).
        boxes (R, 4) int32: x0, x1, y0, y1; empty boxes have x1 <= x0.
    """
    width, height = size
    channels = colors.shape[1]
    splats = np.zeros((order.size, 12), np.float32)
    boxes = np.empty((order.size, 4), np.int32)
    for r in range(order.size):
        n = order[r]
        mx, my = means2d[n, 0] + 0.0, means2d[n, 1] + 0.0
        a, b, c = conics[n, 0] + 0.0, conics[n, 1] + 0.0, conics[n, 2] + 0.0
        splats[r, 0], splats[r, 1] = mx, my
        splats[r, 2], splats[r, 3], splats[r, 4] = 0.5 * a, b, 0.5 * c
        splats[r, 5] = opacities[n]
        for k in range(channels):
            splats[r, 8 + k] = colors[n, k]
        reach = math.log(max(opacities[n] / ALPHA_MIN, 1.0)) * 1.0001 + 1e-4
        splats[r, 6] = reach
        det = max(a * c - b * b, 1e-30)
        hx, hy = math.sqrt(2 * reach * c / det), math.sqrt(2 * reach * a / det)
        splats[r, 7] = -b * hy / a
        boxes[r, 0] = max(0.0, math.ceil(max(mx - hx, -1.0) - 0.5))
        boxes[r, 1] = math.floor(min(mx + hx, width + 1.0) - 0.5) + 1
        boxes[r, 2] = max(0.0, math.ceil(max(my - hy, -1.0) - 0.5))
        boxes[r, 3] = math.floor(min(my + hy, height + 1.0) - 0.5) + 1
        boxes[r, 1], boxes[r, 3] = min(boxes[r, 1], width), min(boxes[r, 3], height)
    return splats, boxes


@_fast
def fill_tiles(boxes, tiles_x, tiles_y, tile_w, tile_h):
    """Slots of every tile, near to far.

    Returns:
        offsets (tiles + 1,): tile t owns entries offsets[t] to offsets[t + 1] of `entries`.
        entries (M, 2) int32: rank and slot.
        first_slot (R + 1,): slots first_slot[r] to first_slot[r + 1] belong to rank r.
    """
    count = boxes.shape[0]
    first_slot = np.zeros(count + 1, np.int64)
    offsets = np.zeros(tiles_x * tiles_y + 1, np.int64)
    for r in range(count):
        x0, x1, y0, y1 = boxes[r]
        first_slot[r + 1] = first_slot[r]
        if x1 > x0 and y1 > y0:
            for ty in range(y0 // tile_h, (y1 - 1) // tile_h + 1):
                for tx in range(x0 // tile_w, (x1 - 1) // tile_w + 1):
                    offsets[ty * tiles_x + tx + 1] += 1
                    first_slot[r + 1] += 1
    for t in range(tiles_x * tiles_y):
        offsets[t + 1] += offsets[t]
    entries = np.empty((first_slot[count], 2), np.int32)
    cursor = offsets[:-1].copy()
    slot = 0
    for r in range(count):
        x0, x1, y0, y1 = boxes[r]
        if x1 > x0 and y1 > y0:
            for ty in range(y0 // tile_h, (y1 - 1) // tile_h + 1):
                for tx in range(x0 // tile_w, (x1 - 1) // tile_w + 1):
                    t = ty * tiles_x + tx
                    entries[cursor[t], 0] = r
                    entries[cursor[t], 1] = slot
                    cursor[t] += 1
                    slot += 1
    return offsets, entries, first_slot
