"""Where the soles are in a motion, when they stand, and how to keep them from sliding.

Heel and ball of each foot are followed as points that are fixed to ankle and foot joint, at the
height of the floor in the T-pose. Foot skating is the speed at which such a point slides while it
is on the floor. `lock_feet` removes it by moving the whole person: legs that are longer or shorter
than those of the recorded person take longer or shorter steps.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from toolkit.body.model import JOINT_NAMES
from toolkit.body.motion import Motion
from toolkit.body.rotations import rodrigues

HEEL_M, BALL_M = -0.04, 0.03  # behind the ankle, and in front of the foot joint, along z
NEAR_M = 0.025  # a sole this near to the floor may stand (Zhang et al. 2018)
SWING_M_PER_S = 0.5  # a point that is faster by more than the slowest one swings


@dataclass(frozen=True)
class Skeleton:
    """What the feet of a body need.

    Attributes:
        joints: in the T-pose, metres.
        parents: row of each joint's parent; -1 for the root.
        floor_m: height of the soles in the T-pose.
    """

    joints: Float[Tensor, "J 3"]
    parents: Int[Tensor, " J"]
    floor_m: float

    def soles(self) -> tuple[list[int], Float[Tensor, "4 3"]]:
        """Joint and place in the T-pose of left heel, left ball, right heel, right ball."""
        ids = [JOINT_NAMES.index(f"{s}_{j}") for s in ("left", "right") for j in ("ankle", "foot")]
        points = self.joints[ids].clone()
        points[:, 1] = self.floor_m
        points[:, 2] += torch.tensor([HEEL_M, BALL_M, HEEL_M, BALL_M])
        return ids, points


def joint_chain(
    poses: Float[Tensor, "T J 3"], skeleton: Skeleton
) -> tuple[Float[Tensor, "T J 3 3"], Float[Tensor, "T J 3"]]:
    """Rotations and positions of all joints in all frames, the pelvis at its place at rest.

    The same as `toolkit.body.model.joint_transforms`, for many frames at once.
    """
    local = rodrigues(poses)
    turns, places = [local[:, 0]], [skeleton.joints[0].expand(len(poses), 3)]
    for j, parent in enumerate(skeleton.parents.tolist()[1:], start=1):
        bone = skeleton.joints[j] - skeleton.joints[parent]
        places.append(places[parent] + turns[parent] @ bone)
        turns.append(turns[parent] @ local[:, j])
    return torch.stack(turns, 1), torch.stack(places, 1)


def sole_path(motion: Motion, skeleton: Skeleton) -> Float[Tensor, "T 4 3"]:
    """Where left heel, left ball, right heel and right ball are in each frame, metres."""
    ids, points = skeleton.soles()
    turns, places = joint_chain(motion.poses, skeleton)
    offset = points - skeleton.joints[ids]
    moved = (turns[:, ids] @ offset[..., None])[..., 0] + places[:, ids]
    return moved + motion.transl[:, None]


def floor_height(soles: Float[Tensor, "T 4 3"]) -> float:
    """Height of the floor, metres: the median over the frames of the lowest sole point."""
    return float(soles[..., 1].min(1).values.median())


def slip(
    soles: Float[Tensor, "T 4 3"], floor_m: float, fps: float
) -> tuple[Float[Tensor, "t 4 2"], Bool[Tensor, "t 4"]]:
    """How far each sole point slides from frame to frame, and whether it stands meanwhile.

    A point stands if it is near the floor in both frames and not much faster than the slowest point
    there: the other foot may swing past just above the floor.

    Args:
        soles: from `sole_path`.
        floor_m: from `floor_height`.
        fps: frames per second.

    Returns:
        Horizontal steps in metres, and a mask, for the T - 1 steps.
    """
    step = soles[1:, :, [0, 2]] - soles[:-1, :, [0, 2]]
    near = soles[..., 1] < floor_m + NEAR_M
    near = near[1:] & near[:-1]
    speed = torch.where(near, step.norm(dim=-1) * fps, torch.inf)
    return step, near & (speed <= speed.min(1, keepdim=True).values + SWING_M_PER_S)


def lock_feet(motion: Motion, skeleton: Skeleton, smooth: int = 2) -> Motion:
    """The motion with its path on the floor changed, so that feet that stand do not slide.

    In each step from frame to frame the person is moved against the mean slip of the sole points
    that stand, weighted by how near to the floor they are. In flight the correction fades out. The
    poses stay as they are, so two feet that slide against each other keep doing so.

    Args:
        motion: any.
        skeleton: of the body that will play it.
        smooth: the correction is averaged over 2 smooth + 1 steps, against jerks.

    Returns:
        A motion of the same poses and heights.

    Source: ours.
    """
    if len(motion) < 2:
        return motion
    soles = sole_path(motion, skeleton)
    floor = floor_height(soles)
    step, stands = slip(soles, floor, motion.fps)
    height = soles[..., 1].clamp_min(floor)
    near = 0.5 ** ((torch.maximum(height[1:], height[:-1]) - floor) / (NEAR_M / 4)) * stands
    total = near.sum(1, keepdim=True)
    mean = (step * near[..., None]).sum(1) / total.clamp_min(1e-9)
    correction = _fill_flight(mean.numpy(), total[:, 0].numpy() > 1e-6)
    kernel = np.ones(2 * smooth + 1) / (2 * smooth + 1)
    padded = np.pad(correction, ((smooth, smooth), (0, 0)), mode="edge")
    correction = np.stack([np.convolve(padded[:, k], kernel, "valid") for k in (0, 1)], axis=1)
    shift = torch.from_numpy(np.cumsum(correction, axis=0)).to(motion.transl)
    transl = motion.transl.clone()
    transl[1:, [0, 2]] -= shift
    return Motion(motion.poses, transl, motion.fps)


def _fill_flight(correction: np.ndarray, known: np.ndarray) -> np.ndarray:
    """In flight, the correction between the last and the next contact; zero if there is none."""
    if not known.any():
        return np.zeros_like(correction)
    frames = np.arange(len(known))
    return np.stack([np.interp(frames, frames[known], correction[known, k]) for k in (0, 1)], 1)


def stand_on(motion: Motion, skeleton: Skeleton) -> Motion:
    """The motion moved up or down as a whole, so that its soles stand where those at rest do."""
    shift = skeleton.floor_m - floor_height(sole_path(motion, skeleton))
    return Motion(motion.poses, motion.transl + torch.tensor([0.0, shift, 0.0]), motion.fps)
