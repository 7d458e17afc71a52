"""From a photo and a file of another program's body to a `PhotoBody`.

    file --layouts--> pose, shape, points --to_points--> our body --Adam on the photo--> PhotoBody

Other programs place a body some pixels off the person, as Multi-HMR does. So the same short
refinement follows: the detected points and the mask, with the file's body as prior.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.model import BodyModel
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues
from toolkit.errors import fail
from toolkit.photo.body_file.layouts import FileBody, read_body_file
from toolkit.photo.body_file.to_points import bare, fit_to_points
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.photo_body import PhotoBody
from toolkit.photo.smplify.energy import keypoint_term
from toolkit.photo.smplify.evidence import Evidence, gather_evidence, photo_intrinsics
from toolkit.photo.smplify.fit import to_photo_body
from toolkit.photo.smplify.optimise import FitStage, minimise
from toolkit.photo.smplify.pose_prior import BodyPrior
from toolkit.photo.smplify.reduced_body import NUM_BODY_JOINTS, ReducedBody
from toolkit.photo.smplify.start import place_camera
from toolkit.photo.smplify.unknowns import VIEW, Unknowns, project

SPREAD_DEG = 8.0  # usual error of a joint rotation in such a file
SIGMA = 0.1  # of body height: where a point counts as far off
MOST_ERROR = 0.35  # of `keypoint_term`; a wrong person has 0.5 and more, a good file 0.02


def refine_stages(prior: float, shape: float) -> tuple[FitStage, ...]:
    """Two runs of Adam on the photo, with these weights of the file's pose and shape."""
    coarse = FitStage(steps=40, lr=0.02, points=8.0, sigma=0.1, prior=prior, shape=shape)
    fine = replace(coarse, steps=80, lr=0.01, sigma=0.05, inside=4.0, cover=0.7)
    return coarse, fine


# Parameters of another body's shape space say nothing of this body's lengths: the photo must.
STAGES = refine_stages(prior=1e-3, shape=2e-3)
# Points and vertices do. On one rendered person, files that were exact or off by 4 degrees per
# joint ended with 22 and 30 mm of error in place of 42 and 53; those off by 8 degrees with 72 in
# place of 69.
STAGES_WITH_POINTS = refine_stages(prior=3e-2, shape=0.1)


@dataclass(frozen=True)
class _Placed:
    """One person of the file in this photo, and how far the projected points are off."""

    person: FileBody
    unknowns: Unknowns
    error: float


def fit_body_file(
    path: str | os.PathLike,
    detection: Detection,
    image_size: tuple[int, int],
    body: BodyModel,
    *,
    focal_px: float | None = None,
    stages: tuple[FitStage, ...] | None = None,
) -> PhotoBody:
    """Fit the body to the detected person, starting from a file of another program.

    Args:
        path: .npz or .json, see `layouts`; of several people the one who fits the detection.
        detection: points and mask, in pixels of the photo.
        image_size: height and width of the photo in pixels.
        body: our own body or a licensed SMPL-X. The shape of a file is taken over only by an
            SMPL-X body from SMPL-X's betas; else it comes from points, vertices and the mask.
        focal_px: of the photo, in pixels; None takes the file's, else 30 degrees are assumed.
        stages: runs of Adam on the photo; None takes those that suit the file, and with an empty
            tuple its body is placed as it is.

    Raises:
        MissingFileError: no such file.
        InputError: a file that cannot be read, or whose body does not fit the person.
    """
    people, small = read_body_file(path), ReducedBody.of(body)
    focal = focal_px or people[0].focal_px
    evidence = gather_evidence(detection, photo_intrinsics(image_size, focal))
    placed = [each for person in people for each in _place(person, body, small, evidence, path)]
    best = min(placed, key=lambda each: each.error)
    if best.error > MOST_ERROR:
        fail(
            f"{path}",
            got=f"{len(people)} bodies, the nearest far from the person's points",
            wanted="the body of the person in the photo",
            fix="Is it the same photo, uncropped, and the person whom --person means?",
        )
    unknowns = best.unknowns
    if stages is None:
        measured = best.person.points is not None or best.person.vertices is not None
        stages = STAGES_WITH_POINTS if measured else STAGES
    prior = BodyPrior.near(unknowns.pose, unknowns.betas, SPREAD_DEG)
    for stage in stages:
        unknowns = minimise(small, evidence, unknowns, stage, prior)
    fitted = to_photo_body(unknowns, evidence, detection, body, image_size)
    if best.person.pose is None:
        return fitted
    # the fit moves 22 joints; jaw, eyes and fingers are the file's
    pose = torch.cat([fitted.pose[:NUM_BODY_JOINTS], best.person.pose[NUM_BODY_JOINTS:]])
    return replace(fitted, pose=pose)


