"""Motion from outside: any file to a clip of ours, on our joints, y up, in metres, facing +z."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.motion import Motion, load_clip
from toolkit.body.motion_bvh import read_bvh
from toolkit.body.motion_feet import Skeleton, joint_chain, stand_on
from toolkit.body.motion_json import read_json_motion
from toolkit.body.motion_npz import from_arrays, read_npz
from toolkit.body.motion_raw import RawMotion
from toolkit.body.motion_retarget import retarget
from toolkit.body.motion_source import check_source
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues, rotation_about
from toolkit.errors import fail, reading
from toolkit.run.npz_file import read_npy

AXES = {
    sign + axis: tuple((-1 if sign else 1) * (axis == other) for other in "xyz")
    for sign in ("", "-")
    for axis in "xyz"
}
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
UPRIGHT = 0.7  # cosine: who leans more than 45 degrees on average does not tell what is up
FAST_M_PER_S = 3.0  # only runners are faster, and those are told by their steps


@dataclass(frozen=True)
class ImportedMotion:
    """A clip, and what was found out about its file.

    Attributes:
        motion: on our joints; it starts at the origin, faces +z and stands on the floor.
        notes: format, gender, up axis, unit and so on, for the report.
    """

    motion: Motion
    notes: dict[str, object] = field(default_factory=dict)


def import_motion(
    source: str | os.PathLike,
    skeleton: Skeleton,
    *,
    fps: float | None = None,
    up: str | None = None,
    hands: str | os.PathLike | None = None,
) -> ImportedMotion:
    """Read a motion file, or one of our clips by its name.

    Args:
        source: a path, or one of `clip_names()`.
        skeleton: of the body that will play it.
        fps: frames per second, in place of what the file says.
        up: axis of the file that points up ("y", "z", "-y", ...); left out: told by the person,
            who stands most of the time.
        hands: see `read_npz`.

    Raises:
        MissingFileError: neither a file nor a clip.
        InputError: not a motion.
    """
    path = check_source(source)
    if isinstance(path, str):
        return ImportedMotion(load_clip(path), {"format": "clip", "name": path})
    if up is not None and up not in AXES:
        fail("up", got=repr(up), wanted=", ".join(AXES), fix="AMASS has z, most others y.")
    if fps is not None and not 0 < fps <= 1000:
        fail("fps", got=fps, wanted="more than 0, at most 1000", fix="Leave it out.")
    with reading(path, wanted="a motion", fix="Get the file again, or export it anew."):
        raw = _read(path, skeleton, hands)
        found = to_our_world(raw, skeleton, fps=fps, up=up)
    if not (found.motion.poses.isfinite().all() and found.motion.transl.isfinite().all()):
        fail(str(path), got="numbers beyond all bounds", wanted="a person", fix="Check the unit.")
    return found


def _read(path: Path, skeleton: Skeleton, hands: str | os.PathLike | None) -> RawMotion:
    """By the file's ending."""
    kind = path.suffix.lower()
    if path.is_dir() or kind == ".json":
        return read_json_motion(path)
    if kind == ".npz":
        return read_npz(path, hands)
    if kind == ".npy":
        array = read_npy(path, wanted="an array of numbers", fix="Save it again.")
        return from_arrays(str(path), {"poses": array})
    joints = skeleton.joints.numpy().astype(float)
    return retarget(str(path), read_bvh(path), joints, skeleton.parents.tolist())


