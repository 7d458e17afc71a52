"""Anchors: points spread evenly over the body's surface, one Gaussian each."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from toolkit.body.model import BodyModel, blend
from toolkit.errors import fail

HEAD_JOINTS = (15, 22, 23, 24)  # head, jaw, eyes


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

    Each region is sampled by systematic (evenly spaced) draws along the running sum of the areas,
    which leaves fewer holes than independent draws.

    Args:
        num: anchors, 100 to 200,000; 10k-80k is the useful range.
        head_share: share on head and face, in (0, 1); the head's area alone is about 0.08.

    Source: ours; LHM samples 40k points of the upsampled surface.
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
    faces = np.concatenate(
        [_draw(areas * is_head, num_head, rng), _draw(areas * ~is_head, num - num_head, rng)]
    )
    return on_faces(body, torch.from_numpy(faces), torch.from_numpy(_barycentric(num, rng)), cross)


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
