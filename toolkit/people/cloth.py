"""Cloth painters: base pattern, prints, seams, buttons, pockets; all functions of rest position."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from toolkit.people.noise import noise, noise_and_gradient
from toolkit.people.prints import Print

ARMHOLE_X = 0.175  # metres
TORSO_R, LEG_R, ARM_R = 0.13, 0.08, 0.055  # radii that turn angles into metres of cloth


@dataclass(frozen=True)
class Surface:
    """Visible pixels of one material.

    Attributes:
        point: rest position, metres.
        normal: rest normal.
        arm: share of arm weight.
        hem: the piece's fields at the pixel (metres inside each hem; 1 where no hem).
    """

    point: Float[np.ndarray, "N 3"]
    normal: Float[np.ndarray, "N 3"]
    arm: Float[np.ndarray, "N"]
    hem: Float[np.ndarray, "N K"]

    @property
    def front(self):
        """True on the chest's side of the body."""
        return self.normal[:, 2] > 0

    @property
    def sleeve(self):
        """True on sleeves, beyond the armhole's seam."""
        return (np.abs(self.point[:, 0]) > ARMHOLE_X) & (self.point[:, 1] > 0.32)

    def chart(self, *, tube: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Cloth coordinates in metres, u around and v along; `tube` for skirts, not legs."""
        x, y, z = self.point.T
        u = TORSO_R * np.arctan2(x, 1.3 * (z - 0.045))  # about true to length on an oval chest
        flat = np.where(z > 0.03, x, np.sign(x) * np.pi * TORSO_R - x)
        high = np.clip((y - 0.36) / 0.08, 0, 1)  # towards the neck circles shrink, cloth does not
        u = u + high * (flat - u)
        low = (y < (0.12 if tube else -0.1)) & ~self.sleeve
        centre = np.interp(-y, [0.1, 0.37, 0.75], [0.095, 0.13, 0.165]) * (not tube)
        leg = (TORSO_R if tube else LEG_R) * np.arctan2(x - np.sign(x) * centre, z - 0.04)
        u = np.where(low, leg, u)
        u = np.where(self.sleeve, ARM_R * np.arctan2(y - 0.455, z - 0.02), u)
        return u, np.where(self.sleeve, np.abs(x), y)


@dataclass(frozen=True)
class ClothStyle:
    """How one garment looks.

    Attributes:
        color, color2: sRGB of ground and pattern.
        pattern: plain, stripes, pinstripes, checks, tartan, dots, blocks, raglan, denim, knit.
        period_m: repeat of the pattern.
        front, back: prints.
        details: names such as "buttons", "zip", "placket", "pockets", "yoke", "hood", "belt".
        seed: noise of folds and wear.
        folds: height of the wrinkles, about 0..1.5.
    """

    color: Float[np.ndarray, "3"]
    color2: Float[np.ndarray, "3"]
    pattern: str = "plain"
    period_m: float = 0.05
    front: Print | None = None
    back: Print | None = None
    details: tuple[str, ...] = field(default=())
    seed: int = 0
    folds: float = 1.0


def _wave(value, period, duty=0.5):
    """1 on a share `duty` of every period, 0 elsewhere."""
    return ((value / period) % 1.0 < duty).astype(np.float32)


def _wrap(period, radius):
    """The nearest period that fits a whole number of times around."""
    around = 2 * np.pi * radius
    return around / max(round(around / period), 2)


def _pattern_weight(s: Surface, style: ClothStyle):
    """Share of the second colour at every pixel."""
    tube = "tube" in style.details
    u, v = s.chart(tube=tube)
    period, kind = style.period_m, style.pattern
    around = np.where(s.sleeve, _wrap(period, ARM_R), _wrap(period, TORSO_R))
    low = (s.point[:, 1] < (0.12 if tube else -0.1)) & ~s.sleeve
    around = np.where(low, _wrap(period, TORSO_R if tube else LEG_R), around)
    if kind == "stripes":
        return _wave(v, period)
    if kind == "pinstripes":
        return 0.8 * _wave(u, around / 2, 0.12)
    if kind == "checks":
        return 0.5 * (_wave(u, around) + _wave(v, period))
    if kind == "tartan":
        wide = 0.4 * (_wave(u, around * 1, 0.4) + _wave(v, period, 0.4))
        return np.maximum(wide, 0.9 * np.maximum(_wave(u - 0.3 * around, around, 0.07),
                                                 _wave(v - 0.3 * period, period, 0.07)))
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


def _mix(rgb, other, weight):
    """Blend colours; `weight` (N,) in [0, 1] is the share of `other`."""
    return rgb + weight[:, None] * (other - rgb)


def _edge(distance, width):
    """1 on a line of half-width `width` around distance 0, soft by a third of it."""
    return np.clip(1.5 - np.abs(distance) / width, 0, 1)


def paint_cloth(s: Surface, style: ClothStyle):
    """Albedo (N,3) sRGB and bump gradient (N,3) of a garment."""
    rgb = np.broadcast_to(style.color, s.point.shape).astype(np.float32)
    rgb = _mix(rgb, style.color2, _pattern_weight(s, style))
    if style.pattern == "denim":
        rgb = _denim(s, rgb, style)
    rgb = _prints(s, rgb, style)
    rgb = rgb * _seams(s, style)[:, None]
    for name in style.details:
        if name in DETAILS:
            rgb = DETAILS[name](s, rgb, style)
    weave = noise(s.point, (420, 160, 420), style.seed + 5)
    tone = 1 + 0.025 * weave + 0.02 * noise(s.point, 14, style.seed + 7)
    return np.clip(rgb * tone[:, None], 0, 1), _folds(s, style)


def _folds(s: Surface, style: ClothStyle):
    """Gradient of wrinkles: broad drapes, stronger at elbow, waist, hip and knee."""
    x, y = np.abs(s.point[:, 0]), s.point[:, 1]
    bent = np.exp(-((x - 0.39) / 0.07) ** 2) * (x > 0.2)
    bent = bent + np.exp(-((y + 0.37) / 0.09) ** 2) + np.exp(-((y + 0.70) / 0.06) ** 2)
    bent = bent + np.exp(-((y - 0.12) / 0.09) ** 2) + np.exp(-((y + 0.06) / 0.06) ** 2)
    slant = s.point + 0.35 * s.point[:, [1, 0, 0]] * [1, 0, 0.5]
    _, broad = noise_and_gradient(slant, (11, 7, 11), style.seed)
    _, fine = noise_and_gradient(slant, (16, 42, 16), style.seed + 1)
    amount = style.folds * (0.35 + bent)[:, None]
    return 0.0105 * style.folds * broad + 0.0030 * amount * fine


def _prints(s: Surface, rgb, style):
    body = ~s.sleeve
    for design, side, sign in ((style.front, s.front, 1.0), (style.back, ~s.front, -1.0)):
        if design is not None:
            color, cover = design.sample(sign * s.point[:, 0], s.point[:, 1])
            rgb = _mix(rgb, color, cover * side * body)
    return rgb


def _seams(s: Surface, style):
    """Darkening along hems, armholes and side seams."""
    inside = s.hem.min(axis=1)
    dark = 0.16 * _edge(inside - 0.014, 0.0016) + 0.22 * np.clip(1 - inside / 0.004, 0, 1)
    x, y = np.abs(s.point[:, 0]), s.point[:, 1]
    dark = dark + 0.22 * _edge(x - ARMHOLE_X, 0.0018) * (y > 0.32)
    dark = dark + 0.14 * _edge(s.normal[:, 2], 0.04) * ~s.sleeve * (y < 0.36)
    if "rib" in style.details:
        u, _ = s.chart()
        dark = dark + 0.2 * (inside < 0.022) * _wave(u, 0.006)
    return 1 - np.clip(dark, 0, 0.6)


def _denim(s: Surface, rgb, style):
    """Worn thighs and knees, twill and whiskers."""
    x, y, z = s.point.T
    worn = np.exp(-((y + 0.2) / 0.16) ** 2) * (s.normal[:, 2] > 0) * s.normal[:, 2] ** 2
    worn = worn * (0.8 + 0.4 * noise(s.point, 18, style.seed + 3))
    twill = noise(s.point @ np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1.0]]), (300, 60, 200), 3)
    return rgb * (1 + 0.05 * twill[:, None]) + 0.16 * worn[:, None]


def _buttons(s: Surface, rgb, style):
    """Placket and a row of buttons down the front."""
    x, y = s.point[:, 0], s.point[:, 1]
    on = s.front & (~s.sleeve)
    rgb = _mix(rgb, rgb * 0.72, on * _edge(np.abs(x) - 0.016, 0.0014))
    row = (y + 0.01) % 0.075 - 0.0375
    button = on * (np.hypot(x, row) < 0.0055) * (y < 0.52)
    return _mix(rgb, _button_color(style), button.astype(np.float32))


def _button_color(style):
    return np.array([0.16, 0.14, 0.13]) if style.color.mean() > 0.45 else np.array(
        [0.86, 0.84, 0.78])


def _collar(s: Surface, rgb, style):
    """A turned-down collar: a flap of the garment's colour with a shadow below its edge."""
    distance = s.hem[:, 2] - 0.034 - 0.5 * np.clip(0.035 - np.abs(s.point[:, 0]), 0, None) * s.front
    near = s.hem[:, 2] < 0.2
    rgb = _mix(rgb, np.clip(rgb * 1.07 + 0.012, 0, 1), ((distance < 0) & near).astype(np.float32))
    shadow = np.clip(1 - distance / 0.012, 0, 1) * (distance > 0) * near
    return rgb * (1 - 0.42 * shadow)[:, None]


def _zip(s: Surface, rgb, style):
    x = s.point[:, 0]
    on = s.front & (~s.sleeve)
    metal = np.array([0.62, 0.62, 0.62]) * (0.8 + 0.2 * _wave(s.point[:, 1], 0.006))[:, None]
    rgb = _mix(rgb, rgb * 0.7, on * _edge(np.abs(x) - 0.008, 0.0015))
    return _mix(rgb, metal, on * (np.abs(x) < 0.0032) * 1.0)


def _kangaroo(s: Surface, rgb, style):
    """The front pocket of a hoodie."""
    x, y = np.abs(s.point[:, 0]), s.point[:, 1]
    outline = np.maximum(np.maximum(y - 0.19, 0.06 - y), x - (0.10 - 0.28 * np.clip(y - 0.1, 0, 1)))
    return _mix(rgb, rgb * 0.68, s.front * _edge(outline, 0.0025))


def _chest_pocket(s: Surface, rgb, style):
    x, y = s.point[:, 0] - 0.075, s.point[:, 1] - 0.385
    box = np.maximum(np.abs(x) - 0.032, np.abs(y) - 0.038)
    return _mix(rgb, rgb * 0.7, s.front * _edge(box, 0.0018))


def _hood(s: Surface, rgb, style):
    """Creases of a hood that lies on the back, and drawstrings."""
    x, y = s.point[:, 0], s.point[:, 1]
    low = 0.452 - 0.03 * np.cos(np.clip(x / 0.11, -1, 1) * np.pi / 2)
    back = ~s.front & (~s.sleeve)
    rgb = rgb * (1 - 0.45 * back * np.exp(-np.clip(low - y, 0, None) / 0.012) * (y < low))[:, None]
    rgb = _mix(rgb, rgb * 0.75, back * _edge(y - low - 0.012, 0.002))
    cord = s.front * _edge(np.abs(np.abs(x) - 0.03 - 0.1 * (0.5 - y) ** 2), 0.0028)
    return _mix(rgb, np.array([0.88, 0.87, 0.84]), cord * (y > 0.40) * (y < 0.54))


def _yoke(s: Surface, rgb, style):
    """A contrasting yoke across the shoulders of the back."""
    on = ~s.front & (s.point[:, 1] > 0.425) & (~s.sleeve)
    rgb = _mix(rgb, style.color2, on.astype(np.float32))
    return _mix(rgb, rgb * 0.7, ~s.front * _edge(s.point[:, 1] - 0.425, 0.0016) * (~s.sleeve))


def _back_band(s: Surface, rgb, style):
    """A broad band across the back."""
    y = s.point[:, 1]
    on = ~s.front & (y > 0.24) & (y < 0.33) & ~s.sleeve
    return _mix(rgb, style.color2, on.astype(np.float32))


def _spine(s: Surface, rgb, style):
    """A vertical stripe down the back."""
    on = ~s.front & (np.abs(s.point[:, 0]) < 0.03) & ~s.sleeve
    return _mix(rgb, style.color2, on.astype(np.float32))


def _belt(s: Surface, rgb, style):
    x, y = s.point[:, 0], s.point[:, 1]
    on = (np.abs(y - 0.112) < 0.016) * 1.0
    leather = np.array([0.20, 0.13, 0.09]) if style.seed % 2 else np.array([0.1, 0.1, 0.1])
    rgb = _mix(rgb, leather, on)
    buckle = s.front & (np.maximum(np.abs(x) - 0.02, np.abs(y - 0.112) - 0.015) < 0)
    hole = np.maximum(np.abs(x) - 0.013, np.abs(y - 0.112) - 0.009) < 0
    return _mix(rgb, np.array([0.72, 0.70, 0.62]), (buckle & ~hole) * 1.0)


def _pockets(s: Surface, rgb, style):
    """Trousers: slanted front pockets, fly, two back pockets, waistband."""
    x, y = np.abs(s.point[:, 0]), s.point[:, 1]
    slant = (y - 0.02) - 1.3 * (x - 0.09)
    line = s.front * _edge(slant, 0.003) * (y > -0.03) * (y < 0.1)
    line = line + s.front * _edge(s.point[:, 0] - 0.012, 0.0016) * (y > -0.04) * (y < 0.1)
    box = np.maximum(np.abs(x - 0.083) - 0.042, np.abs(y + 0.005) - 0.05 + 0.25 * np.abs(x - 0.083))
    line = line + ~s.front * _edge(box, 0.0022) + _edge(y - 0.094, 0.0016)
    thread = np.array([0.72, 0.52, 0.26]) if style.pattern == "denim" else None
    return _mix(rgb, rgb * 0.6 if thread is None else 0.6 * rgb + 0.4 * thread,
                np.clip(line, 0, 1))


def _crease(s: Surface, rgb, style):
    """Ironed creases of suit trousers."""
    u, _ = s.chart()
    on = (s.point[:, 1] < -0.15) * _edge(u, 0.004)
    return _mix(rgb, np.clip(rgb * 1.25, 0, 1), on * 0.5)


def _lapel(s: Surface, rgb, style):
    """Coat and jacket edge: lapels and a row of buttons beside the opening."""
    edge = s.hem[:, 2]
    near = s.front & (edge < 0.07)
    y = s.point[:, 1]
    width = 0.06 * np.clip((y - 0.22) / 0.2, 0, 1)
    rgb = _mix(rgb, np.clip(rgb * 1.1 + 0.01, 0, 1), (near & (edge < width)) * 1.0)
    rgb = _mix(rgb, rgb * 0.55, s.front * _edge(edge - width, 0.003) * (width > 0.004))
    row = (y + 0.02) % 0.09 - 0.045
    button = s.front & (np.hypot(edge - 0.022, row) < 0.008) & (y < 0.24) & (s.point[:, 0] > 0)
    return _mix(rgb, _button_color(style), button * 1.0)


DETAILS = {"buttons": _buttons, "collar": _collar, "zip": _zip, "kangaroo": _kangaroo,
           "chest pocket": _chest_pocket, "hood": _hood, "yoke": _yoke, "band": _back_band,
           "spine": _spine, "belt": _belt, "pockets": _pockets, "crease": _crease,
           "lapel": _lapel}


def paint_shoes(s: Surface, style: ClothStyle):
    """Shoes: upper, toe cap, laces and a sole of the second colour."""
    x, y, z = s.point.T
    rgb = np.broadcast_to(style.color, s.point.shape).astype(np.float32)
    sole = (y < -0.803) * 1.0
    rgb = _mix(rgb, rgb * 0.7, _edge(z - 0.155, 0.004) * (y < -0.78))
    if "laces" in style.details:
        lace = (_wave(z, 0.014, 0.4) * (s.normal[:, 1] > 0.45) * (z > 0.07) * (z < 0.135))
        across = np.abs(np.abs(x) - 0.168) < 0.02
        rgb = _mix(rgb, style.color2, lace * across)
    rgb = _mix(rgb, style.color2, sole)
    rgb = _mix(rgb, rgb * 0.55, _edge(y + 0.803, 0.0018))
    return np.clip(rgb, 0, 1), 0.0015 * noise_and_gradient(s.point, 40, style.seed)[1]
