"""From a photo to a `PhotoBody` by Multi-HMR and a short refinement; used by the full profile.

    photo --square--> Multi-HMR --our world--> body --Adam on points and mask--> PhotoBody

The net's body lies some pixels off the person in the photo. The refinement is the last part of our
SMPLify (`photo.smplify.optimise`), with the net's answer instead of the average person as prior.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from toolkit.body.model import BodyModel
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues
from toolkit.errors import fail
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.multihmr.model import Human, MultiHMR, default_camera
from toolkit.photo.photo_body import PhotoBody
from toolkit.photo.smplify.energy import keypoint_term
from toolkit.photo.smplify.evidence import Evidence, gather_evidence, photo_intrinsics
from toolkit.photo.smplify.fit import to_photo_body
from toolkit.photo.smplify.optimise import FitStage, minimise
from toolkit.photo.smplify.pose_prior import BodyPrior
from toolkit.photo.smplify.reduced_body import NUM_BODY_JOINTS, ReducedBody
from toolkit.photo.smplify.start import place_camera
from toolkit.photo.smplify.unknowns import VIEW, Unknowns, project

HEAD_JOINT = 15  # in SMPL-X's order
BORDER = 0.2  # black around the photo, as in LHM, so that people who fill the photo are found too
FACE = [KEYPOINT_NAMES.index(name) for name in ("nose", "left_ear", "right_ear")]
SPREAD_DEG = 8.0  # usual error of a joint rotation in the net's answer

REFINE_STAGES = (
    FitStage(steps=40, lr=0.02, points=8.0, sigma=0.1, prior=1e-3, shape=2e-3),
    FitStage(
        steps=80, lr=0.01, points=8.0, sigma=0.05, prior=1e-3, shape=2e-3, inside=4.0, cover=0.7
    ),
)


def fit_body_multihmr(
    model: MultiHMR,
    rgb: Float[np.ndarray, "H W 3"],
    detection: Detection,
    body: BodyModel,
    *,
    focal_px: float | None = None,
    stages: tuple[FitStage, ...] = REFINE_STAGES,
) -> PhotoBody:
    """Fit the body to the detected person, as `fit_body` does in the embedded profile.

    Args:
        model: the network.
        rgb: the photo in [0, 1].
        detection: points and mask of the person, in pixels of the photo.
        body: a licensed SMPL-X body. With our own body the net's pose is used but not its shape,
            because the two shape spaces differ.
        focal_px: focal length in pixels; None takes the net's assumption, 60 degrees over the side
            of its square picture. A part of that picture is the black border, so it means 51.4
            degrees over the longer side of the photo.
        stages: runs of Adam; without any, the result is the net's answer, placed in the photo.

    Raises:
        InputError: the net sees nobody where the detector did.

    Source: Baradel et al. 2024 (Multi-HMR); the refinement is ours.
    """
    size = rgb.shape[:2]
    picture, scale, corner = square_picture(rgb, model.config.size_px)
    human = nearest_human(
        model(picture.to(next(model.parameters()).device)),
        detection,
        lambda pixel: (pixel - corner) / scale,
    )
    net_K = default_camera(model.config.size_px)
    K = photo_intrinsics(size, focal_px or float(net_K[0, 0]) / scale)
    evidence, small = gather_evidence(detection, K), ReducedBody.of(body)
    head_px = (human.head_px - corner) / scale
    start = start_from(
        human, head_px, K, body, focal_ratio=float(K[0, 0]) * scale / float(net_K[0, 0])
    )
    unknowns = better_placed(small, evidence, start)
    prior = BodyPrior.near(start.pose, start.betas, SPREAD_DEG)
    for stage in stages:
        unknowns = minimise(small, evidence, unknowns, stage, prior)
    fitted = to_photo_body(unknowns, evidence, detection, body, size)
    # The fit moves 22 joints; jaw, eyes and fingers are the net's.
    pose = torch.cat([fitted.pose[:NUM_BODY_JOINTS], human.pose[NUM_BODY_JOINTS:]])
    return replace(fitted, pose=pose)


def square_picture(
    rgb: Float[np.ndarray, "H W 3"], size_px: int, border: float = BORDER
) -> tuple[Float[Tensor, "3 S S"], float, Float[Tensor, " 2"]]:
    """Put the photo in the middle of a black square.

    Args:
        rgb: the photo in [0, 1].
        size_px: side of the square.
        border: black added to the longer side, as a share of it.

    Returns:
        The square picture in [0, 1], a scale and a corner (x, y): a photo pixel p lies at
        scale * p + corner in the square.
    """
    height, width = rgb.shape[:2]
    scale = size_px / ((1 + border) * max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    # 8 bits and Pillow's bicubic filter, as when the net was trained.
    image = Image.fromarray((np.clip(rgb, 0, 1) * 255).round().astype(np.uint8))
    image = image.resize(small, Image.Resampling.BICUBIC)
    left, top = (size_px - small[0]) // 2, (size_px - small[1]) // 2
    square = Image.new("RGB", (size_px, size_px))
    square.paste(image, (left, top))
    picture = torch.from_numpy(np.asarray(square, np.float32) / 255).permute(2, 0, 1)
    return picture, scale, torch.tensor([float(left), float(top)])


def nearest_human(
    humans: list[Human], detection: Detection, to_photo: Callable[[Tensor], Tensor]
) -> Human:
    """The person whose head lies nearest to the detected head.

    Args:
        humans: everyone whom the net sees.
        detection: points and box of the person, in pixels of the photo.
        to_photo: turns pixels of the net's picture into pixels of the photo.

    Raises:
        InputError: the net sees nobody, or nobody within half the detected person's size.
    """
    points = torch.from_numpy(np.asarray(detection.keypoints[FACE], np.float32))
    weights = points[:, 2:] + 1e-3
    face = (weights * points[:, :2]).sum(0) / weights.sum()
    distances = [float((to_photo(human.head_px) - face).norm()) for human in humans]
    limit = 0.5 * float(np.hypot(*(detection.box[2:] - detection.box[:2])))
    if not distances or min(distances) > limit:
        fail(
            "Multi-HMR",
            got=f"{len(humans)} people, none at the detected head",
            wanted="the person whose points were detected",
            fix="Use a photo in which the head is visible.",
        )
    return humans[int(np.argmin(distances))]


def start_from(
    human: Human,
    head_px: Float[Tensor, " 2"],
    K: Float[Tensor, "3 3"],
    body: BodyModel,
    *,
    focal_ratio: float = 1.0,
) -> Unknowns:
    """Turn the net's answer into the unknowns of our fit: pose in the photo's world, and a camera.

    Args:
        human: the net's answer, in the camera's axes.
        head_px: the head joint in pixels of the photo.
        K: intrinsics of the photo.
        body: the body model of the fit.
        focal_ratio: focal length of the photo over the one that the net assumed. With a longer lens
            a person of the same size in the picture stands further away.
    """
    ours = "named_betas" in body.extra  # our body's shape space is not SMPL-X's
    betas = torch.zeros(body.num_betas)
    if not ours:
        betas[: len(human.betas)] = human.betas[: body.num_betas]
    pose = human.pose[:NUM_BODY_JOINTS].clone()
    turn = VIEW @ rodrigues(human.rotvec[0])  # from the camera's axes to the world's
    pose[0] = torch.from_numpy(matrix_to_axis_angle(turn.numpy()))
    # The head joint in metres: along the pixel's ray, as far away as the net says.
    head = torch.cat([head_px, torch.ones(1)])
    head = torch.linalg.inv(K) @ head * human.head[2].clamp_min(0.3) * focal_ratio
    x, y, z = pelvis_of(human.pose, betas, head, body, None if ours else human.expression)
    z = z.clamp_min(0.3)
    return Unknowns(pose, betas, torch.stack([x / z, y / z, z.log()]))


def pelvis_of(
    pose: Float[Tensor, "55 3"],
    betas: Float[Tensor, " S"],
    head: Float[Tensor, " 3"],
    body: BodyModel,
    expression: Tensor | None = None,
) -> Float[Tensor, " 3"]:
    """The pelvis joint of a body whose head joint lies at `head`, in the same axes, in metres.

    NAVER's repository calls the result `transl_pelvis`; see `body_transl` for LHM's fork.
    """
    joints = body(betas, pose, None, expression).joints
    return head - (joints[HEAD_JOINT] - joints[0])


def body_transl(
    transl_pelvis: Float[Tensor, " 3"],
    betas: Float[Tensor, " S"],
    body: BodyModel,
    *,
    convention: str,
) -> Float[Tensor, " 3"]:
    """The body model's translation in metres from a stored `transl_pelvis`.

    Args:
        transl_pelvis: the stored value, in metres.
        betas: shape.
        body: the body model.
        convention: with "naver" the value is the position of the posed pelvis joint, so the rest
            position of the pelvis is subtracted; with "lhm" it is the translation itself. Mixing
            them up shifts a body by about 0.35 m.

    Raises:
        InputError: the convention has another name.
    """
    if convention == "lhm":
        return transl_pelvis
    if convention != "naver":
        fail(
            "transl_pelvis",
            got=repr(convention),
            wanted='"naver" or "lhm"',
            fix="naver/multi-hmr stores the joint's position, LHM's fork the translation.",
        )
    return transl_pelvis - body.rest_joints(betas)[0]


def better_placed(small: ReducedBody, evidence: Evidence, start: Unknowns) -> Unknowns:
    """The net's camera or the one by least squares, whichever projects nearer to the points."""

    def error(unknowns: Unknowns) -> Tensor:
        points = small.posed(unknowns.betas, unknowns.pose, surface=False)[0]
        pixels = project(points, unknowns, evidence.K) / evidence.scale_px
        return keypoint_term(
            pixels, evidence.keypoints / evidence.scale_px, evidence.weights, sigma=0.1
        )

    placed = place_camera(small, evidence, start)
    return min((start, placed), key=lambda unknowns: float(error(unknowns)))
