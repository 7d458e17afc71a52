"""Skin, underwear, tops, trousers, skirts, coats and shoes: each one piece of offset surface.

Every maker turns the measures of a `cut` (see `dress/clothes.py`) into an offset and up to three
fields that end the piece; `dress/pieces.py` explains the technique. Lengths are rest-space metres
of the template: waist y = 0.13, crotch -0.1, knee -0.37, ankle -0.75, neck 0.53, brows 0.70, top of
the head 0.79, elbow |x| = 0.39, wrist 0.60.
"""

import numpy as np

from toolkit.people.arrays import Cut, Values
from toolkit.people.dress.pieces import Piece, make_piece
from toolkit.people.figure import Figure
from toolkit.people.noise import noise
from toolkit.people.outlines import bump, neckline, ramp

WAIST_Y, KNEE_Y, ANKLE_Y = 0.13, -0.37, -0.745


def skin_pieces(figure: Figure, cover: dict) -> list[Piece]:
    """Skin that clothes leave free, with a margin under each hem.

    Args:
        figure: the template.
        cover: the outfit's `neck` (style), `sleeve` (|x|), `leg` (y) and `hide_ears`.
    """
    p, skin = figure.points, figure.layers["skin"]
    x, y = np.abs(p[:, 0]), p[:, 1]  # |x|: left and right are cut alike
    num = len(p)
    ears = (x > 0.066) & (y > 0.618) & (y < 0.692)
    shown_ears = np.where(ears & bool(cover["hide_ears"]), -1.0, 1.0)
    # The margin: skin goes on for 3 cm under the collar, the sleeve and the leg.
    neck = [0.03 - neckline(p, cover["neck"]), 0.17 - x, shown_ears]
    head = skin[(y[skin] > 0.38).all(axis=1)]
    arms = [x - (cover["sleeve"] - 0.03), figure.arm - 0.4]
    legs = [cover["leg"] + 0.03 - y, y - (ANKLE_Y - 0.02)]  # feet are always in shoes
    return [
        make_piece("skin", head, 0.0, neck, num_vertices=num),
        make_piece("skin", skin[(x[skin] > 0.18).all(axis=1)], 0.0, arms, num_vertices=num),
        make_piece("skin", skin[(y[skin] < 0.0).all(axis=1)], 0.0, legs, num_vertices=num),
        make_piece("eyes", figure.layers["eyes"], 0.0, [], num_vertices=num),
    ]


def under_pieces(figure: Figure, cover: dict) -> list[Piece]:
    """A thin suit below the clothes, so no gap between them ever shows the body."""
    p, num = figure.points, len(figure.points)
    x, y = np.abs(p[:, 0]), p[:, 1]
    tights = figure.layers["tights"]
    top = [neckline(p, cover["neck"]) - 0.004, min(cover["sleeve"], 0.3) - 0.01 - x, y - WAIST_Y]
    low = max(cover["leg"] + 0.01, -0.22)
    return [
        make_piece("under_top", tights, 0.001, top, num_vertices=num),
        make_piece("under_bottom", tights, 0.001, [WAIST_Y + 0.004 - y, y - low], num_vertices=num),
    ]


def top_piece(figure: Figure, cut: Cut) -> Piece:
    """Shirt, jumper or hoodie: tights above the hem.

    Args:
        figure: the template.
        cut: `material`, `neck`, `sleeve` (m), `hem` (y), `thick` and `loose` (m), `hood`, `seed`.
    """
    p = figure.points
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    torso = 1 - figure.arm
    # Loose cloth hangs away from the body at the belly and at the hem, and at a sleeve's end.
    drape = cut["loose"] * torso * (bump(y, 0.2, 0.12) + 0.7 * bump(y, 0.02, 0.1))
    sleeve_end = ramp(x, cut["sleeve"] - 0.15, cut["sleeve"])
    sleeve = cut["loose"] * figure.arm * (0.35 + 0.9 * sleeve_end * (cut["sleeve"] < 0.5))
    fold = 0.25 * cut["loose"] * noise(p, (9, 13, 9), cut["seed"]) * ramp(0.47 - y, 0, 0.2)
    offset = cut["thick"] + drape + sleeve + fold
    if cut.get("hood"):  # a bulge around the neck, mostly behind
        back = np.where(z < 0.05, 1.0, 0.35) * torso
        offset = offset + 0.04 * bump(y, 0.515, 0.035) * ramp(0.13 - x, 0, 0.05) * back
    keep = [y - cut["hem"], cut["sleeve"] - x, neckline(p, cut["neck"])]
    return make_piece(cut["material"], figure.layers["tights"], offset, keep, num_vertices=len(p))


