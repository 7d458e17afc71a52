"""SMPLify with a silhouette: shape, pose and camera of the person in one photo.

    points --lifter--> depths, pose --turn--> torso --linear--> camera --Adam, three stages--> body

The stages: (1) the lifted bone directions set the pose, (2) the 2D points pull, robustly, the
lifted depths too, and the camera moves, (3) shape joins and the body is brought inside the mask and
out to its contour. Without the lifter the net's own metres and an average pose stand in for it.
Source: Bogo et al. 2016 (SMPLify), eq 1; the silhouette term follows Lassner et al. 2017, sec 4.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues
from toolkit.cameras import Cameras
from toolkit.photo.detection.detect import KEYPOINT_NAMES, Detection
from toolkit.photo.photo_body import PhotoBody
from toolkit.photo.smplify import energy
from toolkit.photo.smplify.energy import Usual
from toolkit.photo.smplify.evidence import Evidence, gather_evidence, photo_intrinsics
from toolkit.photo.smplify.lift import HIPS, lift, load_lifter
from toolkit.photo.smplify.reduced_body import ReducedBody

__all__ = ["PhotoBody", "fit_body"]
VIEW = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # world to camera axes
TORSO = [
    KEYPOINT_NAMES.index(n) for n in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
]


@dataclass(frozen=True)
class Stage:
    """Weights of one run of Adam; a weight of 0 drops the term.

    Attributes:
        steps: number of steps. lr: learning rate of the pose, radians a step.
        sigma: where a 2D residual stops to count more, in body heights.
        depth: of the lifted depths. lifted_prior: `prior` when the usual pose is the lifted one.
    """

    steps: int
    lr: float
    points: float = 0.0
    sigma: float = 0.1
    bones: float = 0.0
    prior: float = 1e-4
    shape: float = 0.0
    inside: float = 0.0
    cover: float = 0.0
    depth: float = 0.0
    lifted_prior: float = 1e-4


STAGES = (
    Stage(steps=60, lr=0.08, bones=1.0, prior=2e-4, lifted_prior=3e-3),
    Stage(
        steps=90,
        lr=0.04,
        points=4.0,
        sigma=0.15,
        bones=0.3,
        prior=2e-4,
        shape=3e-3,
        depth=0.05,
        lifted_prior=3e-3,
    ),
    Stage(
        steps=150,
        lr=0.02,
        points=8.0,
        sigma=0.05,
        bones=0.06,
        prior=2e-4,
        shape=2e-3,
        inside=4.0,
        cover=0.7,
        depth=0.05,
        lifted_prior=3e-3,
    ),
)


@dataclass(frozen=True)
class Unknowns:
    """What Adam moves: pose, shape, and the camera as picture shift and log depth."""

    pose: Tensor
    betas: Tensor
    camera: Tensor

    @property
    def translation(self) -> Float[Tensor, " 3"]:
        """Pelvis in camera coordinates, m."""
        depth = self.camera[2].exp()
        return torch.stack([self.camera[0] * depth, self.camera[1] * depth, depth])


def fit_body(
    detection: Detection,
    image_size: tuple[int, int],
    body: BodyModel,
    *,
    focal_px: float | None = None,
    stages: tuple[Stage, ...] = STAGES,
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
    small, usual = ReducedBody.of(body), Usual.anybody(body.num_betas)
    if use_lifter:
        lifted = lift(load_lifter(), detection)
        evidence = replace(evidence, lifted=lifted, world=lifted.points_px)
        usual = replace(usual, pose=lifted.pose, spread=lifted.pose_spread)
    unknowns = _start(small, evidence, body.num_betas)
    for index, stage in enumerate(stages):
        unknowns = minimise(small, evidence, unknowns, stage, usual)
        if index == 0:
            unknowns = place_camera(small, evidence, unknowns)
    return to_photo_body(unknowns, evidence, detection, body, image_size)


def _start(small: ReducedBody, evidence: Evidence, num_betas: int) -> Unknowns:
    """The lifted pose or the A-pose, turned so that shoulders and hips lie as they should."""
    pose = (a_pose()[:22] if evidence.lifted is None else evidence.lifted.pose).clone()
    points, _, _ = small.posed(torch.zeros(num_betas), pose)
    turn = _kabsch(points[TORSO], evidence.world[TORSO])
    pose[0] = torch.from_numpy(matrix_to_axis_angle(turn.numpy()))
    return Unknowns(pose, torch.zeros(num_betas), torch.tensor([0.0, 0.0, 1.5]))


def _kabsch(source: Float[Tensor, "N 3"], target: Float[Tensor, "N 3"]) -> Float[Tensor, "3 3"]:
    """Rotation that best turns centred `source` into centred `target`. Source: Kabsch 1976."""
    U, _, Vt = torch.linalg.svd((target - target.mean(0)).T @ (source - source.mean(0)))
    flip = torch.diag(torch.tensor([1.0, 1.0, float(torch.det(U @ Vt))]))
    return U @ flip @ Vt


def place_camera(small: ReducedBody, evidence: Evidence, unknowns: Unknowns) -> Unknowns:
    """Linear least squares for the translation that puts the 3D points on the 2D ones.

    From f (X + tx) = (u - cx) (Z + tz), and the same in y.
    """
    with torch.no_grad():
        points = small.posed(unknowns.betas, unknowns.pose)[0] @ VIEW
    focal, rays = evidence.K[0, 0], evidence.keypoints - evidence.K[:2, 2]
    rows, values = [], []
    for axis in (0, 1):
        row = torch.zeros(33, 3)
        row[:, axis], row[:, 2] = focal, -rays[:, axis]
        rows.append(row)
        values.append(rays[:, axis] * points[:, 2] - focal * points[:, axis])
    A, b = torch.cat(rows).double(), torch.cat(values).double()
    weighted = evidence.weights.double().repeat(2)[:, None] * A
    # the normal equations: torch.linalg.lstsq does not always give the same last bits
    x, y, z = torch.linalg.solve(weighted.T @ A, weighted.T @ b).float()
    z = z.clamp(0.8, 60.0)
    return replace(unknowns, camera=torch.stack([x / z, y / z, z.log()]))


def project(points: Float[Tensor, "N 3"], unknowns: Unknowns, K: Tensor) -> Float[Tensor, "N 2"]:
    """World points to pixels."""
    cam = points @ VIEW + unknowns.translation
    return cam[:, :2] / cam[:, 2:].clamp_min(0.1) * K[0, 0] + K[:2, 2]


def depths_px(points: Float[Tensor, "33 3"], unknowns: Unknowns, K: Tensor) -> Float[Tensor, " 33"]:
    """How far points lie in front of the hips' middle, in pixels at the hips' distance."""
    hips = points[HIPS, 2].mean()
    return (points[:, 2] - hips) * K[0, 0] / (unknowns.translation[2] - hips)


def minimise(
    small: ReducedBody, evidence: Evidence, start: Unknowns, stage: Stage, usual: Usual
) -> Unknowns:
    """One run of Adam with a falling learning rate."""
    unknowns = Unknowns(
        *(t.clone().requires_grad_() for t in (start.pose, start.betas, start.camera))
    )
    table = [  # name, learning rate relative to the pose's
        ("pose", 1.0),
        ("betas", 2.0 if stage.shape else 0.0),
        ("camera", 0.3 if stage.points else 0.0),
    ]
    optimizer = torch.optim.Adam(
        [{"params": [getattr(unknowns, name)], "lr": stage.lr * rate} for name, rate in table],
        betas=(0.9, 0.95),
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, stage.steps, 0.05 * stage.lr)
    nearest, trust = None, small.outline_trust
    for step in range(stage.steps):
        points, surface, _ = small.posed(unknowns.betas, unknowns.pose, surface=stage.inside > 0)
        outline = project(surface, unknowns, evidence.K) if stage.inside else None
        if outline is not None and step % 10 == 0:
            nearest = evidence.silhouette.nearest(outline)
        loss = _energy(unknowns, evidence, stage, (points, outline, nearest, trust), usual)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return Unknowns(*(t.detach() for t in (unknowns.pose, unknowns.betas, unknowns.camera)))


def _energy(
    unknowns: Unknowns, evidence: Evidence, stage: Stage, drawn: tuple, usual: Usual
) -> Tensor:
    """The weighted sum of all terms."""
    points, outline, nearest, trust = drawn
    upright = rodrigues(unknowns.pose[0])[:, 1]
    prior = stage.prior if evidence.lifted is None else stage.lifted_prior
    loss = prior * (
        energy.pose_term(unknowns.pose, usual.pose, usual.spread)
        + usual.upright * (upright[[0, 2]] ** 2).sum()
    )
    loss = loss + stage.bones * energy.bone_term(points, evidence.world, evidence.weights)
    if stage.points:
        pixels = project(points, unknowns, evidence.K)
        loss = loss + stage.points * energy.keypoint_term(
            pixels / evidence.scale_px,
            evidence.keypoints / evidence.scale_px,
            evidence.weights,
            stage.sigma,
        )
        loss = loss + stage.shape * ((unknowns.betas - usual.betas) ** 2).sum()
    if stage.depth and evidence.lifted is not None:
        loss = loss + stage.depth * energy.depth_term(
            depths_px(points, unknowns, evidence.K), evidence.lifted
        )
    if outline is not None:
        loss = loss + stage.inside * evidence.silhouette.inside_term(outline)
        loss = loss + stage.cover * evidence.silhouette.cover_term(outline, nearest, trust, 0.03)
    return loss


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
        energy.seen_joints(keypoints[:, 2]),
    )
