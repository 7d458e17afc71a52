"""Scores of one fitted body against the true one, in the picture and in 3D."""

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import distance_transform_edt

from toolkit.body.model import BodyModel
from toolkit.cameras import Cameras
from toolkit.evaluate.align import fit_similarity, joint_errors_mm
from toolkit.people.person import Person
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.photo_body import PhotoBody
from toolkit.render.api import Render
from toolkit.render.mesh import rasterize_mesh

NEAR = 0.05  # of the height: a joint nearer than this counts as right (PCK)
RIM_PX = 5
HEIGHT_OVER_JOINTS = 1.12  # from the toes to the top of the skull, over the joints' extent


def iou(first: Bool[np.ndarray, "H W"], second: Bool[np.ndarray, "H W"]) -> float:
    """Shared area over joint area of two masks."""
    return float((first & second).sum() / max(1, (first | second).sum()))


def rim_error(
    photo: UInt8[np.ndarray, "H W 3"], mask: Float[np.ndarray, "H W"], views: Render
) -> float:
    """Mean colour error, of 255, of the cut-out person on white, within 5 px of the true contour.

    Colours are continued from covered pixels beyond the contour, as `photo.crop` does it.
    """
    true_alpha = views.alpha[0, ..., 0].numpy()
    covered, person = mask > 0.9, true_alpha > 0.5
    y, x = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    cut = photo[y, x] / 255 * mask[..., None] + 1 - mask[..., None]
    near = (
        np.where(person, distance_transform_edt(person), distance_transform_edt(~person)) <= RIM_PX
    )
    near[[*range(3), *range(-3, 0)]] = near[:, [*range(3), *range(-3, 0)]] = False  # the frame
    return 255 * float(np.abs(cut - views.rgb[0].numpy())[near].mean())


def draw_body(
    body: BodyModel, shape: Person | PhotoBody, camera: Cameras
) -> tuple[Float[np.ndarray, "22 2"], Float[np.ndarray, "33 2"], Bool[np.ndarray, "H W"]]:
    """Pixels of the 22 joints and of the landmark net's 33 points, and the silhouette."""
    out = body(shape.betas, shape.pose, shape.transl)
    points = torch.from_numpy(body.extra["blazepose33"]) @ out.vertices
    (pixels,), _ = camera.project(torch.cat([out.joints[:22], points]))
    mask = rasterize_mesh(out.vertices.numpy(), body.faces_body.numpy(), camera).mask
    return pixels[:22].numpy(), pixels[22:].numpy(), mask


def joint_errors(body: BodyModel, person: Person, fitted: PhotoBody) -> dict[str, float]:
    """Errors of COCO's 17 joints in 3D, mm; across and along the photo's view after alignment."""
    regressor = torch.from_numpy(body.extra["coco17"]).float()
    true = regressor @ body(person.betas, person.pose, person.transl, person.expression).vertices
    ours = regressor @ body(fitted.betas, fitted.pose, fitted.transl).vertices
    offset_mm = 1e3 * (fit_similarity(ours, true)(ours) - true)  # the true camera looks along -z
    return joint_errors_mm(ours, true) | {
        "pa_across_mm": float(offset_mm[:, :2].norm(dim=1).mean()),
        "pa_depth_mm": float(offset_mm[:, 2].abs().mean()),
    }


def score(
    body: BodyModel, person: Person, views: Render, detection: Detection, fitted: PhotoBody
) -> dict:
    """All numbers of one person.

    Args:
        body: the body model.
        person: the truth.
        views: the photo as it was rendered, with the true coverage.
        detection: what the two nets said about the photo.
        fitted: the body to score.
    """
    joints, points, naked = draw_body(body, person, person.photo_camera)
    fitted_joints, _, silhouette = draw_body(body, fitted, fitted.camera)
    size = np.array([fitted.camera.width, fitted.camera.height])
    height = np.ptp(joints[:, 1]) * HEIGHT_OVER_JOINTS
    dressed = views.alpha[0, ..., 0].numpy() > 0.5
    result = {"seed": person.seed, "framing": person.attributes["framing"]}
    pairs = (("", fitted_joints, joints), ("detector_", detection.keypoints[:, :2], points))
    for name, estimated, true in pairs:
        inside = ((true > 0) & (true < size)).all(axis=1)  # the photo shows it
        error = np.linalg.norm(estimated - true, axis=1)[inside] / height
        result[f"{name}pck"] = float((error < NEAR).mean())
        result[f"{name or 'keypoint_'}error"] = float(error.mean())
    return result | {
        "mask_iou": iou(detection.mask > 0.5, dressed),
        "body_iou": iou(silhouette, naked),
        "dressed_iou": iou(silhouette, dressed),
        "naked_truth_iou": iou(naked, dressed),
        **joint_errors(body, person, fitted),
    }


def overlay(
    photo: UInt8[np.ndarray, "H W 3"], body: BodyModel, fitted: PhotoBody
) -> UInt8[np.ndarray, "H W 3"]:
    """The photo with the fitted body's contour in magenta and its inside tinted blue."""
    _, _, mask = draw_body(body, fitted, fitted.camera)
    neighbours = [np.roll(mask, step, axis) for axis in (0, 1) for step in (1, -1)]
    edge = mask ^ (mask & np.logical_and.reduce(neighbours))
    picture = photo / 255.0
    picture[mask] = 0.75 * picture[mask] + 0.25 * np.array([0.3, 0.6, 1.0])
    picture[edge] = [1.0, 0.0, 1.0]
    return (picture * 255).astype(np.uint8)
