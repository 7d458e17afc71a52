"""Hair on the scalp, hats and beards: pieces of skin that are moved outwards."""

import numpy as np

from toolkit.people.arrays import Cut, Faces, Mask, Points
from toolkit.people.dress.pieces import Piece, make_piece
from toolkit.people.figure import Figure
from toolkit.people.noise import noise
from toolkit.people.outlines import beard_line, hairline, ramp


def _ears(points: Points) -> Mask:
    x, y = np.abs(points[:, 0]), points[:, 1]
    return (x > 0.0685) & (y > 0.625) & (y < 0.692)


def _scalp(figure: Figure) -> Faces:
    skin = figure.layers["skin"]
    return skin[(figure.points[skin][..., 1] > 0.57).all(axis=1)]


def cap_hair(figure: Figure, cut: Cut) -> Piece:
    """Hair on the scalp.

    Args:
        figure: the template.
        cut: `thick` and `top` (m, everywhere and more at the top of the head), `fringe` (m, into
            the forehead), `recede` (m), `rough` (share of the height), `part` (+1 or -1, the
            parting's side), `ears` (true if they are covered), `seed`.
    """
    p = figure.points
    line = hairline(p, recede=cut.get("recede", 0.0)) + cut.get("fringe", 0.0) * (p[:, 2] > 0.08)
    height = ramp(p[:, 1], 0.70, 0.79)  # 0 at the brows .. 1 at the top of the head
    # Hair is thinnest at the hairline and reaches its full height 2.5 cm behind it.
    offset = (cut["thick"] + cut["top"] * height) * (0.15 + 0.85 * ramp(line, 0.0, 0.025))
    offset = offset * (1 + cut.get("rough", 0.1) * noise(p, 55, cut["seed"]))
    side = ramp(p[:, 0] * cut.get("part", 1.0), 0.0, 0.02)  # a parting on one side
    offset = np.maximum(offset * (0.8 + 0.2 * side), 0.0015)
    free_ears = np.where(_ears(p) & (not cut.get("ears", False)), -0.01, 1.0)
    return make_piece("hair", _scalp(figure), offset, [line, free_ears], num_vertices=len(p))


def hat_piece(figure: Figure, cut: Cut) -> Piece:
    """Beanie or cap crown: scalp above a tilted plane; `edge` (y at z = 0.03), `slope`."""
    p = figure.points
    y, z = p[:, 1], p[:, 2]
    plane = y - (cut["edge"] + cut["slope"] * (z - 0.03))
    offset = cut["thick"] + cut["top"] * ramp(y, 0.72, 0.80)
    if cut.get("cuff"):
        offset = offset + 0.005 * (plane < 0.035)
    return make_piece("hat", _scalp(figure), offset, [plane], num_vertices=len(p))


def beard_piece(figure: Figure, cut: Cut) -> Piece:
    """A full beard: the lower face pushed out by `thick` (m), cut by the beard's outline."""
    p = figure.points
    line = beard_line(p)
    offset = cut["thick"] * (0.1 + 0.9 * ramp(line, 0, 0.02)) * (1 + 0.3 * noise(p, 80, 5))
    skin = figure.layers["skin"]
    faces = skin[(p[skin][..., 1] > 0.53).all(axis=1) & (p[skin][..., 1] < 0.68).all(axis=1)]
    return make_piece("beard", faces, offset, [line], num_vertices=len(p))
