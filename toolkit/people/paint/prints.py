"""Prints on clothes: texts, numbers, logos and pictures, as small RGBA images.

Families are disjoint between the splits: a text, logo shape or picture kind that test people wear
is never seen in training, and stripes, checks and dots use other periods.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from toolkit.people.paint.noise import noise

SIZE_PX = 160
TEXTS = {
    "train": (
        "RIVER",
        "NORTH",
        "SUMMER",
        "TEAM 7",
        "HELLO",
        "OCEAN",
        "STUDIO",
        "WILD",
        "ROCK",
        "CAMP",
        "ORBIT",
        "LUNA",
        "BIKE",
        "1984",
        "FOREST",
        "DANCE",
        "PIXEL",
        "SUNSET",
        "COFFEE",
        "RADIO",
        "MAPLE",
        "SURF",
        "GAMMA",
        "ATLAS",
        "NOVA CLUB",
        "FAST LANE",
        "BLUE SKY",
        "GOOD DAY",
        "HARBOR",
        "VECTOR",
    ),
    "val": ("WINTER", "PIANO", "MOSS", "KITE", "DELTA", "TIGER"),
    "test": (
        "GARDEN",
        "COMET",
        "VOLLEY",
        "ZEBRA",
        "2026",
        "MINT TEA",
        "ECHO",
        "QUARTZ",
        "LAGOON",
        "JUMP",
    ),
}
LOGOS = {
    "train": (
        "star",
        "ring",
        "triangle",
        "diamond",
        "stripes3",
        "cross",
        "moon",
        "square",
        "chevrons",
        "target",
    ),
    "val": ("hexagon", "hourglass"),
    "test": ("heart", "bolt", "drop", "arrow"),
}
PICTURES = {
    "train": ("hills", "clouds", "mosaic", "rays"),
    "val": ("rings",),
    "test": ("waves", "planet"),
}
PERIODS_M = {
    "train": (0.024, 0.034, 0.05, 0.072),
    "val": (0.029, 0.06),
    "test": (0.0265, 0.042, 0.064),
}


@dataclass(frozen=True)
class Print:
    """A picture on cloth, placed in rest space.

    Attributes:
        image: RGBA, first row at the top.
        center: (u, v) in metres; u to the viewer's right of the side it is on, v = y.
        width_m: width on the cloth; the height follows the picture.
        label: what it shows, e.g. "text:RIVER".
    """

    image: Float[np.ndarray, "h w 4"]
    center: tuple[float, float]
    width_m: float
    label: str

    def sample(self, u, v):
        """RGB (N,3) and coverage (N,) at cloth positions in metres."""
        h, w = self.image.shape[:2]
        col = (u - self.center[0]) / self.width_m * w + w / 2 - 0.5
        row = (self.center[1] - v) / self.width_m * w + h / 2 - 0.5
        inside = (col > 0) & (col < w - 1.001) & (row > 0) & (row < h - 1.001)
        col, row = np.clip(col, 0, w - 1.001), np.clip(row, 0, h - 1.001)
        c, r = col.astype(int), row.astype(int)
        fc, fr = (col - c)[:, None], (row - r)[:, None]
        im = self.image
        rgba = (im[r, c] * (1 - fc) + im[r, c + 1] * fc) * (1 - fr) + (
            im[r + 1, c] * (1 - fc) + im[r + 1, c + 1] * fc
        ) * fr
        return rgba[:, :3], rgba[:, 3] * inside


def _stencil(mask: Image.Image, rgb) -> np.ndarray:
    alpha = np.asarray(mask, np.float32) / 255
    rgb = np.broadcast_to(np.asarray(rgb, np.float32), (*alpha.shape, 3))
    return np.concatenate([rgb, alpha[..., None]], -1)


def text_image(text: str, rgb) -> np.ndarray:
    """The text in one colour on transparent ground."""
    font = ImageFont.load_default(72)
    box = font.getbbox(text)
    mask = Image.new("L", (box[2] - box[0] + 16, box[3] - box[1] + 16))
    ImageDraw.Draw(mask).text(
        (8 - box[0], 8 - box[1]), text, fill=255, font=font, stroke_width=2, stroke_fill=255
    )
    return _stencil(mask, rgb)


def _polygon(name: str):
    """Corner points of a logo in [0, 1]."""
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
    return np.array(
        {
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
            "hexagon": [
                (0.5, 0.03),
                (0.92, 0.26),
                (0.92, 0.74),
                (0.5, 0.97),
                (0.08, 0.74),
                (0.08, 0.26),
            ],
            "hourglass": [(0.1, 0.05), (0.9, 0.05), (0.1, 0.95), (0.9, 0.95)],
            "bolt": [
                (0.6, 0.02),
                (0.2, 0.55),
                (0.47, 0.55),
                (0.36, 0.98),
                (0.82, 0.4),
                (0.53, 0.4),
            ],
            "arrow": [
                (0.05, 0.38),
                (0.55, 0.38),
                (0.55, 0.12),
                (0.97, 0.5),
                (0.55, 0.88),
                (0.55, 0.62),
                (0.05, 0.62),
            ],
        }[name]
    )


def logo_image(name: str, rgb) -> np.ndarray:
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


def picture_image(kind: str, colors, seed: int) -> np.ndarray:
    """An opaque picture panel from three colours."""
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
    rgb = np.asarray(colors, np.float32)[np.clip(level, 0, 2).astype(int)]
    return np.concatenate([rgb, np.ones_like(x)[..., None]], -1)


def make_print(kind: str, colors, rng: np.random.Generator, *, split: str, back: bool) -> Print:
    """Choose and place a print.

    Args:
        kind: "text", "number", "logo", "small logo" or "print" (a picture).
        colors: three sRGB colours, the first is used for stencils.
        rng: decides text, shape, size and place.
        split: whose families may be used.
        back: which side it is for; back prints are larger and higher.
    """
    center = (float(rng.normal(0, 0.004)), 0.36 + 0.03 * back + rng.normal(0, 0.01))
    if kind == "text":
        text = TEXTS[split][rng.integers(len(TEXTS[split]))]
        return Print(text_image(text, colors[0]), center, rng.uniform(0.17, 0.24), f"text:{text}")
    if kind == "number":
        offset = {"train": 0, "val": 3, "test": 5}[split]
        number = str(7 * int(rng.integers(1, 13)) + offset)  # residues modulo 7 differ by split
        return Print(
            text_image(number, colors[0]), center, rng.uniform(0.13, 0.18), f"number:{number}"
        )
    if kind == "print":
        name = PICTURES[split][rng.integers(len(PICTURES[split]))]
        image = picture_image(name, colors, int(rng.integers(1 << 30)))
        return Print(image, center, rng.uniform(0.14, 0.2), f"picture:{name}")
    name = LOGOS[split][rng.integers(len(LOGOS[split]))]
    small = kind == "small logo"
    center = (0.07, 0.42) if small else center
    width = 0.045 if small else rng.uniform(0.11, 0.18)
    return Print(logo_image(name, colors[0]), center, width, f"logo:{name}")
