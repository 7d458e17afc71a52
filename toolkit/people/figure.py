"""The undressed figure: the body's layers in rest space, and their posed vertices and normals.

All painting and cutting happens in rest space (the T-pose template, zero betas), so a hem, a
print or an eyebrow sits at the same place on every body shape and in every pose.

The body file holds more than the skin: *helper layers* ("tights", "skirt", "hair") are surfaces
around it with skinning weights of their own, from which clothes are made (`dress/pieces.py`).
"""

from dataclasses import dataclass
from functools import cache

import numba
import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.interpolate import RBFInterpolator
from torch import Tensor

from toolkit.body.model import BodyModel
from toolkit.body.npz import load_body
from toolkit.run.files import model_path

HEAD_JOINT = 15
EYE_LAYER = 1  # in body.npz's vertex_layer, which says for every vertex where it belongs
ARM_JOINTS = (*range(16, 22), *range(25, 55))  # shoulders to finger tips


@dataclass(frozen=True)
class Figure:
    """Static rest-space facts about the body template and its helper layers.

    Attributes:
        points: rest position of every vertex in metres.
        normals: rest normals.
        arm: share of the skinning weight that belongs to the arms, 0..1.
        joint: the joint that moves the vertex most.
        layers: faces of "skin", "eyes", "tights", "skirt" and "hair".
    """

    points: Float[np.ndarray, "V 3"]
    normals: Float[np.ndarray, "V 3"]
    arm: Float[np.ndarray, " V"]
    joint: Int[np.ndarray, " V"]
    layers: dict[str, Int[np.ndarray, "F 3"]]


@dataclass(frozen=True)
class PosedFigure:
    """One pose of the figure.

    Attributes:
        vertices, normals: in the world.
        transforms: of the joints, rest to posed.
        shaped: the vertices of this body shape and face before posing.
    """

    vertices: Float[np.ndarray, "V 3"]
    normals: Float[np.ndarray, "V 3"]
    transforms: Float[np.ndarray, "55 4 4"]
    shaped: Float[np.ndarray, "V 3"]


def _layer_faces(body: BodyModel) -> dict[str, np.ndarray]:
    """Our five layers from the body's meshes; the eyes are apart from the skin."""
    visible = body.faces_body.numpy().astype(np.int32)
    eye = body.extra["vertex_layer"][visible[:, 0]] == EYE_LAYER
    layers = {
        name: body.layers[name].numpy().astype(np.int32) for name in ("tights", "skirt", "hair")
    }
    return {"skin": visible[~eye], "eyes": visible[eye], **layers}


def rest_points(template: Float[np.ndarray, "V 3"]) -> Float[np.ndarray, "V 3"]:
    """Carry the body's template into the space in which people are cut and painted.

    Cutting and painting use fixed coordinates (brows at y = 0.70 m, and so on). The template is the
    mean of some population, and its brows move when the body file is baked from another one. So
    rest space is defined by control points (`rest_space.npz`: a vertex, and the place where it has
    to be), and radial basis functions carry all other vertices along smoothly.
    """
    with np.load(model_path("rest_space.npz", made_by="git checkout -- data/models")) as pins:
        vertex, place = pins["vertex"].astype(int), pins["tenth_mm"] / 1e4
    warp = RBFInterpolator(template[vertex], place, kernel="linear")
    return warp(template).astype(np.float32)


@cache
def load_figure() -> Figure:
    """The figure of `data/models/body.npz`, read once."""
    body = load_body()
    points = rest_points(body.v_template.numpy().astype(np.float64))
    weights = body.lbs_weights.numpy()
    layers = _layer_faces(body)
    normals = vertex_normals(points, np.concatenate(list(layers.values())))
    arm = weights[:, list(ARM_JOINTS)].sum(1).astype(np.float32)  # (V,)
    return Figure(points, normals, arm, weights.argmax(1), layers)


def pose_figure(
    betas: Float[Tensor, " S"],
    pose: Float[Tensor, "55 3"],
    transl: Float[Tensor, "3"],
    expression: Float[Tensor, " E"] | None = None,
) -> PosedFigure:
    """Pose every layer of the figure.

    Args:
        betas: body shape.
        pose: axis-angle per joint in radians.
        transl: metres, added after posing.
        expression: weights of the body's expressions; neutral if None.
    """
    body, figure = load_body(), load_figure()
    with torch.no_grad():
        extra = {} if expression is None else {"expression": expression}
        out = body(betas, pose, transl, **extra)
        shaped = body.shaped(betas, expression)
    vertices = np.ascontiguousarray(out.vertices.numpy(), np.float32)
    normals = vertex_normals(vertices, np.concatenate(list(figure.layers.values())))
    return PosedFigure(vertices, normals, out.transforms.numpy(), shaped.numpy())


def vertex_normals(
    vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]
) -> Float[np.ndarray, "V 3"]:
    """Unit vertex normals, faces weighted by their area; 0 where a vertex has no face."""
    total = np.zeros(vertices.shape, np.float32)
    _add_face_normals(
        np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32), total
    )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


@numba.njit(cache=True)
def _add_face_normals(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    total: Float[np.ndarray, "V 3"],
) -> None:
    """Add to every vertex the cross products of its faces; their length is twice the area."""
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = (
            vertices[j, 0] - vertices[i, 0],
            vertices[j, 1] - vertices[i, 1],
            vertices[j, 2] - vertices[i, 2],
        )
        bx, by, bz = (
            vertices[k, 0] - vertices[i, 0],
            vertices[k, 1] - vertices[i, 1],
            vertices[k, 2] - vertices[i, 2],
        )
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for corner in (i, j, k):
            total[corner, 0] += nx
            total[corner, 1] += ny
            total[corner, 2] += nz
