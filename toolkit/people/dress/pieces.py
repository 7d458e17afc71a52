"""Offset surfaces: how a garment is made from the body's own triangles.

The body file comes with helper layers around the skin: "tights" (a body suit), "skirt" (a tube
around the legs) and "hair". A garment takes the faces of one layer and moves every vertex outwards
along its normal, by `offset` metres. The piece then follows the body in every shape and pose
without any cloth simulation.

Where a piece ends is decided by scalar fields at its vertices, positive on the side that is kept,
for instance `y - hem`. The rasteriser interpolates the fields and drops a *sample* as soon as one
is negative, so a hem is a clean line at any resolution, although triangles are never cut.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toolkit.people.arrays import Faces, Values

NUM_FIELDS = 3  # every piece has so many, so that all pieces fit into one array


@dataclass(frozen=True)
class Piece:
    """One offset surface: which figure vertices it follows, how far out, and where it is kept.

    Attributes:
        material: which painter colours it.
        source: the figure vertex behind every vertex of the piece.
        faces: triangles, as rows of `source`.
        offset: metres along the posed normal.
        fields: metres inside each edge; a sample is kept where all are >= 0.
    """

    material: str
    source: Int[np.ndarray, " N"]
    faces: Int[np.ndarray, "F 3"]
    offset: Float[np.ndarray, " N"]
    fields: Float[np.ndarray, "N K"]


def make_piece(
    material: str, faces: Faces, offset: Values | float, keep: list[Values], *, num_vertices: int
) -> Piece:
    """Make one piece, without the faces that a field removes entirely.

    Args:
        material: painter's name.
        faces: figure faces.
        offset: metres, one per figure vertex or one for all.
        keep: at most `NUM_FIELDS` fields over all figure vertices; further ones are 1 everywhere.
        num_vertices: how many vertices the figure has.
    """
    fields = np.ones((num_vertices, NUM_FIELDS), np.float32)
    for k, field in enumerate(keep):
        fields[:, k] = field
    # (F,3,K) -> (F,): a face is gone if some field is negative at all three of its corners.
    gone = (fields[faces] < 0).all(axis=1).any(axis=1)
    source, local = np.unique(faces[~gone], return_inverse=True)
    offset = np.broadcast_to(np.asarray(offset, np.float32), (num_vertices,))
    return Piece(material, source, local.reshape(-1, 3), offset[source], fields[source])
