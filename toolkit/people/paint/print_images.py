"""Images of prints: texts, logo shapes and pictures, drawn as RGBA with the first row on top."""

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from toolkit.people.arrays import Color
from toolkit.people.noise import noise

SIZE_PX = 160  # of logos and pictures
Rgba = Float[np.ndarray, "h w 4"]
# Corners of the straight-edged logos in [0, 1], y down.
POLYGONS = {
    "triangle": [(0.5, 0.08), (0.95, 0.88), (0.05, 0.88)],
    "diamond": [(0.5, 0.03), (0.85, 0.5), (0.5, 0.97), (0.15, 0.5)],
    "square": [(0.12, 0.12), (0.88, 0.12), (0.88, 0.88), (0.12, 0.88)],
    "cross": [
        (0.35, 0.05),
        (0.65, 0.05),
        (0.65, 0.35),
        (0.95, 0.35),
        (0.95, 0.65),
        (0.65, 0.65),
        (0.65, 0.95),
        (0.35, 0.95),
        (0.35, 0.65),
        (0.05, 0.65),
        (0.05, 0.35),
        (0.35, 0.35),
    ],
    "hexagon": [(0.5, 0.03), (0.92, 0.26), (0.92, 0.74), (0.5, 0.97), (0.08, 0.74), (0.08, 0.26)],
    "hourglass": [(0.1, 0.05), (0.9, 0.05), (0.1, 0.95), (0.9, 0.95)],
    "bolt": [(0.6, 0.02), (0.2, 0.55), (0.47, 0.55), (0.36, 0.98), (0.82, 0.4), (0.53, 0.4)],
    "arrow": [
        (0.05, 0.38),
        (0.55, 0.38),
        (0.55, 0.12),
        (0.97, 0.5),
        (0.55, 0.88),
        (0.55, 0.62),
        (0.05, 0.62),
    ],
}


def _stencil(mask: Image.Image, rgb: Color) -> Rgba:
    """One colour, opaque where the mask is 255."""
    alpha = np.asarray(mask, np.float32) / 255
    rgb = np.broadcast_to(np.asarray(rgb, np.float32), (*alpha.shape, 3))
    return np.concatenate([rgb, alpha[..., None]], -1)


def text_image(text: str, rgb: Color) -> Rgba:
    """The text in one colour on transparent ground."""
    font = ImageFont.load_default(72)
    box = font.getbbox(text)
    mask = Image.new("L", (box[2] - box[0] + 16, box[3] - box[1] + 16))
    ImageDraw.Draw(mask).text(
        (8 - box[0], 8 - box[1]), text, fill=255, font=font, stroke_width=2, stroke_fill=255
    )
    return _stencil(mask, rgb)


def _polygon(name: str) -> Float[np.ndarray, "K 2"]:
    """Corners of a logo in [0, 1], y down; curves as 60 short edges."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    if name == "star":
        angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        radius = np.where(np.arange(10) % 2 == 0, 0.48, 0.2)
        return np.stack([0.5 + radius * np.sin(angle), 0.5 - radius * np.cos(angle)], 1)
    if name == "heart":
        x = 16 * np.sin(angle) ** 3
        y = 13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)
        return np.stack([0.5 + x / 36, 0.47 - y / 36], 1)
    if name == "drop":
        radius = 0.3 * (1 - 0.2 * np.cos(angle))
        tip = np.where(np.cos(angle) > 0.7, 0.75 * np.cos(angle) - 0.5, 0)
        return np.stack([0.5 + radius * np.sin(angle), 0.6 - radius * np.cos(angle) - tip], 1)
    return np.array(POLYGONS[name])


def logo_image(name: str, rgb: Color) -> Rgba:
    """A logo shape in one colour on transparent ground."""
    mask = Image.new("L", (SIZE_PX, SIZE_PX))
    draw, s = ImageDraw.Draw(mask), SIZE_PX
    if name in ("ring", "target", "moon"):
        draw.ellipse((0.05 * s, 0.05 * s, 0.95 * s, 0.95 * s), fill=255)
        hole = {
            "ring": (0.25, 0.25, 0.75, 0.75),
            "target": (0.2, 0.2, 0.8, 0.8),
            "moon": (0.3, 0.0, 1.1, 0.8),
        }[name]
        draw.ellipse(tuple(s * h for h in hole), fill=0)
        if name == "target":
            draw.ellipse((0.35 * s, 0.35 * s, 0.65 * s, 0.65 * s), fill=255)
    elif name in ("stripes3", "chevrons"):
        drop = 0.25 if name == "chevrons" else 0.0
        for k in range(3):
            top = 0.1 + 0.25 * k
            points = [
                (0.05, top),
                (0.5, top + drop),
                (0.95, top),
                (0.95, top + 0.13),
                (0.5, top + drop + 0.13),
                (0.05, top + 0.13),
            ]
            draw.polygon([(x * s, y * s * 0.85) for x, y in points], fill=255)
    else:
        draw.polygon([(x * s, y * s) for x, y in _polygon(name)], fill=255)
    return _stencil(mask, rgb)


def picture_image(kind: str, colors: Float[np.ndarray, "3 3"], seed: int) -> Rgba:
    """An opaque picture in three colours; `kind` is one of `print_families.PICTURES`."""
    y, x = np.mgrid[0 : 1 : SIZE_PX * 1j, 0 : 1 : SIZE_PX * 1j].astype(np.float32)
    p = np.stack([x, y, 0 * x], -1).reshape(-1, 3)
    rough = noise(p, 5.0, seed, octaves=3).reshape(x.shape)
    angle = np.arctan2(y - 0.6, x - 0.5)
    level = {
        "hills": 2.6 * (y + 0.25 * noise(p * [1, 0, 0], 4, seed).reshape(x.shape)) - 0.3,
        "clouds": 1 + 1.2 * rough,
        "mosaic": 1.5 + 1.5 * noise(np.floor(p * 6), 0.77, seed).reshape(x.shape),
        "rays": 1.5 + 1.5 * np.sign(np.sin(8 * angle)),
        "rings": 1 + np.sin(40 * np.hypot(x - 0.5, y - 0.5)),
        "waves": 1.3 + np.sin(18 * y + 3 * rough),
        "planet": 2.4
        * (np.hypot(x - 0.5, y - 0.5) < 0.36)
        * (0.6 + 0.4 * np.sin(22 * (y + 0.3 * x))),
    }[kind]
    # Which of the three colours, from the integer part of the level.
    rgb = np.asarray(colors, np.float32)[np.clip(level, 0, 2).astype(int)]
    return np.concatenate([rgb, np.ones_like(x)[..., None]], -1)
