"""What the photo says about each anchor: where it lands, whether it is seen, which colour is there.

photo + mask + camera --crop_photo--> PhotoCrop      (square, the person only)
anchors               --lay_out-----> AnchorLayout   (tokens, spacing; once an anchor set)
both + body pose      --observe-----> Observation    (posed, seen or not; once a photo)
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.rig import Rig, RigidMotions
from toolkit.cameras import Cameras
from toolkit.errors import fail
from toolkit.render.mesh import rasterize_mesh

CROP_PX = 256  # side of the square the network sees
OCCLUSION_M = 0.025  # an anchor this far behind the body's surface is hidden
OUTSIDE_M = 0.03  # an anchor this far outside the silhouette still takes the contour's colour


@dataclass(frozen=True)
class PhotoCrop:
    """The person alone, square.

    Attributes:
        rgb: the photo; outside the person the colour of the nearest person pixel, so that
            bilinear sampling near the contour never mixes in background.
        mask: person coverage in [0, 1].
        known: 1 within the photo, 0 where the square reaches over its border.
        to_inside_px: vector (x, y) to the nearest person pixel; zero inside and where unknown.
        to_outside_px: vector (x, y) to the nearest background pixel of the photo; zero there.
        camera: one camera of the crop.
    """

    rgb: Float[Tensor, "3 S S"]
    mask: Float[Tensor, "S S"]
    known: Float[Tensor, "S S"]
    to_inside_px: Float[Tensor, "2 S S"]
    to_outside_px: Float[Tensor, "2 S S"]
    camera: Cameras


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


def crop_photo(image: Float[Tensor, "H W 3"], mask: Float[Tensor, "H W"], camera: Cameras, *,
               margin: float = 0.06, size: int = CROP_PX) -> PhotoCrop:
    """Cut the square around the mask, resize it with antialiasing, adapt the camera.

    Args:
        image: in [0, 1].
        mask: person coverage in [0, 1].
        camera: the photo's camera, same picture size.
        margin: border around the mask, as a share of its longer side.

    Raises:
        InputError: wrong shapes, NaN, or a mask with nobody in it.
    """
    image, mask = _checked(image, mask)
    x0, y0, side = _square_around(mask, margin)
    h, w = mask.shape
    pad = (max(0, -x0), max(0, x0 + side - w), max(0, -y0), max(0, y0 + side - h))
    stack = torch.cat([image.permute(2, 0, 1) * mask, mask[None]])[None]
    top, left = y0 + pad[2], x0 + pad[0]
    stack = F.pad(stack, pad)[..., top:top + side, left:left + side]
    stack = F.interpolate(stack, (size, size), mode="bilinear", antialias=True)[0].clamp(0, 1)
    shift = torch.eye(3)
    shift[0, 2], shift[1, 2] = -x0, -y0
    moved = Cameras(camera.viewmats[:1], shift.to(camera.Ks) @ camera.Ks[:1], side, side)
    frame = torch.tensor([-x0, -y0, w - x0, h - y0]) * (size / side)
    return extend_crop(stack, moved.resized(size, size), frame)


def _checked(image, mask) -> tuple[Tensor, Tensor]:
    image, mask = torch.as_tensor(image).float(), torch.as_tensor(mask).float()
    if image.ndim != 3 or image.shape[-1] != 3 or mask.shape != image.shape[:2]:
        fail("Photo", got=f"image {tuple(image.shape)}, mask {tuple(mask.shape)}",
             wanted="(H, W, 3) and (H, W)", fix="Load the photo with toolkit.photo.load_photo.")
    if not (torch.isfinite(image).all() and torch.isfinite(mask).all()):
        fail("Photo", got="NaN or Inf", wanted="finite values in [0, 1]", fix="Load it again.")
    if (mask > 0.5).sum() < 64:
        fail("Mask", got=f"{int((mask > 0.5).sum())} person pixels", wanted="at least 64",
             fix="Use a photo in which the person is larger.")
    return image, mask


def _square_around(mask: Tensor, margin: float) -> tuple[int, int, int]:
    """Left, top and side (pixels) of the square around the mask; may reach over the border."""
    ys, xs = torch.nonzero(mask > 0.5, as_tuple=True)
    x_low, x_high, y_low, y_high = (int(v) for v in (xs.min(), xs.max(), ys.min(), ys.max()))
    side = round((max(x_high - x_low, y_high - y_low) + 1) * (1 + 2 * margin))
    return (x_low + x_high + 1 - side) // 2, (y_low + y_high + 1 - side) // 2, side


def extend_crop(stack: Float[Tensor, "4 S S"], camera: Cameras,
                frame: Float[Tensor, "4"]) -> PhotoCrop:
    """Make a `PhotoCrop` from premultiplied colour and coverage.

    Args:
        frame: left, top, right and bottom of the photo in pixels of the crop.
    """
    mask = stack[3].numpy()
    solid = mask > min(0.9, 0.9 * mask.max())
    row, column = np.indices(mask.shape) + 0.5
    left, top, right, bottom = (frame + torch.tensor([1, 1, -1, -1])).tolist()  # rim: half blended
    known = (column > left) & (column < right) & (row > top) & (row < bottom)
    y, x = distance_transform_edt(~solid, return_distances=False, return_indices=True)
    rgb = (stack[:3].numpy() / np.maximum(mask, 1e-3))[:, y, x].clip(0, 1)
    to_inside = _to_nearest(mask >= 0.5) * known
    to_outside = _to_nearest((mask < 0.5) & known)
    return PhotoCrop(torch.from_numpy(rgb.astype(np.float32)), stack[3],
                     torch.from_numpy(known.astype(np.float32)), torch.from_numpy(to_inside),
                     torch.from_numpy(to_outside), camera)


def _to_nearest(goal: np.ndarray) -> np.ndarray:
    """Vectors (x, y) in pixels to the nearest true pixel; far away if there is none."""
    if not goal.any():
        return np.full((2, *goal.shape), goal.shape[0], np.float32)
    nearest = distance_transform_edt(~goal, return_distances=False, return_indices=True)
    return (nearest - np.indices(goal.shape))[::-1].astype(np.float32)


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
    return AnchorLayout(points, anchors.normals.detach().float(), torch.from_numpy(gap).float(),
                        torch.from_numpy(tokens), torch.from_numpy(near),
                        torch.from_numpy(weights / weights.sum(1, keepdims=True)).float(),
                        torch.from_numpy(mirror))


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
        fail("Body pose", got=f"{tuple(pose.shape)} or NaN", wanted=f"{wanted}, finite",
             fix="Give axis-angle rotations of all joints in SMPL-X order.")
    out = body(photo_body.betas, pose, torch.as_tensor(photo_body.transl).float())
    rig = Rig.build(body, anchors, photo_body.betas)
    motions = rig.motions(pose, torch.as_tensor(photo_body.transl).float())
    rest, rotations = rig.anchors_rest, motions.rotations
    posed = motions.points(rest)
    to_camera = F.normalize(crop.camera.centers[0] - posed, dim=-1)
    facing = (torch.einsum("nab,nb->na", rotations, anchors.normals) * to_camera).sum(-1) > 0.1
    contour = _contour_metres(crop, posed)
    known = sample(crop.known[None], crop.camera.project(posed)[0][0])[:, 0] > 0.5
    near = known & (contour[:, 0].norm(dim=-1) < OUTSIDE_M)
    clear = _in_front_of(posed, out.vertices, body.faces_body, crop.camera)
    return Observation(rest, posed, motions, facing & near & clear,
                       (to_camera[:, None] @ rotations)[:, 0], (contour @ rotations).flatten(1))


def _contour_metres(crop: PhotoCrop, posed: Tensor) -> Float[Tensor, "N 2 3"]:
    """Vectors to the silhouette (inside, outside) in the world, at the depth of each anchor."""
    (pixels,), (depth,) = crop.camera.project(posed)
    vectors = sample(torch.cat([crop.to_inside_px, crop.to_outside_px]), pixels).reshape(-1, 2, 2)
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


def sample(maps: Float[Tensor, "C h w"], pixels: Float[Tensor, "N 2"],
           size: int | None = None) -> Float[Tensor, "N C"]:
    """Bilinear values of `maps` at pixels of a picture of side `size` (default: their own)."""
    grid = pixels / (size or maps.shape[-1]) * 2 - 1
    grid = torch.nan_to_num(grid, 2.0, 2.0, -2.0).clamp(-2, 2)[None, :, None]
    return F.grid_sample(maps[None], grid, padding_mode="border", align_corners=False)[0, :, :, 0].T
