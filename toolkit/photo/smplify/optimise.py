"""The stages of the fit: which terms count how much, and the runs of Adam that minimise them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from toolkit.body.rotations import rodrigues
from toolkit.photo.smplify import energy
from toolkit.photo.smplify.evidence import Evidence
from toolkit.photo.smplify.pose_prior import BodyPrior, pose_term
from toolkit.photo.smplify.reduced_body import ReducedBody
from toolkit.photo.smplify.unknowns import Unknowns, depths_px, project


@dataclass(frozen=True)
class FitStage:
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
    small: ReducedBody, evidence: Evidence, start: Unknowns, stage: FitStage, usual: BodyPrior
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
    unknowns: Unknowns, evidence: Evidence, stage: FitStage, drawn: tuple, usual: BodyPrior
) -> Tensor:
    """The weighted sum of all terms."""
    points, outline, nearest, trust = drawn
    upright = rodrigues(unknowns.pose[0])[:, 1]
    prior = stage.prior if evidence.lifted is None else stage.lifted_prior
    loss = prior * (
        pose_term(unknowns.pose, usual.pose, usual.spread)
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
