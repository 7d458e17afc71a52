"""A procedural person as a plain triangle mesh: as a scanner would give, or image-to-3D."""

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

    Args:
        pose: axis-angle in radians; the person's own if None. The pelvis stays at the origin.

    Triangles that a hem cuts are kept whole if their middle is cloth; unused vertices are dropped.
    """
    mesh, figure = person.mesh, load_figure()
    posed = pose_figure(
        person.betas, person.pose if pose is None else pose, person.transl, person.expression
    )
    vertices, _ = pose_mesh(mesh, figure, posed)
    kept = mesh.faces[(mesh.fields[mesh.faces].mean(axis=1) >= 0).all(axis=1)]
    used, faces = np.unique(kept, return_inverse=True)
    return vertices[used], faces.reshape(-1, 3).astype(np.int32)
