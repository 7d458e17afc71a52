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

FLOOR_COLOR, LINE_COLOR = (0.955, 0.95, 0.935), (0.80, 0.80, 0.785)
TILE_M, LINE_M = 0.5, 0.012  # floor tiles and the lines between them


@dataclass(frozen=True)
class AnimationConfig:
    """How a clip is filmed.

    Attributes:
        size: height and width of a frame, pixels.
        fps: frames a second of the film; the motion is resampled to it.
        seconds: length of the film; a shorter motion goes on (`extended`).
        azimuth_deg: of the camera, 0 sees the face at rest.
        elevation_deg: of the camera above the horizon.
        radius_m: from the camera to the person.
        fov_y_deg: vertical field of view.
        shadow: darkness of the shadow on the floor, 0 to 1; 0 draws none.
    """

    size: tuple[int, int] = (512, 384)
    fps: float = 12.0
    seconds: float = 3.0
    azimuth_deg: float = 30.0
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

    The walk goes over the floor as recorded; the camera keeps beside the pelvis. The floor lies
    where the lowest Gaussians touch it in half of the frames, so that feet of another leg length
    than the recorded person's stand on it.
    """
    config = config or AnimationConfig()
    motion = extended(motion, config.seconds)
    steps = frame_indices(len(motion.poses), motion.fps, config)
    poses, transl = (torch.as_tensor(v)[steps] for v in (motion.poses, motion.transl))
    frames = [avatar.posed(pose, shift) for pose, shift in zip(poses, transl, strict=True)]
    floor_m = float(np.median([lowest_point(frame) for frame in frames]))
    pelvis = smooth_path(transl + avatar.rig.joints[0])
    film = []
    for i, (gaussians, centre) in enumerate(zip(frames, pelvis, strict=True)):
        film.append(film_frame(gaussians, _camera(centre, floor_m, config), floor_m, config.shadow))
        if callback is not None:
            callback(i)
    return np.stack(film)


def extended(motion: Motion, seconds: float, *, near_rad: float = 0.8) -> Motion:
    """A clip made at least this long: a cycle goes on from where it ended, others turn back.

    Args:
        near_rad: a cycle ends within this of its first pose, as the largest joint difference.
    """
    num, length = len(motion.poses), max(1, round(seconds * motion.fps))
    if not 1 < num < length:
        return motion
    rounds = -(-length // (num - 1))
    gap = float((motion.poses[-1, :22] - motion.poses[0, :22]).norm(dim=-1).max())
    if gap < near_rad:  # the last frame stands for the next round's first
        motion = _closed(motion)
        way = motion.transl[-1] - motion.transl[0]
        order = torch.arange(num - 1).repeat(rounds)
        offset = torch.arange(rounds).repeat_interleave(num - 1)[:, None] * way
    else:
        swing = torch.cat([torch.arange(num - 1), torch.arange(num - 1, 0, -1)])
        order, offset = swing.repeat(rounds)[: rounds * (num - 1)], torch.zeros(3)
    return Motion(motion.poses[order], motion.transl[order] + offset, motion.fps)


def _closed(motion: Motion, num: int = 8) -> Motion:
    """A cycle whose last frames lead into its first pose and height."""
    ease = torch.linspace(0, 1, min(num, len(motion.poses)))
    poses, transl = motion.poses.clone(), motion.transl.clone()
    joint_gap, height_gap = poses[0, 1:] - poses[-1, 1:], transl[0, 1] - transl[-1, 1]
    poses[-len(ease) :, 1:] += ease[:, None, None] * joint_gap
    transl[-len(ease) :, 1] += ease * height_gap
    return Motion(poses, transl, motion.fps)


def frame_indices(num_poses: int, fps: float, config: AnimationConfig) -> list[int]:
    """Which poses of a clip are shown, nearest in time."""
    if num_poses < 1 or fps <= 0:
        fail(
            "motion",
            got=f"{num_poses} poses at {fps} fps",
            wanted="one or more, fps > 0",
            fix="Load a clip with toolkit.body.motion.load_clip.",
        )
    num = max(1, int(min(config.seconds, num_poses / fps) * config.fps + 1e-6))
    return [min(num_poses - 1, round(i * fps / config.fps)) for i in range(num)]


def lowest_point(gaussians: Gaussians) -> float:
    """Height of the soles, metres: one Gaussian in 500 lies lower, for a stray is not a sole."""
    return float(torch.quantile(gaussians.means[:, 1].detach(), 0.002))


def smooth_path(points: Float[Tensor, "T 3"], reach: int = 4) -> Float[Tensor, "T 3"]:
    """Running mean over 2 reach + 1 frames, ends continued straight: the camera does not bob."""
    if len(points) < 2:
        return points
    steps = torch.arange(1, reach + 1)[:, None]
    before = points[:1] - steps.flip(0) * (points[1] - points[0])
    after = points[-1:] + steps * (points[-1] - points[-2])
    padded = torch.cat([before, points, after])
    return padded.unfold(0, 2 * reach + 1, 1).mean(-1)


def _camera(pelvis: Float[Tensor, " 3"], floor_m: float, config: AnimationConfig) -> Cameras:
    """Beside the pelvis, looking at a fixed height above the floor."""
    target = (float(pelvis[0]), floor_m + 1.0, float(pelvis[2]))
    return orbit_cameras(
        [config.azimuth_deg],
        [config.elevation_deg],
        radius_m=config.radius_m,
        fov_y_deg=config.fov_y_deg,
        size=config.size,
        target=target,
    )


def film_frame(
    gaussians: Gaussians, camera: Cameras, floor_m: float, shadow: float = 0.45
) -> Float[np.ndarray, "H W 3"]:
    """One frame: floor, shadow on it, person before both."""
    with torch.no_grad():
        person = render(gaussians, camera, background=(0.0, 0.0, 0.0))
        ground = floor_picture(camera, floor_m)
        if shadow > 0:
            ground = ground * (1 - shadow * _shadow(gaussians, camera, floor_m)[..., None])
    alpha = person.alpha[0].numpy()
    return np.clip(person.rgb[0].numpy() + (1 - alpha) * ground, 0, 1).astype(np.float32)


def _shadow(gaussians: Gaussians, camera: Cameras, floor_m: float) -> Float[np.ndarray, "H W"]:
    """How dark the floor is: a thinned-out avatar, pressed flat; low parts darken it more."""
    thin = slice(None, None, max(1, len(gaussians) // 2500))
    means = gaussians.means[thin].detach()
    height = (means[:, 1] - floor_m).clamp_min(0)
    flat = torch.stack(
        [
            means[:, 0] - 0.12 * height,
            torch.full_like(height, floor_m),
            means[:, 2] - 0.06 * height,
        ],
        dim=-1,
    )
    spread = 0.025 + 0.035 * height
    scales = torch.stack([spread, torch.full_like(spread, 1e-3), spread], dim=-1)
    n = len(means)
    disc = Gaussians.from_colors(
        flat,
        torch.eye(4)[:1].repeat(n, 1),
        scales,
        (0.10 / (1 + 2 * height)).clamp(0, 0.99),
        torch.zeros(n, 3),
    )
    return render(disc, camera).alpha[0, ..., 0].numpy()


def floor_picture(camera: Cameras, floor_m: float) -> Float[np.ndarray, "H W 3"]:
    """The empty stage: white above the horizon, a tiled floor that fades into it."""
    K, viewmat = camera.Ks[0].numpy(), camera.viewmats[0].numpy()
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    rays = rays @ viewmat[:3, :3]
    eye = camera.centers[0].numpy()
    down = np.minimum(rays[..., 1], -1e-4)
    distance = (floor_m - eye[1]) / down
    spot = eye[[0, 2]] + distance[..., None] * rays[..., [0, 2]]
    pixel_m = np.abs(distance)[..., None] / K[0, 0] * np.stack([np.ones_like(u), -1 / down], -1)
    away = np.abs((spot / TILE_M + 0.5) % 1 - 0.5) * TILE_M  # metres to the nearest line
    blur = np.maximum(LINE_M, pixel_m.max(-1, keepdims=True))
    line = (LINE_M / blur * np.clip(1.5 - away / blur, 0, 1)).max(-1)
    near = np.clip(1.6 - np.hypot(*(spot - eye[[0, 2]]).transpose(2, 0, 1)) / 8, 0, 1)
    near = np.where(rays[..., 1] < -1e-3, near, 0)[..., None]
    color = np.array(FLOOR_COLOR) + line[..., None] * (np.array(LINE_COLOR) - FLOOR_COLOR)
    return (1 + near * (color - 1)).astype(np.float32)


def side_by_side(films: Sequence[Float[np.ndarray, "T H W 3"]]) -> Float[np.ndarray, "T H W 3"]:
    """Films of one frame size next to each other; a shorter one starts again."""
    if len({film.shape[1:] for film in films}) != 1:
        fail(
            "side_by_side",
            got=[film.shape for film in films],
            wanted="one frame size",
            fix="Film all with the same AnimationConfig.size.",
        )
    longest = max(len(film) for film in films)
    return np.concatenate([film[np.arange(longest) % len(film)] for film in films], axis=2)
