"""LHM's query points: read from the release's PLY, or drawn anew where that file is not to be had.

The points are not in the checkpoint. Upstream drew them once, uniformly on the surface of the zero
pose: three quarters on the body's triangles, a quarter on the head's. But the checkpoint holds the
shape directions of each point, and these are a copy of its nearest vertex's row. So each point is
known up to the cell of its vertex:

checkpoint --nearest_vertices--> vertex per point --draw_points--> a point in each vertex's cell

Points drawn in this way have the distribution of the lost ones and fit the checkpoint's skinning
row by row. They are not the same: each lies about one edge of the mesh away from the one that the
network was trained with. A file of them says so in its header, and so does every report.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from plyfile import PlyData, PlyElement
from safetensors import SafetensorError, safe_open
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.errors import fail
from toolkit.run.files import atomic_path

MARK = "computed from a checkpoint by toolkit; not the points of the release"
ROUNDS = 60  # a draw among the triangles around a vertex hits its cell in about one of three
SKIN, LAYER = "renderer.smplx_model.", "renderer.smplx_model.smplx_layer."
KEYS = (
    *(f"{SKIN}{name}" for name in ("shape_dirs", "is_face")),
    *(f"{LAYER}{name}" for name in ("v_template", "shapedirs", "faces_tensor")),
)


@dataclass(frozen=True)
class DrawnPoints:
    """Points that stand in for the release's.

    Attributes:
        points: on the zero-pose template, metres, in the checkpoint's order.
        vertices: the vertex that is nearest to each.
        at_vertex: of points for which no place on the surface was found; they lie on the vertex.
    """

    points: Float[Tensor, "N 3"]
    vertices: Int[Tensor, " N"]
    at_vertex: Bool[Tensor, " N"]


def read_points(path: str | os.PathLike) -> Float[Tensor, "N 3"]:
    """Vertices of a PLY, metres, in the file's order, which the network relies on.

    Raises:
        InputError: not a PLY of finite points.
    """
    try:
        vertex = PlyData.read(os.fspath(path))["vertex"]
        points = np.stack([np.asarray(vertex[axis], np.float32) for axis in "xyz"], axis=1)
        if not len(points) or not np.isfinite(points).all():
            raise ValueError(f"{len(points)} points, NaN or none")
    except Exception as error:  # noqa: BLE001  plyfile raises many kinds
        fail(
            path,
            got=f"{type(error).__name__}: {error}",
            wanted="a PLY of points",
            fix="Take 1_N.ply from the prior files of the release.",
        )
    return torch.from_numpy(points)


def are_computed(path: str | os.PathLike) -> bool:
    """Whether the points of a file stand in for the release's; its header says so."""
    with open(path, "rb") as file:
        return MARK.encode() in file.read(2048).partition(b"end_header")[0]


def save_points(
    path: str | os.PathLike, points: Float[Tensor, "N 3"], *, computed: bool = False
) -> None:
    """Write points in the release's format.

    Args:
        path: of the PLY; a file of this name is replaced.
        points: metres.
        computed: mark them as stand-ins in the header.
    """
    table = np.empty(len(points), dtype=[(axis, "<f4") for axis in "xyz"])
    for index, axis in enumerate("xyz"):
        table[axis] = points[:, index].numpy()
    comments = [MARK] if computed else []
    with atomic_path(Path(path)) as tmp:
        element = PlyElement.describe(table, "vertex")
        PlyData([element], byte_order="<", comments=comments).write(str(tmp))


def compute_points(
    weights: str | os.PathLike, path: str | os.PathLike, *, seed: int = 0
) -> DrawnPoints:
    """Write a marked stand-in for the PLY of a release, from its checkpoint alone.

    Args:
        weights: the model.safetensors of a released LHM; only its body is read.
        path: of the PLY; a file of this name is replaced.
        seed: the same seed gives the same points.

    Raises:
        InputError: not a safetensors file of a released LHM.
    """
    try:
        with safe_open(os.fspath(weights), "pt") as file:
            state = {key: file.get_tensor(key) for key in set(KEYS) & set(file.keys())}
    except (SafetensorError, OSError) as error:
        fail(weights, got=f"{error}", wanted="a safetensors file", fix="Get the file again.")
    drawn = draw_points(state, seed=seed)
    save_points(path, drawn.points, computed=True)
    return drawn


def count_points(weights: str | os.PathLike) -> int:
    """Number of query points of a checkpoint.

    Raises:
        InputError: not a safetensors file of LHM.
    """
    try:
        with safe_open(os.fspath(weights), "pt") as file:
            return file.get_slice(KEYS[0]).get_shape()[0]
    except (SafetensorError, OSError) as error:
        fail(weights, got=f"{error}", wanted="weights of an LHM", fix="Get the file again.")


