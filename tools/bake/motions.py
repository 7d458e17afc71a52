"""Make data/models/motions.npz: DeepMimic's clips in the `pybullet` wheel, on our 55 joints.

    python -m tools.bake.motions                 # pip fetches the wheel, 103 MB
    python -m tools.bake.motions --wheel PATH

A few seconds.
"""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Float

from toolkit.body.model import JOINT_NAMES, BodyModel
from toolkit.body.motion import FPS
from toolkit.body.npz import load_body
from toolkit.body.rotations import matrix_to_axis_angle, partial_rotation, rotation_about
from toolkit.run.files import DATA_DIR, atomic_path
from tools.bake.makehuman import download_wheel
from tools.command import run

WHEEL = "pybullet==3.2.7"
CLIPS = ("walk", "run", "jump", "dance_a", "dance_b", "kick", "punch", "spin")
# DeepMimic: x forward, y up, z right. Ours: z forward, y up, x left.
TO_OURS = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
COLUMNS = {
    "root": slice(4, 8),
    "chest": slice(8, 12),
    "neck": slice(12, 16),
    "right_hip": slice(16, 20),
    "right_knee": 20,
    "right_ankle": slice(21, 25),
    "right_shoulder": slice(25, 29),
    "right_elbow": 29,
    "left_hip": slice(30, 34),
    "left_knee": 34,
    "left_ankle": slice(35, 39),
    "left_shoulder": slice(39, 43),
    "left_elbow": 43,
}


def read_clip(archive: zipfile.ZipFile, name: str) -> Float[np.ndarray, "T 44"]:
    """Frames resampled to FPS: dt, root position, joint quaternions (wxyz) and hinges."""
    frames = np.array(
        json.loads(archive.read(f"pybullet_data/data/motions/humanoid3d_{name}.txt"))["Frames"]
    )
    times = np.concatenate([[0], np.cumsum(frames[:-1, 0])])
    wanted = np.arange(0, times[-1], 1 / FPS)
    # q and -q are the same rotation: flip signs so that neighbours can be interpolated.
    for part in COLUMNS.values():
        if isinstance(part, slice):
            flips = np.sign((frames[1:, part] * frames[:-1, part]).sum(axis=1))
            frames[1:, part] *= np.cumprod(np.where(flips == 0, 1, flips))[:, None]
    return np.stack([np.interp(wanted, times, column) for column in frames.T], axis=1)


def quat_matrices(quats: Float[np.ndarray, "T 4"]) -> Float[np.ndarray, "T 3 3"]:
    """Rotation matrices, in our axes, of DeepMimic's quaternions (w, x, y, z)."""
    w, x, y, z = (quats / np.linalg.norm(quats, axis=1, keepdims=True)).T
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return TO_OURS @ np.stack(rows, axis=1).reshape(-1, 3, 3) @ TO_OURS.T


def joint_matrices(frames: Float[np.ndarray, "T 44"]) -> dict[str, Float[np.ndarray, "T 3 3"]]:
    """Local rotations of DeepMimic's 13 joints, our axes; hinges turn about our -x."""
    out = {}
    for name, part in COLUMNS.items():
        hinge = not isinstance(part, slice)
        out[name] = (
            rotation_about("x", -frames[:, part]) if hinge else quat_matrices(frames[:, part])
        )
    return out


def rest_offsets(body: BodyModel) -> dict[str, Float[np.ndarray, "3 3"]]:
    """The rotations from our T-pose to DeepMimic's zero pose: arms hanging, legs straight down."""
    joints = body.rest_joints(torch.zeros(1)).numpy()
    at = {n: joints[i] for i, n in enumerate(JOINT_NAMES)}
    offsets = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        offsets[f"{side}_shoulder"] = rotation_about("z", np.array([-sign * np.pi / 2]))[0]
        for a, b in (("hip", "knee"), ("knee", "ankle")):
            x, y, _ = at[f"{side}_{b}"] - at[f"{side}_{a}"]
            offsets[f"{side}_{a}"] = rotation_about("z", np.array([-np.arctan2(x, -y)]))[0]
    return offsets


def retarget(frames: Float[np.ndarray, "T 44"], body: BodyModel) -> Float[np.ndarray, "T 55 3"]:
    """Poses, axis-angle."""
    local, rest = joint_matrices(frames), rest_offsets(body)
    rotmats = np.tile(np.eye(3), (len(frames), 55, 1, 1))
    put = lambda name, value: rotmats.__setitem__((slice(None), JOINT_NAMES.index(name)), value)  # noqa: E731
    put("pelvis", local["root"])
    for joint, parts in (("chest", ("spine1", "spine2", "spine3")), ("neck", ("neck", "head"))):
        for part in parts:
            put(part, partial_rotation(local[joint], 1 / len(parts)))
    for side in ("left", "right"):
        arm, thigh, shank = (rest[f"{side}_{j}"] for j in ("shoulder", "hip", "knee"))
        put(f"{side}_shoulder", local[f"{side}_shoulder"] @ arm)
        put(f"{side}_elbow", arm.T @ local[f"{side}_elbow"] @ arm)
        put(f"{side}_hip", local[f"{side}_hip"] @ thigh)
        put(f"{side}_knee", thigh.T @ local[f"{side}_knee"] @ shank)
        put(f"{side}_ankle", shank.T @ local[f"{side}_ankle"])
    return matrix_to_axis_angle(rotmats)


def root_motion(
    frames: Float[np.ndarray, "T 44"], poses: Float[np.ndarray, "T 55 3"], body: BodyModel
) -> Float[np.ndarray, "T 3"]:
    """Pelvis displacement in metres, scaled to our leg; the feet stay above the floor."""
    soles = torch.tensor([int(body.v_template[:13380, 1].argmin())])
    feet = [JOINT_NAMES.index(n) for n in ("left_ankle", "right_ankle", "left_foot", "right_foot")]
    rest = body.rest_joints(torch.zeros(1))
    moved = (frames[:, 1:4] - frames[0, 1:4]) @ TO_OURS.T
    moved *= (-float(body.v_template[soles, 1])) / frames[:, 2].max()
    lowest = []
    for pose in poses:
        joints = body(torch.zeros(1), torch.from_numpy(pose)).joints
        lowest.append(float((joints[feet, 1] - rest[feet, 1]).min()))
    height = moved[:, 1] + np.array(lowest)
    moved[:, 1] -= np.percentile(height, 5)  # the standing foot rests where it does in the T-pose
    return moved


def main(
    wheel: Annotated[
        Path | None, typer.Option(help=f"the {WHEEL} wheel; fetched with pip if left out")
    ] = None,
    out: Annotated[Path, typer.Option(help="file to write")] = DATA_DIR / "models" / "motions.npz",
) -> None:
    """Retarget every clip and write them."""
    body, arrays = load_body(), {}
    with tempfile.TemporaryDirectory() as folder:
        archive = zipfile.ZipFile(wheel or download_wheel(WHEEL, Path(folder)))
        for name in CLIPS:
            frames = read_clip(archive, name)
            poses = retarget(frames, body).astype(np.float32)
            arrays[f"{name}_poses"] = poses.astype(np.float16)
            arrays[f"{name}_transl"] = root_motion(frames, poses, body).astype(np.float32)
    with atomic_path(out) as tmp:
        np.savez_compressed(tmp, **arrays)
    print(f"{out}: {out.stat().st_size / 1e3:.0f} kB, {len(CLIPS)} clips")


if __name__ == "__main__":
    raise SystemExit(run(main))
