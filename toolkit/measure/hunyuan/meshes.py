"""Hunyuan3D-2 as a source of meshes for a diagnosis: its recentring, its pipeline, any mesh file.

    photo + mask --recentre--> square picture --hy3dgen, or a file--> Mesh (y up, front on +z)

Licence of the model: not granted in the EU, the UK and South Korea, and its output must not train
another model. So it stays a diagnosis here and never feeds a data set.
Source: Zhao et al. 2025 (Hunyuan3D 2.0); conventions as in Tencent-Hunyuan/Hunyuan3D-2.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import ndimage

from toolkit.cameras import Cameras
from toolkit.errors import MissingCapabilityError, MissingFileError, fail
from toolkit.people.figure import vertex_normals

FORMATS = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off")
SHARE = 0.85  # of the square that the person's longer side takes
HALF_BOX = 1.01  # Hunyuan's meshes reach about so far from the origin


@dataclass(frozen=True)
class Mesh:
    """Triangles in any unit, y up, front towards +z, corners counter-clockwise from outside."""

    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]

    def __post_init__(self):
        v, f = self.vertices, self.faces
        good = v.ndim == f.ndim == 2 and v.shape[1] == f.shape[1] == 3 and len(f) > 0
        if not good or not np.isfinite(v).all() or f.min() < 0 or f.max() >= len(v):
            fail(
                "Mesh",
                got=f"vertices {v.shape}, faces {f.shape}",
                wanted="finite (V,3) and one or more (F,3) within range",
                fix="Export it again as triangles.",
            )

    @cached_property
    def normals(self) -> Float[np.ndarray, "V 3"]:
        """Unit normals of the vertices, faces weighted by area."""
        return vertex_normals(self.vertices, self.faces)

    def boxed(self, half: float = HALF_BOX) -> "Mesh":
        """Centred and scaled into a cube of this half side, which is what Hunyuan hands out."""
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        scale = 2 * half / (high - low).max()
        return Mesh(((self.vertices - (low + high) / 2) * scale).astype(np.float32), self.faces)


@dataclass(frozen=True)
class Recentred:
    """The person alone in a square on white; square pixel = scale * photo pixel + corner.

    Attributes:
        rgb: in [0, 1]. mask: coverage.
        scale: square pixels a photo pixel.
        corner: x and y of the photo's corner in square pixels.
        box: x0, y0, x1, y1 of the person in photo pixels.
    """

    rgb: Float[np.ndarray, "S S 3"]
    mask: Float[np.ndarray, "S S"]
    scale: float
    corner: Float[np.ndarray, " 2"]
    box: tuple[int, int, int, int]

    def carry(self, picture: Float[np.ndarray, "H W *K"], fill: float = 0.0) -> np.ndarray:
        """Another picture of the photo (normals, depth), cut and placed the same way."""
        return _place(picture, self.box, self.scale, self.corner, len(self.mask), fill)

    def camera(self, cameras: Cameras) -> Cameras:
        """The photo's camera for the square picture."""
        Ks = cameras.Ks.clone()
        Ks[:, :2] *= self.scale
        Ks[:, :2, 2] += torch.from_numpy(self.corner).to(Ks)
        return Cameras(cameras.viewmats, Ks, len(self.mask), len(self.mask))


def recentre(
    rgb: Float[np.ndarray, "H W 3"],
    mask: Float[np.ndarray, "H W"],
    *,
    size_px: int = 512,
    share: float = SHARE,
) -> Recentred:
    """Cut the person out and put it into the middle of a white square.

    Args:
        rgb: in [0, 1]. mask: coverage of the person in [0, 1].
        size_px: side of the square. share: of it that the longer side takes.

    Raises:
        InputError: an empty mask.

    Source: as Hunyuan3D-2 prepares its input.
    """
    rows, cols = np.flatnonzero((mask > 0.5).any(1)), np.flatnonzero((mask > 0.5).any(0))
    if not len(rows):
        fail("recentre", got="an empty mask", wanted="a person", fix="Look at the person mask.")
    box = (int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1)
    scale = share * size_px / max(box[2] - box[0], box[3] - box[1])
    corner = size_px / 2 - scale * np.array([box[0] + box[2], box[1] + box[3]]) / 2
    coverage = _place(mask, box, scale, corner, size_px, 0.0).clip(0, 1)
    alone = rgb * mask[..., None] + 1 - mask[..., None]
    return Recentred(
        _place(alone, box, scale, corner, size_px, 1.0).clip(0, 1).astype(np.float32),
        coverage.astype(np.float32),
        scale,
        corner,
        box,
    )