def bottom_piece(figure: Figure, cut: Cut) -> Piece:
    """Trousers or shorts: tights below the waist; `leg` (y of the hem), `flare` and `thick` (m)."""
    p = figure.points
    x, y = np.abs(p[:, 0]), p[:, 1]
    down = ramp(-y, 0.15, -cut["leg"])  # 0 at the hip .. 1 at the hem
    fold = 0.003 * noise(p, (10, 16, 10), cut["seed"]) * ramp(-y, 0.05, 0.3)
    offset = cut["thick"] + cut["flare"] * down + fold + 0.003 * ramp(-y, -0.1, 0.1)
    keep = [WAIST_Y - y, y - cut["leg"], 0.4 - x]
    return make_piece("bottom", figure.layers["tights"], offset, keep, num_vertices=len(p))


def skirt_piece(figure: Figure, cut: Cut) -> Piece:
    """Skirt, lower part of a dress or tail of a coat, from the "skirt" layer.

    Args:
        figure: the template.
        cut: `material`, `thick` and `flare` (m), `pleats` (how many), `leg` (y of the hem), `top`
            (y of the waist), and `opening` (half-width in m) if the front is open.
    """
    p = figure.points
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    down = ramp(-y, -0.12, 0.6)
    angle = np.arctan2(p[:, 0], z - 0.03)  # around the body's vertical axis
    pleats = 0.012 * np.sin(cut["pleats"] * angle) * ramp(-y, -0.08, 0.3)
    offset = cut["thick"] + cut["flare"] * down + pleats
    keep = [y - cut["leg"], cut["top"] - y]
    if cut.get("opening", 0) > 0:
        keep.append(np.where(z > 0.03, x - _opening(y, cut["opening"]), 1.0))
    return make_piece(cut["material"], figure.layers["skirt"], offset, keep, num_vertices=len(p))


def _opening(y: Values, width: float) -> Values:
    """Half-width of an open front at height y: wider at the collar and at the bottom."""
    return width * (0.55 + 1.0 * ramp(y, 0.3, 0.5) + 0.5 * ramp(-y, -0.1, 0.5))


def coat_piece(figure: Figure, cut: Cut) -> Piece:
    """Jacket or coat body, open in front; `hem` (y), `opening` (half-width, m), `thick` (m)."""
    p = figure.points
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    torso = 1 - figure.arm
    drape = torso * (0.014 * bump(y, 0.2, 0.12) + 0.010 * bump(y, 0.0, 0.12))
    offset = cut["thick"] + drape + 0.003 * noise(p, (9, 13, 9), cut["seed"])
    front = np.where((z > 0.03) & (y < 0.58), x - _opening(y, cut["opening"]), 1.0)
    # Three fields at most: sleeve and collar share one, as the minimum of both.
    sides = np.minimum(cut["sleeve"] - x, neckline(p, "high"))
    return make_piece(
        "coat", figure.layers["tights"], offset, [y - cut["hem"], sides, front], num_vertices=len(p)
    )


def shoe_piece(figure: Figure, cut: Cut) -> Piece:
    """Shoes or boots: the tights' feet, thicker at the sole; `top` is the shaft's height (y)."""
    p = figure.points
    y = p[:, 1]
    sole = ramp(-y, 0.79, 0.815)
    offset = cut["thick"] + 0.010 * sole + cut.get("shaft", 0.0) * ramp(y, -0.76, -0.70)
    return make_piece(
        "shoes", figure.layers["tights"], offset, [cut["top"] - y], num_vertices=len(p)
    )
