"""Sewn details of garments: collars, buttons, pockets, hoods, belts, lapels.

Every painter gets the samples, their colours so far and the garment's style, and returns the new
colours. Outlines are signed distances in metres, negative inside (`edge_line` draws their zero
line); the maximum of two is the intersection of their shapes. Constants are rest-space metres.
"""

import numpy as np

from toolkit.people.arrays import Color, Colors
from toolkit.people.paint.surface import ClothStyle, Surface, edge_line, mix, wave


def _buttons(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """Placket and a row of buttons down the front."""
    x, y = s.point[:, 0], s.point[:, 1]
    on = s.front & (~s.sleeve)
    rgb = mix(rgb, rgb * 0.72, on * edge_line(np.abs(x) - 0.016, 0.0014))
    row = (y + 0.01) % 0.075 - 0.0375  # height above the nearest button, one every 7.5 cm
    button = on * (np.hypot(x, row) < 0.0055) * (y < 0.52)
    return mix(rgb, _button_color(style), button.astype(np.float32))


def _button_color(style: ClothStyle) -> Color:
    return (
        np.array([0.16, 0.14, 0.13]) if style.color.mean() > 0.45 else np.array([0.86, 0.84, 0.78])
    )


def _collar(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """A turned-down collar: a flap of the garment's colour with a shadow below its edge."""
    # hem[:, 2] is the distance below the neckline (`garments.top_piece`); in front the flap's
    # points reach further down.
    distance = s.hem[:, 2] - 0.034 - 0.5 * np.clip(0.035 - np.abs(s.point[:, 0]), 0, None) * s.front
    near = s.hem[:, 2] < 0.2
    rgb = mix(rgb, np.clip(rgb * 1.07 + 0.012, 0, 1), ((distance < 0) & near).astype(np.float32))
    shadow = np.clip(1 - distance / 0.012, 0, 1) * (distance > 0) * near
    return rgb * (1 - 0.42 * shadow)[:, None]


def _zip(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """A metal zip down the front."""
    x = s.point[:, 0]
    on = s.front & (~s.sleeve)
    metal = np.array([0.62, 0.62, 0.62]) * (0.8 + 0.2 * wave(s.point[:, 1], 0.006))[:, None]
    rgb = mix(rgb, rgb * 0.7, on * edge_line(np.abs(x) - 0.008, 0.0015))
    return mix(rgb, metal, on * (np.abs(x) < 0.0032) * 1.0)


def _kangaroo(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """The front pocket of a hoodie."""
    x, y = np.abs(s.point[:, 0]), s.point[:, 1]
    outline = np.maximum(np.maximum(y - 0.19, 0.06 - y), x - (0.10 - 0.28 * np.clip(y - 0.1, 0, 1)))
    return mix(rgb, rgb * 0.68, s.front * edge_line(outline, 0.0025))


def _chest_pocket(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """The outline of a pocket on the left of the chest."""
    x, y = s.point[:, 0] - 0.075, s.point[:, 1] - 0.385
    box = np.maximum(np.abs(x) - 0.032, np.abs(y) - 0.038)
    return mix(rgb, rgb * 0.7, s.front * edge_line(box, 0.0018))


def _hood(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """Creases of a hood that lies on the back, and drawstrings."""
    x, y = s.point[:, 0], s.point[:, 1]
    low = 0.452 - 0.03 * np.cos(np.clip(x / 0.11, -1, 1) * np.pi / 2)
    back = ~s.front & (~s.sleeve)
    rgb = rgb * (1 - 0.45 * back * np.exp(-np.clip(low - y, 0, None) / 0.012) * (y < low))[:, None]
    rgb = mix(rgb, rgb * 0.75, back * edge_line(y - low - 0.012, 0.002))
    cord = s.front * edge_line(np.abs(np.abs(x) - 0.03 - 0.1 * (0.5 - y) ** 2), 0.0028)
    return mix(rgb, np.array([0.88, 0.87, 0.84]), cord * (y > 0.40) * (y < 0.54))


def _yoke(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """A contrasting yoke across the shoulders of the back."""
    on = ~s.front & (s.point[:, 1] > 0.425) & (~s.sleeve)
    rgb = mix(rgb, style.color2, on.astype(np.float32))
    return mix(rgb, rgb * 0.7, ~s.front * edge_line(s.point[:, 1] - 0.425, 0.0016) * (~s.sleeve))


def _back_band(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """A broad band across the back."""
    y = s.point[:, 1]
    on = ~s.front & (y > 0.24) & (y < 0.33) & ~s.sleeve
    return mix(rgb, style.color2, on.astype(np.float32))


def _spine(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """A vertical stripe down the back."""
    on = ~s.front & (np.abs(s.point[:, 0]) < 0.03) & ~s.sleeve
    return mix(rgb, style.color2, on.astype(np.float32))


def _belt(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """A brown or black leather belt (the seed's parity decides) with a buckle."""
    x, y = s.point[:, 0], s.point[:, 1]
    on = (np.abs(y - 0.112) < 0.016) * 1.0
    leather = np.array([0.20, 0.13, 0.09]) if style.seed % 2 else np.array([0.1, 0.1, 0.1])
    rgb = mix(rgb, leather, on)
    buckle = s.front & (np.maximum(np.abs(x) - 0.02, np.abs(y - 0.112) - 0.015) < 0)
    hole = np.maximum(np.abs(x) - 0.013, np.abs(y - 0.112) - 0.009) < 0
    return mix(rgb, np.array([0.72, 0.70, 0.62]), (buckle & ~hole) * 1.0)


def _pockets(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """Trousers: slanted front pockets, fly, two back pockets, waistband."""
    x, y = np.abs(s.point[:, 0]), s.point[:, 1]
    slant = (y - 0.02) - 1.3 * (x - 0.09)
    line = s.front * edge_line(slant, 0.003) * (y > -0.03) * (y < 0.1)
    line = line + s.front * edge_line(s.point[:, 0] - 0.012, 0.0016) * (y > -0.04) * (y < 0.1)
    box = np.maximum(np.abs(x - 0.083) - 0.042, np.abs(y + 0.005) - 0.05 + 0.25 * np.abs(x - 0.083))
    line = line + ~s.front * edge_line(box, 0.0022) + edge_line(y - 0.094, 0.0016)
    thread = np.array([0.72, 0.52, 0.26]) if style.pattern == "denim" else None
    return mix(rgb, rgb * 0.6 if thread is None else 0.6 * rgb + 0.4 * thread, np.clip(line, 0, 1))


def _crease(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """Ironed creases of suit trousers."""
    u, _ = s.chart()
    on = (s.point[:, 1] < -0.15) * edge_line(u, 0.004)
    return mix(rgb, np.clip(rgb * 1.25, 0, 1), on * 0.5)


def _lapel(s: Surface, rgb: Colors, style: ClothStyle) -> Colors:
    """Coat and jacket edge: lapels and a row of buttons beside the opening."""
    edge = s.hem[:, 2]  # distance from the opening, see `garments.coat_piece`
    near = s.front & (edge < 0.07)
    y = s.point[:, 1]
    width = 0.06 * np.clip((y - 0.22) / 0.2, 0, 1)
    rgb = mix(rgb, np.clip(rgb * 1.1 + 0.01, 0, 1), (near & (edge < width)) * 1.0)
    rgb = mix(rgb, rgb * 0.55, s.front * edge_line(edge - width, 0.003) * (width > 0.004))
    row = (y + 0.02) % 0.09 - 0.045
    button = s.front & (np.hypot(edge - 0.022, row) < 0.008) & (y < 0.24) & (s.point[:, 0] > 0)
    return mix(rgb, _button_color(style), button * 1.0)


DETAILS = {
    "buttons": _buttons,
    "collar": _collar,
    "zip": _zip,
    "kangaroo": _kangaroo,
    "chest pocket": _chest_pocket,
    "hood": _hood,
    "yoke": _yoke,
    "band": _back_band,
    "spine": _spine,
    "belt": _belt,
    "pockets": _pockets,
    "crease": _crease,
    "lapel": _lapel,
}
