"""Cloth painters: pattern, prints, seams and folds, as functions of the rest position.

Constants are rest-space metres, as in `dress/garments.py`; u and v are the cloth coordinates of
`Surface.chart`.
"""

import numpy as np

from toolkit.people.arrays import Colors, Painted, Points, Values
from toolkit.people.noise import noise, noise_and_gradient
from toolkit.people.paint.details import DETAILS
from toolkit.people.paint.surface import (
    ARM_R,
    ARMHOLE_X,
    LEG_R,
    TORSO_R,
    ClothStyle,
    Surface,
    edge_line,
    mix,
    wave,
)


def _wrap(period: float, radius: float) -> float:
    """The nearest period that fits a whole number of times around, so no seam shows."""
    around = 2 * np.pi * radius
    return around / max(round(around / period), 2)


def _pattern_weight(s: Surface, style: ClothStyle) -> Values:
    """Share of the second colour at every sample."""
    tube = "tube" in style.details
    u, v = s.chart(tube=tube)
    period, kind = style.period_m, style.pattern
    around = np.where(s.sleeve, _wrap(period, ARM_R), _wrap(period, TORSO_R))
    low = (s.point[:, 1] < (0.12 if tube else -0.1)) & ~s.sleeve
    around = np.where(low, _wrap(period, TORSO_R if tube else LEG_R), around)
    if kind == "stripes":
        return wave(v, period)
    if kind == "pinstripes":
        return 0.8 * wave(u, around / 2, 0.12)
    if kind == "checks":
        return 0.5 * (wave(u, around) + wave(v, period))
    if kind == "tartan":
        wide = 0.4 * (wave(u, around * 1, 0.4) + wave(v, period, 0.4))
        return np.maximum(
            wide,
            0.9
            * np.maximum(
                wave(u - 0.3 * around, around, 0.07), wave(v - 0.3 * period, period, 0.07)
            ),
        )
    if kind == "dots":
        row = np.floor(v / period)
        du = (u / around + 0.5 * (row % 2)) % 1.0 - 0.5
        return (np.hypot(du, v / period - row - 0.5) < 0.27).astype(np.float32)
    x, y = np.abs(s.point[:, 0]), s.point[:, 1]
    if kind == "blocks":
        return ((y > 0.36) | (x > 0.3)).astype(np.float32)
    if kind == "halves":
        return (y < 0.26).astype(np.float32) * (~s.sleeve)
    if kind == "raglan":
        return (x > 0.13 + 0.25 * np.clip(0.5 - y, 0, 0.2)).astype(np.float32) * (y > 0.3)
    if kind == "side stripe":
        side = np.abs(s.normal[:, 0]) * (np.sign(s.normal[:, 0]) == np.sign(s.point[:, 0]))
        return ((side > 0.93) & (~s.sleeve)).astype(np.float32)
    return np.zeros(len(y), np.float32)


def paint_cloth(s: Surface, style: ClothStyle) -> Painted:
    """Paint a garment.

    Args:
        s: its visible samples.
        style: its colours, pattern, prints and details.

    Returns:
        Albedo (N,3) in sRGB, and the gradient (N,3) of the surface's height, which tilts the
        normals so that wrinkles are seen in the shading without being modelled.
    """
    rgb = np.broadcast_to(style.color, s.point.shape).astype(np.float32)
    rgb = mix(rgb, style.color2, _pattern_weight(s, style))
    if style.pattern == "denim":
        rgb = _denim(s, rgb, style)
    rgb = _prints(s, rgb, style)
    rgb = rgb * _seams(s, style)[:, None]
    for name in style.details:
        if name in DETAILS:
            rgb = DETAILS[name](s, rgb, style)
    # Threads of a few millimetres, and slow changes of tone; both keep cloth from looking plastic.
    weave = noise(s.point, (420, 160, 420), style.seed + 5)
    tone = 1 + 0.025 * weave + 0.02 * noise(s.point, 14, style.seed + 7)
    return np.clip(rgb * tone[:, None], 0, 1), _folds(s, style)


