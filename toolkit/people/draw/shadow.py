"""Shadows of the key light by shadow mapping.

The person is drawn once more, as the light sees it. A point is in shadow if the light's depth
picture holds something closer to the light; averaging some neighbouring comparisons softens edges.

Source: Williams 1978; percentage-closer filtering, Reeves, Salesin and Cook 1987.
"""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float, Int

from toolkit.cameras import Cameras, orbit_cameras
from toolkit.people.draw.light import Light
from toolkit.render.mesh import project_vertices, rasterize_mesh

FAR_M = 60.0  # so far away that rays are almost parallel
SIZE_PX = 256


@dataclass(frozen=True)
class ShadowMap:
    """Depth of the person as the key light sees it.

    Attributes:
        camera: at the light.
        depth: metres from the light, 0 where it passes by the person.
        texel_m: size of one pixel of `depth` on the person.
    """

    camera: Cameras
    depth: Float[np.ndarray, "S S"]
    texel_m: float

    def lit(self, points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " N"]:
        """Share of the key light that reaches points: 1 lit, 0 in full shadow."""
        seen = project_vertices(points, self.camera).astype(np.float32)  # column, row, depth
        share = np.empty(len(points), np.float32)
        # The bias keeps a surface, sampled coarsely by the map, from shadowing itself.
        _look_up(seen, self.depth, 1.5 * self.texel_m + 0.006, share)
        return share


def shadow_map(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    fields: Float[np.ndarray, "V K"],
    light: Light,
) -> ShadowMap:
    """Draw the mesh from the light; samples with a negative field are cut away."""
    low, high = vertices.min(0), vertices.max(0)
    # A camera on the light's side, far away, whose field of view just holds the bounding sphere.
    reach = float(np.linalg.norm(high - low)) / 2 * 1.02
    azimuth = float(np.rad2deg(np.arctan2(light.direction[0], light.direction[2])))
    elevation = float(np.rad2deg(np.arcsin(light.direction[1])))
    fov_deg = float(np.rad2deg(2 * np.arctan(reach / FAR_M)))
    camera = orbit_cameras(
        [azimuth],
        elevation,
        radius_m=FAR_M,
        fov_y_deg=fov_deg,
        size=(SIZE_PX, SIZE_PX),
        target=tuple((low + high) / 2),
    )
    depth = rasterize_mesh(vertices, faces, camera, discard=fields).depth
    return ShadowMap(camera, depth, 2 * reach / SIZE_PX)


@numba.njit(cache=True)
def _look_up(
    seen: Float[np.ndarray, "N 3"],
    depth: Float[np.ndarray, "S S"],
    bias: float,
    share: Float[np.ndarray, " N"],
) -> None:
    """Mean of the comparisons with 4 x 4 pixels around the point; the outer ones count in part."""
    size = depth.shape[0]
    for n in range(seen.shape[0]):
        col, row = seen[n, 0] - 0.5, seen[n, 1] - 0.5
        c0, r0 = int(np.floor(col)), int(np.floor(row))
        fc, fr = col - c0, row - r0
        total = 0.0
        for dr in range(-1, 3):
            wr = 1 - fr if dr == -1 else (fr if dr == 2 else 1.0)
            for dc in range(-1, 3):
                wc = 1 - fc if dc == -1 else (fc if dc == 2 else 1.0)
                r, c = min(max(r0 + dr, 0), size - 1), min(max(c0 + dc, 0), size - 1)
                blocked = depth[r, c] > 0 and seen[n, 2] - depth[r, c] > bias
                total += 0.0 if blocked else wr * wc / 9
        share[n] = total
