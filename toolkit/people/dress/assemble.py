"""All shells and props of a person merged into one mesh that follows the posed figure."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toolkit.people.dress import hair
from toolkit.people.dress import layers as shells
from toolkit.people.dress.outfit import Outfit
from toolkit.people.figure import HEAD_JOINT, Figure, PosedFigure, vertex_normals


@dataclass(frozen=True)
class DressedMesh:
    """Merged shells; the last `len(prop_points)` vertices are rigid props of the head.

    Attributes:
        source: figure vertex of each shell vertex.
        offset: metres along its posed normal.
        prop_points: rest positions of glasses, bun, brim.
        points, normals, arm: rest-space facts of every vertex.
        fields: cut where negative.
        joint: the joint that moves each vertex most.
        faces: triangles.
        face_material: index into `materials`.
        materials: painters' names.
    """

    source: Int[np.ndarray, "N"]
    offset: Float[np.ndarray, "N"]
    prop_points: Float[np.ndarray, "P 3"]
    points: Float[np.ndarray, "M 3"]
    normals: Float[np.ndarray, "M 3"]
    arm: Float[np.ndarray, "M"]
    fields: Float[np.ndarray, "M K"]
    joint: Int[np.ndarray, "M"]
    faces: Int[np.ndarray, "F 3"]
    face_material: Int[np.ndarray, "F"]
    materials: tuple[str, ...]


def shell_pieces(figure: Figure, outfit: Outfit) -> list[shells.Piece]:
    """Every shell an outfit asks for, skin first."""
    cuts = outfit.cuts
    pieces = shells.skin_pieces(figure, outfit.cover) + shells.under_pieces(figure, outfit.cover)
    makers = {
        "top": shells.top_piece,
        "bottom": shells.bottom_piece,
        "skirt": shells.skirt_piece,
        "coat": shells.coat_piece,
        "coat_tail": shells.skirt_piece,
        "shoes": shells.shoe_piece,
        "cap_hair": hair.cap_hair,
        "hat": hair.hat_piece,
        "beard": hair.beard_piece,
    }
    return pieces + [makers[name](figure, cut) for name, cut in cuts.items() if name in makers]


def head_props(cuts) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Rigid meshes on the head: material, rest points, faces."""
    props = []
    if "bun" in cuts:
        props.append(("hair", *hair.bun()))
    if "curtain" in cuts:
        props.append(("hair", *hair.curtain(**cuts["curtain"])))
    if "ponytail" in cuts:
        props.append(("hair", *hair.ponytail(cuts["ponytail"]["length"])))
    if "brim" in cuts:
        props.append(("hat", *hair.cap_brim()))
    if "glasses" in cuts:
        props.append(("glasses", *hair.glasses(cuts["glasses"]["style"])))
        if cuts["glasses"]["style"] == "sun":
            props.append(("lenses", *hair.lenses("sun")))
    return props


def dress(figure: Figure, outfit: Outfit) -> DressedMesh:
    """Merge the outfit's shells and props into one mesh."""
    pieces, props = shell_pieces(figure, outfit), head_props(outfit.cuts)
    materials = tuple(dict.fromkeys([p.material for p in pieces] + [p[0] for p in props]))
    sizes = [len(p.source) for p in pieces] + [len(p[1]) for p in props]
    start = np.cumsum([0, *sizes[:-1]])
    local = [p.faces for p in pieces] + [p[2] for p in props]
    names = [p.material for p in pieces] + [p[0] for p in props]
    source = np.concatenate([p.source for p in pieces])
    prop_points = np.concatenate([np.zeros((0, 3)), *[p[1] for p in props]]).astype(np.float32)
    prop_normals = [vertex_normals(points, faces) for _, points, faces in props]
    num = len(prop_points)
    return DressedMesh(
        source=source,
        offset=np.concatenate([p.offset for p in pieces]),
        prop_points=prop_points,
        points=np.concatenate([figure.points[source], prop_points]),
        normals=np.concatenate([figure.normals[source], *prop_normals]).astype(np.float32),
        arm=np.concatenate([figure.arm[source], np.zeros(num, np.float32)]),
        fields=np.concatenate(
            [*[p.fields for p in pieces], np.ones((num, shells.NUM_FIELDS), np.float32)]
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
    shell = posed.vertices[mesh.source] + mesh.offset[:, None] * posed.normals[mesh.source]
    rigid = _fit_head(figure, posed, mesh.prop_points)
    turn = posed.transforms[HEAD_JOINT]
    rigid = rigid @ turn[:3, :3].T + turn[:3, 3]
    vertices = np.concatenate([shell, rigid]).astype(np.float32)
    return vertices, vertex_normals(vertices, mesh.faces)


def _fit_head(figure: Figure, posed: PosedFigure, points):
    """Move rest points with the head's shape: the best affine map of the skull's vertices."""
    if not len(points):
        return points
    skull = (figure.joint == HEAD_JOINT) & (figure.points[:, 1] > 0.64)
    skull &= np.abs(figure.points[:, 0]) < 0.066
    rest = np.c_[figure.points[skull], np.ones(skull.sum())]
    affine, *_ = np.linalg.lstsq(rest, posed.shaped[skull], rcond=None)
    return np.c_[points, np.ones(len(points))] @ affine