def _folds(s: Surface, style: ClothStyle) -> Points:
    """Gradient of wrinkles: broad drapes, stronger at elbow, waist, hip and knee."""
    x, y = np.abs(s.point[:, 0]), s.point[:, 1]
    # `bent` is large where joints bend the cloth: elbow, then knee, ankle, waist and crotch.
    bent = np.exp(-(((x - 0.39) / 0.07) ** 2)) * (x > 0.2)
    bent = bent + np.exp(-(((y + 0.37) / 0.09) ** 2)) + np.exp(-(((y + 0.70) / 0.06) ** 2))
    bent = bent + np.exp(-(((y - 0.12) / 0.09) ** 2)) + np.exp(-(((y + 0.06) / 0.06) ** 2))
    # Noise in slanted coordinates: wrinkles run obliquely, not along the axes.
    slant = s.point + 0.35 * s.point[:, [1, 0, 0]] * [1, 0, 0.5]
    _, broad = noise_and_gradient(slant, (11, 7, 11), style.seed)
    _, fine = noise_and_gradient(slant, (16, 42, 16), style.seed + 1)
    amount = style.folds * (0.35 + bent)[:, None]
    return 0.0105 * style.folds * broad + 0.0030 * amount * fine


def _prints(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    body = ~s.sleeve
    # Seen from behind, x runs the other way: the sign keeps texts readable.
    for design, side, sign in ((style.front, s.front, 1.0), (style.back, ~s.front, -1.0)):
        if design is not None:
            color, cover = design.sample(sign * s.point[:, 0], s.point[:, 1])
            rgb = mix(rgb, color, cover * side * body)
    return rgb


def _seams(s: Surface, style: ClothStyle) -> Values:
    """Factor on the colour, below 1 along hems, armholes and side seams."""
    inside = s.hem.min(axis=1)  # metres to the nearest edge of the garment
    dark = 0.16 * edge_line(inside - 0.014, 0.0016) + 0.22 * np.clip(1 - inside / 0.004, 0, 1)
    x, y = np.abs(s.point[:, 0]), s.point[:, 1]
    dark = dark + 0.22 * edge_line(x - ARMHOLE_X, 0.0018) * (y > 0.32)
    dark = dark + 0.14 * edge_line(s.normal[:, 2], 0.04) * ~s.sleeve * (y < 0.36)
    if "rib" in style.details:
        u, _ = s.chart()
        dark = dark + 0.2 * (inside < 0.022) * wave(u, 0.006)
    return 1 - np.clip(dark, 0, 0.6)


def _denim(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """Jeans: thighs worn pale in front, and the diagonal threads of twill."""
    y = s.point[:, 1]
    worn = np.exp(-(((y + 0.2) / 0.16) ** 2)) * (s.normal[:, 2] > 0) * s.normal[:, 2] ** 2
    worn = worn * (0.8 + 0.4 * noise(s.point, 18, style.seed + 3))
    # (x + y, x - y, z) up to signs: noise stretched along the diagonal.
    twill = noise(s.point @ np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1.0]]), (300, 60, 200), 3)
    return rgb * (1 + 0.05 * twill[:, None]) + 0.16 * worn[:, None]


def paint_shoes(s: Surface, style: ClothStyle) -> Painted:
    """Shoes: upper, toe cap, laces and a sole of the second colour."""
    x, y, z = s.point.T
    rgb = np.broadcast_to(style.color, s.point.shape).astype(np.float32)
    sole = (y < -0.803) * 1.0
    rgb = mix(rgb, rgb * 0.7, edge_line(z - 0.155, 0.004) * (y < -0.78))
    if "laces" in style.details:
        lace = wave(z, 0.014, 0.4) * (s.normal[:, 1] > 0.45) * (z > 0.07) * (z < 0.135)
        across = np.abs(np.abs(x) - 0.168) < 0.02
        rgb = mix(rgb, style.color2, lace * across)
    rgb = mix(rgb, style.color2, sole)
    rgb = mix(rgb, rgb * 0.55, edge_line(y + 0.803, 0.0018))
    return np.clip(rgb, 0, 1), 0.0015 * noise_and_gradient(s.point, 40, style.seed)[1]
