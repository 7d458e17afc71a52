"""SMPLify with a silhouette: shape, pose and camera of the person in one photo.

    points --lifter--> depths, pose --turn--> torso --linear--> camera --Adam, three stages--> body

In stage 1 the lifted directions of the bones set the pose. Then the camera is placed. Stage 2 adds
the 2D points and the lifted depths, both with a robust loss, and frees the shape and the camera.
Stage 3 also brings the body inside the mask and out to its contour. Without the lifter, the metres
of the landmark net and an average pose take its place.
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
        body: our body model (its file holds a regressor for the 33 points), or a licensed SMPL-X.
        focal_px: focal length in pixels; None assumes 30 degrees over the longer side.
        stages: runs of Adam, in order.
        use_lifter: take depths and mean pose from the learned lifter; False takes the metres of
            the landmark net and an average pose.

    Raises:
        InputError: points that no person can have, or a body without the 33 points.

    Source: Bogo et al. 2016 (SMPLify), eq 1; the lifter is ours.
    """
    evidence = gather_evidence(detection, photo_intrinsics(image_size, focal_px))
    small, prior = ReducedBody.of(body), BodyPrior.anybody(body.num_betas)
    if use_lifter:
        lifted = lift(load_lifter(), detection)
        # The lifted points are in pixels, not metres; `world` serves for directions only.
        evidence = replace(evidence, lifted=lifted, world=lifted.points_px)
        prior = replace(prior, pose=lifted.pose, spread=lifted.pose_spread)
    unknowns = initial_unknowns(small, evidence, body.num_betas)
    for index, stage in enumerate(stages):
        unknowns = minimise(small, evidence, unknowns, stage, prior)
        if index == 0:  # the pose is roughly right now, and the next stage needs a camera
            unknowns = place_camera(small, evidence, unknowns)
    return to_photo_body(unknowns, evidence, detection, body, image_size)


def to_photo_body(
    unknowns: Unknowns,
    evidence: Evidence,
    detection: Detection,
    body: BodyModel,
    image_size: tuple[int, int],
) -> PhotoBody:
    """The solution in the photo's world: the pelvis is at the origin, the camera moves instead."""
    pose = torch.zeros(55, 3)  # jaw, eyes and fingers stay at rest
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
