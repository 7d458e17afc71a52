"""What the photo says about each anchor: where it lands, whether it is seen, which colour is there.

photo + mask + camera --photo.crop.crop_photo--> PhotoCrop      (square, the person only)
anchors               --lay_out----------------> AnchorLayout   (tokens, spacing; once an anchor set)
both + body pose      --observe----------------> Observation    (posed, seen or not; once a photo)
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.rig import Rig, RigidMotions
from toolkit.cameras import Cameras
from toolkit.errors import fail
from toolkit.photo.crop import PhotoCrop, sample_bilinear
from toolkit.render.mesh import rasterize_mesh

OCCLUSION_M = 0.025  # an anchor this far behind the body's surface is hidden


OUTSIDE_M = 0.03  # an anchor this far outside the silhouette still takes the contour's colour


@dataclass(frozen=True)
class AnchorLayout:
    """Fixed geometry of an anchor set on the template.

    Attributes:
        points: metres, T pose. normals: unit. spacing: mean distance of near anchors, metres.
        tokens: anchors that become tokens. neighbours, weights: of the 4 nearest tokens.
        mirror: index of the anchor nearest to the left-right reflection.
    """

    points: Float[Tensor, "N 3"]
    normals: Float[Tensor, "N 3"]
    spacing: Float[Tensor, " N"]
    tokens: Int[Tensor, " K"]
    neighbours: Int[Tensor, "N 4"]
    weights: Float[Tensor, "N 4"]
    mirror: Int[Tensor, " N"]


@dataclass(frozen=True)
class Observation:
    """Anchors of one person in one photo; vectors are in the T pose's frame.

    Attributes:
        rest: shaped T pose, metres. posed: in the photo, metres. motions: from one to the other.
        visible: seen by the photo's camera.
        to_camera: unit vector to the camera. contour_m: to the silhouette's nearest edge,
            metres, (inside, outside) stacked.
    """

    rest: Float[Tensor, "N 3"]
    posed: Float[Tensor, "N 3"]
    motions: RigidMotions
    visible: Bool[Tensor, " N"]
    to_camera: Float[Tensor, "N 3"]
    contour_m: Float[Tensor, "N 6"]


def lay_out(anchors, num_tokens: int) -> AnchorLayout:
    """Choose the token anchors (farthest points, the head twice as dense) and their neighbours."""
    points = anchors.points.detach().float()
    dense = np.where(anchors.is_head.numpy()[:, None], 2.0, 1.0) * points.numpy()
    tokens = farthest_points(dense, min(num_tokens, len(points)))
    num_near = min(4, len(tokens))
    near_m, near = cKDTree(points.numpy()[tokens]).query(points.numpy(), k=num_near)
    near_m, near = near_m.reshape(-1, num_near), near.reshape(-1, num_near)
    weights = 1.0 / (near_m**2 + 1e-4)  # 1 cm floor: an anchor on a token still blends a little
    tree = cKDTree(points.numpy())
    gap = tree.query(points.numpy(), k=min(7, len(points)))[0][:, 1:].mean(1)
    mirror = tree.query(points.numpy() * [-1, 1, 1])[1]
    return AnchorLayout(
        points,
        anchors.normals.detach().float(),
        torch.from_numpy(gap).float(),
        torch.from_numpy(tokens),
        torch.from_numpy(near),
        torch.from_numpy(weights / weights.sum(1, keepdims=True)).float(),
        torch.from_numpy(mirror),
    )


def farthest_points(points: np.ndarray, num: int) -> np.ndarray:
    """Indices of `num` points, each the farthest from those before; starts at the highest one."""
    chosen = np.full(num, points[:, 1].argmax())
    nearest = np.full(len(points), np.inf)
    for i in range(1, num):
        nearest = np.minimum(nearest, ((points - points[chosen[i - 1]]) ** 2).sum(1))
        chosen[i] = nearest.argmax()
    return chosen


@torch.no_grad()
def observe(crop: PhotoCrop, photo_body, body, anchors) -> Observation:
    """Pose the anchors as in the photo and find which of them its camera sees.

    Args:
        photo_body: has `betas`, `pose` (55,3) rad, `transl` (3,) m.

    Raises:
        InputError: a pose that has not one row per joint of `body`, or NaN in it.
    """
    pose = torch.as_tensor(photo_body.pose).float()
    wanted = (len(body.parents), 3)
    if pose.shape != wanted or not torch.isfinite(pose).all():
        fail(
            "Body pose",
            got=f"{tuple(pose.shape)} or NaN",
            wanted=f"{wanted}, finite",
            fix="Give axis-angle rotations of all joints in SMPL-X order.",
        )
    out = body(photo_body.betas, pose, torch.as_tensor(photo_body.transl).float())
    rig = Rig.build(body, anchors, photo_body.betas)
    motions = rig.motions(pose, torch.as_tensor(photo_body.transl).float())
    rest, rotations = rig.anchors_rest, motions.rotations
    posed = motions.points(rest)
    to_camera = F.normalize(crop.camera.centers[0] - posed, dim=-1)
    facing = (torch.einsum("nab,nb->na", rotations, anchors.normals) * to_camera).sum(-1) > 0.1
    contour = _contour_metres(crop, posed)
    known = sample_bilinear(crop.known[None], crop.camera.project(posed)[0][0])[:, 0] > 0.5
    near = known & (contour[:, 0].norm(dim=-1) < OUTSIDE_M)
    clear = _in_front_of(posed, out.vertices, body.faces_body, crop.camera)
    return Observation(
        rest,
        posed,
        motions,
        facing & near & clear,
        (to_camera[:, None] @ rotations)[:, 0],
        (contour @ rotations).flatten(1),
    )


def _contour_metres(crop: PhotoCrop, posed: Tensor) -> Float[Tensor, "N 2 3"]:
    """Vectors to the silhouette (inside, outside) in the world, at the depth of each anchor."""
    (pixels,), (depth,) = crop.camera.project(posed)
    vectors = sample_bilinear(torch.cat([crop.to_inside_px, crop.to_outside_px]), pixels).reshape(
        -1, 2, 2
    )
    metres = vectors * (depth / crop.camera.Ks[0, 0, 0]).clamp(0, 1)[:, None, None]
    metres = F.pad(metres.clamp(-0.3, 0.3), (0, 1))
    return metres @ crop.camera.viewmats[0, :3, :3]


def _in_front_of(points: Tensor, vertices: Tensor, faces, camera: Cameras) -> Bool[Tensor, " N"]:
    """True for points in the picture with no surface more than a tolerance before them."""
    buffers = rasterize_mesh(vertices.numpy(), np.asarray(faces), camera)
    surface = torch.from_numpy(np.where(buffers.face_id >= 0, buffers.depth, np.inf)).float()
    (pixels,), (depth,) = camera.project(points)
    column, row = pixels[:, 0].floor().long(), pixels[:, 1].floor().long()
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    nearest = surface[row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)]
    return inside & (depth > 0) & (depth < nearest + OCCLUSION_M)
