"""A zip with everything that moves an avatar, in files that need none of our code.

`pose.py` inside poses it with numpy alone; README.txt says the axes, the units and the formula.
"""

import io
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from toolkit.body.model import JOINT_NAMES
from toolkit.export.subject import Subject
from toolkit.gaussians import Gaussians, save_ply
from toolkit.run.files import atomic_path

TEXTS = Path(__file__).parent / "bundle_texts"
STAMP = (1980, 1, 1, 0, 0, 0)  # one date for all files: the same avatar gives the same zip


def write_bundle(
    subject: Subject,
    path: str | os.PathLike,
    pose: Float[Tensor, "J 3"],
    transl: Float[Tensor, " 3"],
) -> None:
    """Write the zip.

    Args:
        subject: whose avatar it is.
        path: of the file.
        pose: of `posed.ply` and `smplx.json`.
        transl: of the same.
    """
    avatar, rig = subject.avatar, subject.avatar.rig
    files = {
        "README.txt": (TEXTS / "README.txt").read_bytes(),
        "pose.py": (TEXTS / "pose.py").read_bytes(),
        "rest.ply": _ply(avatar.gaussians),
        "posed.ply": _ply(avatar.posed(pose, transl)),
        "rig.npz": _npz(
            anchors=rig.anchors_rest,
            weights=rig.lbs_weights,
            joints=rig.joints,
            parents=rig.parents,
        ),
        "skeleton.json": _json(_skeleton(subject)),
        "smplx.json": _json(_parameters(subject, pose, transl)),
    }
    if subject.body is not None:
        files["camera.json"] = _json(subject.body["camera"])
    with atomic_path(path) as tmp, zipfile.ZipFile(tmp, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, STAMP), data, zipfile.ZIP_DEFLATED)


def _skeleton(subject: Subject) -> dict:
    rig = subject.avatar.rig
    return {
        "units": "metres, y up, the person faces +z",
        "joints": [
            {"name": name, "parent": parent, "position": position}
            for name, parent, position in zip(
                JOINT_NAMES, rig.parents.tolist(), rig.joints.tolist(), strict=True
            )
        ],
    }


def _parameters(subject: Subject, pose: Float[Tensor, "J 3"], transl: Float[Tensor, " 3"]) -> dict:
    """The pose in SMPL-X' words; the betas belong to the body file that ships with the toolkit."""
    p = pose.tolist()
    return {
        "body": "CC0 body in the SMPL-X layout; its betas are not those of the licensed SMPL-X",
        "gender": "neutral",
        "flat_hand_mean": True,
        "betas": subject.avatar.rig.betas.tolist(),
        "global_orient": p[0],
        "body_pose": p[1:22],
        "jaw_pose": p[22],
        "leye_pose": p[23],
        "reye_pose": p[24],
        "left_hand_pose": p[25:40],
        "right_hand_pose": p[40:55],
        "transl": transl.tolist(),
    }


def _ply(gaussians: Gaussians) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gaussians.ply"
        save_ply(gaussians, file)
        return file.read_bytes()


def _npz(**tensors: Tensor) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **{k: v.detach().cpu().numpy() for k, v in tensors.items()})
    return file.getvalue()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
