"""Anchors: points spread evenly over the body's surface, one Gaussian each."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.model import BodyModel, blend
from toolkit.errors import fail

HEAD_JOINTS = (15, 22, 23, 24)  # head, jaw, eyes
CANDIDATES = 16  # points tried per anchor
RELAXATIONS = 10


@dataclass(frozen=True)
class Anchors:
    """N surface points of the template; all that skinning and shape need comes from their triangle.

    Attributes:
        faces: row of `body.faces_body` in which the point lies.
        bary: weights of that triangle's corners, sum 1.
        points: on the template in the T-pose, m.
        normals: outward, unit.
        lbs_weights: skinning weights, rows sum to 1.
        shapedirs: displacement per unit of each beta, m.
        is_head: the point hangs mostly on head, jaw or eyes.
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
        """Rest positions on the shaped T-pose body, m; differentiable in the betas."""
        return self.points + blend(self.shapedirs, betas, "betas")


def sample_anchors(
    body: BodyModel, num: int = 20_000, *, seed: int = 0, head_share: float = 0.25
) -> Anchors:
    """Points uniform by area, `head_share` of them on the head; same seed, same anchors.

    Independent draws leave holes and heaps, and a splat must then be wide enough for the widest
    hole. So each region is sampled densely and thinned to the points nearest to the centres of
    equal cells (Lloyd's relaxation): spacing is nearly even.

    Args:
        num: anchors, 100 to 200,000; 10k-80k is the useful range.
        head_share: share on head and face, in (0, 1); the head's area alone is about 0.08.

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
    corners = body.v_template[body.faces_body]
    cross = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = torch.linalg.norm(cross, dim=1).numpy().astype(np.float64)
    is_head = (body.lbs_weights[:, HEAD_JOINTS].sum(1)[body.faces_body].mean(1) > 0.5).numpy()
    num_head = round(num * head_share)
    parts = [(areas * is_head, num_head), (areas * ~is_head, num - num_head)]
    chosen = [_spread(a, n, corners.numpy(), rng) for a, n in parts]
    faces, bary = (torch.from_numpy(np.concatenate(x)) for x in zip(*chosen, strict=True))
    return on_faces(body, faces, bary, cross)


def _spread(areas: np.ndarray, num: int, corners: np.ndarray, rng) -> tuple[np.ndarray, ...]:
    """Faces and barycentric weights of `num` evenly spaced points."""
    faces = _draw(areas, CANDIDATES * num, rng)
    bary = _barycentric(len(faces), rng)
    points = np.einsum("nk,nkd->nd", bary, corners[faces])
    centres = points[::CANDIDATES]
    for _ in range(RELAXATIONS):
        cell = cKDTree(centres).query(points)[1]
        size = np.bincount(cell, minlength=num)[:, None]
        middle = np.stack([np.bincount(cell, p, num) for p in points.T], axis=1)
        centres = np.where(size > 0, middle / np.maximum(size, 1), centres)
    chosen = cKDTree(points).query(centres)[1]
    return faces[chosen], bary[chosen]


def _draw(areas: np.ndarray, num: int, rng: np.random.Generator) -> np.ndarray:
    """Face rows, proportional to `areas`, by one random offset and equal steps."""
    edges = np.cumsum(areas)
    steps = (np.arange(num) + rng.random()) / num * edges[-1]
    return np.searchsorted(edges, steps, side="right").clip(max=np.flatnonzero(areas)[-1])


def _barycentric(num: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform points of a triangle by folding the unit square."""
    a, b = rng.random((2, num))
    over = a + b > 1
    a, b = np.where(over, 1 - a, a), np.where(over, 1 - b, b)
    return np.stack([1 - a - b, a, b], axis=1).astype(np.float32)


def on_faces(
    body: BodyModel, faces: Int[Tensor, " N"], bary: Float[Tensor, "N 3"], cross: Tensor
) -> Anchors:
    """Anchors at given places; `cross` are the normals of all of `faces_body`, of any length."""
    ids = body.faces_body[faces]

    def mix(values):
        return torch.einsum("nk,nk...->n...", bary, values[ids])

    weights = mix(body.lbs_weights)
    return Anchors(
        faces,
        bary,
        mix(body.v_template),
        torch.nn.functional.normalize(cross[faces], dim=1),
        weights / weights.sum(1, keepdim=True),
        mix(body.shapedirs),
        weights[:, HEAD_JOINTS].sum(1) > 0.5,
    )
