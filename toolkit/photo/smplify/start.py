"""Where the fit starts: a first pose, turned to match the torso, and a camera by least squares."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.motion import a_pose
from toolkit.body.rotations import matrix_to_axis_angle
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES
from toolkit.photo.smplify.evidence import Evidence
from toolkit.photo.smplify.reduced_body import ReducedBody
from toolkit.photo.smplify.unknowns import VIEW, Unknowns

TORSO = [
    KEYPOINT_NAMES.index(n) for n in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
]


def initial_unknowns(small: ReducedBody, evidence: Evidence, num_betas: int) -> Unknowns:
    """The lifted pose (or the A-pose), turned until shoulders and hips match the estimated ones."""
    pose = (a_pose()[:22] if evidence.lifted is None else evidence.lifted.pose).clone()
    points, _, _ = small.posed(torch.zeros(num_betas), pose)
    turn = align_rotation(points[TORSO], evidence.world[TORSO])
    pose[0] = torch.from_numpy(matrix_to_axis_angle(turn.numpy()))
    # The camera is a placeholder (4.5 m away) until `place_camera`; the first stage needs none.
    return Unknowns(pose, torch.zeros(num_betas), torch.tensor([0.0, 0.0, 1.5]))


def align_rotation(
    source: Float[Tensor, "N 3"], target: Float[Tensor, "N 3"]
) -> Float[Tensor, "3 3"]:
    """The rotation that best turns `source` into `target`, both centred. Source: Kabsch 1976.

    scipy's `Rotation.align_vectors` solves the same problem in float64, with other last bits.
    """
    U, _, Vt = torch.linalg.svd((target - target.mean(0)).T @ (source - source.mean(0)))
    # Without the flip the best orthogonal matrix may be a reflection.
    flip = torch.diag(torch.tensor([1.0, 1.0, float(torch.det(U @ Vt))]))
    return U @ flip @ Vt


def place_camera(small: ReducedBody, evidence: Evidence, unknowns: Unknowns) -> Unknowns:
    """Move the camera so that the body's points project near the detected ones.

    Multiplying the projection u - cx = f (X + tx) / (Z + tz) by its denominator makes it linear in
    the translation t: f tx - (u - cx) tz = (u - cx) Z - f X, and the same in y. That gives 66
    weighted equations for 3 unknowns.
    """
    with torch.no_grad():
        points = small.posed(unknowns.betas, unknowns.pose)[0] @ VIEW  # (33, 3), camera's axes
    focal, rays = evidence.K[0, 0], evidence.keypoints - evidence.K[:2, 2]
    rows, values = [], []
    for axis in (0, 1):
        row = torch.zeros(33, 3)
        row[:, axis], row[:, 2] = focal, -rays[:, axis]
        rows.append(row)
        values.append(rays[:, axis] * points[:, 2] - focal * points[:, axis])
    A, b = torch.cat(rows).double(), torch.cat(values).double()
    weighted = evidence.weights.double().repeat(2)[:, None] * A
    # Normal equations (A^T W A) t = A^T W b, because torch.linalg.lstsq does not always give the
    # same last bits; float64 makes up for their worse condition.
    x, y, z = torch.linalg.solve(weighted.T @ A, weighted.T @ b).float()
    z = z.clamp(0.8, 60.0)  # metres
    return replace(unknowns, camera=torch.stack([x / z, y / z, z.log()]))
