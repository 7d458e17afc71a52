"""Hair and hats as shells of the scalp and the helper curtain, plus small rigid props."""

import numpy as np

from toolkit.people.dress.layers import Piece, bump, make_piece, ramp
from toolkit.people.figure import Figure
from toolkit.people.paint.noise import noise

HEAD = np.array([0.0, 0.69, 0.035])  # middle of the template's skull, metres


def hairline(points, *, recede: float = 0.0):
    """Height above the hairline in metres (rest space); negative on face, neck and cheeks."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    front = (
        0.740
        + recede * (0.3 + 25 * np.clip(x - 0.008, 0, 0.03))
        - 0.3 * np.clip(x - 0.035, 0, None)
        + 0.002 * np.sin(points[:, 0] * 230)
    )
    side = 0.690
    back = 0.607
    line = back + (side - back) * ramp(z, -0.005, 0.02)
    line = line - 0.035 * bump(z, 0.066, 0.007)  # sideburns
    return y - (line + (front - side) * ramp(z, 0.07, 0.092))


def _ears(points):
    x, y = np.abs(points[:, 0]), points[:, 1]
    return (x > 0.0685) & (y > 0.625) & (y < 0.692)


def _scalp(figure: Figure):
    skin = figure.layers["skin"]
    return skin[(figure.points[skin][..., 1] > 0.57).all(axis=1)]


def cap_hair(figure: Figure, cut) -> Piece:
    """Hair on the scalp: `thick` (m), `top` (extra height, m), `recede`, `rough`, `ears`."""
    p = figure.points
    line = hairline(p, recede=cut.get("recede", 0.0)) + cut.get("fringe", 0.0) * (p[:, 2] > 0.08)
    height = ramp(p[:, 1], 0.70, 0.79)
    offset = (cut["thick"] + cut["top"] * height) * (0.15 + 0.85 * ramp(line, 0.0, 0.025))
    offset = offset * (1 + cut.get("rough", 0.1) * noise(p, 55, cut["seed"]))
    side = ramp(p[:, 0] * cut.get("part", 1.0), 0.0, 0.02)  # a parting on one side
    offset = np.maximum(offset * (0.8 + 0.2 * side), 0.0015)
    seen = np.where(_ears(p) & (not cut.get("ears", False)), -0.01, 1.0)
    return make_piece("hair", _scalp(figure), offset, [line, seen], num_vertices=len(p))


def hat_piece(figure: Figure, cut) -> Piece:
    """Beanie or cap crown: scalp above a tilted plane; `edge` (y at z = 0.03), `slope`."""
    p = figure.points
    y, z = p[:, 1], p[:, 2]
    plane = y - (cut["edge"] + cut["slope"] * (z - 0.03))
    offset = cut["thick"] + cut["top"] * ramp(y, 0.72, 0.80)
    if cut.get("cuff"):
        offset = offset + 0.005 * (plane < 0.035)
    return make_piece("hat", _scalp(figure), offset, [plane], num_vertices=len(p))


def beard_piece(figure: Figure, cut) -> Piece:
    """A full beard: the lower face pushed out by `thick` (m), cut by the beard's outline."""
    p = figure.points
    line = beard_line(p)
    offset = cut["thick"] * (0.1 + 0.9 * ramp(line, 0, 0.02)) * (1 + 0.3 * noise(p, 80, 5))
    skin = figure.layers["skin"]
    faces = skin[(p[skin][..., 1] > 0.53).all(axis=1) & (p[skin][..., 1] < 0.68).all(axis=1)]
    return make_piece("beard", faces, offset, [line], num_vertices=len(p))


