"""Smooth random fields in space: wrinkles, skin, strands and backgrounds are made of them.

Value noise: random numbers at the corners of a cubic lattice, interpolated smoothly in between. It
is our own code because numpy and scipy have none, and because the gradient (for wrinkles) comes out
of the same loop.
"""

import numba
import numpy as np
from jaxtyping import Float

Cycles = float | tuple[float, float, float] | Float[np.ndarray, "3"]  # per metre, or per axis


@numba.njit(cache=True)
def _corner(i: int, j: int, k: int, seed: int) -> float:
    """A random number in [-1, 1] for one lattice corner, from an integer hash of its indices."""
    h = np.uint32(i) * np.uint32(374761393) + np.uint32(j) * np.uint32(668265263)
    h = h + np.uint32(k) * np.uint32(2147483647) + np.uint32(seed) * np.uint32(1274126177)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1103515245)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(2654435761)
    h = h ^ (h >> np.uint32(15))
    return np.float32(h & np.uint32(0xFFFFFF)) / np.float32(0x7FFFFF) - np.float32(1.0)


@numba.njit(cache=True)
def _noise(
    points: Float[np.ndarray, "N 3"],
    scale: Float[np.ndarray, "3"],
    seed: int,
    out: Float[np.ndarray, "N 4"],
) -> None:
    """Fill `out` with value, d/dx, d/dy, d/dz of trilinear lattice noise with smooth weights."""
    for n in range(points.shape[0]):
        x, y, z = points[n, 0] * scale[0], points[n, 1] * scale[1], points[n, 2] * scale[2]
        fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
        i, j, k = int(fx), int(fy), int(fz)
        x, y, z = x - fx, y - fy, z - fz
        # Smoothstep 3t^2 - 2t^3 and its derivative 6t(1 - t): flat at both ends, so that the
        # noise has no creases at the lattice planes.
        wx, wy, wz = x * x * (3 - 2 * x), y * y * (3 - 2 * y), z * z * (3 - 2 * z)
        dx, dy, dz = 6 * x * (1 - x), 6 * y * (1 - y), 6 * z * (1 - z)
        value = gx = gy = gz = 0.0
        for a in range(2):
            ax = wx if a else 1 - wx
            for b in range(2):
                by = wy if b else 1 - wy
                for c in range(2):
                    cz = wz if c else 1 - wz
                    v = _corner(i + a, j + b, k + c, seed)
                    value += v * ax * by * cz
                    gx += v * (dx if a else -dx) * by * cz
                    gy += v * (dy if b else -dy) * ax * cz
                    gz += v * (dz if c else -dz) * ax * by
        out[n, 0] = value
        out[n, 1], out[n, 2], out[n, 3] = gx * scale[0], gy * scale[1], gz * scale[2]


def noise_and_gradient(
    points: Float[np.ndarray, "N 3"], cycles_per_m: Cycles, seed: int
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N 3"]]:
    """Noise in [-1, 1] and its gradient (1/m).

    Args:
        points: positions, metres.
        cycles_per_m: lattice cells per metre, one number or one per axis.
        seed: other seeds give independent fields.
    """
    points = np.ascontiguousarray(points, np.float32)
    scale = np.broadcast_to(np.asarray(cycles_per_m, np.float32), (3,)).copy()
    out = np.empty((len(points), 4), np.float32)
    _noise(points, scale, int(seed) & 0x7FFFFFFF, out)
    return out[:, 0], out[:, 1:]


def noise(
    points: Float[np.ndarray, "N 3"], cycles_per_m: Cycles, seed: int, *, octaves: int = 1
) -> Float[np.ndarray, " N"]:
    """Noise of about [-1, 1].

    Args:
        points: positions, metres.
        cycles_per_m: lattice cells per metre, one number or one per axis.
        seed: other seeds give independent fields.
        octaves: how many noises are summed; each has twice the frequency and half the height of the
            one before.
    """
    frequency = np.asarray(cycles_per_m, np.float32)
    total = noise_and_gradient(points, frequency, seed)[0].copy()
    for octave in range(1, octaves):
        total += 0.5**octave * noise_and_gradient(points, frequency * 2**octave, seed + octave)[0]
    return total
