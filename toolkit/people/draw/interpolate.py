"""Loops over visible samples: values from the corners of a face, and bumped normals.

Compiled by numba, because numpy would make several large temporary arrays for each of them.
"""

import numba
import numpy as np
from jaxtyping import Float, Int

from toolkit.people.arrays import Points, Values


def interpolate(
    values: Float[np.ndarray, "V K"],
    faces: Int[np.ndarray, "F 3"],
    face: Int[np.ndarray, " N"],
    bary: Float[np.ndarray, "N 3"],
) -> Float[np.ndarray, "N K"]:
    """Values at the vertices, interpolated at samples on faces.

    Args:
        values: K numbers per vertex.
        faces: vertex indices of the triangles.
        face: the triangle each sample lies on.
        bary: barycentric weights of its three corners; they add up to 1.
    """
    out = np.empty((len(face), values.shape[1]), np.float32)
    _interpolate(np.ascontiguousarray(values, np.float32), faces, face, bary, out)
    return out


@numba.njit(cache=True)
def _interpolate(
    values: Float[np.ndarray, "V K"],
    faces: Int[np.ndarray, "F 3"],
    face: Int[np.ndarray, " N"],
    bary: Float[np.ndarray, "N 3"],
    out: Float[np.ndarray, "N K"],
) -> None:
    for n in range(face.shape[0]):
        i, j, k = faces[face[n], 0], faces[face[n], 1], faces[face[n], 2]
        for c in range(values.shape[1]):
            out[n, c] = (
                bary[n, 0] * values[i, c] + bary[n, 1] * values[j, c] + bary[n, 2] * values[k, c]
            )


def unit(vectors: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    """The vectors, scaled to length 1; a zero vector stays zero."""
    length = np.sqrt(np.einsum("nc,nc->n", vectors, vectors))
    return vectors / np.maximum(length, 1e-8)[:, None]


def surface_frame(
    packed: Float[np.ndarray, "N 7"],
    centers: Float[np.ndarray, "N 3"],
    turn: Float[np.ndarray, "F 3 3"],
    face: Int[np.ndarray, " N"],
    bump: Float[np.ndarray, "N 3"],
) -> tuple[Points, Points, Values]:
    """Direction to the camera, bumped normal and openness of every sample.

    Bump mapping: a surface of height h over the smooth one has the normal n - grad h, normalised.

    Args:
        packed: world point (3), smooth normal (3) and openness (1).
        centers: centre of the camera that sees the sample.
        turn: rotation of each face from rest to posed space; the bump is turned with it.
        face: the sample's face.
        bump: gradient of the surface's height in rest space.

    Source: Blinn 1978, "Simulation of wrinkled surfaces".
    """
    view, normal = np.empty((2, len(packed), 3), np.float32)
    openness = packed[:, 6].copy()
    _frame(
        packed,
        centers.astype(np.float32),
        turn.astype(np.float32),
        face,
        np.ascontiguousarray(bump, np.float32),
        view,
        normal,
        openness,
    )
    return view, normal, openness


@numba.njit(cache=True)
def _frame(
    packed: Float[np.ndarray, "N 7"],
    centers: Float[np.ndarray, "N 3"],
    turn: Float[np.ndarray, "F 3 3"],
    face: Int[np.ndarray, " N"],
    bump: Float[np.ndarray, "N 3"],
    view: Float[np.ndarray, "N 3"],
    normal: Float[np.ndarray, "N 3"],
    openness: Float[np.ndarray, " N"],
) -> None:
    for n in range(packed.shape[0]):
        length = before = 0.0  # squared, of the view and of the smooth normal
        for c in range(3):
            view[n, c] = centers[n, c] - packed[n, c]
            length += view[n, c] ** 2
            before += packed[n, 3 + c] ** 2
        length, before = np.sqrt(length) + 1e-8, np.sqrt(before) + 1e-8
        size = facing = 0.0
        for c in range(3):
            view[n, c] /= length
            moved = 0.0
            for d in range(3):
                moved += turn[face[n], c, d] * bump[n, d]
            normal[n, c] = packed[n, 3 + c] / before - moved
            size += normal[n, c] ** 2
            facing += packed[n, 3 + c] / before * view[n, c]
        sign = -1.0 if facing < -0.1 else 1.0  # seen from inside: turn the normal to the camera
        if sign < 0:
            openness[n] *= 0.35  # little light gets into a sleeve or a hood
        for c in range(3):
            normal[n, c] *= sign / (np.sqrt(size) + 1e-8)
