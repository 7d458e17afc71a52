"""Where meshes for the diagnosis come from: Hunyuan3D-2, or a mesh file of any tool.

    photo + mask --recentre--> square picture --Hunyuan3D-2, or a file--> Mesh (y up, front on +z)

Hunyuan3D's licence is not granted in the EU, the UK and South Korea, and its output must not train
another model. So it is only used for this diagnosis, never for a data set.

Source: Zhao et al. 2025 (Hunyuan3D 2.0); conventions as in Tencent-Hunyuan/Hunyuan3D-2.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int

from toolkit.errors import MissingCapabilityError, MissingFileError, fail
from toolkit.measure.hunyuan.crop import Recentred
from toolkit.people.figure import vertex_normals

if TYPE_CHECKING:
    import trimesh

FORMATS = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off")
HALF_BOX = 1.01  # half the side of the cube around the origin that Hunyuan's meshes fill


@dataclass(frozen=True)
class Mesh:
    """Triangles in any unit: y up, front towards +z, corners counter-clockwise from outside."""

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
        """Unit normals of the vertices: means of the adjacent faces' normals, weighted by area."""
        return vertex_normals(self.vertices, self.faces)

    def boxed(self, half: float = HALF_BOX) -> "Mesh":
        """The mesh moved and scaled into a cube around the origin, as Hunyuan's meshes are."""
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        scale = 2 * half / (high - low).max()
        return Mesh(((self.vertices - (low + high) / 2) * scale).astype(np.float32), self.faces)


def read_mesh(path: str | os.PathLike) -> Mesh:
    """Read a GLB, OBJ, PLY, STL or OFF file; the parts of a scene become one mesh.

    Raises:
        MissingFileError: there is no such file.
        InputError: not a mesh file, or a file without triangles.
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
    reader = _trimesh()
    try:
        loaded = reader.load(path, force="mesh", process=False)
    except Exception as error:  # trimesh's readers raise many kinds of error for broken files
        fail(
            f"{path}",
            got=f"{type(error).__name__}: {error}",
            wanted="a triangle mesh",
            fix="Export it again as GLB.",
        )
    if not len(getattr(loaded, "faces", ())):
        fail(
            f"{path}",
            got="no faces",
            wanted="a triangle mesh",
            fix="Point clouds and Gaussian PLY files hold no faces.",
        )
    return from_trimesh(loaded)


def from_trimesh(triangles: "trimesh.Trimesh") -> Mesh:
    """Our mesh from one of trimesh; if it is inside out, its faces are turned round."""
    faces = np.asarray(triangles.faces, np.int32)
    corners = np.asarray(triangles.vertices, np.float64)[faces]  # (F,3,3)
    # 6 times the volume, as the sum of tetrahedra from the origin: negative if inside out
    volume = np.einsum("fc,fc->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    return Mesh(np.asarray(triangles.vertices, np.float32), faces[:, ::-1] if volume < 0 else faces)


def generate_mesh(
    picture: Recentred,
    *,
    repo: str = "tencent/Hunyuan3D-2",
    steps: int = 50,
    guidance_scale: float = 5.0,
    octree_resolution: int = 384,
    seed: int = 0,
    **load_options: object,
) -> Mesh:
    """Let Hunyuan3D-2 make a mesh of the person, without texture; needs a GPU with 6 GB.

    Args:
        picture: the person alone on white, from `recentre`.
        repo: on the Hugging Face Hub, or a folder.
        steps: of the sampler.
        guidance_scale: of classifier-free guidance.
        octree_resolution: cells along each side of the cube in which the surface is looked up.
        seed: of the noise.
        load_options: for the pipeline's `from_pretrained`, e.g. subfolder="hunyuan3d-dit-v2-mini".

    Raises:
        MissingCapabilityError: `hy3dgen` is not installed.
    """
    try:
        from hy3dgen.shapegen import Hunyuan3DDiTFlowMatchingPipeline as Pipeline
    except ImportError:
        fail(
            "Hunyuan3D",
            got="no package hy3dgen",
            wanted="the package, a GPU and the weights",
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


def _trimesh() -> ModuleType:
    try:
        import trimesh
    except ImportError:
        fail(
            "mesh files",
            got="no package trimesh",
            wanted="trimesh, which reads them",
            fix="pip install trimesh",
            kind=MissingCapabilityError,
        )
    return trimesh
