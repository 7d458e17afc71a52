"""Pose the Gaussians of this bundle with numpy alone: python pose.py smplx.json out.ply"""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
PARTS = "global_orient body_pose jaw_pose leye_pose reye_pose left_hand_pose right_hand_pose"


def rotation(vector: np.ndarray) -> np.ndarray:
    """Matrix of an axis-angle vector: Rodrigues' formula."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / max(angle, 1e-12)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def quaternion(r: np.ndarray) -> np.ndarray:
    """(w, x, y, z) of a rotation: the eigenvector of its symmetric 4 x 4 form (Bar-Itzhack)."""
    n = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [0, r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2]],
            [0, 0, r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2]],
            [0, 0, 0, r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    return np.linalg.eigh(n, UPLO="U")[1][:, -1]


def joint_transforms(pose: np.ndarray, joints: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """(55,3,4): rest to posed."""
    world = []
    for j, parent in enumerate(parents):
        local = np.eye(4)
        local[:3, :3] = rotation(pose[j])
        local[:3, 3] = joints[j] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    world = np.stack(world)
    moved = world[:, :3, 3] - (world[:, :3, :3] @ joints[..., None])[..., 0]
    return np.concatenate([world[:, :3, :3], moved[..., None]], axis=2)


def main(parameters: str, out: str) -> None:
    """Write the posed PLY."""
    record = json.loads(Path(parameters).read_text())
    pose = np.concatenate([np.reshape(record[part], (-1, 3)) for part in PARTS.split()])
    rig = np.load(HERE / "rig.npz")
    transforms = joint_transforms(pose, rig["joints"], rig["parents"])
    blended = np.einsum("nj,jab->nab", rig["weights"], transforms)
    u, _, vt = np.linalg.svd(blended[:, :, :3])
    turns = u @ vt
    head, body = (HERE / "rest.ply").read_bytes().split(b"end_header\n", 1)
    names = [line.split()[-1].decode() for line in head.splitlines() if b"property" in line]
    table = np.frombuffer(bytearray(body), [(name, "<f4") for name in names])
    anchors = rig["anchors"]
    offset = np.stack([table[k] for k in "xyz"], axis=1) - anchors
    means = (blended[:, :, :3] @ anchors[..., None] + turns @ offset[..., None])[..., 0]
    means += blended[:, :, 3] + record["transl"]
    w, x, y, z = np.stack([quaternion(r) for r in turns]).T
    a, b, c, d = (table[f"rot_{k}"].copy() for k in range(4))
    product = (
        w * a - x * b - y * c - z * d,
        w * b + x * a + y * d - z * c,
        w * c - x * d + y * a + z * b,
        w * d + x * c - y * b + z * a,
    )
    for k, values in enumerate(product):
        table[f"rot_{k}"] = values
    for k, axis in enumerate("xyz"):
        table[axis] = means[:, k]
    Path(out).write_bytes(head + b"end_header\n" + table.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