def to_our_world(
    raw: RawMotion, skeleton: Skeleton, *, fps: float | None = None, up: str | None = None
) -> ImportedMotion:
    """Axes, unit, heading, start and floor of a motion become ours.

    Args:
        raw: as read.
        skeleton, fps, up: see `import_motion`.
    """
    notes = dict(raw.notes)
    roots = rodrigues(raw.poses[:, 0].double())  # (T,3,3)
    up = up or _up_axis(roots, raw.up)
    turn = _turn_up(up)
    roots = turn @ roots
    # heading: the front of the first frame, pressed onto the floor
    front = roots[0, :, 2]
    yaw = -float(torch.atan2(front[0], front[2])) if front[[0, 2]].norm() > 0.2 else 0.0
    about_y = torch.from_numpy(rotation_about("y", np.array([yaw]))[0]).double()
    roots = about_y @ roots
    poses = raw.poses.clone()
    poses[:, 0] = torch.from_numpy(matrix_to_axis_angle(roots.numpy())).to(poses)
    path = raw.transl.double() @ (about_y @ turn).T
    path = path - path[:1]
    rate = fps or raw.fps
    scale, notes["unit"] = _unit(raw, poses, path, rate, skeleton)
    motion = stand_on(Motion(poses, (path * scale).float(), float(rate)), skeleton)
    notes |= {"up": up, "turned_deg": round(float(np.degrees(yaw)), 1), "fps": rate}
    return ImportedMotion(motion, notes)


def _up_axis(roots: Float[Tensor, "T 3 3"], usual: str) -> str:
    """The axis along which the person's own up direction lies on average."""
    mean = roots[:, :, 1].mean(0).numpy()
    best = max(AXES, key=lambda name: float(np.dot(AXES[name], mean)))
    return best if np.dot(AXES[best], mean) > UPRIGHT else usual


def _turn_up(up: str) -> Float[Tensor, "3 3"]:
    """The shortest turn that brings this axis to +y."""
    axis = np.array(AXES[up], float)
    target = np.array(AXES["y"], float)
    normal = np.cross(axis, target)
    if not normal.any():  # y stays; -y is turned about x
        normal = np.array([np.pi, 0, 0]) if up == "-y" else normal
    else:
        normal = normal * np.pi / 2
    return rodrigues(torch.from_numpy(normal))


def _unit(
    raw: RawMotion, poses: Tensor, path: Tensor, fps: float, skeleton: Skeleton
) -> tuple[float, str]:
    """Metres per unit of the file, and how we know."""
    if raw.legs is not None:
        ids = [1, 4, 7]  # left hip, knee and ankle
        bones = skeleton.joints[ids].diff(dim=0).norm(dim=1)
        scale = float(bones.sum()) / raw.legs
        return scale, f"{scale:.4g} m, by the length of the legs"
    stride = _stride_scale(poses, path.float(), skeleton)
    if stride is not None:
        unit = min(UNITS, key=lambda name: abs(np.log(UNITS[name] / stride)))
        return UNITS[unit], f"{unit}, by the length of the steps"
    speed = float((path.diff(dim=0).norm(dim=1) * fps).median()) if len(path) > 1 else 0.0
    unit = next((n for n, metres in UNITS.items() if speed * metres < FAST_M_PER_S), "mm")
    return UNITS[unit], f"{unit}, by the speed"


def _stride_scale(poses: Tensor, path: Tensor, skeleton: Skeleton) -> float | None:
    """Metres per unit such that the foot that stands stays where it is, by least squares.

    Relative to the pelvis the standing foot moves back by just what the pelvis moves ahead, and
    down by what it rises:
    scale * step of the path = -step of the foot.
    """
    ids, points = skeleton.soles()
    turns, places = joint_chain(poses, skeleton)
    soles = (turns[:, ids] @ (points - skeleton.joints[ids])[..., None])[..., 0] + places[:, ids]
    lowest = soles[..., 1].argmin(1)
    same = (lowest[1:] == lowest[:-1]).nonzero()[:, 0]
    foot = soles[same + 1, lowest[same]] - soles[same, lowest[same]]
    step = path[same + 1] - path[same]
    moved = float((foot**2).sum())
    scale = -float((step * foot).sum()) / max(float((step**2).sum()), 1e-20)
    # steps of the feet must explain the path, or the person only sways
    explained = (scale**2) * float((step**2).sum()) / max(moved, 1e-20)
    return scale if scale > 0 and explained > 0.1 and moved > 1e-4 else None
