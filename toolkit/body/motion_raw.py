"""What every reader of motion files hands on: poses on our joints, in the file's axes and units."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.model import NUM_JOINTS
from toolkit.errors import fail

# Where the joints of our order (SMPL-X, 55) lie in files with fewer of them.
BODY = slice(0, 22)  # pelvis and 21 joints of the body: the same in SMPL, SMPL-H and SMPL-X
JAW, EYES, HANDS = 22, slice(23, 25), slice(25, 55)
DEFAULT_FPS = 30.0  # for files that do not say
MAX_ANGLE, MAX_PLACE = 100.0, 1e8  # radians; 100 km in millimetres


@dataclass(frozen=True)
class RawMotion:
    """T frames as a file gives them.

    Attributes:
        poses: axis-angle per joint, radians, on our 55 joints.
        transl: of the pelvis, in the file's axes and units.
        fps: frames per second.
        up: axis that usually points up in such files: "y", "-y" or "z".
        legs: length from hip to ankle in the file's units; None where it is a person in metres.
        notes: what the reader found, for the report: format, gender, number of betas and so on.
    """

    poses: Float[Tensor, "T J 3"]
    transl: Float[Tensor, "T 3"]
    fps: float
    up: str
    legs: float | None = None
    notes: dict[str, object] = field(default_factory=dict)


def raw_motion(
    name: str,
    poses: np.ndarray,
    transl: np.ndarray | None,
    fps: float | None,
    *,
    up: str,
    legs: float | None = None,
    notes: dict[str, object] | None = None,
) -> RawMotion:
    """Check what a reader found; a missing frame rate becomes 30 and is noted.

    Args:
        name: of the file, for messages.
        poses: (T,55,3).
        transl: (T,3), or None for a person that stays in place.
        fps: frames per second, or None.
        up, legs, notes: see `RawMotion`.

    Raises:
        InputError: no frames, shapes that differ, NaN, or a frame rate that is none.
    """
    notes = dict(notes or {})
    poses = np.asarray(poses, np.float32)
    transl = np.zeros((len(poses), 3)) if transl is None else np.asarray(transl)
    transl = transl.astype(np.float32)
    shapes = (poses.shape, transl.shape)
    if len(poses) == 0 or shapes != ((len(poses), NUM_JOINTS, 3), (len(poses), 3)):
        fail(
            name,
            got=f"poses {poses.shape}, translations {transl.shape}",
            wanted="one or more frames, (T, 55, 3) and (T, 3)",
            fix="Do both cover the same frames?",
        )
    bad = ~(np.isfinite(poses).all((1, 2)) & np.isfinite(transl).all(1))
    if bad.any():
        fail(
            name,
            got=f"NaN or Inf in {bad.sum()} frames, the first is {int(bad.argmax())}",
            wanted="finite numbers",
            fix="Cut these frames, or fill them.",
        )
    for what, array, limit in (("an angle", poses, MAX_ANGLE), ("a place", transl, MAX_PLACE)):
        if (largest := float(np.abs(array).max())) > limit:
            fail(
                name,
                got=f"{what} of {largest:.4g}",
                wanted=f"at most {limit:.0f}",
                fix="Angles are in radians here, places in metres, centimetres or millimetres.",
            )
    if fps is None:
        fps, notes["frame rate"] = DEFAULT_FPS, "not in the file, taken as 30"
    if not np.isfinite(fps) or not 0 < fps <= 1000:
        fail(name, got=f"{fps} frames per second", wanted="0 to 1000", fix="Give --fps.")
    return RawMotion(torch.from_numpy(poses), torch.from_numpy(transl), float(fps), up, legs, notes)
