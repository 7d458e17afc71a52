"""A person as plain triangles, such as a scanner or an image-to-3D model gives."""

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.people.dress.assemble import pose_mesh
from toolkit.people.figure import load_figure, pose_figure
from toolkit.people.person import Person


def extract_triangles(
    person: Person, *, pose: Float[Tensor, "55 3"] | None = None
) -> tuple[Float[np.ndarray, "V 3"], Int[np.ndarray, "F 3"]]:
    """World vertices (metres) and triangles of a dressed person.

    The renderer cuts hems per sample, triangles cannot: one that a hem crosses is kept whole if its
    middle is cloth. Unused vertices are dropped.

    Args:
        person: from `sample_person`.
        pose: axis-angle in radians; the person's own if None. The pelvis stays at the origin.
    """
    mesh, figure = person.mesh, load_figure()
    posed = pose_figure(
        person.betas, person.pose if pose is None else pose, person.transl, person.expression
    )
    vertices, _ = pose_mesh(mesh, figure, posed)
    whole = mesh.faces[(mesh.fields[mesh.faces].mean(axis=1) >= 0).all(axis=1)]
    used, faces = np.unique(whole, return_inverse=True)
    return vertices[used], faces.reshape(-1, 3).astype(np.int32)
