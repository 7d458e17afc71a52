"""The stages of the fit: the weights of all terms, and the run of Adam that minimises them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.rotations import rodrigues
from toolkit.photo.smplify import energy
from toolkit.photo.smplify.evidence import Evidence
from toolkit.photo.smplify.pose_prior import BodyPrior, pose_term
from toolkit.photo.smplify.reduced_body import ReducedBody
from toolkit.photo.smplify.unknowns import Unknowns, depths_px, project


@dataclass(frozen=True)
class FitStage:
    """One run of Adam: its length and the weights of the terms; a weight of 0 drops the term."""

    steps: int
    lr: float  # learning rate of the pose, radians per step
    points: float = 0.0  # `keypoint_term`: the 2D points
    sigma: float = 0.1  # residual at which `keypoint_term` flattens, body heights
    bones: float = 0.0  # `bone_term`: directions of the bones in 3D
    prior: float = 1e-4  # `pose_term` with the average pose as its mean
    shape: float = 0.0  # squared distance of betas from the prior's
    inside: float = 0.0  # `Silhouette.inside_term`
    cover: float = 0.0  # `Silhouette.cover_term`
    depth: float = 0.0  # `depth_term`: the lifter's depths
    lifted_prior: float = 1e-4  # replaces `prior` when the lifter's pose is the mean


# From coarse to fine: bone directions, then the 2D points with a wide sigma and the camera, then a
# narrow sigma and the silhouette. Early silhouettes would pull limbs to the wrong contour.
STAGES = (
    FitStage(steps=60, lr=0.08, bones=1.0, prior=2e-4, lifted_prior=3e-3),
    FitStage(
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
    FitStage(
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


def minimise(
    small: ReducedBody, evidence: Evidence, start: Unknowns, stage: FitStage, prior: BodyPrior
) -> Unknowns:
    """Run one stage: Adam with a learning rate that falls along a cosine.

    Args:
        small: the body that is moved.
        evidence: what the photo shows.
        start: first values; they are not changed.
        stage: number of steps and weights.
        prior: what the body is assumed to be where the photo says little.

    Source: Bogo et al. 2016 (SMPLify), sec 3.3, with Adam in place of their dogleg method.
    """
    unknowns = Unknowns(
        *(t.clone().requires_grad_() for t in (start.pose, start.betas, start.camera))
    )
    # Learning rate of each unknown relative to the pose's. Those with 0 still move a little, as the
    # schedule ends at 5 % of `lr` for all of them.
    table = [
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
        # (33, 3) photo points and (N, 3) points on the clothed surface, in metres.
        points, surface, _ = small.posed(unknowns.betas, unknowns.pose, surface=stage.inside > 0)
        outline = project(surface, unknowns, evidence.K) if stage.inside else None
        if outline is not None and step % 10 == 0:  # costly, and it changes slowly
            nearest = evidence.silhouette.nearest(outline)
        loss = _points_energy(points, unknowns, evidence, stage, prior)
        if outline is not None:
            silhouette = evidence.silhouette
            loss = loss + stage.inside * silhouette.inside_term(outline)
            loss = loss + stage.cover * silhouette.cover_term(outline, nearest, trust, 0.03)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return Unknowns(*(t.detach() for t in (unknowns.pose, unknowns.betas, unknowns.camera)))


def _points_energy(
    points: Float[Tensor, "33 3"],
    unknowns: Unknowns,
    evidence: Evidence,
    stage: FitStage,
    prior: BodyPrior,
) -> Tensor:
    """The weighted sum of the terms that need no silhouette: prior, bones, 2D points and depths."""
    # Where the pelvis' own y axis points; (0, 1, 0) when the person is upright.
    up = rodrigues(unknowns.pose[0])[:, 1]
    prior_weight = stage.prior if evidence.lifted is None else stage.lifted_prior
    loss = prior_weight * (
        pose_term(unknowns.pose, prior.pose, prior.spread) + prior.upright * (up[[0, 2]] ** 2).sum()
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
        loss = loss + stage.shape * ((unknowns.betas - prior.betas) ** 2).sum()
    if stage.depth and evidence.lifted is not None:
        loss = loss + stage.depth * energy.depth_term(
            depths_px(points, unknowns, evidence.K), evidence.lifted
        )
    return loss
