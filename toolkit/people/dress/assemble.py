"""All pieces and props of a person merged into one mesh that follows the posed figure."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toolkit.people.arrays import Cut, Mesh, Points
from toolkit.people.dress import garments, hair, props
from toolkit.people.dress.pieces import NUM_FIELDS, Piece
from toolkit.people.figure import HEAD_JOINT, Figure, PosedFigure, vertex_normals

MAKERS = {  # name of a cut -> the function that makes its piece
    "top": garments.top_piece,
    "bottom": garments.bottom_piece,
    "skirt": garments.skirt_piece,
    "coat": garments.coat_piece,
    "coat_tail": garments.skirt_piece,
    "shoes": garments.shoe_piece,
    "cap_hair": hair.cap_hair,
    "hat": hair.hat_piece,
    "beard": hair.beard_piece,
}


@dataclass(frozen=True)
class DressedMesh:
    """M vertices: N that follow a vertex of the figure, then P of rigid props of the head.

    Attributes:
        source: the figure vertex behind each of the first N vertices.
        offset: metres along its posed normal.
        prop_points: rest positions of glasses, bun, brim.
        points, normals, arm: rest-space facts of every vertex.
        fields: a sample is cut away where one of them is negative.
        joint: the joint that moves each vertex most.
        faces: triangles.
        face_material: index into `materials`.
        materials: painters' names.
    """

    source: Int[np.ndarray, " N"]
    offset: Float[np.ndarray, " N"]
    prop_points: Float[np.ndarray, "P 3"]
    points: Float[np.ndarray, "M 3"]
    normals: Float[np.ndarray, "M 3"]
    arm: Float[np.ndarray, " M"]
    fields: Float[np.ndarray, "M K"]
    joint: Int[np.ndarray, " M"]
    faces: Int[np.ndarray, "F 3"]
    face_material: Int[np.ndarray, " F"]
    materials: tuple[str, ...]


def outfit_pieces(figure: Figure, cuts: dict[str, Cut], cover: dict) -> list[Piece]:
    """Every piece an outfit asks for: skin, the suit below the clothes, then the garments."""
    pieces = garments.skin_pieces(figure, cover) + garments.under_pieces(figure, cover)
    return pieces + [MAKERS[name](figure, cut) for name, cut in cuts.items() if name in MAKERS]


def head_props(cuts: dict[str, Cut]) -> list[tuple[str, Mesh]]:
    """Rigid meshes on the head: material, and rest points with faces."""
    meshes = []
    if "bun" in cuts:
        meshes.append(("hair", props.bun()))
    if "curtain" in cuts:
        meshes.append(("hair", props.curtain(**cuts["curtain"])))
    if "ponytail" in cuts:
        meshes.append(("hair", props.ponytail(cuts["ponytail"]["length"])))
    if "brim" in cuts:
        meshes.append(("hat", props.cap_brim()))
    if "glasses" in cuts:
        meshes.append(("glasses", props.glasses(cuts["glasses"]["style"])))
        if cuts["glasses"]["style"] == "sun":
            meshes.append(("lenses", props.lenses()))
    return meshes


def dress_figure(figure: Figure, cuts: dict[str, Cut], cover: dict) -> DressedMesh:
    """Merge the pieces and props of an outfit into one mesh.

    Args:
        figure: the undressed template.
        cuts: name of a garment -> its measures.
        cover: what skin stays visible, see `outfit.find_cover`.
    """
    pieces, head = outfit_pieces(figure, cuts, cover), head_props(cuts)
    names = [p.material for p in pieces] + [name for name, _ in head]
    materials = tuple(dict.fromkeys(names))
    # Faces count from 0 within each part; in the merged mesh they start behind the parts before.
    sizes = [len(p.source) for p in pieces] + [len(points) for _, (points, _) in head]
    start = np.cumsum([0, *sizes[:-1]])
    local = [p.faces for p in pieces] + [faces for _, (_, faces) in head]
    source = np.concatenate([p.source for p in pieces])
    prop_points = np.concatenate([np.zeros((0, 3)), *[points for _, (points, _) in head]])
    prop_points = prop_points.astype(np.float32)
    prop_normals = [vertex_normals(points, faces) for _, (points, faces) in head]
    num = len(prop_points)
    return DressedMesh(
        source=source,
        offset=np.concatenate([p.offset for p in pieces]),
        prop_points=prop_points,
        points=np.concatenate([figure.points[source], prop_points]),
        normals=np.concatenate([figure.normals[source], *prop_normals]).astype(np.float32),
        arm=np.concatenate([figure.arm[source], np.zeros(num, np.float32)]),
        fields=np.concatenate(
            [*[p.fields for p in pieces], np.ones((num, NUM_FIELDS), np.float32)]
        ),
        joint=np.concatenate([figure.joint[source], np.full(num, HEAD_JOINT)]),
        faces=np.concatenate([f + s for f, s in zip(local, start, strict=True)]).astype(np.int32),
        face_material=np.repeat([materials.index(n) for n in names], [len(f) for f in local]),
        materials=materials,
    )


def pose_mesh(
    mesh: DressedMesh, figure: Figure, posed: PosedFigure
) -> tuple[Float[np.ndarray, "M 3"], Float[np.ndarray, "M 3"]]:
    """World vertices and normals of the dressed mesh."""
    # Offset surfaces move with the skin: posed vertex plus offset times posed normal.
    cloth = posed.vertices[mesh.source] + mesh.offset[:, None] * posed.normals[mesh.source]
    # Props move with the head joint alone: (P,3), first to this head's shape, then posed.
    rigid = _fit_head(figure, posed, mesh.prop_points)
    turn = posed.transforms[HEAD_JOINT]
    rigid = rigid @ turn[:3, :3].T + turn[:3, 3]
    vertices = np.concatenate([cloth, rigid]).astype(np.float32)
    return vertices, vertex_normals(vertices, mesh.faces)


def _fit_head(figure: Figure, posed: PosedFigure, points: Points) -> Points:
    """Move rest points with the head's shape: the best affine map of the skull's vertices."""
    if not len(points):
        return points
    skull = (figure.joint == HEAD_JOINT) & (figure.points[:, 1] > 0.64)
    skull &= np.abs(figure.points[:, 0]) < 0.066  # without the ears
    rest = np.c_[figure.points[skull], np.ones(skull.sum())]  # (S,4), homogeneous
    affine, *_ = np.linalg.lstsq(rest, posed.shaped[skull], rcond=None)  # (4,3)
    return np.c_[points, np.ones(len(points))] @ affine
