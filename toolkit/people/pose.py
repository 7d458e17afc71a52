"""Poses of people in photos: relaxed stances, and frames of motion clips."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from toolkit.body.motion import clip_names, load_clip

NECK, HEAD, LEFT_ARM, RIGHT_ARM, ELBOWS = 12, 15, 16, 17, (18, 19)  # rows of the pose
CLIP_SHARE = 0.3  # share of photos whose pose comes from a motion clip


def sample_pose(rng: np.random.Generator) -> Float[Tensor, "55 3"]:
    """A pose in which the person is turned from the camera by at most 30 degrees."""
    pose = _clip_frame(rng) if rng.random() < CLIP_SHARE else stance(rng)
    pose[1:22] += np.deg2rad(rng.normal(0, 1.5, (21, 3)))  # the body's joints
    pose[25:] += np.deg2rad(rng.normal(0, 3.0, (30, 3))) * [0, 0, 1]  # fingers curl about z
    yaw = np.deg2rad(np.clip(rng.normal(0, 14), -30, 30))
    tilt = np.deg2rad(rng.normal(0, 2.0))
    facing = Rotation.from_rotvec([tilt, 0, 0]) * Rotation.from_rotvec([0, yaw, 0])
    # A clip walks in some direction. Its own yaw is taken out first, then the drawn one put in.
    pose[0] = (facing * Rotation.from_rotvec(_without_yaw(pose[0]))).as_rotvec()
    return torch.from_numpy(pose.astype(np.float32))


def stance(rng: np.random.Generator) -> Float[np.ndarray, "55 3"]:
    """Standing: arms hang or are held, weight on one leg, head turned a little."""
    pose = np.zeros((55, 3))
    down = rng.uniform(62, 80, 2)  # degrees below the T-pose, left and right arm
    pose[LEFT_ARM, 2], pose[RIGHT_ARM, 2] = np.deg2rad([-down[0], down[1]])
    bend = rng.uniform(0, 22, 2) if rng.random() < 0.8 else rng.uniform(20, 90, 2)
    pose[ELBOWS[0], 1], pose[ELBOWS[1], 1] = np.deg2rad([-bend[0], bend[1]])
    pose[[LEFT_ARM, RIGHT_ARM], 0] = np.deg2rad(rng.normal(0, 6, 2))
    apart = rng.uniform(-5, 1, 2)  # degrees by which the legs spread at the hips
    pose[1, 2], pose[2, 2] = np.deg2rad([apart[0], -apart[1]])
    pose[[1, 2], 0] = np.deg2rad(rng.normal(-2, 5, 2))
    pose[[4, 5], 0] = np.deg2rad(np.abs(rng.normal(0, 7, 2)))  # knees bend one way only
    pose[[3, 6, 9]] = np.deg2rad(rng.normal(0, 2.5, (3, 3)))  # spine
    pose[HEAD] = np.deg2rad(rng.normal(0, [6, 12, 4]))
    curl = np.deg2rad(rng.uniform(5, 30))
    pose[25:37, 2], pose[40:52, 2] = -curl, curl  # relaxed fingers, not the thumbs
    return pose


def _clip_frame(rng: np.random.Generator) -> Float[np.ndarray, "55 3"]:
    """A frame of a motion clip: three times out of four a calm one."""
    kinds = ("walk", "idle", "stroll") if rng.random() < 0.75 else ("run", "dance", "jump")
    names = [name for name in clip_names() if any(kind in name for kind in kinds)]
    poses = np.asarray(load_clip(names[rng.integers(len(names))]).poses)
    return poses[rng.integers(len(poses))].astype(np.float64).copy()


def _without_yaw(rotvec: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The same orientation, turned about y so that it faces +z."""
    rotation = Rotation.from_rotvec(rotvec)
    ahead = rotation.apply([0, 0, 1.0])
    return (Rotation.from_rotvec([0, -np.arctan2(ahead[0], ahead[2]), 0]) * rotation).as_rotvec()


def turn_head(pose: Float[Tensor, "55 3"], yaw_deg: float) -> Float[Tensor, "55 3"]:
    """The pose with the head turned to its left by `yaw_deg`, half of it in the neck."""
    turned = pose.clone()
    turned[[NECK, HEAD], 1] += float(np.radians(yaw_deg)) / 2
    return torch.as_tensor(turned)