def _place(picture, box, scale: float, corner, size_px: int, fill: float) -> np.ndarray:
    """Sample a photo's picture bilinearly at the square's pixel centres; `fill` off the box."""
    centers = np.arange(size_px) + 0.5
    x, y = (centers - corner[0]) / scale, (centers - corner[1]) / scale
    planes = np.asarray(picture, np.float32).reshape(*picture.shape[:2], -1)
    if scale < 1:  # do not alias
        planes = ndimage.gaussian_filter(planes, (0.5 / scale - 0.5,) * 2 + (0,))
    grid = np.meshgrid(y - 0.5, x - 0.5, indexing="ij")
    inside = ((y >= box[1] - 1) & (y <= box[3] + 1))[:, None] & (
        (x >= box[0] - 1) & (x <= box[2] + 1)
    )[None]
    found = np.stack(
        [
            ndimage.map_coordinates(planes[..., k], grid, order=1, mode="nearest")
            for k in range(planes.shape[2])
        ],
        axis=-1,
    )
    found = np.where(inside[..., None], found, fill)
    return found.reshape(size_px, size_px, *picture.shape[2:])


def read_mesh(path: str | os.PathLike) -> Mesh:
    """A GLB, OBJ, PLY, STL or OFF file; scenes are merged, inside-out meshes turned.

    Raises:
        MissingFileError: no such file.
        InputError: not a mesh file, or one without triangles.
        MissingCapabilityError: trimesh is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist. Give a mesh: {', '.join(FORMATS)}.")
    if path.suffix.lower() not in FORMATS:
        fail(
            f"{path}",
            got=path.suffix or "no suffix",
            wanted=", ".join(FORMATS),
            fix="Export it as GLB.",
        )
    trimesh = _trimesh()
    try:
        found = trimesh.load(path, force="mesh", process=False)
    except Exception as error:  # its readers raise many kinds, all meaning the same
        fail(
            f"{path}",
            got=f"{type(error).__name__}: {error}",
            wanted="a triangle mesh",
            fix="Export it again as GLB.",
        )
    if not len(getattr(found, "faces", ())):
        fail(
            f"{path}",
            got="no faces",
            wanted="a triangle mesh",
            fix="Point clouds and Gaussian PLY files hold no faces.",
        )
    return from_trimesh(found)


def from_trimesh(found) -> Mesh:
    """Our mesh of a `trimesh.Trimesh`; a closed one that is inside out is turned."""
    faces = np.asarray(found.faces, np.int32)
    corners = np.asarray(found.vertices, np.float64)[faces]
    volume = np.einsum("fc,fc->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    return Mesh(np.asarray(found.vertices, np.float32), faces[:, ::-1] if volume < 0 else faces)


def generate_mesh(
    picture: Recentred,
    *,
    repo: str = "tencent/Hunyuan3D-2",
    steps: int = 50,
    guidance_scale: float = 5.0,
    octree_resolution: int = 384,
    seed: int = 0,
    **load_options,
) -> Mesh:
    """Let Hunyuan3D-2 make a mesh of the person, on a GPU with 6 GB; untextured.

    Args:
        repo: on the Hugging Face Hub, or a folder. `load_options` go to `from_pretrained`, e.g.
            subfolder="hunyuan3d-dit-v2-mini".

    Raises:
        MissingCapabilityError: `hy3dgen` is not installed.
    """
    try:
        from hy3dgen.shapegen import Hunyuan3DDiTFlowMatchingPipeline as Pipeline
    except ImportError:
        fail(
            "Hunyuan3D",
            got="no package hy3dgen",
            wanted="it, a GPU and the weights",
            fix="Install it from github.com/Tencent-Hunyuan/Hunyuan3D-2 (mind its licence), or "
            "give the mesh file of another tool to read_mesh.",
            kind=MissingCapabilityError,
        )
    from PIL import Image

    rgba = np.dstack([picture.rgb, picture.mask])
    image = Image.fromarray((rgba * 255).round().astype(np.uint8), "RGBA")
    made = Pipeline.from_pretrained(repo, **load_options)(
        image=image,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        octree_resolution=octree_resolution,
        output_type="trimesh",
        generator=torch.Generator().manual_seed(seed),
    )
    return from_trimesh(made[0])


def _trimesh():
    try:
        import trimesh
    except ImportError:
        fail(
            "mesh files",
            got="no package trimesh",
            wanted="it",
            fix="pip install trimesh",
            kind=MissingCapabilityError,
        )
    return trimesh
