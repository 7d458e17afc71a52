"""The BVH file: a skeleton of offsets, and a row of numbers per frame.

    HIERARCHY
    ROOT Hips                                   a joint has an offset from its parent, channels
    {  OFFSET 0 0 0                             (angles in degrees, in the order in which they
       CHANNELS 6 Xposition ... Zrotation       are multiplied), and children; a chain may end
       JOINT LeftUpLeg { ... } }                with an "End Site", or with nothing
    MOTION
    Frames: 2
    Frame Time: 0.0333333
    0 0.9 0 ...                                 the channels of all joints, in the file's order

Units, axes, names and the pose that zero angles mean differ from program to program;
`motion_retarget` finds them out.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from toolkit.errors import ToolkitError, fail

CHANNELS = {
    f"{axis}{kind}": (kind, i) for i, axis in enumerate("XYZ") for kind in ("position", "rotation")
}
MAX_NUMBERS = 200_000_000
END_SITE = -2  # stands for the end of a chain, which is no joint


@dataclass(frozen=True)
class BvhMotion:
    """A skeleton of J joints, end sites left out, and T frames.

    Attributes:
        names: of the joints; parents come before children.
        parents: row of each joint's parent, -1 for the root.
        offsets: of each joint from its parent, in the file's units.
        rotations: of each joint relative to its parent.
        positions: of each joint relative to its parent: the offset, unless channels replace it.
        fps: frames per second.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "J 3"]
    rotations: Float[np.ndarray, "T J 3 3"]
    positions: Float[np.ndarray, "T J 3"]
    fps: float

    def world(self) -> tuple[np.ndarray, np.ndarray]:
        """Rotations (T,J,3,3) and positions (T,J,3) of all joints in the file's world."""
        turns, places = self.rotations.copy(), self.positions.copy()
        for j, parent in enumerate(self.parents):
            if parent >= 0:
                turns[:, j] = turns[:, parent] @ self.rotations[:, j]
                step = turns[:, parent] @ self.positions[:, j, :, None]
                places[:, j] = places[:, parent] + step[..., 0]
        return turns, places


def read_bvh(path: str | os.PathLike) -> BvhMotion:
    """Read a BVH file.

    Raises:
        InputError: the text is no BVH file; the message names the place.
    """
    text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    try:
        head, _, rest = text.partition("MOTION")
        skeleton = _Skeleton(head.split())
        return _motion(skeleton, rest)
    except ToolkitError as error:
        raise type(error)(f"{path}: {error}") from None
    except (ValueError, IndexError, OverflowError) as error:
        fail(str(path), got=f"{error}", wanted="a BVH file", fix="Export it again.")


class _Skeleton:
    """The hierarchy, read word by word; `joint_channels` has one tuple per channel, in order."""

    def __init__(self, words: list[str]):
        self.names, self.parents, self.offsets = [], [], []
        self.joint_channels: list[tuple[int, str, int]] = []  # joint, position|rotation, axis
        if "ROOT" not in words:
            fail("hierarchy", got="no ROOT", wanted="a BVH skeleton", fix="Is it a BVH file?")
        self._read(iter(words))

    def _read(self, words: Iterator[str]) -> None:
        open_joints, current = [], END_SITE  # joints whose braces are open
        for word in words:
            if word in ("ROOT", "JOINT"):
                current = self._joint(word, next(words, ""), open_joints)
            elif word == "End":
                current = END_SITE
            elif word == "{":
                open_joints.append(current)
            elif word == "}" and open_joints:
                open_joints.pop()
            elif word == "OFFSET":
                offset = [float(next(words, "nan")) for _ in range(3)]
                if open_joints[-1] != END_SITE:
                    self.offsets[open_joints[-1]] = np.array(offset)
            elif word == "CHANNELS":
                self._channels(words, open_joints[-1])
        if open_joints or not np.isfinite(self.offsets).all():
            fail("hierarchy", got="an open '{'", wanted="pairs", fix="Is the file cut off?")

    def _joint(self, word: str, name: str, open_joints: list[int]) -> int:
        if word == "ROOT" and self.names:
            fail("hierarchy", got="two roots", wanted="one", fix="Keep one skeleton.")
        self.names.append(name)
        self.parents.append(open_joints[-1] if open_joints else -1)
        self.offsets.append(np.zeros(3))
        return len(self.names) - 1

    def _channels(self, words: Iterator[str], joint: int) -> None:
        for _ in range(int(next(words, "0"))):
            word = next(words, "")
            if word not in CHANNELS:
                fail(
                    f"channel of {self.names[joint]}", got=word, wanted=", ".join(CHANNELS), fix=""
                )
            self.joint_channels.append((joint, *CHANNELS[word]))


def _motion(skeleton: _Skeleton, text: str) -> BvhMotion:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or not lines[0].startswith("Frames:"):
        fail("motion", got=" ".join(lines[:1])[:60], wanted="Frames: N", fix="The file is cut off.")
    num, seconds = int(lines[0].split(":")[1]), float(lines[1].split(":")[1])
    if not seconds > 0:
        fail("Frame Time", got=seconds, wanted="more than 0 s", fix="Write it into the file.")
    width = len(skeleton.joint_channels)
    if not 0 < num * width < MAX_NUMBERS:
        fail("motion", got=f"{num} frames of {width} channels", wanted="some", fix="Cut the clip.")
    # Line by line: the text of all numbers, cut into words, would take ten times their memory.
    values = np.concatenate([np.array(line.split(), np.float64) for line in lines[2:] or [""]])
    if len(values) % width or len(values) < num * width:
        fail(
            "motion",
            got=f"{len(values)} numbers",
            wanted=f"{num} frames of {width} channels",
            fix="The file is cut off, or Frames is wrong.",
        )
    if not np.isfinite(values).all():
        fail("motion", got="NaN or Inf", wanted="finite numbers", fix="Cut these frames.")
    values = values[: num * width].reshape(num, width)
    return _assemble(skeleton, values, 1 / seconds)


def _assemble(skeleton: _Skeleton, values: np.ndarray, fps: float) -> BvhMotion:
    """Channels to rotations and positions; angles multiply in the order in which they stand."""
    offsets, num = np.stack(skeleton.offsets), len(values)
    positions = np.tile(offsets, (num, 1, 1))
    rotations = np.tile(np.eye(3), (num, len(offsets), 1, 1))
    for joint in range(len(offsets)):
        every = enumerate(skeleton.joint_channels)
        mine = [(i, kind, axis) for i, (j, kind, axis) in every if j == joint]
        for i, kind, axis in mine:
            if kind == "position":
                positions[:, joint, axis] = values[:, i]
        turning = [(i, axis) for i, kind, axis in mine if kind == "rotation"]
        if turning:
            order = "".join("XYZ"[axis] for _, axis in turning)  # capitals: about moving axes
            angles = values[:, [i for i, _ in turning]]
            rotations[:, joint] = Rotation.from_euler(order, angles, degrees=True).as_matrix()
    names = tuple(skeleton.names)
    return BvhMotion(names, tuple(skeleton.parents), offsets, rotations, positions, fps)
