"""Painters of skin, eyes and hair; the face is drawn as functions of the rest position.

A typical line is `mix(rgb, color, weight)` with a weight made of soft masks: products are
intersections, and `exp(-((y - y0) / width) ** 2)` is a soft line at y0. Constants are rest-space
metres.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from toolkit.people.arrays import Color, Colors, Painted, Points, Values
from toolkit.people.noise import noise, noise_and_gradient
from toolkit.people.outlines import beard_line, hairline
from toolkit.people.paint.surface import Surface, mix

EYE = np.array([0.0285, 0.6795, 0.1115])  # centre of the left eyeball, rest metres


@dataclass(frozen=True)
class SkinStyle:
    """How a person's skin, eyes and hair look.

    Attributes:
        skin, hair, iris, lips: sRGB.
        brow: thickness of the eyebrows, about 0.6..1.4.
        stubble: 0 none .. 1 dark shadow on the jaw.
        shadow: dark short hair painted on the scalp, 0..1 (buzz cut).
        age: 0 young .. 1 old (folds beside nose and mouth).
        sock_y: rest height of the socks' edge; socks: their sRGB.
        makeup: 0..1, eye line and lips.
        seed: of the small variations.
    """

    skin: Float[np.ndarray, "3"]
    hair: Float[np.ndarray, "3"]
    iris: Float[np.ndarray, "3"]
    lips: Float[np.ndarray, "3"]
    brow: float = 1.0
    stubble: float = 0.0
    shadow: float = 0.0
    age: float = 0.3
    sock_y: float = -0.72
    socks: tuple[float, float, float] = (0.9, 0.9, 0.9)
    makeup: float = 0.0
    seed: int = 0


def _blob(p: Points, centre: tuple[float, float, float], radius: float) -> Values:
    """Two soft spots, at +-x of a rest position; 1 in the middle."""
    d = (np.abs(p[:, 0]) - centre[0]) ** 2
    d = d + (p[:, 1] - centre[1]) ** 2 + (p[:, 2] - centre[2]) ** 2
    return np.exp(-d / radius**2)


def paint_skin(s: Surface, style: SkinStyle) -> Painted:
    """Albedo (N,3) and height gradient (N,3) of skin, with face, stubble, nails and socks."""
    p = s.point
    rgb = np.broadcast_to(style.skin, p.shape).astype(np.float32)
    red = np.array([1.03, 0.82, 0.80]) * rgb
    # Redder skin: cheeks, tip of the nose, hands, knees, ears.
    flush = 0.5 * _blob(p, (0.042, 0.643, 0.11), 0.02) + 0.4 * _blob(p, (0, 0.648, 0.157), 0.01)
    flush = (
        flush
        + 0.5 * _blob(p, (0.76, 0.45, 0.02), 0.05)
        + 0.4 * _blob(p, (0.13, -0.37, 0.1), 0.05)
        + 0.6 * _blob(p, (0.08, 0.66, 0.035), 0.02)
    )
    rgb = mix(rgb, red, np.clip(flush, 0, 1))
    rgb = rgb * (1 + 0.035 * noise(p, 30, style.seed, octaves=3))[:, None]
    face = (p[:, 1] > 0.57) & (p[:, 2] > 0.0)
    if face.any():
        rgb[face] = _face(p[face], rgb[face], style)
    rgb = _scalp(p, rgb, style)
    rgb = _hands(s, rgb)
    sock = (p[:, 1] < style.sock_y) * 1.0
    rgb = mix(rgb, np.array(style.socks) * (0.92 + 0.08 * np.sin(p[:, 1:2] * 900)), sock)
    return np.clip(rgb, 0, 1), 0.0009 * noise_and_gradient(p, 60, style.seed)[1]


def _scalp(p: Points, rgb: Colors, style: SkinStyle) -> Colors:
    """Buzz cut: hair colour painted on the scalp."""
    if style.shadow <= 0:
        return rgb
    line = np.clip(hairline(p) / 0.006, 0, 1) * (p[:, 1] > 0.6)
    ears = (np.abs(p[:, 0]) > 0.0685) & (p[:, 1] < 0.692)
    grain = 0.85 + 0.15 * noise(p, 500, 3)
    return mix(rgb, style.hair, np.clip(line * style.shadow * grain * ~ears, 0, 1))


def _hands(s: Surface, rgb: Colors) -> Colors:
    """Finger nails on the back of the last joint."""
    nail = (np.abs(s.point[:, 0]) > 0.757) & (s.normal[:, 1] > 0.55)
    return mix(rgb, np.clip(rgb * [1.08, 0.98, 0.98] + 0.05, 0, 1), nail * 0.8)


def _face(p: Points, rgb: Colors, style: SkinStyle) -> Colors:
    """Stubble, eyes, lips and nostrils; with age, folds beside the nose and forehead lines."""
    rgb = _stubble(p, rgb, style)
    rgb = _eye_region(p, rgb, style)
    rgb = _lips(p, rgb, style)
    nostril = _blob(p, (0.0065, 0.6405, 0.146), 0.0038)
    rgb = mix(rgb, rgb * 0.28, np.clip(1.2 * nostril, 0, 0.85))
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    fold = np.exp(-(((x - 0.017 - 0.55 * (0.645 - y)) / 0.0022) ** 2))
    fold = fold * np.exp(-(((y - 0.634) / 0.011) ** 2)) * (z > 0.1)
    lines = (
        np.exp(-((((y - 0.722) % 0.011 - 0.0055) / 0.0011) ** 2))
        * np.exp(-(((y - 0.724) / 0.014) ** 2))
        * (x < 0.035)
    )
    return rgb * (1 - (0.10 + 0.22 * style.age) * fold - 0.14 * style.age**2 * lines)[:, None]


def _eye_region(p: Points, rgb: Colors, style: SkinStyle) -> Colors:
    """Lids, lashes and eyebrows."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    # Distance from the eyeball's centre: its radius is about 15 mm, and lids lie around it.
    d = np.sqrt((x - EYE[0]) ** 2 + (y - EYE[1]) ** 2 + (z - EYE[2]) ** 2)
    socket = _blob(p, (0.027, 0.683, 0.125), 0.017)
    rgb = mix(rgb, rgb * [0.80, 0.70, 0.70], 0.45 * socket)
    rim = np.clip(1 - (d - 0.0150) / 0.0020, 0, 1) * (z > 0.105)
    upper = np.clip((y - 0.6790) / 0.003, 0, 1)
    lash = rim * (0.25 + 0.65 * upper) * (1 + 0.4 * style.makeup)
    rgb = mix(rgb, np.array([0.07, 0.05, 0.05]) + 0.15 * rgb, np.clip(lash, 0, 0.95))
    # Eyebrow: 0..1 from the nose outwards, on an arch, thinning out at the end.
    along = np.clip((x - 0.010) / 0.043, 0, 1)
    bend = 0.6995 + 0.0042 * np.sin(along**0.8 * np.pi * 0.86) - 0.0016 * along
    thick = 0.0034 * style.brow * (1 - 0.65 * np.clip((along - 0.45) / 0.55, 0, 1))
    brow = np.clip(1.5 - np.abs(y - bend) / thick * 1.1, 0, 1) * (
        0.55 + 0.45 * np.minimum(along * 3, 1)
    )
    brow = brow * np.clip((x - 0.009) / 0.004, 0, 1) * np.clip((0.054 - x) / 0.004, 0, 1)
    brow = brow * (0.75 + 0.25 * noise(p, (900, 300, 300), style.seed)) * (z > 0.085)
    return mix(rgb, 0.5 * style.hair + 0.08 * rgb, np.clip(brow, 0, 0.92))


