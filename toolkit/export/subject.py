"""Whom a command is about: an avatar, and what lies beside it in the folder of a run."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.motion import a_pose, t_pose
from toolkit.body.motion_feet import Skeleton
from toolkit.body.motion_import import import_motion
from toolkit.body.rig import Avatar
from toolkit.errors import MissingFileError, fail
from toolkit.show.film import lowest_point


@dataclass(frozen=True)
class Subject:
    """An avatar and its surroundings.

    Attributes:
        name: of the folder or file, shown to people.
        avatar: the refined one.
        coarse: before the refinement, with the same rig; None if it is not there.
        body: `body.json` of the run: pose and camera of the photo; None if it is not there.
    """

    name: str
    avatar: Avatar
    coarse: Avatar | None = None
    body: dict | None = None

    @property
    def skeleton(self) -> Skeleton:
        """Joints, and the height of the shoes' soles in the T-pose."""
        rig = self.avatar.rig
        return Skeleton(rig.joints, rig.parents, lowest_point(self.avatar.gaussians))


def load_subject(path: str | os.PathLike) -> Subject:
    """Read an `avatar.npz`, or the folder of a run with one inside.

    Raises:
        MissingFileError: neither is there.
        InputError: the file is not an avatar.
    """
    path = Path(path)
    if path.suffix == ".ply":
        fail(
            str(path),
            got="a PLY file, which holds no rig",
            wanted="avatar.npz, or the folder of a run",
            fix="Bind a PLY to a body with toolkit.body.bind, and save the avatar.",
        )
    file = path / "avatar.npz" if path.is_dir() else path
    if not file.is_file():
        raise MissingFileError(
            f"{file} does not exist. Make an avatar with: python -m toolkit avatar PHOTO --out DIR"
        )
    avatar, folder = Avatar.load(file), file.parent
    name = path.name if path.is_dir() else (folder.name if path.stem == "avatar" else path.stem)
    coarse = folder / "state" / "coarse.npz"
    return Subject(
        name or "avatar",
        avatar,
        _same_rig(Avatar.load(coarse), avatar) if coarse.is_file() else None,
        _read_body(folder / "body.json"),
    )


def _same_rig(coarse: Avatar, avatar: Avatar) -> Avatar | None:
    """The coarse avatar, unless it is another person's or was made with other anchors."""
    return coarse if torch.equal(coarse.rig.anchors_rest, avatar.rig.anchors_rest) else None


def _read_body(path: Path) -> dict | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record if {"pose", "transl", "camera"} <= record.keys() else None
    except (OSError, ValueError, AttributeError):
        return None  # the avatar can do without


def choose_pose(
    subject: Subject, pose: str | None, motion: str | None = None, frame: int = 0
) -> tuple[Float[Tensor, "J 3"], Float[Tensor, " 3"]]:
    """Pose and translation that a user asks for; left out: the T-pose.

    Args:
        subject: who takes the pose.
        pose: "t", "a", "photo", or a file whose first frame is taken.
        motion: a motion file or the name of a clip, in place of `pose`.
        frame: of the motion, from 0; negative numbers count from its end.

    Raises:
        InputError: both are given, there is no such frame, or no photo's pose.
        MissingFileError: no such file.
    """
    if pose and motion:
        fail("pose", got="--pose and --motion", wanted="one of them", fix="Leave one out.")
    if pose == "photo":
        if subject.body is None:
            fail("pose photo", got="no body.json", wanted="the folder of a run", fix="Give --pose.")
        record = subject.body
        return torch.tensor(record["pose"]), torch.tensor(record["transl"])
    if motion is None and pose in (None, "t", "a"):
        return (a_pose() if pose == "a" else t_pose()), torch.zeros(3)
    clip = import_motion(motion or pose, subject.skeleton).motion
    if not -len(clip) <= frame < len(clip):
        fail("frame", got=frame, wanted=f"0 to {len(clip) - 1}", fix="Give another --frame.")
    return clip.poses[frame], clip.transl[frame]
