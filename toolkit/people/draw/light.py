"""Light on a person: one key light, ambient light from sky and ground, and soft occlusion.

The key light uses a *wrapped cosine*: instead of max(n.l, 0), which is dark from 90 degrees on, it
takes (n.l + w) / (1 + w), so that light reaches around the body like that of a large soft lamp.
"""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, map_coordinates

from toolkit.people.arrays import Colors, Points, Values

VOXEL_M = 0.025  # of the occupancy grid


@dataclass(frozen=True)
class Light:
    """A key light and a sky, fixed in the world.

    Attributes:
        direction: unit vector towards the key light.
        key: strength of the key light in linear RGB.
        sky, ground: ambient linear RGB from above and below.
        wrap: w above; 0 is a hard light, 0.6 a very soft one.
    """

    direction: Float[np.ndarray, "3"]
    key: Float[np.ndarray, "3"]
    sky: Float[np.ndarray, "3"]
    ground: Float[np.ndarray, "3"]
    wrap: float = 0.3


def sample_light(rng: np.random.Generator) -> Light:
    """A plausible light: mostly from the front and above, warm or cool, soft or hard."""
    azimuth, elevation = np.deg2rad(rng.normal(0, 45)), np.deg2rad(rng.uniform(20, 65))
    direction = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ]
    )
    warmth = rng.normal(0, 0.05)
    tint = np.array([1 + warmth, 1, 1 - warmth])
    contrast = rng.uniform(0.35, 0.75)  # share of the key
    level = rng.uniform(0.88, 1.10)
    sky = (1 - contrast) * level * np.array([1 - warmth / 2, 1, 1 + warmth / 2])
    return Light(
        direction.astype(np.float32),
        (1.25 * contrast * level * tint).astype(np.float32),
        (1.3 * sky).astype(np.float32),
        (0.9 * sky * tint).astype(np.float32),
        float(rng.uniform(0.15, 0.5)),
    )


def shade(
    albedo: Colors,
    normals: Points,
    view: Points,
    openness: tuple[Values, Values],
    light: Light,
    *,
    gloss: Values,
) -> Colors:
    """sRGB colours of shaded points.

    Args:
        albedo: sRGB (N,3).
        normals: unit world normals (N,3).
        view: unit directions to the camera (N,3).
        openness: shares in 0..1 of the sky and of the key light that reach the point, each (N,).
        light: the light.
        gloss: strength of the highlight (N,).
    """
    out = np.empty(albedo.shape, np.float32)
    lights = np.stack([light.direction, light.key, light.sky, light.ground]).astype(np.float32)
    _shade(albedo, normals, view, np.stack(openness), gloss, lights, light.wrap, out)
    return out


@numba.njit(cache=True)
def _shade(
    albedo: Float[np.ndarray, "N 3"],
    normals: Float[np.ndarray, "N 3"],
    view: Float[np.ndarray, "N 3"],
    openness: Float[np.ndarray, "2 N"],
    gloss: Float[np.ndarray, " N"],
    lights: Float[np.ndarray, "4 3"],
    wrap: float,
    out: Float[np.ndarray, "N 3"],
) -> None:
    """Shade in linear light; a gamma of 2 stands for the sRGB curve, near enough and cheap."""
    occlusion, lit = openness[0], openness[1]  # (N,) each
    direction, key, sky, ground = lights[0], lights[1], lights[2], lights[3]
    for n in range(albedo.shape[0]):
        cosine = shine = length = 0.0
        for c in range(3):
            cosine += normals[n, c] * direction[c]
            shine += normals[n, c] * (view[n, c] + direction[c])
            length += (view[n, c] + direction[c]) ** 2
        lambert = min(max((cosine + wrap) / (1 + wrap), 0.0), 1.0)
        lambert *= (0.45 + 0.55 * occlusion[n]) * lit[n]
        # Blinn-Phong highlight: the half vector between view and light against the normal.
        shine = max(shine / max(np.sqrt(length), 1e-6), 0.0) ** 24 * gloss[n] * 0.25 * lit[n]
        up = 0.5 + 0.5 * normals[n, 1]  # 1 faces the sky, 0 the ground
        for c in range(3):
            ambient = (up * sky[c] + (1 - up) * ground[c]) * occlusion[n]
            value = albedo[n, c] ** 2 * (ambient + lambert * key[c]) + shine * key[c]
            if value > 0.8:  # bright values are compressed smoothly to stay below 1
                value = 0.8 + 0.2 * np.tanh((value - 0.8) / 0.2)
            out[n, c] = np.sqrt(max(value, 0.0))


def occlusion_at(
    points: Float[np.ndarray, "N 3"], normals: Float[np.ndarray, "N 3"]
) -> Float[np.ndarray, " N"]:
    """How open the surroundings of each vertex are: 1 open .. 0.25 enclosed.

    A cheap ambient occlusion: vertices mark voxels as occupied, the grid is blurred, and a vertex
    is darkened by what the grid holds 3.5 and 8 cm in front of it, along its normal. So armpits,
    the inside of the legs and the neck below the chin get dark.
    """
    low = points.min(0) - 0.2
    shape = np.ceil((points.max(0) + 0.2 - low) / VOXEL_M).astype(int) + 1
    cell = ((points - low) / VOXEL_M).round().astype(int)
    grid = np.zeros(shape, np.float32)
    grid[cell[:, 0], cell[:, 1], cell[:, 2]] = 1.0
    total = np.zeros(len(points), np.float32)
    for reach, sigma in ((0.035, 0.8), (0.08, 1.8)):  # metres, voxels: what is near counts sharply
        blurred = gaussian_filter(grid, sigma, mode="constant", truncate=2.5)
        ahead = ((points + reach * normals - low) / VOXEL_M).T
        total += map_coordinates(blurred, ahead, order=1, mode="constant")
    return np.clip(1.12 - 1.9 * total, 0.25, 1.0).astype(np.float32)
