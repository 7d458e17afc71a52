"""What may look wrong when a body plays a motion: sliding feet, soles in the floor, odd joints."""

from dataclasses import dataclass

import numpy as np
import torch

from toolkit.body.model import JOINT_NAMES
from toolkit.body.motion import Motion
from toolkit.body.motion_feet import Skeleton, floor_height, slip, sole_path
from toolkit.body.rotations import rodrigues

# Largest turn of a joint from the T-pose, degrees, by any axis; a little more than trained people
# reach. Source: ours, after the upper ends of clinical tables (AAOS), rounded up to tens.
LIMITS_DEG = {
    "hip": 140,
    "knee": 165,
    "ankle": 80,
    "foot": 80,
    "spine1": 70,
    "spine2": 70,
    "spine3": 70,
    "neck": 80,
    "head": 80,
    "collar": 60,
    "shoulder": 180,
    "elbow": 175,
    "wrist": 110,
    "jaw": 60,
}
FINGER_DEG = 130
HINGE_DEG = 20  # knees that bend to the front, or to the side, by more


@dataclass(frozen=True)
class MotionReport:
    """How soundly a body plays a motion.

    Attributes:
        num_frames: of the motion.
        seconds: its length.
        metres: length of the pelvis' path on the floor.
        contact: share of the frames in which a sole is on the floor.
        skating_m_per_s: mean speed at which soles slide while they stand.
        penetration_m: how far the lowest sole point gets below the floor.
        floating_m: how far above the floor the lowest sole point gets.
        jump_deg: largest turn of a joint, the pelvis left out, from one frame to the next.
        beyond: joint -> share of the frames in which it turns further than people can.
    """

    num_frames: int
    seconds: float
    metres: float
    contact: float
    skating_m_per_s: float
    penetration_m: float
    floating_m: float
    jump_deg: float
    beyond: dict[str, float]

    def lines(self) -> list[str]:
        """The report in words, for a terminal."""
        bent = ", ".join(f"{joint} ({share:.0%})" for joint, share in self.beyond.items())
        return [
            f"{self.num_frames} frames, {self.seconds:.1f} s, {self.metres:.1f} m on the floor",
            f"a sole is on the floor in {self.contact:.0%} of the frames and slides there at "
            f"{100 * self.skating_m_per_s:.0f} cm/s",
            f"soles get {100 * self.penetration_m:.1f} cm below the floor and "
            f"{100 * self.floating_m:.1f} cm above it",
            f"fastest joint: {self.jump_deg:.0f} degrees from frame to frame",
            f"beyond what joints can do: {bent or 'none'}",
        ]


def report_motion(motion: Motion, skeleton: Skeleton) -> MotionReport:
    """Measure feet and joints of a motion on this body.

    Args:
        motion: at least one frame.
        skeleton: of the body that plays it.
    """
    soles = sole_path(motion, skeleton)
    floor = floor_height(soles)
    lowest = soles[..., 1].min(1).values - floor
    step, stands = slip(soles, floor, motion.fps)
    speed = step.norm(dim=-1) * motion.fps
    rotmats = rodrigues(motion.poses)
    turned = rotmats[1:, 1:].mT @ rotmats[:-1, 1:]
    path = motion.transl[:, [0, 2]].diff(dim=0).norm(dim=1)
    return MotionReport(
        num_frames=len(motion),
        seconds=len(motion) / motion.fps,
        metres=float(path.sum()),
        contact=float(stands.any(1).float().mean()) if len(stands) else 1.0,
        skating_m_per_s=float(speed[stands].mean()) if stands.any() else 0.0,
        penetration_m=max(0.0, -float(lowest.min())),
        floating_m=max(0.0, float(lowest.max())),
        jump_deg=float(_angle_deg(turned).max()) if len(turned) else 0.0,
        beyond=_beyond(motion.poses, rotmats),
    )


def _angle_deg(rotmats: torch.Tensor) -> torch.Tensor:
    """Angle of each rotation, degrees."""
    trace = rotmats.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.rad2deg(torch.arccos(((trace - 1) / 2).clamp(-1, 1)))


def _beyond(poses: torch.Tensor, rotmats: torch.Tensor) -> dict[str, float]:
    """Joints that leave their range, and in which share of the frames."""
    angles = _angle_deg(rotmats)
    beyond = {}
    for j, name in enumerate(JOINT_NAMES[1:], start=1):
        kind = name.removeprefix("left_").removeprefix("right_")
        limit = LIMITS_DEG.get(kind, 60 if kind == "eye" else FINGER_DEG)
        out = angles[:, j] > limit
        if kind == "knee":  # a hinge about x; positive angles fold the shank to the back
            bend = torch.rad2deg(poses[:, j])
            out |= (bend[:, 0] < -HINGE_DEG) | (bend[:, 1:].abs().max(1).values > 3 * HINGE_DEG)
        if out.any():
            beyond[name] = float(np.round(out.float().mean().item(), 4))
    return beyond
