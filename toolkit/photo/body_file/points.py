"""Points of other programs by our names, in metres: which joint or photo point each of them is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES

NUM_JOINTS = 22
UNITS = (1.0, 0.01, 0.001)  # metres, centimetres, millimetres
LEAST_M, MOST_M = 0.4, 2.6  # extent of a person, from curled up to arms raised
# SAM 3D Body's 70 key points -> our 33 photo points; those that mean the same place.
MHR_POINTS = {
    **{0: "nose", 1: "left_eye", 2: "right_eye", 3: "left_ear", 4: "right_ear"},
    **{5: "left_shoulder", 6: "right_shoulder", 7: "left_elbow", 8: "right_elbow"},
    **{9: "left_hip", 10: "right_hip", 11: "left_knee", 12: "right_knee"},
    **{13: "left_ankle", 14: "right_ankle", 15: "left_foot_index", 17: "left_heel"},
    **{18: "right_foot_index", 20: "right_heel", 41: "right_wrist", 62: "left_wrist"},
    **{28: "right_index", 40: "right_pinky", 49: "left_index", 61: "left_pinky"},
}
NUM_MHR = 70


@dataclass(frozen=True)
class NamedPoints:
    """Where a file says that joints or photo points are, in metres; NaN where it says nothing.

    Attributes:
        joints: the first 22 joints of SMPL-X.
        photo: the 33 points of the detector.
    """

    joints: Float[Tensor, "22 3"]
    photo: Float[Tensor, "33 3"]


def named_points(
    path: Path, arrays: dict[str, np.ndarray], vertices: np.ndarray | None
) -> tuple[NamedPoints | None, Float[Tensor, "V 3"] | None, float]:
    """Points and vertices of one person in metres, and the length of the file's unit in metres.

    Args:
        path: of the file, for messages.
        arrays: of the person.
        vertices: of the person's mesh, or None.

    Raises:
        InputError: no lists of points in space, or an extent that no person has in any unit.
    """
    lists = {"vertices": vertices}
    lists |= {key: arrays.get(key) for key in ("pred_keypoints_3d", "joints3d")}
    lists = {key: value for key, value in lists.items() if value is not None}
    for key, value in lists.items():
        if value.ndim != 2 or value.shape[1] != 3 or len(value) < NUM_JOINTS:
            fail(
                f"{path}, {key}",
                got=f"the shape {value.shape}",
                wanted="(N, 3), a point per row",
                fix="Save the points of one person, in space.",
            )
    if not lists:
        return None, None, 1.0
    unit = unit_of(path, next(iter(lists.values())))
    metres = {k: torch.from_numpy(np.asarray(v, np.float32)) * unit for k, v in lists.items()}
    joints, photo = torch.full((NUM_JOINTS, 3), torch.nan), torch.full((33, 3), torch.nan)
    if "joints3d" in metres:  # SMPL and SMPL-X agree on the first 22
        joints = metres["joints3d"][:NUM_JOINTS]
    if (mhr := metres.get("pred_keypoints_3d")) is not None:
        if len(mhr) != NUM_MHR:
            fail(
                f"{path}, pred_keypoints_3d",
                got=f"{len(mhr)} points",
                wanted=f"the {NUM_MHR} of SAM 3D Body",
                fix="Save the entry as it came.",
            )
        for index, name in MHR_POINTS.items():
            photo[KEYPOINT_NAMES.index(name)] = mhr[index]
    named = NamedPoints(joints, photo)
    if bool(joints.isnan().all()) and bool(photo.isnan().all()):
        named = None
    return named, metres.get("vertices"), unit


def unit_of(path: Path, points: np.ndarray) -> float:
    """Metres per unit, told by the extent of a person, which no two units share.

    Args:
        path: of the file, for messages.
        points: of one person, in any unit.

    Raises:
        InputError: a person of no size.
    """
    extent = float(np.ptp(points, axis=0).max())
    for unit in UNITS:
        if LEAST_M <= unit * extent <= MOST_M:
            return unit
    fail(
        f"{path}",
        got=f"a person of {extent:.3g} units",
        wanted=f"{LEAST_M} to {MOST_M} m, or as many centimetres or millimetres",
        fix="Are these the points of one person?",
    )
