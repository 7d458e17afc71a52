"""Prints on clothes: a small RGBA image, and where it lies on the garment."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from toolkit.people.arrays import Colors, Values
from toolkit.people.paint.print_families import LOGOS, PICTURES, TEXTS
from toolkit.people.paint.print_images import logo_image, picture_image, text_image


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

    def sample(self, u: Values, v: Values) -> tuple[Colors, Values]:
        """RGB (N,3) and coverage (N,) at cloth positions in metres, between pixels bilinearly."""
        h, w = self.image.shape[:2]
        # Metres to pixel indices; the -0.5 is there because pixel centres lie at +0.5.
        col = (u - self.center[0]) / self.width_m * w + w / 2 - 0.5
        row = (self.center[1] - v) / self.width_m * w + h / 2 - 0.5
        inside = (col > 0) & (col < w - 1.001) & (row > 0) & (row < h - 1.001)
        col, row = np.clip(col, 0, w - 1.001), np.clip(row, 0, h - 1.001)
        c, r = col.astype(int), row.astype(int)
        fc, fr = (col - c)[:, None], (row - r)[:, None]
        im = self.image  # (h,w,4)
        rgba = (im[r, c] * (1 - fc) + im[r, c + 1] * fc) * (1 - fr) + (
            im[r + 1, c] * (1 - fc) + im[r + 1, c + 1] * fc
        ) * fr
        return rgba[:, :3], rgba[:, 3] * inside


def make_print(
    kind: str, colors: Float[np.ndarray, "3 3"], rng: np.random.Generator, *, split: str, back: bool
) -> Print:
    """Choose and place a print.

    Args:
        kind: "text", "number", "logo", "small logo" or "print" (a picture).
        colors: three sRGB colours; texts, numbers and logos use the first only.
        rng: decides text, shape, size and place.
        split: whose families may be used.
        back: true for the back, where prints sit 3 cm higher.
    """
    center = (float(rng.normal(0, 0.004)), 0.36 + 0.03 * back + rng.normal(0, 0.01))
    if kind == "text":
        text = TEXTS[split][rng.integers(len(TEXTS[split]))]
        return Print(text_image(text, colors[0]), center, rng.uniform(0.17, 0.24), f"text:{text}")
    if kind == "number":
        offset = {"train": 0, "val": 3, "test": 5}[split]
        number = str(7 * int(rng.integers(1, 13)) + offset)  # remainder modulo 7 tells the split
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
