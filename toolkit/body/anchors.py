"""Anchors: points spread evenly over the body's surface, one per Gaussian.

An anchor is stored as a triangle and three weights of its corners (barycentric coordinates). So
everything that is known at the vertices can be interpolated at the anchor: where it lies, how it
moves with the joints and how with the shape.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.model import BodyModel, blend
from toolkit.errors import fail

HEAD_JOINTS = (15, 22, 23, 24)  # head, jaw, eyes
CANDIDATES = 16  # random points per anchor, among which the evenly spaced ones are chosen
RELAXATIONS = 10  # rounds of Lloyd's algorithm


@dataclass(frozen=True)
class Anchors:
    """N points on the surface of the template body, with what skinning and shape need of them.

    Attributes:
        faces: row of `body.faces_body` in which the point lies.
        bary: weights of that triangle's corners; rows sum to 1.
        points: in the T-pose of the average body, metres.
        normals: unit, outward.
        lbs_weights: share of each joint in the point's motion; rows sum to 1.
        shapedirs: displacement per unit of each beta, metres.
        is_head: whether head, jaw and eyes hold more than half of the skinning weight.
    """

    faces: Int[Tensor, " N"]
    bary: Float[Tensor, "N 3"]
    points: Float[Tensor, "N 3"]
    normals: Float[Tensor, "N 3"]
    lbs_weights: Float[Tensor, "N J"]
    shapedirs: Float[Tensor, "N 3 S"]
    is_head: Bool[Tensor, " N"]

    def __len__(self) -> int:
        return self.points.shape[0]

    def shaped(self, betas: Float[Tensor, " K"]) -> Float[Tensor, "N 3"]:
        """Positions on the T-pose body of this shape, metres; differentiable in the betas."""
        return self.points + blend(self.shapedirs, betas, "betas")


def sample_anchors(
    body: BodyModel, num: int = 20_000, *, seed: int = 0, head_share: float = 0.25
) -> Anchors:
    """Spread anchors evenly over the surface, a given share of them on the head.

    Independent random points leave holes and heaps, and every splat would have to be wide enough
    for the widest hole. So each region (head, rest) is sampled densely, and Lloyd's algorithm picks
    from the samples those that are nearest to the centres of equal cells.

    Args:
        num: of anchors, 100 to 200,000; 10,000 to 80,000 are useful.
        seed: the same seed gives the same anchors.
        head_share: share on the head, in (0, 1). The head has about 0.08 of the area; people look
            at faces, so it gets more.

    Returns:
        The anchors, those of the head first.

    Raises:
        InputError: a value out of range.

    Source: Lloyd 1982, on surface samples; LHM samples 40k points of the upsampled surface.
    """
    if not 100 <= num <= 200_000 or not 0 < head_share < 1:
        fail(
            "sample_anchors",
            got=f"num={num}, head_share={head_share}",
            wanted="100 <= num <= 200000 and 0 < head_share < 1",
            fix="Try 20000 and 0.25.",
        )
    rng = np.random.default_rng(seed)
    corners = body.v_template[body.faces_body]  # (F,3,3): triangle, corner, coordinate
    # the cross product of two edges points outward; its length is twice the triangle's area
    cross = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = torch.linalg.norm(cross, dim=1).numpy().astype(np.float64)
    # a triangle is on the head if its corners' mean weight on the head's joints says so
    is_head = (body.lbs_weights[:, HEAD_JOINTS].sum(1)[body.faces_body].mean(1) > 0.5).numpy()
    num_head = round(num * head_share)
    parts = [(areas * is_head, num_head), (areas * ~is_head, num - num_head)]
    spread = [_spread(part, count, corners.numpy(), rng) for part, count in parts]
    faces, bary = (torch.from_numpy(np.concatenate(x)) for x in zip(*spread, strict=True))
    return on_faces(body, faces, bary, cross)


def _spread(
    areas: Float[np.ndarray, " F"],
    num: int,
    corners: Float[np.ndarray, "F 3 3"],
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Faces and barycentric weights of `num` evenly spaced points, by Lloyd's algorithm."""
    faces = _draw(areas, CANDIDATES * num, rng)
    bary = _barycentric(len(faces), rng)
    points = np.einsum("nk,nkd->nd", bary, corners[faces])
    # `_draw` goes through the triangles in order, so every 16th sample is a fair start
    centres = points[::CANDIDATES]
    for _ in range(RELAXATIONS):
        cell = cKDTree(centres).query(points)[1]  # each sample joins its nearest centre
        size = np.bincount(cell, minlength=num)[:, None]
        total = np.stack([np.bincount(cell, p, num) for p in points.T], axis=1)
        # each centre moves to the mean of its samples; one without samples stays
        centres = np.where(size > 0, total / np.maximum(size, 1), centres)
    # a mean of surface points lies off a curved surface: take the sample that is nearest to it
    chosen = cKDTree(points).query(centres)[1]
    return faces[chosen], bary[chosen]


def _draw(
    areas: Float[np.ndarray, " F"], num: int, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """Draw `num` face rows in proportion to their areas: equal steps along the summed area."""
    edges = np.cumsum(areas)
    steps = (np.arange(num) + rng.random()) / num * edges[-1]
    return np.searchsorted(edges, steps, side="right").clip(max=np.flatnonzero(areas)[-1])


def _barycentric(num: int, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    """Draw points uniformly in a triangle: those of a square, its far half folded onto the near."""
    a, b = rng.random((2, num))
    over = a + b > 1
    a, b = np.where(over, 1 - a, a), np.where(over, 1 - b, b)
    return np.stack([1 - a - b, a, b], axis=1).astype(np.float32)


def on_faces(
    body: BodyModel,
    faces: Int[Tensor, " N"],
    bary: Float[Tensor, "N 3"],
    face_normals: Float[Tensor, "F 3"],
) -> Anchors:
    """Make anchors at given places of the surface.

    Args:
        faces: rows of `body.faces_body`.
        bary: weights of those triangles' corners; rows sum to 1.
        face_normals: of all triangles of `body.faces_body`, outward, of any length.
    """
    ids = body.faces_body[faces]  # (N,3): the vertices at the corners

    def interpolate(values: Float[Tensor, "V ..."]) -> Float[Tensor, "N ..."]:
        return torch.einsum("nk,nk...->n...", bary, values[ids])

    weights = interpolate(body.lbs_weights)
    return Anchors(
        faces,
        bary,
        interpolate(body.v_template),
        torch.nn.functional.normalize(face_normals[faces], dim=1),
        weights / weights.sum(1, keepdim=True),
        interpolate(body.shapedirs),
        weights[:, HEAD_JOINTS].sum(1) > 0.5,
    )