def nearest_vertices(
    point_rows: Float[Tensor, "N 3 S"], vertex_rows: Float[Tensor, "V 3 S"]
) -> Int[Tensor, " N"]:
    """The vertex that each row of shape directions was copied from.

    Args:
        point_rows: of the query points, metres per unit of beta.
        vertex_rows: of the vertices, in the same number type.

    Raises:
        InputError: a row that is no copy of a vertex's.
    """
    rows = {row.tobytes(): i for i, row in enumerate(vertex_rows.flatten(1).cpu().numpy())}
    found = [rows.get(row.tobytes(), -1) for row in point_rows.flatten(1).cpu().numpy()]
    vertices = torch.tensor(found, dtype=torch.long)
    if (strange := int((vertices < 0).sum())) or not len(vertices):
        fail(
            "LHM's query points",
            got=f"{strange} of {len(vertices)} points whose shape directions are no vertex's",
            wanted="copies of the nearest vertex's, as in a released checkpoint",
            fix="Take 1_N.ply from the prior files of the release.",
        )
    return vertices


def draw_points(state: Mapping[str, Tensor], *, seed: int = 0) -> DrawnPoints:
    """Draw a point of the surface in the cell of each query point's nearest vertex.

    Args:
        state: tensors of a checkpoint, those of `KEYS`.
        seed: the same seed gives the same points.

    Raises:
        InputError: not the tensors of a released checkpoint.

    Source: ours; upstream's sampling, given what the checkpoint still knows of its result.
    """
    if lacking := [key for key in KEYS if key not in state]:
        fail(
            "LHM checkpoint",
            got=f"no {', '.join(lacking)}",
            wanted="the body of a released model.safetensors",
            fix="Give the folder of a released LHM.",
        )
    rows, is_face, template, vertex_rows, faces = (state[key].cpu() for key in KEYS)
    vertices = nearest_vertices(rows, vertex_rows)
    cells = _Cells(template.double().numpy(), faces.long().numpy(), np.random.default_rng(seed))
    head, body = np.zeros(len(template), bool), np.zeros(len(template), bool)
    head[vertices[is_face.bool()]] = body[vertices[~is_face.bool()]] = True
    num_body = len(vertices) // 4 * 3
    # no triangle of the body has a vertex of the head, and the other way round
    parts = [
        cells.draw(part.numpy(), ~other[cells.faces].any(1))
        for part, other in ((vertices[:num_body], head), (vertices[num_body:], body))
    ]
    points, missed = (np.concatenate(values) for values in zip(*parts, strict=True))
    return DrawnPoints(torch.from_numpy(points).float(), vertices, torch.from_numpy(missed))


class _Cells:
    """The cells of a mesh's vertices: places on the surface to which no other vertex is nearer."""

    def __init__(
        self,
        template: Float[np.ndarray, "V 3"],
        faces: Int[np.ndarray, "F 3"],
        rng: np.random.Generator,
    ):
        self.template, self.faces, self.rng = template, faces, rng
        self.used = np.unique(faces)
        self.tree = cKDTree(template[self.used])
        a, b, c = template[faces].swapaxes(0, 1)
        self.areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)

    def draw(
        self, vertices: Int[np.ndarray, " n"], allowed: Bool[np.ndarray, " F"]
    ) -> tuple[Float[np.ndarray, "n 3"], Bool[np.ndarray, " n"]]:
        """A point in each vertex's cell, uniformly by area, and where none was found.

        Drawn among the triangles around the vertex until the point lies in the cell. A part of the
        cell that reaches beyond these triangles is not drawn from.

        Args:
            vertices: one per point.
            allowed: triangles that may be drawn from.
        """
        # triangles around each vertex, one vertex after the other, with their areas summed up
        order = np.argsort(self.faces.ravel(), kind="stable")
        around = order // 3
        summed = np.concatenate([[0.0], np.cumsum(np.where(allowed, self.areas, 0.0)[around])])
        ends = np.searchsorted(self.faces.ravel()[order], np.arange(len(self.template) + 1))
        low, high = summed[ends[:-1]][vertices], summed[ends[1:]][vertices]
        points, missed = self.template[vertices].copy(), np.ones(len(vertices), bool)
        for _ in range(ROUNDS):
            rest = np.flatnonzero(missed & (high > low))
            if not len(rest):
                break
            at = low[rest] + self.rng.random(len(rest)) * (high - low)[rest]
            chosen = around[np.searchsorted(summed, at, side="right").clip(1, len(around)) - 1]
            tried = self._inside(chosen)
            inside = self.used[self.tree.query(tried)[1]] == vertices[rest]
            points[rest[inside]], missed[rest[inside]] = tried[inside], False
        return points, missed

    def _inside(self, faces: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
        """A point in each of some triangles, uniformly by area."""
        u, v = self.rng.random((2, len(faces), 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        a, b, c = self.template[self.faces[faces]].swapaxes(0, 1)
        return a + u * (b - a) + v * (c - a)
