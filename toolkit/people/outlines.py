"""Where collar, hair and beard end: scalar fields over rest space, positive on the inside.

Cutting and painting share them, so the painted stubble ends exactly where a beard's mesh would.
All constants are metres on the template in rest space (the T-pose, mean shape).
"""

import numpy as np

from toolkit.people.arrays import Points, Values


def bump(value: Values, centre: float, width: float) -> Values:
    """1 at `centre`, falling smoothly to 0 over about `width`."""
    return np.exp(-(((value - centre) / width) ** 2))


def ramp(value: Values, start: float, stop: float) -> Values:
    """0 before `start`, 1 after `stop`, smooth between (the "smoothstep" of graphics)."""
    t = np.clip((value - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def neckline(points: Points, style: str) -> Values:
    """Metres below the collar's edge, negative above it.

    Args:
        points: rest positions.
        style: "crew", "v", "wide", "turtle", or "high" (shirt, hoodie, coat).
    """
    x, y, z = points.T
    height = {"crew": 0.537, "v": 0.522, "high": 0.555, "wide": 0.505, "turtle": 0.575}[style]
    slope = {"high": 0.15, "turtle": 0.1}.get(style, 0.42)  # collars sit lower in front
    edge = height - slope * (z - 0.02)
    if style == "v":
        edge = edge - np.where(z > 0.04, np.clip(0.075 - 1.2 * np.abs(x), 0, None), 0)
    if style == "wide":
        edge = edge + 0.12 * np.abs(x)
    # Beyond |x| = 0.16 lies the arm. It may be higher than the collar in the T-pose, but a
    # collar never cuts it: a constant positive value keeps all of it.
    return np.where(np.abs(x) < 0.16, edge - y, 0.1)


def hairline(points: Points, *, recede: float = 0.0) -> Values:
    """Height above the hairline in metres, negative on face, neck and cheeks.

    Args:
        points: rest positions.
        recede: how far the hairline has moved up at the temples, metres.
    """
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    front = (
        0.740
        + recede * (0.3 + 25 * np.clip(x - 0.008, 0, 0.03))
        - 0.3 * np.clip(x - 0.035, 0, None)
        + 0.002 * np.sin(points[:, 0] * 230)
    )
    side = 0.690
    back = 0.607
    # From back to front the line climbs twice: behind the ears (z about 0), then at the temples.
    line = back + (side - back) * ramp(z, -0.005, 0.02)
    line = line - 0.035 * bump(z, 0.066, 0.007)  # sideburns
    return y - (line + (front - side) * ramp(z, 0.07, 0.092))


def beard_line(points: Points) -> Values:
    """Positive where a full beard grows: jaw, chin, upper lip; not on lips, cheeks or neck."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    cheek = 0.628 + 0.9 * np.clip(x - 0.03, 0, None) - y
    lips = ((x / 0.027) ** 2 + ((y - 0.6175) / 0.0125) ** 2 - 1) * 0.012  # outside an ellipse
    throat = y - 0.577
    # The minimum of fields is positive where all of them are: the intersection of the regions.
    return np.minimum(np.minimum(cheek, lips), np.minimum(throat, z - 0.062))
