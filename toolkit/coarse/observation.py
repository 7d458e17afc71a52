"""What the photo says about each anchor: where it lands, and whether the camera sees it.

photo + mask + camera --photo.crop.crop_photo--> PhotoCrop      (square, the person only)
anchors --------------------------lay_out------> AnchorLayout   (tokens, spacing; once per body)
PhotoCrop + anchors + body pose --observe------> Observation    (posed, visible; once per photo)
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.face import face_anchors
from toolkit.body.model import BodyModel
from toolkit.body.rig import Rig, RigidMotions
from toolkit.cameras import Cameras
from toolkit.errors import fail
from toolkit.photo.crop import PhotoCrop, sample_bilinear
from toolkit.photo.photo_body import PhotoBody
from toolkit.render.mesh import rasterize_mesh

OCCLUSION_M = 0.025  # an anchor this far behind the nearest body surface is hidden
OUTSIDE_M = 0.03  # an anchor this far outside the silhouette still takes the outline's colour
MIN_FACING = 0.1  # cosine between normal and view: below it the photo sees the skin edge-on
MAX_CONTOUR_M = 0.3  # longer vectors to the outline say no more than this length


@dataclass(frozen=True)
class AnchorLayout:
    """What does not depend on the photo: how the anchors lie on the template, in the T-pose.

    Attributes:
        points: metres.
        normals: outward, unit.
        spacing: mean distance to the 6 nearest anchors, metres.
        tokens: indices of the anchors that become tokens of the transformer.
        neighbours: for each anchor its 4 nearest tokens, as rows of `tokens`.
        weights: share of each of these tokens; a row sums to 1.
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
    """Anchors of one person in one photo.

    The vectors `to_camera` and `contour_m` are turned back into the T-pose, where the network
    works: "the camera is in front of this patch of skin" then reads the same in every pose.

    Attributes:
        rest: anchors on the shaped body in the T-pose, metres.
        posed: the same anchors as in the photo, metres.
        motions: one rigid motion per anchor, from `rest` to `posed`.
        visible: the photo's camera sees the anchor.
        to_camera: unit vector from the anchor to the camera.
        contour_m: vector to the nearest point inside the silhouette (zero for anchors inside it),
            then to the nearest point outside (zero for anchors outside); metres.
        face: anchors of the face.
        scalp: all others of the head.
    """

    rest: Float[Tensor, "N 3"]
    posed: Float[Tensor, "N 3"]
    motions: RigidMotions
    visible: Bool[Tensor, " N"]
    to_camera: Float[Tensor, "N 3"]
    contour_m: Float[Tensor, "N 6"]
    face: Bool[Tensor, " N"]
    scalp: Bool[Tensor, " N"]


def lay_out(anchors: Anchors, num_tokens: int) -> AnchorLayout:
    """Choose the anchors that become tokens, and find each anchor's neighbours.

    Attention over 20,000 anchors would be slow, so only `num_tokens` of them become tokens: each
    the farthest from those chosen before, which covers the body evenly.
    """
    points = anchors.points.detach().float()
    # stretching the head's coordinates by 2 makes the tokens twice as dense there
    stretched = np.where(anchors.is_head.numpy()[:, None], 2.0, 1.0) * points.numpy()
    tokens = farthest_points(stretched, min(num_tokens, len(points)))
    num_near = min(4, len(tokens))
    near_m, near = cKDTree(points.numpy()[tokens]).query(points.numpy(), k=num_near)
    near_m, near = near_m.reshape(-1, num_near), near.reshape(-1, num_near)
    # Inverse squared distance; the floor of (1 cm)^2 lets an anchor that is itself a token still
    # blend in its neighbours, instead of dividing by zero.
    weights = 1.0 / (near_m**2 + 1e-4)
    tree = cKDTree(points.numpy())
    spacing = tree.query(points.numpy(), k=min(7, len(points)))[0][:, 1:].mean(1)  # [0] is itself
    mirror = tree.query(points.numpy() * [-1, 1, 1])[1]
    return AnchorLayout(
        points,
        anchors.normals.detach().float(),
        torch.from_numpy(spacing).float(),
        torch.from_numpy(tokens),
        torch.from_numpy(near),
        torch.from_numpy(weights / weights.sum(1, keepdims=True)).float(),
        torch.from_numpy(mirror),
    )


