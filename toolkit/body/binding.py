"""Bind Gaussians that come without a rig, e.g. from another system's PLY file, to our body.

    each Gaussian --nearest point of the posed surface--> its anchor: skinning weights, shape
    posed Gaussians --inverse of the rig's motions------> Gaussians of the T-pose: an Avatar

The search for nearest points is our own, because trimesh, which has one, is an optional package
here and needs rtree for it.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.anchors import Anchors, on_faces
from toolkit.body.model import BodyModel
from toolkit.body.rig import Avatar, Rig
from toolkit.errors import fail
from toolkit.gaussians import Gaussians

FAR_M = 0.5  # no hair or coat is that far from the skin, so pose, unit or axes must be wrong
CHUNK = 4096  # points at a time, to bound the memory


def bind(
    gaussians: Gaussians,
    body: BodyModel,
    betas: Float[Tensor, " S"],
    pose: Float[Tensor, "J 3"] | None = None,
    transl: Float[Tensor, "3"] | None = None,
) -> Avatar:
    """Make an avatar from Gaussians in the world, given the body inside them.

    This works best in a pose in which no two body parts touch, such as the T-pose: the anchor is
    the nearest point of the surface, and near the hip that may lie on a hand.

    Args:
        gaussians: metres, y up, e.g. from `Gaussians.load_ply`.
        betas: shape of the body inside.
        pose: the pose of the Gaussians, axis-angle, radians; left out: the T-pose.
        transl: the translation of the Gaussians, metres; left out: none.

    Returns:
        An avatar that looks like `gaussians` in this pose, and can take any other. Colours that
        depend on the view (SH of degree 1 and more) are kept but not turned.

    Raises:
        InputError: most Gaussians lie far from the body.

    Source: ours; offset and rotation as in LHM (Qiu et al. 2025), Sec. 3.4.
    """
    pose = torch.zeros(len(body.parents), 3) if pose is None else pose
    transl = torch.zeros(3) if transl is None else transl
    anchors = nearest_anchors(gaussians.means, body, betas, pose, transl)
    rig = Rig.build(body, anchors, betas)
    return Avatar(rig.motions(pose, transl).inverse().apply(gaussians), rig)


def nearest_anchors(
    points: Float[Tensor, "N 3"],
    body: BodyModel,
    betas: Float[Tensor, " S"],
    pose: Float[Tensor, "J 3"],
    transl: Float[Tensor, "3"],
) -> Anchors:
    """The anchor nearest to each point around the posed body, in the points' order.

    Args:
        points: metres, in the world.
        betas, pose, transl: of the body.

    Raises:
        InputError: the points lie far from the body.
    """
    surface = body(betas, pose, transl).vertices
    faces, bary = nearest_on_surface(points, surface, body.faces_body)
    # (N,3,3) corners, each times its weight (N,3,1), summed: the nearest points, (N,3)
    nearest = (surface[body.faces_body[faces]] * bary[..., None]).sum(1)
    distance = (nearest - points).norm(dim=1)
    if distance.median() > FAR_M / 5 or distance.mean() > FAR_M:
        fail(
            "Gaussians around the body",
            got=f"a median distance of {distance.median():.2f} m",
            wanted="Gaussians on and near the body, y up, in metres",
            fix="Give the pose, translation and shape that belong to them.",
        )
    corners = body.v_template[body.faces_body]  # anchors are stored in the T-pose
    cross = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return on_faces(body, faces, bary, cross)


def nearest_on_surface(
    points: Float[Tensor, "N 3"], vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]
) -> tuple[Tensor, Tensor]:
    """The nearest point of a triangle mesh to each point: its triangle and barycentric coordinates.

    Only some triangles are compared: those that touch one of the nearest 6 vertices, and those with
    the nearest 12 centres. On a body's mesh, where neighbouring triangles are of similar size, the
    nearest one is among them.

    Returns:
        Rows of `faces` (N,) and weights of their corners (N,3).
    """
    corners, ids = vertices.detach().numpy()[faces.numpy()], faces.numpy()
    around = _faces_around(ids, len(vertices))
    # the mesh need not use all vertices, e.g. not those of the hair: only used ones are searched
    used = np.flatnonzero(around[:, 0] >= 0)
    vertex_tree, centre_tree = cKDTree(vertices.numpy()[used]), cKDTree(corners.mean(1))
    best, weights = [], []
    for part in np.array_split(points.detach().numpy(), max(1, -(-len(points) // CHUNK))):
        near = used[vertex_tree.query(part, k=min(6, len(used)))[1]]
        candidates = np.concatenate(
            [around[near].reshape(len(part), -1), centre_tree.query(part, k=min(12, len(ids)))[1]],
            axis=1,
        )
        bary, square = _closest(part[:, None], corners[candidates])  # (n,k,3), (n,k)
        square[candidates < 0] = np.inf  # the fill value of `_faces_around` is no triangle
        row, pick = np.arange(len(part)), square.argmin(1)
        best.append(candidates[row, pick])
        weights.append(bary[row, pick])
    return (
        torch.from_numpy(np.concatenate(best)).long(),
        torch.from_numpy(np.concatenate(weights)).float(),
    )


def _faces_around(faces: np.ndarray, num_vertices: int) -> np.ndarray:
    """Table of the triangles at each vertex, one row per vertex, filled up with -1."""
    owner = faces.reshape(-1)  # entry 3 f + k: the vertex at corner k of triangle f
    order = np.argsort(owner, kind="stable")  # entries grouped by vertex
    counts = np.bincount(owner, minlength=num_vertices)
    # column of each entry: its rank within its group
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((num_vertices, counts.max()), -1)
    table[owner[order], place] = order // 3
    return table


def _closest(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest point of each triangle: barycentric coordinates (...,3), squared distance (...).

    It lies inside the triangle or on one of the three edges; all four are computed, the best is
    taken. Letters: triangle a b c, point p; the point sought is a + v (b - a) + w (c - a).
    """
    a, ab, ac = (
        corners[..., 0, :],
        corners[..., 1, :] - corners[..., 0, :],
        corners[..., 2, :] - corners[..., 0, :],
    )
    ap = points - a
    d11, d12, d22 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    p1, p2 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    area = np.maximum(d11 * d22 - d12 * d12, 1e-20)  # 4 times the squared area
    # foot of the perpendicular onto the plane: the normal equations, solved by Cramer's rule
    v, w = (d22 * p1 - d12 * p2) / area, (d11 * p2 - d12 * p1) / area
    # feet on the edges a-b, a-c and b-c, cut at their ends; the corners are covered by that
    on_ab = (p1 / np.maximum(d11, 1e-20)).clip(0, 1)
    on_ac = (p2 / np.maximum(d22, 1e-20)).clip(0, 1)
    along = ((p2 - p1 + d11 - d12) / np.maximum(d11 - 2 * d12 + d22, 1e-20)).clip(0, 1)
    zero = np.zeros_like(v)
    forms = np.stack(
        [
            np.stack([1 - on_ab, on_ab, zero], -1),
            np.stack([1 - on_ac, zero, on_ac], -1),
            np.stack([zero, 1 - along, along], -1),
            np.stack([1 - v - w, v, w], -1),
        ]
    )
    offset = forms[..., 1:2] * ab + forms[..., 2:] * ac - ap
    square = (offset**2).sum(-1)
    # the foot on the plane counts only if it lies inside the triangle
    square[3] = np.where((v >= 0) & (w >= 0) & (v + w <= 1), square[3], np.inf)
    pick = square.argmin(0)[None]
    return (
        np.take_along_axis(forms, pick[..., None], 0)[0],
        np.take_along_axis(square, pick, 0)[0],
    )