def _lips(p: Points, rgb: Colors, style: SkinStyle) -> Colors:
    """Two lips and the dark line between them."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    t = np.clip(x / 0.0225, 0, 1)  # 0 in the middle of the mouth .. 1 at its corner
    middle = 0.6183 - 0.0012 * t**2 + 0.0006 * np.cos(3 * np.pi * t) * (1 - t)
    top = 0.6272 - 0.0012 * np.exp(-(((x) / 0.003) ** 2)) - 0.0098 * t**1.6
    bottom = 0.6092 + 0.0085 * t**2
    inside = np.clip((top - y) / 0.0012, 0, 1) * np.clip((y - bottom) / 0.0018, 0, 1)
    inside = inside * (z > 0.115) * (x < 0.0225)
    rgb = mix(rgb, style.lips, 0.85 * inside)
    line = np.exp(-(((y - middle) / 0.0011) ** 2)) * (x < 0.023) * (z > 0.115)
    under = np.exp(-(((y - 0.6045) / 0.003) ** 2)) * np.exp(-((x / 0.012) ** 2)) * (z > 0.11)
    return mix(rgb, rgb * 0.35, np.clip(0.9 * line + 0.18 * under, 0, 0.9))


def _stubble(p: Points, rgb: Colors, style: SkinStyle) -> Colors:
    """A shadow where a beard would grow."""
    if style.stubble <= 0:
        return rgb
    line = np.clip(beard_line(p) / 0.008, 0, 1)
    grain = 0.7 + 0.3 * noise(p, 700, 11)
    cover = np.clip(0.62 * style.stubble * line * grain, 0, 1)
    return mix(rgb, 0.7 * style.hair + 0.2 * rgb, cover)


def paint_eyes(s: Surface, style: SkinStyle) -> Painted:
    """Eyeballs: white, iris with a dark rim, pupil and a small catch light."""
    p = s.point
    dx, dy = p[:, 0] - np.sign(p[:, 0]) * EYE[0], p[:, 1] - EYE[1] + 0.0006
    r = np.hypot(dx, dy)  # from the pupil's centre
    white = np.array([0.82, 0.80, 0.78]) - 8.0 * np.abs(dx)[:, None] * [0.6, 1.3, 1.3]
    shade = 1 - 0.45 * np.clip((dy - 0.0020) / 0.004, 0, 1)
    rgb = white * shade[:, None]
    spokes = 0.85 + 0.15 * np.sin(14 * np.arctan2(dy, dx) + style.seed)
    rgb = mix(rgb, style.iris * spokes[:, None], np.clip((0.0066 - r) / 0.0006, 0, 1))
    rgb = mix(rgb, style.iris * 0.35, np.exp(-(((r - 0.0063) / 0.0007) ** 2)))
    rgb = mix(rgb, np.full(3, 0.03), np.clip((0.0030 - r) / 0.0005, 0, 1))
    glint = np.hypot(dx - 0.0018, dy - 0.0022) < 0.0012
    rgb = mix(rgb, np.ones(3), 0.9 * glint)
    return np.clip(rgb, 0, 1).astype(np.float32), np.zeros_like(p)


def paint_hair(
    s: Surface, color: Color, skin: Color, *, seed: int, curly: float = 0.0, thin: float = 0.006
) -> Painted:
    """Strands: streaks that run down from the crown, or curls.

    Args:
        s: visible hair.
        color: sRGB of the hair.
        skin: sRGB of the skin that shows through at the hairline.
        seed: of the strands.
        curly: 0 straight .. 1 tight curls.
        thin: metres from the hairline over which skin shows through.

    Returns:
        Albedo (N,3) in sRGB and the gradient (N,3) of the surface's height.
    """
    p = s.point
    # Strands: noise that changes fast around the head and slowly along the hair.
    around = np.arctan2(p[:, 0], p[:, 2] - 0.035)
    warp = 0.25 * noise(p, 22, seed)
    strand_at = np.stack([around * 0.085 + 0.02 * warp, p[:, 1] * 0.12, 0 * around], 1)
    fine, gradient = noise_and_gradient(strand_at, (700, 260, 1), seed + 1)
    coarse = noise(strand_at, (180, 110, 1), seed + 2)
    curl = noise(p, 190, seed + 3, octaves=2)
    value = (1 - curly) * (0.6 * fine + 0.5 * coarse) + curly * 1.1 * curl
    tips = np.clip((0.60 - p[:, 1]) / 0.2, 0, 1)
    rgb = np.asarray(color) * (1 + 0.34 * value + 0.12 * tips)[:, None] + 0.015
    across = np.stack([np.cos(around), 0 * around, -np.sin(around)], 1)
    root = 1.15 - s.hem[:, 0] / thin + 0.35 * fine + 0.3 * coarse  # single hairs at the edge
    rgb = mix(rgb, skin, np.clip(root, 0, 0.92))
    bump = (1 - curly) * 0.0006 * gradient[:, :1] * across
    if curly > 0:
        bump = bump + curly * 0.004 * noise_and_gradient(p, 150, seed + 3)[1]
    return np.clip(rgb, 0.01, 1).astype(np.float32), bump


def paint_plain(s: Surface, color: Color) -> Painted:
    """One colour (glasses, lenses, the suit under the clothes)."""
    return np.broadcast_to(np.asarray(color, np.float32), s.point.shape), np.zeros_like(s.point)
