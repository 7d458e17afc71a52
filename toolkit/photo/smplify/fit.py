"""SMPLify with a silhouette: shape, pose and camera of the person in one photo.

    points --lifter--> depths, pose --turn--> torso --linear--> camera --Adam, three stages--> body

The stages: (1) the lifted bone directions set the pose, (2) the 2D points pull, robustly, the
lifted depths too, and the camera moves, (3) shape joins and the body is brought inside the mask and
out to its contour. Without the lifter the net's own metres and an average pose stand in for it.
Source: Bogo et al. 2016 (SMPLify), eq 1; the silhouette term follows Lassner et al. 2017, sec 4.
"""

from dataclasses import replace

import numpy as np
import torch

from toolkit.body.model import BodyModel
from toolkit.cameras import Cameras
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.photo_body import PhotoBody
from toolkit.photo.smplify.confidence import seen_joints
from toolkit.photo.smplify.evidence import Evidence, gather_evidence, photo_intrinsics
from toolkit.photo.smplify.lifter import lift, load_lifter
from toolkit.photo.smplify.optimise import STAGES, FitStage, minimise
from toolkit.photo.smplify.pose_prior import BodyPrior
from toolkit.photo.smplify.reduced_body import ReducedBody
from toolkit.photo.smplify.start import initial_unknowns, place_camera
from toolkit.photo.smplify.unknowns import VIEW, Unknowns


def fit_body(
    detection: Detection,
    image_size: tuple[int, int],
    body: BodyModel,
    *,
    focal_px: float | None = None,
    stages: tuple[FitStage, ...] = STAGES,
    use_lifter: bool = True,
) -> PhotoBody:
    """Fit the body to one detected person.

    Args:
        detection: points and mask, in pixels of the photo.
        image_size: height and width of the photo in pixels.
        body: the body model; needs our file's point regressor.
        focal_px: focal length if known; else 30 deg over the longer side are assumed.
        stages: runs of Adam, in order.
        use_lifter: depths and usual pose from the learned lifter instead of from the net's metres
            and an average pose.

    Source: Bogo et al. 2016, eq 1; the lifter is ours.
    """
    evidence = gather_evidence(detection, photo_intrinsics(image_size, focal_px))
    small, usual = ReducedBody.of(body), BodyPrior.anybody(body.num_betas)
    if use_lifter:
        lifted = lift(load_lifter(), detection)
        evidence = replace(evidence, lifted=lifted, world=lifted.points_px)
        usual = replace(usual, pose=lifted.pose, spread=lifted.pose_spread)
    unknowns = initial_unknowns(small, evidence, body.num_betas)
    for index, stage in enumerate(stages):
        unknowns = minimise(small, evidence, unknowns, stage, usual)
        if index == 0:
            unknowns = place_camera(small, evidence, unknowns)
    return to_photo_body(unknowns, evidence, detection, body, image_size)


def to_photo_body(
    unknowns: Unknowns,
    evidence: Evidence,
    detection: Detection,
    body: BodyModel,
    image_size: tuple[int, int],
) -> PhotoBody:
    """The body in the photo's world: pelvis at the origin, the camera moved instead."""
    pose = torch.zeros(55, 3)
    pose[:22] = unknowns.pose
    viewmat = torch.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = VIEW, unknowns.translation
    camera = Cameras(viewmat[None], evidence.K[None], image_size[1], image_size[0])
    keypoints = torch.from_numpy(np.asarray(detection.keypoints, np.float32))
    return PhotoBody(
        unknowns.betas,
        pose,
        -body.rest_joints(unknowns.betas)[0],
        camera,
        keypoints,
        detection.mask,
        seen_joints(keypoints[:, 2]),
    )