def farthest_points(points: Float[np.ndarray, "N 3"], num: int) -> Int[np.ndarray, " K"]:
    """Indices of `num` points, each the farthest from those before; starts at the highest one."""
    chosen = np.full(num, points[:, 1].argmax())
    nearest = np.full(len(points), np.inf)  # squared distance of each point to the chosen ones
    for i in range(1, num):
        nearest = np.minimum(nearest, ((points - points[chosen[i - 1]]) ** 2).sum(1))
        chosen[i] = nearest.argmax()
    return chosen


@torch.no_grad()
def observe(
    crop: PhotoCrop, photo_body: PhotoBody, body: BodyModel, anchors: Anchors
) -> Observation:
    """Pose the anchors as in the photo and find which of them its camera sees.

    Args:
        photo_body: only its betas, pose and transl are read.

    Raises:
        InputError: a pose without one row per joint of `body`, or with NaN in it.
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
    mesh = body(photo_body.betas, pose, torch.as_tensor(photo_body.transl).float())
    rig = Rig.build(body, anchors, photo_body.betas)
    motions = rig.motions(pose, torch.as_tensor(photo_body.transl).float())
    rest, rotations = rig.anchors_rest, motions.rotations
    posed = motions.points(rest)
    to_camera = F.normalize(crop.camera.centers[0] - posed, dim=-1)
    contour = _contour_metres(crop, posed)

    # An anchor is visible if its skin faces the camera, if it lies in the picture and not far
    # outside of the silhouette (else the fitted body is wrong here), and if nothing hides it.
    normals = torch.einsum("nab,nb->na", rotations, anchors.normals)  # as posed
    facing = (normals * to_camera).sum(-1) > MIN_FACING
    in_picture = sample_bilinear(crop.known[None], crop.camera.project(posed)[0][0])[:, 0] > 0.5
    near = in_picture & (contour[:, 0].norm(dim=-1) < OUTSIDE_M)
    face = face_anchors(rig)
    unhidden = _in_front_of(posed, mesh.vertices, body.faces_body, crop.camera)
    return Observation(
        rest,
        posed,
        motions,
        facing & near & unhidden,
        # a row vector times R is R^T times the vector: back from the photo's pose to the T-pose
        (to_camera[:, None] @ rotations)[:, 0],
        (contour @ rotations).flatten(1),
        face,
        anchors.is_head & ~face,
    )


def _contour_metres(crop: PhotoCrop, posed: Float[Tensor, "N 3"]) -> Float[Tensor, "N 2 3"]:
    """Vectors to the nearest point inside, and outside, of the silhouette, in the world.

    The crop holds them in pixels, in the picture's plane. A pixel is depth / focal length metres
    wide at the anchor's depth.
    """
    (pixels,), (depth,) = crop.camera.project(posed)
    vectors = sample_bilinear(torch.cat([crop.to_inside_px, crop.to_outside_px]), pixels).reshape(
        -1, 2, 2
    )
    # clamp: for an anchor behind the camera, or absurdly far, the size of a pixel means nothing
    metres = vectors * (depth / crop.camera.Ks[0, 0, 0]).clamp(0, 1)[:, None, None]
    metres = F.pad(metres.clamp(-MAX_CONTOUR_M, MAX_CONTOUR_M), (0, 1))  # z = 0: in the plane
    return metres @ crop.camera.viewmats[0, :3, :3]  # camera axes to world axes


def _in_front_of(
    points: Float[Tensor, "N 3"],
    vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    camera: Cameras,
) -> Bool[Tensor, " N"]:
    """True for points in the picture with no surface more than `OCCLUSION_M` in front of them.

    A depth test against the body's own mesh, as in shadow mapping. The tolerance lets an anchor
    pass that lies just beside the triangle of its pixel.
    """
    buffers = rasterize_mesh(vertices.numpy(), np.asarray(faces), camera)
    surface = torch.from_numpy(np.where(buffers.face_id >= 0, buffers.depth, np.inf)).float()
    (pixels,), (depth,) = camera.project(points)
    column, row = pixels[:, 0].floor().long(), pixels[:, 1].floor().long()
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    nearest = surface[row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)]
    return inside & (depth > 0) & (depth < nearest + OCCLUSION_M)
