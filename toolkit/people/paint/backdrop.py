"""Backgrounds that look like places: a studio, a room, a street, a park, all out of focus.

Coordinates x and y are in picture heights, from the top left; the horizon is a y.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from toolkit.people.arrays import Color
from toolkit.people.noise import noise
from toolkit.people.palette import CLOTH

Picture = Float[np.ndarray, "H W 3"]
Plane = Float[np.ndarray, "H W"]


def sample_backdrop(
    rng: np.random.Generator, size: tuple[int, int], *, horizon: float
) -> Float[np.ndarray, "H W 3"]:
    """A blurred background in sRGB.

    Args:
        rng: decides place and colours.
        size: (height, width) in pixels.
        horizon: row of the floor's far edge, as a share of the height.
    """
    place = (studio, room, street, park)[rng.choice(4, p=[0.2, 0.35, 0.2, 0.25])]
    image = place(rng, size, horizon)
    blur = size[0] * (0.004 if place is studio else rng.uniform(0.006, 0.02))
    # Out of focus, as behind a person in front of a wide aperture; a studio's paper less so.
    image = gaussian_filter(image, (blur, blur, 0), mode="nearest")
    return np.clip(image, 0, 1).astype(np.float32)


def _grid(size: tuple[int, int]) -> tuple[Plane, Plane]:
    """y and x of every pixel, in picture heights."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    return y, x


def _field(
    size: tuple[int, int], cycles: float | tuple[float, float], seed: int, octaves: int = 3
) -> Plane:
    """Noise over the picture; `cycles` per picture height, one number or (x, y)."""
    y, x = _grid(size)
    points = np.stack([x, y, 0 * x], -1).reshape(-1, 3)
    cycles = np.array([*np.broadcast_to(cycles, 2), 1.0])
    return noise(points, cycles, seed, octaves=octaves).reshape(size)


def _tint(rng: np.random.Generator, low: float, high: float, spread: float = 0.03) -> Color:
    """A random grey between `low` and `high`, tinted by about `spread`."""
    return np.clip(rng.uniform(low, high) + rng.normal(0, spread, 3), 0.02, 0.98)


def studio(rng: np.random.Generator, size: tuple[int, int], horizon: float) -> Picture:
    """A paper sweep with a soft spot of light."""
    y, x = _grid(size)
    middle = rng.uniform(0.3, 0.7) * size[1] / size[0]
    spot = np.exp(-((x - middle) ** 2 + (y - 0.4) ** 2) / rng.uniform(0.15, 0.6))
    base = _tint(rng, 0.3, 0.9, 0.04)
    return base * (0.75 + 0.3 * spot - 0.08 * (y > horizon) * (y - horizon) / 0.2)[..., None]


def room(rng: np.random.Generator, size: tuple[int, int], horizon: float) -> Picture:
    """Wall, skirting board, floor, and a window, pictures or shelves."""
    y, x = _grid(size)
    seed = int(rng.integers(1 << 30))
    wall = _tint(rng, 0.45, 0.9) * (1 + 0.04 * _field(size, 3, seed))[..., None]
    wood = rng.random() < 0.6
    floor = np.array([0.55, 0.40, 0.27]) * rng.uniform(0.6, 1.3) if wood else _tint(rng, 0.3, 0.7)
    # Floor boards in perspective: they get narrower towards the horizon.
    boards = 0.06 * np.sign(np.sin(60 * x / (0.3 + np.abs(y - horizon)))) if wood else 0
    floor = floor * (1 + boards + 0.06 * _field(size, (6, 30), seed + 1))[..., None]
    image = np.where((y > horizon)[..., None], floor, wall)
    board = (y > horizon - 0.03) & (y <= horizon)
    image[board] = np.clip(wall[board] * 1.15, 0, 1)
    for _ in range(int(rng.integers(1, 5))):
        image = _panel(rng, image, y, x, horizon)
    return image * (0.85 + 0.25 * np.clip(1 - np.abs(x - rng.random()), 0, 1))[..., None]


def _panel(rng: np.random.Generator, image: Picture, y: Plane, x: Plane, horizon: float) -> Picture:
    """A window, door, shelf or picture on the wall."""
    width, height = rng.uniform(0.12, 0.45), rng.uniform(0.12, 0.6)
    left, top = rng.uniform(-0.2, 1.0), rng.uniform(0, max(horizon - height, 0.05))
    inside = (x > left) & (x < left + width) & (y > top) & (y < min(top + height, horizon))
    names = list(CLOTH)
    color = np.array(CLOTH[names[rng.integers(len(names))]]) / 255
    if rng.random() < 0.35:
        color = np.array([0.93, 0.96, 1.0])  # a window
    bars = 0.9 + 0.1 * np.sign(np.sin(x * rng.uniform(15, 60)))
    return np.where(inside[..., None], color * bars[..., None], image)


def street(rng: np.random.Generator, size: tuple[int, int], horizon: float) -> Picture:
    """Sky, house fronts with windows, pavement."""
    y, x = _grid(size)
    seed = int(rng.integers(1 << 30))
    image = np.ones((*size, 3)) * np.array([0.72, 0.82, 0.93]) * rng.uniform(0.8, 1.05)
    edges = np.sort(rng.uniform(-0.1, size[1] / size[0] + 0.1, 5))
    for left, right in zip([-1, *edges], [*edges, 3], strict=True):
        front = (x >= left) & (x < right) & (y > rng.uniform(-0.3, 0.3))
        panes = (np.sin(45 * x) > 0.1) & (np.sin(32 * y + left) > 0.2)
        shade = _tint(rng, 0.3, 0.8) * np.where(panes, 0.55, 1.0)[..., None]
        image = np.where(front[..., None], shade, image)
    ground = _tint(rng, 0.35, 0.65, 0.02) * (1 + 0.08 * _field(size, (8, 40), seed))[..., None]
    return np.where((y > horizon)[..., None], ground, image)


def park(rng: np.random.Generator, size: tuple[int, int], horizon: float) -> Picture:
    """Sky, trees, grass or a path."""
    y, x = _grid(size)
    seed = int(rng.integers(1 << 30))
    sky = np.array([0.70, 0.83, 0.95]) * (1.05 - 0.2 * y)[..., None]
    # One row of noise gives the line of tree tops against the sky.
    crowns = _field((1, size[1]), 3, seed, octaves=2)[0]
    edge = horizon - rng.uniform(0.15, 0.5) + 0.14 * crowns
    leaves = np.array([0.22, 0.36, 0.16]) * rng.uniform(0.7, 1.4)
    leaves = leaves * (1 + 0.5 * _field(size, 14, seed + 1))[..., None]
    image = np.where((y > edge)[..., None], leaves, sky)
    grass = np.array([0.36, 0.50, 0.22]) if rng.random() < 0.6 else np.array([0.62, 0.56, 0.46])
    grass = grass * (1 + 0.15 * _field(size, (10, 60), seed + 2))[..., None]
    return np.where((y > horizon)[..., None], grass, image)
