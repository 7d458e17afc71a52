"""A mesh in the place of the Gaussians, for engines and printers that know no splats.

The mesh is the body's skin with this avatar's shape. Each vertex asks the Gaussians whose anchors
lie nearest to it: it takes the mean of their colours, and moves by the mean of their offsets from
their anchors. So clothes and hair keep their volume roughly; loose hems and fine detail are lost.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.model import BodyModel
from toolkit.body.rig import Avatar

NEAREST = 12  # Gaussians asked per vertex: with fewer the surface is rough, with more it is blurred
INFLUENCES = 4  # joints per vertex that every engine supports


@dataclass(frozen=True)
class ProxyMesh:
    """A skinned mesh of V vertices in the T-pose.

    Attributes:
        vertices: metres.
        normals: of unit length.
        colors: RGB of the display in [0, 1].
        faces: triangles, counter-clockwise from outside.
        joint_ids: the four joints that move each vertex most.
        weights: their shares; rows sum to 1.
    """

    vertices: Float[Tensor, "V 3"]
    normals: Float[Tensor, "V 3"]
    colors: Float[Tensor, "V 3"]
    faces: Int[Tensor, "F 3"]
    joint_ids: Int[Tensor, "V 4"]
    weights: Float[Tensor, "V 4"]


def make_proxy(avatar: Avatar, body: BodyModel) -> ProxyMesh:
    """The proxy mesh of an avatar, in the T-pose.

    Args:
        avatar: its Gaussians' colours are taken without what depends on the view.
        body: the body model that the avatar's rig was made with.
    """
    used = torch.unique(body.faces_body)  # vertices of the skin that a camera can see
    skin = body.shaped(avatar.rig.betas)[used].detach()
    faces = torch.searchsorted(used, body.faces_body)
    nearest, share = _nearest_gaussians(skin, avatar)
    blend = lambda values: (values[nearest] * share[..., None]).sum(1)  # noqa: E731
    offset = avatar.gaussians.means.detach() - avatar.rig.anchors_rest
    vertices = skin + blend(offset)
    weights, joint_ids = body.lbs_weights[used].topk(INFLUENCES, dim=1)
    return ProxyMesh(
        vertices=vertices,
        normals=vertex_normals(vertices, faces),
        colors=blend(avatar.gaussians.colors.detach()).clamp(0, 1),
        faces=faces,
        joint_ids=joint_ids,
        weights=weights / weights.sum(1, keepdim=True),
    )


def _nearest_gaussians(points: Float[Tensor, "V 3"], avatar: Avatar) -> tuple[Tensor, Tensor]:
    """Which Gaussians each point asks (V,k), and how much each of them counts (V,k)."""
    anchors = avatar.rig.anchors_rest.detach().numpy()
    distance, nearest = cKDTree(anchors).query(points.numpy(), k=min(NEAREST, len(anchors)))
    distance, nearest = distance.reshape(len(points), -1), nearest.reshape(len(points), -1)
    # half the weight at the distance of the point's own second neighbour: no unit is chosen
    reach = distance[:, min(1, distance.shape[1] - 1)][:, None] + 1e-6
    opacities = avatar.gaussians.opacities.detach().numpy()[nearest]
    share = (opacities + 1e-6) / (1 + (distance / reach) ** 2)
    share /= share.sum(1, keepdims=True)
    return torch.from_numpy(nearest), torch.from_numpy(share.astype(np.float32))


def vertex_normals(
    vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]
) -> Float[Tensor, "V 3"]:
    """Normals of the vertices: the mean of their triangles' normals, weighted by area."""
    a, b, c = vertices[faces].unbind(1)
    cross = torch.linalg.cross(b - a, c - a)  # its length is twice the triangle's area
    normals = torch.zeros_like(vertices)
    normals.index_add_(0, faces.reshape(-1), cross.repeat_interleave(3, dim=0))
    flat = normals.norm(dim=1, keepdim=True) < 1e-12  # a vertex of degenerate triangles only
    normals = torch.where(flat, torch.tensor([0.0, 1.0, 0.0]), normals)
    return torch.nn.functional.normalize(normals, dim=-1)
