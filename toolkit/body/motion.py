"""Two standard poses, and motion clips on the 55 joints: recorded ones, and two from formulas."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.model import JOINT_NAMES
from toolkit.body.motion_source import COMPUTED, clip_names, motions_path
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues, rotation_about
from toolkit.errors import fail

FPS = 30.0


@dataclass(frozen=True)
class Motion:
    """A motion clip of T frames.

    Attributes:
        poses: axis-angle vectors per joint, radians; row 0 is the global orientation.
        transl: displacement of the pelvis from where it is when standing at the origin, metres.
        fps: frames per second.
    """

    poses: Float[Tensor, "T J 3"]
    transl: Float[Tensor, "T 3"]
    fps: float

    def __len__(self) -> int:
        return self.poses.shape[0]

    def facing_camera(self) -> "Motion":
        """The clip turned about the vertical so that the person faces +z on average."""
        # third column of the root's rotation: where the body's +z, its front, looks
        forward = rodrigues(self.poses[:, 0])[:, :, 2].mean(0)
        turn = rodrigues(
            torch.stack([forward[0] * 0, -torch.atan2(forward[0], forward[2]), forward[0] * 0])
        )
        # only the global orientation changes; the other joints are relative to their parents
        roots = matrix_to_axis_angle((turn @ rodrigues(self.poses[:, 0])).numpy())
        poses = torch.cat(
            [torch.from_numpy(roots).to(self.poses)[:, None], self.poses[:, 1:]], dim=1
        )
        return Motion(poses, self.transl @ turn.T, self.fps)


def t_pose() -> Float[Tensor, "J 3"]:
    """The zero pose, in which an avatar's Gaussians are stored: arms along +-x, palms down."""
    return torch.zeros(len(JOINT_NAMES), 3)


def a_pose(arms_down_deg: float = 65.0, legs_apart_deg: float = 2.0) -> Float[Tensor, "J 3"]:
    """The A-pose, which the turntable shows: arms lowered, so that a person is under 1 m wide.

    Args:
        arms_down_deg: 0 leaves the arms as in the T-pose, 90 lets them hang straight down.
        legs_apart_deg: added at each hip to the 5.5 degrees of the T-pose; the feet stay flat.
    """
    pose = t_pose()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        pose[JOINT_NAMES.index(f"{side}_shoulder"), 2] = -sign * np.radians(arms_down_deg)
        pose[JOINT_NAMES.index(f"{side}_hip"), 2] = sign * np.radians(legs_apart_deg)
        pose[JOINT_NAMES.index(f"{side}_ankle"), 2] = -sign * np.radians(legs_apart_deg)
    return pose


def load_clip(name: str) -> Motion:
    """Load a clip of 30 frames per second that starts at the origin and moves along +z.

    Args:
        name: one of `clip_names()`.

    Raises:
        InputError: an unknown name; the message lists the known ones.
    """
    if name in COMPUTED:
        return {"idle": _idle, "stroll": _stroll}[name]()
    if name not in clip_names():
        fail(
            "load_clip",
            got=repr(name),
            wanted=f"one of {', '.join(clip_names())}",
            fix="Check the spelling.",
        )
    with np.load(motions_path(), allow_pickle=False) as file:
        poses, transl = (
            torch.from_numpy(file[f"{name}_{k}"].astype(np.float32)) for k in ("poses", "transl")
        )
    return Motion(poses, transl, FPS)


def _idle(num_frames: int = 90) -> Motion:
    """Standing and breathing for 3 s; the last frame leads back to the first. Source: ours."""
    t = torch.arange(num_frames) / num_frames * 2 * torch.pi
    poses = a_pose(78.0, -2.0).repeat(num_frames, 1, 1)
    breath = 0.02 * torch.sin(t)
    for name, share in (("spine2", -1.0), ("spine3", -1.0), ("neck", 1.5)):
        poses[:, JOINT_NAMES.index(name), 0] += share * breath
    for side, sign in (("left", 1.0), ("right", -1.0)):
        poses[:, JOINT_NAMES.index(f"{side}_shoulder"), 2] += sign * breath
        poses[:, JOINT_NAMES.index(f"{side}_elbow"), 1] = -sign * 0.25
    poses[:, JOINT_NAMES.index("head"), 1] = 0.06 * torch.sin(t)
    return Motion(poses, torch.zeros(num_frames, 3), FPS)


def _stroll(num_frames: int = 36, speed_m_per_s: float = 1.1) -> Motion:
    """One walking cycle of 1.2 s from sines, amplitudes in radians; it loops. Source: ours."""
    phase = torch.arange(num_frames) / num_frames * 2 * torch.pi
    poses = a_pose(80.0, -4.5).repeat(num_frames, 1, 1)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        # the right leg is half a cycle behind the left
        p = phase + (0.0 if side == "left" else torch.pi)
        hip, knee, ankle = (JOINT_NAMES.index(f"{side}_{j}") for j in ("hip", "knee", "ankle"))
        poses[:, hip, 0] = -0.08 - 0.42 * torch.sin(p)
        poses[:, knee, 0] = 0.12 + 0.75 * torch.exp(3 * (torch.cos(p + 0.15) - 1))
        poses[:, ankle, 0] = -poses[:, hip, 0] * 0.2 - poses[:, knee, 0] * 0.15
        poses[:, JOINT_NAMES.index(f"{side}_elbow"), 1] = -sign * (0.35 - 0.15 * torch.sin(p))
        poses[:, JOINT_NAMES.index(f"{side}_collar"), 1] = sign * 0.05 * torch.sin(p)
        shoulder = JOINT_NAMES.index(f"{side}_shoulder")
        # first lower the arm, then swing it forward: two rotations, so matrices, not axis-angle
        swing = rotation_about("x", (0.4 * torch.sin(p)).numpy())
        down = rotation_about("z", np.full(num_frames, -sign * np.radians(80.0)))
        poses[:, shoulder] = torch.from_numpy(matrix_to_axis_angle(swing @ down)).float()
    poses[:, 0, 1] = 0.06 * torch.sin(phase)
    poses[:, JOINT_NAMES.index("spine3"), 1] = -0.1 * torch.sin(phase)
    transl = torch.zeros(num_frames, 3)
    transl[:, 1] = -0.02 - 0.015 * torch.cos(2 * phase)
    transl[:, 2] = torch.arange(num_frames) / FPS * speed_m_per_s
    return Motion(poses, transl, FPS)
