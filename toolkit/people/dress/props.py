"""Rigid things on the head: bun, pony tail, long hair, a cap's brim and glasses.

They have no skin behind them, so they are modelled as small meshes in rest space and later carried
along with the head (`dress/assemble.py`).
"""

import numpy as np

from toolkit.people.arrays import Faces, Mesh, Points, Values
from toolkit.people.noise import noise


def _grid_faces(rows: int, cols: int) -> Faces:
    """Two triangles for every cell of a rows x cols vertex grid."""
    corner = (np.arange(rows - 1)[:, None] * cols + np.arange(cols - 1)).ravel()
    return np.concatenate(
        [
            np.stack([corner, corner + 1, corner + cols], 1),
            np.stack([corner + 1, corner + cols + 1, corner + cols], 1),
        ]
    )


def ellipsoid(centre: list[float], radii: list[float], *, rings: int = 10) -> Mesh:
    """Vertices and faces of an ellipsoid in rest space (metres)."""
    v, u = np.meshgrid(
        np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings), indexing="ij"
    )
    ball = np.stack([np.sin(v) * np.sin(u), np.cos(v), np.sin(v) * np.cos(u)], -1).reshape(-1, 3)
    return centre + ball * radii, _grid_faces(rings, 2 * rings)[:, ::-1]


def tube(centres: Points, radii: Values, *, sides: int = 10) -> Mesh:
    """A round tube.

    Args:
        centres: points along its middle, metres.
        radii: metres, one per centre.
        sides: vertices around.
    """
    centres = np.asarray(centres, float)
    ahead = np.gradient(centres, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    # Two directions across the tube; the fixed vector only has to differ from every `ahead`.
    side = np.cross(ahead, [0.123, 0.2, 0.97])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(ahead, side)
    angle = np.linspace(0, 2 * np.pi, sides)
    ring = (
        np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * other[:, None]
    )
    points = centres[:, None] + ring * np.asarray(radii)[:, None, None]
    return points.reshape(-1, 3), _grid_faces(len(centres), sides)


def bun() -> Mesh:
    """A bun high on the back of the head."""
    return ellipsoid([0, 0.748, -0.056], [0.033, 0.030, 0.028])


def ponytail(length: float) -> Mesh:
    """A tail from the back of the head, `length` metres long."""
    t = np.linspace(0, 1, 12)
    out = 0.055 * np.sin(np.pi * np.minimum(t * 1.6, 1) / 2)
    centres = np.stack([0 * t, 0.725 + 0.02 * np.sin(np.pi * t) - length * t, -0.045 - out], 1)
    return tube(centres, 0.004 + 0.024 * np.sin(np.pi * (0.12 + 0.84 * t)))


def curtain(length: float, wave: float, seed: int, *, top: float = 0.768) -> Mesh:
    """Long hair: a sheet around the back of the head, over the ears.

    Args:
        length: rest height (y) of the tips.
        wave: strength of the waves, 0 for straight hair.
        seed: of the uneven tips.
        top: rest height at which the sheet starts.
    """
    angle, down = np.meshgrid(np.linspace(-2.05, 2.05, 49), np.linspace(0, 1, 22), indexing="ij")
    points = np.stack([angle, 0 * angle, 0 * angle], -1).reshape(-1, 3)
    uneven = 0.010 * noise(points, 7, seed).reshape(angle.shape)
    y = top + (length + uneven - top) * down
    # Half-axes of the horizontal ellipse at some heights: wide at the head, narrow at the neck.
    heights = [0.30, 0.45, 0.53, 0.58, 0.62, 0.66, 0.70, 0.74, 0.77]
    wide = np.interp(y, heights, [0.094, 0.090, 0.082, 0.080, 0.084, 0.0875, 0.085, 0.076, 0.058])
    deep = np.interp(y, heights, [0.125, 0.132, 0.125, 0.112, 0.108, 0.112, 0.114, 0.100, 0.070])
    locks = 0.004 * np.sin(9 * angle + 3 * uneven / 0.01) * down
    curl = wave * 0.004 * np.sin(70 * y + 2.5 * angle) * down
    grow = 1 + (locks + curl) / 0.085
    x, z = wide * grow * np.sin(angle), 0.032 - deep * grow * np.cos(angle)
    return np.stack([x, y, z], -1).reshape(-1, 3), _grid_faces(49, 22)[:, ::-1]


def cap_brim() -> Mesh:
    """The peak of a cap."""
    angle, out = np.meshgrid(np.linspace(-0.98, 0.98, 15), np.linspace(0, 1, 5), indexing="ij")
    reach = 0.106 + 0.078 * out * np.cos(angle * 0.75)
    x, z = 0.68 * reach * np.sin(angle), 0.028 + reach * np.cos(angle)
    y = 0.737 - 0.022 * out - 1.1 * x**2
    top = np.stack([x, y, z], -1).reshape(-1, 3)
    return top, _grid_faces(15, 5)


def glasses(style: str) -> Mesh:
    """Frames around the eyes, two temples and a bridge, without lenses."""
    angle = np.linspace(0, 2 * np.pi, 25)
    # A superellipse: power 1 is an ellipse, less is closer to a rectangle.
    power = {"round": 1.0, "square": 0.55, "sun": 0.7}[style]
    shape = np.stack(
        [
            np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power * 0.024,
            np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power * 0.019,
        ],
        1,
    )
    parts = []
    for sign in (-1, 1):
        rim = np.stack(
            [
                sign * 0.031 + shape[:, 0],
                0.676 + shape[:, 1],
                0.143 - 6 * (0.031 + sign * shape[:, 0]) ** 2,
            ],
            1,
        )
        parts.append(tube(rim, np.full(25, 0.0014), sides=6))
        temple = np.array(
            [[sign * 0.055, 0.682, 0.124], [sign * 0.074, 0.684, 0.10], [sign * 0.079, 0.684, 0.03]]
        )
        parts.append(tube(temple, np.full(3, 0.0014), sides=6))
    bridge = np.array([[-0.008, 0.68, 0.1435], [0, 0.683, 0.1475], [0.008, 0.68, 0.1435]])
    parts.append(tube(bridge, np.full(3, 0.0013), sides=6))
    return merge(parts)


def lenses() -> Mesh:
    """Two flat lenses inside the frames of `glasses`."""
    parts = []
    for sign in (-1, 1):
        parts.append(ellipsoid([sign * 0.031, 0.676, 0.139], [0.0235, 0.0185, 0.003]))
    return merge(parts)


def merge(parts: list[Mesh]) -> Mesh:
    """One mesh from several (vertices, faces)."""
    start = np.cumsum([0] + [len(v) for v, _ in parts[:-1]])
    return (
        np.concatenate([v for v, _ in parts]),
        np.concatenate([f + s for (_, f), s in zip(parts, start, strict=True)]),
    )