def beard_line(points):
    """Positive where a full beard grows: jaw, chin, upper lip; not on lips, cheeks or neck."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    cheek = 0.628 + 0.9 * np.clip(x - 0.03, 0, None) - y
    lips = ((x / 0.027) ** 2 + ((y - 0.6175) / 0.0125) ** 2 - 1) * 0.012
    throat = y - (0.577 - 0.6 * np.clip(0.12 - z, 0, None) * 0)
    return np.minimum(np.minimum(cheek, lips), np.minimum(throat, z - 0.062))


def _grid_faces(rows: int, cols: int):
    """Two triangles for every cell of a rows x cols vertex grid."""
    corner = (np.arange(rows - 1)[:, None] * cols + np.arange(cols - 1)).ravel()
    return np.concatenate(
        [
            np.stack([corner, corner + 1, corner + cols], 1),
            np.stack([corner + 1, corner + cols + 1, corner + cols], 1),
        ]
    )


def ellipsoid(centre, radii, *, rings: int = 10):
    """Vertices and faces of an ellipsoid in rest space (metres)."""
    v, u = np.meshgrid(
        np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings), indexing="ij"
    )
    ball = np.stack([np.sin(v) * np.sin(u), np.cos(v), np.sin(v) * np.cos(u)], -1).reshape(-1, 3)
    return centre + ball * radii, _grid_faces(rings, 2 * rings)[:, ::-1]


def tube(centres, radii, *, sides: int = 10):
    """A round tube along centre points with a radius each (metres)."""
    centres = np.asarray(centres, float)
    ahead = np.gradient(centres, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.cross(ahead, [0.123, 0.2, 0.97])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(ahead, side)
    angle = np.linspace(0, 2 * np.pi, sides)
    ring = (
        np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * other[:, None]
    )
    points = centres[:, None] + ring * np.asarray(radii)[:, None, None]
    return points.reshape(-1, 3), _grid_faces(len(centres), sides)


def bun():
    """A bun high on the back of the head."""
    return ellipsoid([0, 0.748, -0.056], [0.033, 0.030, 0.028])


def ponytail(length: float):
    """A tail from the back of the head, `length` metres long."""
    t = np.linspace(0, 1, 12)
    out = 0.055 * np.sin(np.pi * np.minimum(t * 1.6, 1) / 2)
    centres = np.stack([0 * t, 0.725 + 0.02 * np.sin(np.pi * t) - length * t, -0.045 - out], 1)
    return tube(centres, 0.004 + 0.024 * np.sin(np.pi * (0.12 + 0.84 * t)))


def curtain(length: float, wave: float, seed: int, *, top: float = 0.768):
    """Long hair around the back of the head from rest height `top` to `length`, over the ears."""
    angle, down = np.meshgrid(np.linspace(-2.05, 2.05, 49), np.linspace(0, 1, 22), indexing="ij")
    points = np.stack([angle, 0 * angle, 0 * angle], -1).reshape(-1, 3)
    uneven = 0.010 * noise(points, 7, seed).reshape(angle.shape)
    y = top + (length + uneven - top) * down
    heights = [0.30, 0.45, 0.53, 0.58, 0.62, 0.66, 0.70, 0.74, 0.77]
    wide = np.interp(y, heights, [0.094, 0.090, 0.082, 0.080, 0.084, 0.0875, 0.085, 0.076, 0.058])
    deep = np.interp(y, heights, [0.125, 0.132, 0.125, 0.112, 0.108, 0.112, 0.114, 0.100, 0.070])
    locks = 0.004 * np.sin(9 * angle + 3 * uneven / 0.01) * down
    curl = wave * 0.004 * np.sin(70 * y + 2.5 * angle) * down
    grow = 1 + (locks + curl) / 0.085
    x, z = wide * grow * np.sin(angle), 0.032 - deep * grow * np.cos(angle)
    return np.stack([x, y, z], -1).reshape(-1, 3), _grid_faces(49, 22)[:, ::-1]


def cap_brim():
    """The peak of a cap."""
    angle, out = np.meshgrid(np.linspace(-0.98, 0.98, 15), np.linspace(0, 1, 5), indexing="ij")
    reach = 0.106 + 0.078 * out * np.cos(angle * 0.75)
    x, z = 0.68 * reach * np.sin(angle), 0.028 + reach * np.cos(angle)
    y = 0.737 - 0.022 * out - 1.1 * x**2
    top = np.stack([x, y, z], -1).reshape(-1, 3)
    return top, _grid_faces(15, 5)


def glasses(style: str):
    """Frames around the eyes and two temples; also the lenses of sunglasses."""
    angle = np.linspace(0, 2 * np.pi, 25)
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


def lenses(style: str):
    """Two flat lenses inside the frames of `glasses`."""
    parts = []
    for sign in (-1, 1):
        parts.append(ellipsoid([sign * 0.031, 0.676, 0.139], [0.0235, 0.0185, 0.003]))
    return merge(parts)


def merge(parts):
    """One mesh from several (vertices, faces)."""
    start = np.cumsum([0] + [len(v) for v, _ in parts[:-1]])
    return (
        np.concatenate([v for v, _ in parts]),
        np.concatenate([f + s for (_, f), s in zip(parts, start, strict=True)]),
    )
