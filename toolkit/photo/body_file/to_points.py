"""Our body fitted to another program's points and vertices, whatever their topology.

    points --bones--> directions of the limbs --Adam--> pose --lengths, surface--> shape, too

Two meshes of different topology share no vertices. But a point of our skin has some vertex of
theirs nearest to it, and this pairing gets better while the fit goes on (iterative closest points).
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor

from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.rotations import matrix_to_axis_angle
from toolkit.photo.body_file.points import NamedPoints
from toolkit.photo.smplify.energy import bone_term, geman_mcclure
from toolkit.photo.smplify.pose_prior import pose_statistics, pose_term
from toolkit.photo.smplify.reduced_body import (
    NUM_BODY_JOINTS,
    ReducedBody,
    cloth_thickness,
    spread,
    to_body_joints,
    vertex_normals,
)
from toolkit.photo.smplify.start import TORSO, align_rotation
from toolkit.photo.smplify.unknowns import VIEW

SPACING_M = 0.045  # between the skin points that are paired with vertices
STEPS = (80, 160)  # bones first, then places and the surface
RATES = (0.06, 0.02)  # radians per step; betas move four times as fast, the pelvis a quarter
PAIR_EVERY = 8  # steps between two pairings
SURFACE_SIGMA_M = 0.03  # beyond it a pair counts less: hair, fingers, another cut of the neck
PRIOR, SHAPE = 2e-5, 2e-5  # weights; squared metres are small numbers


def bare(body: BodyModel) -> ReducedBody:
    """The small body for points of the skin itself: no clothes, and no offsets to a detector's."""
    small = ReducedBody.of(body, SPACING_M)
    skin = body.faces_body.unique()
    surface = skin[spread(body.v_template[skin], SPACING_M)]
    thickness = cloth_thickness(to_body_joints(body)[surface])[:, None]
    template = small.template.clone()
    template[: small.num_surface] -= vertex_normals(body)[surface] * thickness
    return replace(small, template=template, offsets=torch.zeros(33, 3))


def fit_to_points(
    small: ReducedBody,
    points: NamedPoints | None,
    vertices: Float[Tensor, "V 3"] | None,
    *,
    pose: Float[Tensor, "22 3"] | None = None,
    betas: Float[Tensor, " S"] | None = None,
) -> tuple[Float[Tensor, "22 3"], Float[Tensor, " S"], Float[Tensor, " 3"]]:
    """Pose, shape and pelvis of the body that lies nearest to points and vertices.

    Args:
        small: of `bare`.
        points: in the axes of a camera, metres.
        vertices: in the same axes.
        pose: first guess in the world's axes; None takes the A-pose, turned as the torso is.
        betas: first guess; None is the average person.

    Returns:
        Pose and shape, and the pelvis in the camera's axes, metres.

    Source: closest points after Besl and McKay 1992; the terms are those of our SMPLify.
    """
    target = _Target(points, vertices)
    betas = torch.zeros(small.shapedirs.shape[2]) if betas is None else betas
    start = pose if pose is not None else _turned(small, target, betas)
    pelvis = target.pelvis(small, start, betas)
    for stage in (0, 1) if pose is None else (1,):
        start, betas, pelvis = _minimise(small, target, (start, betas, pelvis), stage)
    return start, betas, VIEW @ pelvis


class _Target:
    """What the body is drawn to, in the world's axes (y up)."""

    def __init__(self, points: NamedPoints | None, vertices: Tensor | None):
        if points is None:
            points = NamedPoints(torch.full((22, 3), torch.nan), torch.full((33, 3), torch.nan))
        rows = torch.cat([points.joints, points.photo]) @ VIEW
        self.weights = (~rows.isnan().any(1)).float()
        self.rows = rows.nan_to_num()
        self.photo, self.photo_weights = self.rows[22:], self.weights[22:]
        self.vertices = None if vertices is None else vertices @ VIEW
        self.tree = None if vertices is None else cKDTree(self.vertices.numpy())

    def pelvis(self, small: ReducedBody, pose: Tensor, betas: Tensor) -> Float[Tensor, " 3"]:
        """Where the pelvis must be for the points to match in the mean, or the vertices' middle."""
        if self.weights.sum() == 0:
            return (self.vertices.amin(0) + self.vertices.amax(0)) / 2
        photo, _, joints = small.posed(betas, pose, surface=False)
        gap = self.rows - torch.cat([joints, photo])
        return (self.weights[:, None] * gap).sum(0) / self.weights.sum()

    def place_term(self, joints: Tensor, photo: Tensor) -> Tensor:
        """Mean squared distance to the named points, square metres."""
        squared = ((torch.cat([joints, photo]) - self.rows) ** 2).sum(1)
        return (self.weights * squared).sum() / self.weights.sum().clamp_min(1)

    def pair(self, skin: Tensor) -> Tensor | None:
        """The vertex that is nearest to each point of our skin."""
        if self.tree is None:
            return None
        return self.vertices[torch.from_numpy(self.tree.query(skin.detach().numpy())[1])]


def _turned(small: ReducedBody, target: _Target, betas: Tensor) -> Float[Tensor, "22 3"]:
    """The A-pose, turned until shoulders and hips lie as the target's do."""
    pose = a_pose()[:NUM_BODY_JOINTS].clone()
    photo, _, joints = small.posed(betas, pose, surface=False)
    if bool(target.photo_weights[TORSO].all()):
        ours, theirs = photo[TORSO], target.photo[TORSO]
    else:  # hips and shoulders among the joints
        rows = [1, 2, 16, 17]
        ours, theirs = joints[rows], target.rows[rows]
    turn = align_rotation(ours, theirs)
    pose[0] = torch.from_numpy(np.float32(matrix_to_axis_angle(turn.numpy())))
    return pose


def _minimise(
    small: ReducedBody, target: _Target, start: tuple[Tensor, Tensor, Tensor], stage: int
) -> tuple[Tensor, Tensor, Tensor]:
    pose, betas, pelvis = (value.clone().requires_grad_() for value in start)
    rate, mean = RATES[stage], pose_statistics()
    groups = [(pose, rate), (betas, 4 * rate * stage), (pelvis, rate / 4)]
    optimizer = torch.optim.Adam(
        [{"params": [value], "lr": lr} for value, lr in groups], betas=(0.9, 0.95)
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS[stage], 0.05 * rate)
    pairs = None
    for step in range(STEPS[stage]):
        surface = stage == 1 and target.tree is not None
        photo, skin, joints = (p + pelvis for p in small.posed(betas, pose, surface=surface))
        loss = PRIOR * pose_term(pose, *mean) + target.place_term(joints, photo)
        if stage == 0:
            loss = loss + 0.1 * bone_term(photo, target.photo, target.photo_weights)
        else:
            loss = loss + SHAPE * (betas**2).sum()
        if surface:
            pairs = target.pair(skin) if step % PAIR_EVERY == 0 else pairs
            squared = ((skin - pairs) ** 2).sum(1)
            loss = loss + SURFACE_SIGMA_M**2 * geman_mcclure(squared, SURFACE_SIGMA_M).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return pose.detach(), betas.detach(), pelvis.detach()
