"""What the forward and the backward compositing kernels share: a tile in memory, and one strip.

A tile is 32 x 32 pixels. Its rows are kept in a small array that stays in the processor's first
cache. One row of the tile holds six planes side by side:

    T | R | channel 0 | channel 1 | channel 2 | channel 3

T is the transmittance, the share of light that still passes through the pixel. The channels are
the colour so far (forward) or the loss gradient of the pixel (backward). R is used by the backward
pass alone, see `toolkit.render.cpu.composite_backward`.

The loops go Gaussian by Gaussian (near to far), then over strips of its box that are eight pixels
wide, then down the rows of a strip. The eight pixels are the eight lanes of `simd`. Within a strip
dx = x - mean x stays the same from row to row, so a row costs little besides exp and blending.

Each plane has eight spare columns, so that a strip may start at any pixel. They hold T = 0, and a
pixel with T <= 0 takes no light, so they stay out of every sum.
"""

import math

import numpy as np

from toolkit.render.cpu.jit import inline
from toolkit.render.cpu.rules import ALPHA_MIN
from toolkit.render.cpu.simd import LANES, lanes, load, peek, smaller
from toolkit.render.cpu.tiles import TILE_H, TILE_W

CHANNELS = 4  # composited at once; wider features take several passes
SPLAT = 12  # floats per packed splat, see `tiles.pack_splats`
PLANE = TILE_W + LANES  # floats from T to R to the channels of the same pixel
ROW = (2 + CHANNELS) * PLANE  # floats from one row of the tile to the next
CUT = np.float32(ALPHA_MIN)
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
TWO, FOUR = np.float32(2), np.float32(4)

# Polynomial for exp(-u) on [0, 1], relative error 3e-8. `math.exp` works on one number at a time,
# but the kernels need eight lanes at once.
_EXP = (
    np.float32(1.0),
    np.float32(-0.9999985471),
    np.float32(0.4999738932),
    np.float32(-0.1665062155),
    np.float32(0.0412022980),
    np.float32(-0.0076336977),
    np.float32(0.0008417204),
)


def scratch() -> np.ndarray:
    """Memory for the rows of one tile; every thread needs its own."""
    return np.empty((TILE_H, 2 + CHANNELS, PLANE), np.float32)


@inline
def exp_minus(power):
    """exp(-power), as exp(-power / 8)^8.

    A power above 8 counts as 8. This changes nothing visible: exp(-8) is below ALPHA_MIN.
    """
    u = smaller(power, lanes(8.0)) * lanes(0.125)
    uu = u * u  # pairs first (Estrin): a shorter chain of waiting than Horner's rule
    low = (lanes(_EXP[0]) + u * lanes(_EXP[1])) + uu * (lanes(_EXP[2]) + u * lanes(_EXP[3]))
    high = (lanes(_EXP[4]) + u * lanes(_EXP[5])) + uu * lanes(_EXP[6])
    e = low + (uu * uu) * high
    e = e * e
    e = e * e
    return e * e


@inline
def strip_rows(splat, my, da, db, clip):
    """First and last row of the strip dx in [da, db] where the splat can be visible.

    The splat is visible inside the ellipse  a/2 dx^2 + b dx dy + c/2 dy^2 <= reach.  For one dx
    this is a quadratic in dy; its two roots are the ellipse's upper and lower edge. The topmost
    point of the ellipse lies at dx = -lean, the lowest at dx = lean. If it lies outside the strip,
    the nearer border of the strip is the highest (or lowest) place of the ellipse within it.
    """
    ha, b, hc = peek(splat, 2), peek(splat, 3), peek(splat, 4)
    reach, lean = peek(splat, 6), peek(splat, 7)
    up, down = min(max(-lean, da), db), min(max(lean, da), db)  # dx of the topmost, lowest point
    root_up = math.sqrt(max(ZERO, b * b * up * up - FOUR * hc * (ha * up * up - reach)))
    root_down = math.sqrt(max(ZERO, b * b * down * down - FOUR * hc * (ha * down * down - reach)))
    scale = HALF / hc
    first = my - (b * up + root_up) * scale - HALF
    last = my - (b * down - root_down) * scale - HALF
    first, last = max(first, np.float32(clip[2])), min(last, np.float32(clip[3] - 1))
    return int(first), int(last + ONE)


@inline
def tile_clip(boxes, rank, left, top):
    """The splat's box in pixels of the tile whose first pixel is (left, top): x0, x1, y0, y1."""
    return (
        max(boxes[rank, 0] - left, 0),
        min(boxes[rank, 1] - left, TILE_W),
        max(boxes[rank, 2] - top, 0),
        min(boxes[rank, 3] - top, TILE_H),
    )


@inline
def load_channels(at):
    """The four channel planes at a place of the tile."""
    return load(at, 2 * PLANE), load(at, 3 * PLANE), load(at, 4 * PLANE), load(at, 5 * PLANE)