def _place(
    person: FileBody, body: BodyModel, small: ReducedBody, evidence: Evidence, path: Path | str
) -> list[_Placed]:
    """The person in the photo; where the file's axes are in doubt, in both ways.

    Rotations of most files are in the camera's axes (y down), of some in a world's (y up).
    """
    betas, given = torch.zeros(body.num_betas), person.betas
    if given is not None and "named_betas" not in body.extra:  # our own betas mean other things
        betas[: len(given)] = given[: body.num_betas]
    if person.pose is None:
        if person.points is None:
            fail(
                f"{path}",
                got="vertices alone",
                wanted="key points or a pose beside them",
                fix="Save pred_keypoints_3d (SAM 3D Body), joints3d or pose (NLF), too.",
            )
        return [_with_points(person, None, betas, body, small, evidence)]
    placed = []
    for axes in (VIEW, torch.eye(3)):
        pose = person.pose[:NUM_BODY_JOINTS].clone()
        turn = axes @ rodrigues(pose[0])
        pose[0] = torch.from_numpy(np.float32(matrix_to_axis_angle(turn.numpy())))
        placed.append(_in_photo(person, pose, betas, small, evidence, person.transl))
    best = min(placed, key=lambda each: each.error)
    if person.points is None and person.vertices is None:
        return [best]
    return [_with_points(person, best.unknowns.pose, betas, body, small, evidence)]


def _with_points(
    person: FileBody,
    pose: Tensor | None,
    betas: Float[Tensor, " S"],
    body: BodyModel,
    small: ReducedBody,
    evidence: Evidence,
) -> _Placed:
    """The person after a fit to the file's points and vertices."""
    pose, betas, pelvis = fit_to_points(
        bare(body), person.points, person.vertices, pose=pose, betas=betas
    )
    # SAM 3D Body's points are relative to `pred_cam_t`; NLF's are in place already
    shift = person.transl if "MHR" in person.layout and person.transl is not None else 0.0
    return _in_photo(person, pose, betas, small, evidence, pelvis + shift)


def _in_photo(
    person: FileBody,
    pose: Float[Tensor, "22 3"],
    betas: Float[Tensor, " S"],
    small: ReducedBody,
    evidence: Evidence,
    pelvis: Float[Tensor, " 3"] | None,
) -> _Placed:
    """With the file's place or that of least squares, whichever projects nearer to the points."""
    anywhere = Unknowns(pose, betas, torch.tensor([0.0, 0.0, 1.5]))
    tries = [place_camera(small, evidence, anywhere)]
    if pelvis is not None and float(pelvis[2]) > 0.3:
        x, y, z = pelvis
        tries.append(replace(anywhere, camera=torch.stack([x / z, y / z, z.log()])))
    errors = [_error(small, evidence, each) for each in tries]
    index = int(np.argmin(errors))
    return _Placed(person, tries[index], errors[index])


def _error(small: ReducedBody, evidence: Evidence, unknowns: Unknowns) -> float:
    points = small.posed(unknowns.betas, unknowns.pose, surface=False)[0]
    pixels = project(points, unknowns, evidence.K) / evidence.scale_px
    target = evidence.keypoints / evidence.scale_px
    return float(keypoint_term(pixels, target, evidence.weights, SIGMA))
