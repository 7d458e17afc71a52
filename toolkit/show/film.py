"""Play a motion clip on an avatar: the camera walks along, the floor stays put."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.motion import Motion
from toolkit.body.rig import Avatar
from toolkit.cameras import Cameras, orbit_cameras
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.render.api import render
from toolkit.show.floor import draw_floor, floor_shadow

BODY_JOINTS = 22  # of SMPL-X, before jaw, eyes and fingers


@dataclass(frozen=True)
class AnimationConfig:
    """How a clip is filmed.

    Attributes:
        size: height and width of a frame, pixels.
        fps: frames per second of the film; the motion is resampled to it.
        seconds: length of the film; a shorter motion is repeated (`lengthen`).
        azimuth_deg: of the camera, 0 sees the face at rest.
        turn_deg: by which the camera goes round the person during the film; 360 is once.
        elevation_deg: of the camera above the horizon.
        radius_m: from the camera to the person.
        fov_y_deg: vertical field of view.
        shadow: darkness of the shadow on the floor, 0 to 1; 0 draws none.
    """

    size: tuple[int, int] = (512, 384)
    fps: float = 12.0
    seconds: float = 3.0
    azimuth_deg: float = 30.0
    turn_deg: float = 0.0
    elevation_deg: float = 8.0
    radius_m: float = 5.2
    fov_y_deg: float = 28.0
    shadow: float = 0.45


def animate(
    avatar: Avatar,
    motion: Motion,
    config: AnimationConfig | None = None,
    *,
    callback: Callable[[int], None] | None = None,
) -> Float[np.ndarray, "T H W 3"]:
    """Film an avatar that plays a motion.

    The walk goes over the floor as recorded; the camera stays beside the pelvis. The floor's height
    is the median over the frames of the lowest Gaussians' height. So the avatar stands on the floor
    even if its legs are longer or shorter than those of the recorded person.

    Args:
        avatar: Gaussians and rig.
        motion: poses and translations at any frame rate.
        config: None takes the defaults.
        callback: called with the index of each finished frame.

    Returns:
        Frames in [0, 1].
    """
    config = config or AnimationConfig()
    motion = lengthen(motion, config.seconds)
    steps = frame_indices(len(motion.poses), motion.fps, config)
    poses, transl = (torch.as_tensor(v)[steps] for v in (motion.poses, motion.transl))
    frames = [avatar.posed(pose, shift) for pose, shift in zip(poses, transl, strict=True)]
    floor_m = float(np.median([lowest_point(frame) for frame in frames]))
    pelvis = smooth_path(transl + avatar.rig.joints[0])  # (T,3)
    film = []
    for i, (gaussians, centre) in enumerate(zip(frames, pelvis, strict=True)):
        camera = _camera(centre, floor_m, config, i / len(frames))
        film.append(film_frame(gaussians, camera, floor_m, config.shadow))
        if callback is not None:
            callback(i)
    return np.stack(film)


def lengthen(motion: Motion, seconds: float, *, near_rad: float = 0.8) -> Motion:
    """Repeat a clip until it is at least this long: a cycle goes on, other clips turn back.

    Args:
        motion: returned as it is if it is long enough or has one pose only.
        seconds: wanted length.
        near_rad: a clip counts as a cycle if no joint of its last pose differs from the first pose
            by more than this angle, in radians.
    """
    num, length = len(motion.poses), max(1, round(seconds * motion.fps))
    if not 1 < num < length:
        return motion
    # The last frame of one repeat is the first of the next, so each adds num - 1 frames.
    repeats = -(-length // (num - 1))  # rounded up
    gap = motion.poses[-1, :BODY_JOINTS] - motion.poses[0, :BODY_JOINTS]  # axis-angle differences
    if float(gap.norm(dim=-1).max()) < near_rad:
        motion = _close_cycle(motion)
        way = motion.transl[-1] - motion.transl[0]  # that one cycle walks
        order = torch.arange(num - 1).repeat(repeats)
        offset = torch.arange(repeats).repeat_interleave(num - 1)[:, None] * way
    else:  # forwards, backwards, forwards, ...
        swing = torch.cat([torch.arange(num - 1), torch.arange(num - 1, 0, -1)])
        order, offset = swing.repeat(repeats)[: repeats * (num - 1)], torch.zeros(3)
    return Motion(motion.poses[order], motion.transl[order] + offset, motion.fps)


def _close_cycle(motion: Motion, num: int = 8) -> Motion:
    """A cycle whose last `num` frames lead smoothly into its first pose and height."""
    ease = torch.linspace(0, 1, min(num, len(motion.poses)))
    poses, transl = motion.poses.clone(), motion.transl.clone()
    # Joint 0 is the whole body's orientation, and x and z its place on the floor: a walk may turn
    # and must go on, so only the other joints and the height are closed.
    joint_gap, height_gap = poses[0, 1:] - poses[-1, 1:], transl[0, 1] - transl[-1, 1]
    poses[-len(ease) :, 1:] += ease[:, None, None] * joint_gap
    transl[-len(ease) :, 1] += ease * height_gap
    return Motion(poses, transl, motion.fps)


def frame_indices(num_poses: int, fps: float, config: AnimationConfig) -> list[int]:
    """For each frame of the film, the pose of the clip that is nearest in time.

    Args:
        num_poses: of the clip.
        fps: of the clip.
        config: frame rate and length of the film.

    Raises:
        InputError: a clip without poses or without a frame rate.
    """
    if num_poses < 1 or fps <= 0:
        fail(
            "motion",
            got=f"{num_poses} poses at {fps} fps",
            wanted="one or more, fps > 0",
            fix="Load a clip with toolkit.body.motion.load_clip.",
        )
    # 1e-6: 2 s of 30 poses per second may come out as 59.999999 frames
    num = max(1, int(min(config.seconds, num_poses / fps) * config.fps + 1e-6))
    return [min(num_poses - 1, round(i * fps / config.fps)) for i in range(num)]


def lowest_point(gaussians: Gaussians) -> float:
    """Height of the soles, metres: the lowest 0.2 % are ignored, because some Gaussians stray."""
    return float(torch.quantile(gaussians.means[:, 1].detach(), 0.002))


def smooth_path(points: Float[Tensor, "T 3"], reach: int = 4) -> Float[Tensor, "T 3"]:
    """Running mean over 2 reach + 1 frames, so that the camera does not bob with every step.

    The ends are continued along a straight line; a straight path therefore stays as it is.
    """
    if len(points) < 2:
        return points
    steps = torch.arange(1, reach + 1)[:, None]  # (reach,1)
    before = points[:1] - steps.flip(0) * (points[1] - points[0])
    after = points[-1:] + steps * (points[-1] - points[-2])
    padded = torch.cat([before, points, after])  # (T + 2 reach, 3)
    return padded.unfold(0, 2 * reach + 1, 1).mean(-1)


def _camera(
    pelvis: Float[Tensor, " 3"], floor_m: float, config: AnimationConfig, share: float
) -> Cameras:
    """Beside the pelvis, looking at a point 1 m above the floor whatever the pelvis does.

    `share` of the film lies before this frame, 0 to 1.
    """
    target = (float(pelvis[0]), floor_m + 1.0, float(pelvis[2]))
    return orbit_cameras(
        [config.azimuth_deg + share * config.turn_deg],
        [config.elevation_deg],
        radius_m=config.radius_m,
        fov_y_deg=config.fov_y_deg,
        size=config.size,
        target=target,
    )


def film_frame(
    gaussians: Gaussians, camera: Cameras, floor_m: float, shadow: float = 0.45
) -> Float[np.ndarray, "H W 3"]:
    """One frame: the floor, the shadow on it, and the person in front of both.

    Args:
        gaussians: of the posed avatar.
        camera: one camera.
        floor_m: height of the floor in the world.
        shadow: darkness of the shadow, 0 to 1; 0 draws none.
    """
    with torch.no_grad():
        person = render(gaussians, camera, background=(0.0, 0.0, 0.0))
        ground = draw_floor(camera, floor_m)
        if shadow > 0:
            ground = ground * (1 - shadow * floor_shadow(gaussians, camera, floor_m)[..., None])
    alpha = person.alpha[0].numpy()
    # On black, the render is the premultiplied colour, so "over" needs no product with alpha.
    return np.clip(person.rgb[0].numpy() + (1 - alpha) * ground, 0, 1).astype(np.float32)


def side_by_side(films: Sequence[Float[np.ndarray, "T H W 3"]]) -> Float[np.ndarray, "T H w 3"]:
    """Films of one frame size next to each other; a shorter one starts again.

    Raises:
        InputError: the films have different frame sizes.
    """
    if len({film.shape[1:] for film in films}) != 1:
        fail(
            "side_by_side",
            got=[film.shape for film in films],
            wanted="one frame size",
            fix="Film all with the same AnimationConfig.size.",
        )
    longest = max(len(film) for film in films)
    return np.concatenate([film[np.arange(longest) % len(film)] for film in films], axis=2)
