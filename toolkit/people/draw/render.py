"""Draw a person from any camera.

Deferred shading: a z-buffer first finds which point of which face each sample shows; then only
these samples are painted and lit, once each, and finally averaged into pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.people.arrays import Colors, Points, Values
from toolkit.people.draw.interpolate import interpolate, surface_frame, unit
from toolkit.people.draw.light import occlusion_at, shade
from toolkit.people.draw.materials import CLOTH_GLOSS, GLOSS, paint_material
from toolkit.people.draw.shadow import shadow_map
from toolkit.people.dress.assemble import DressedMesh, pose_mesh
from toolkit.people.dress.outfit import Outfit
from toolkit.people.figure import load_figure, pose_figure
from toolkit.people.paint.surface import Surface
from toolkit.people.person import Person
from toolkit.render.mesh import rasterize_mesh


@dataclass(frozen=True)
class PersonViews:
    """C pictures of a person.

    Attributes:
        rgb: sRGB in [0, 1], composited on white.
        alpha: share of the pixel that the person covers.
        depth: mean camera z in metres of the covered samples, 0 where empty.
        normals: world, unit, 0 where empty.
    """

    rgb: Float[Tensor, "C H W 3"]
    alpha: Float[Tensor, "C H W 1"]
    depth: Float[Tensor, "C H W"]
    normals: Float[Tensor, "C H W 3"]


@dataclass(frozen=True)
class _Samples:
    """Visible samples of all views, flattened: `supersample`^2 per fully covered pixel.

    Attributes:
        face: the triangle that is seen.
        bary: where on it, as weights of its three corners.
        depth: camera z in metres.
        pixel: flat index in the fine picture.
        view: index of the camera.
    """

    face: Int[np.ndarray, " N"]
    bary: Float[np.ndarray, "N 3"]
    depth: Float[np.ndarray, " N"]
    pixel: Int[np.ndarray, " N"]
    view: Int[np.ndarray, " N"]


@dataclass(frozen=True)
class _PosedMesh:
    """The dressed mesh in the world, with what the light needs to know of it.

    Attributes:
        openness: share of the sky that each vertex sees.
        rotations: of the joints, rest to posed.
    """

    vertices: Float[np.ndarray, "V 3"]
    normals: Float[np.ndarray, "V 3"]
    openness: Float[np.ndarray, " V"]
    rotations: Float[np.ndarray, "55 3 3"]


def render_person(
    person: Person,
    cameras: Cameras,
    *,
    pose: Float[Tensor, "55 3"] | None = None,
    transl: Float[Tensor, "3"] | None = None,
    supersample: int = 3,
) -> PersonViews:
    """Render a person from any cameras; deterministic.

    Args:
        person: from `sample_person`.
        cameras: C views of one size.
        pose: axis-angle in radians; the person's own if None.
        transl: metres; the person's own if None, with the pelvis joint at the origin.
        supersample: samples per pixel along each axis, 1..4.
    """
    figure, mesh = load_figure(), person.mesh
    posed = pose_figure(
        person.betas,
        person.pose if pose is None else pose,
        person.transl if transl is None else transl,
        person.expression,
    )
    vertices, normals = pose_mesh(mesh, figure, posed)
    fine = cameras.resized(cameras.width * supersample, cameras.height * supersample)
    samples = _visible(mesh, vertices, fine)
    openness = occlusion_at(vertices, normals)
    in_world = _PosedMesh(vertices, normals, openness, posed.transforms[:, :3, :3])
    color, normal = _shade_samples(person, samples, in_world, cameras.centers.numpy())
    return _resolve(samples, color, normal, cameras, supersample)


def _visible(mesh: DressedMesh, vertices: Points, cameras: Cameras) -> _Samples:
    """Rasterise every view and keep the covered samples."""
    parts = []
    for view in range(len(cameras)):
        buffers = rasterize_mesh(vertices, mesh.faces, cameras[view], discard=mesh.fields)
        pixel = np.flatnonzero(buffers.mask)
        parts.append(
            (
                buffers.face_id.ravel()[pixel],
                buffers.bary.reshape(-1, 3)[pixel],
                buffers.depth.ravel()[pixel],
                pixel,
                np.full(len(pixel), view),
            )
        )
    return _Samples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _shade_samples(
    person: Person, samples: _Samples, posed: _PosedMesh, centers: Float[np.ndarray, "C 3"]
) -> tuple[Colors, Points]:
    """Colours and world normals of all samples."""
    mesh = person.mesh
    albedo, bump, gloss = _paint(mesh, person.outfit, samples)
    packed = np.column_stack([posed.vertices, posed.normals, posed.openness])
    packed = interpolate(packed, mesh.faces, samples.face, samples.bary)
    turn = posed.rotations[mesh.joint[mesh.faces[:, 0]]]  # (F,3,3), of the main joint of a face
    view, normal, occlusion = surface_frame(packed, centers[samples.view], turn, samples.face, bump)
    shadow = shadow_map(posed.vertices, mesh.faces, mesh.fields, person.light)
    lit = shadow.lit(packed[:, :3] + 0.004 * normal)  # 4 mm above the skin, against self-shadows
    color = shade(albedo, normal, view, (occlusion, lit), person.light, gloss=gloss)
    return color, normal


def _paint(mesh: DressedMesh, outfit: Outfit, samples: _Samples) -> tuple[Colors, Points, Values]:
    """Albedo, rest-space bump and gloss of every sample, painter by painter."""
    material = mesh.face_material[samples.face]
    albedo = np.empty((len(material), 3), np.float32)
    bump, gloss = np.zeros_like(albedo), np.zeros(len(material), np.float32)
    packed = np.column_stack([mesh.points, mesh.normals, mesh.arm, mesh.fields])
    packed = interpolate(packed, mesh.faces, samples.face, samples.bary)
    for index, name in enumerate(mesh.materials):
        chosen = np.flatnonzero(material == index)
        if not len(chosen):
            continue
        rows = packed[chosen]  # point 3, normal 3, arm 1, fields K
        surface = Surface(rows[:, :3], unit(rows[:, 3:6]), rows[:, 6], rows[:, 7:])
        albedo[chosen], bump[chosen] = paint_material(name, surface, outfit)
        gloss[chosen] = GLOSS.get(name, CLOTH_GLOSS)
    return albedo, bump, gloss


def _resolve(
    samples: _Samples, color: Colors, normal: Points, cameras: Cameras, factor: int
) -> PersonViews:
    """Average samples into pixels, over white; `factor` samples per pixel along each axis."""
    height, width, num = cameras.height, cameras.width, len(cameras)
    # Flat index of every sample's pixel in the coarse pictures of all views.
    row, col = np.divmod(samples.pixel, width * factor)
    pixel = (samples.view * height + row // factor) * width + col // factor
    total = num * height * width

    def add(values: Values | None) -> Values:
        """Sum of the samples per pixel; their number if None."""
        return np.bincount(pixel, values, minlength=total).astype(np.float32)

    count = add(None)
    alpha = count / factor**2
    # Samples that hit nothing are white: they add what alpha lacks to 1.
    rgb = np.stack([add(color[:, c]) for c in range(3)], 1) / factor**2 + (1 - alpha)[:, None]
    depth = add(samples.depth) / np.maximum(count, 1)
    normals = unit(np.stack([add(normal[:, c]) for c in range(3)], 1))
    shape = (num, height, width)
    return PersonViews(
        torch.from_numpy(rgb.clip(0, 1)).reshape(*shape, 3),
        torch.from_numpy(alpha).reshape(*shape, 1),
        torch.from_numpy(depth).reshape(shape),
        torch.from_numpy(normals.astype(np.float32)).reshape(*shape, 3),
    )
