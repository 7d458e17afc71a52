"""Body parameters of other programs, turned into one form: pose, shape and points in our world.

| layout | keys | poses | points |
|---|---|---|---|
| SAM 3D Body | `pred_vertices`, `pred_keypoints_3d`, `pred_cam_t`, `focal_length` | none | 70 |
| NLF | `pose`, `betas`, `trans`, `joints3d`, `vertices3d` | SMPL or SMPL-X | 24 or 55 |
| CameraHMR | `pose`, `shape`, `cam_t`, `cam_int` | SMPL | none |
| PromptHMR | `pose` or `rotmat`, `shape`, `trans` | SMPL-X | none |
| SMPL-X, SMPL | `global_orient`, `body_pose`, `betas`, `transl`, ... | SMPL-X or SMPL | none |

MHR's own parameters are not read. They mean something only together with Meta's model file, whose
mesh and rig they move; SAM 3D Body writes the vertices and key points that come out beside them.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.motion_npz import from_arrays
from toolkit.body.rotations import matrix_to_axis_angle
from toolkit.errors import fail
from toolkit.photo.body_file.points import NamedPoints, named_points
from toolkit.photo.body_file.records import POSE, ROOT, Arrays, read_people

MHR_ONLY = ("mhr_model_params", "body_pose_params")
VERTICES = ("pred_vertices", "vertices3d")
TRANSL = ("pred_cam_t", "cam_t", "trans", "transl", "pred_cam_trans")
FOCAL = ("focal_length", "img_focal", "focal", "cam_int")
LAYOUTS = (  # the first whose keys are all there
    ("MHR, of SAM 3D Body", ("pred_vertices",)),
    ("MHR, of SAM 3D Body", ("pred_keypoints_3d",)),
    ("NLF", ("pose", "joints3d")),
    ("NLF", ("pose", "vertices3d")),
    ("CameraHMR", ("pose", "cam_int")),
    ("PromptHMR", ("pose", "shape", "trans")),
    ("PromptHMR", ("rotmat",)),
)


@dataclass(frozen=True)
class FileBody:
    """One person of a file, in the axes of the photo's camera (x right, y down, z forward), metres.

    Attributes:
        layout: which program's.
        pose: axis-angle rotations of our 55 joints, radians; None if the file has points only.
        betas: of SMPL-X; None for another shape space.
        transl: the body's translation or, for points, what is added to them; None if unknown.
        points: joints and photo points by their index.
        vertices: of any topology.
        focal_px: in pixels of the picture that the other program saw.
        notes: for the report.
    """

    layout: str
    pose: Float[Tensor, "55 3"] | None
    betas: Float[Tensor, " S"] | None
    transl: Float[Tensor, " 3"] | None
    points: NamedPoints | None
    vertices: Float[Tensor, "V 3"] | None
    focal_px: float | None
    notes: dict[str, object] = field(default_factory=dict)


def read_body_file(path: str | os.PathLike) -> list[FileBody]:
    """Everyone in a file of another program.

    Args:
        path: .npz or .json; see the table above.

    Raises:
        MissingFileError: there is no such file.
        InputError: a damaged file, pickles, unknown keys, or MHR parameters without any points.
    """
    path = Path(path)
    return [_person(path, arrays) for arrays in read_people(path)]


def _person(path: Path, arrays: Arrays) -> FileBody:
    for key, array in arrays.items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            fail(f"{path}, {key}", got="NaN, Inf or no numbers", wanted="finite numbers", fix=AGAIN)
    layout = next((n for n, keys in LAYOUTS if all(k in arrays for k in keys)), "SMPL-X parameters")
    if any(key in arrays for key in MHR_ONLY) and "MHR" not in layout:
        fail(
            f"{path}",
            got="MHR parameters without any points",
            wanted="pred_vertices and pred_keypoints_3d beside them",
            fix="Parameters alone need Meta's MHR model file, which is not read here: save these "
            "two entries of SAM 3D Body's output, too.",
        )
    notes: dict[str, object] = {}
    pose, is_smplx = _pose(path, arrays, notes)
    points, vertices, unit = named_points(path, arrays, _first(arrays, VERTICES))
    if unit != 1.0:
        notes["unit"] = f"points were in {'cm' if unit == 0.01 else 'mm'}, told by the height"
    betas = _first(arrays, ("betas", "shape"))
    transl = _first(arrays, TRANSL)
    return FileBody(
        layout,
        pose,
        _row(betas) if betas is not None and is_smplx else None,
        _row(transl)[:3] if transl is not None and transl.size >= 3 else None,
        points,
        vertices,
        _focal(arrays),
        notes,
    )


AGAIN = "Save the file again."


def _first(arrays: Arrays, keys: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[key] for key in keys if key in arrays), None)


def _row(array: np.ndarray) -> Float[Tensor, " N"]:
    return torch.from_numpy(np.asarray(array, np.float32).reshape(-1))


def _focal(arrays: Arrays) -> float | None:
    value = _first(arrays, FOCAL)  # one number, one per axis, or a matrix with it in its corner
    focal = None if value is None or not value.size else float(value.reshape(-1)[0])
    return focal if focal is not None and focal > 0 else None


def _pose(path: Path, arrays: Arrays, notes: dict) -> tuple[Tensor | None, bool]:
    """Axis-angle rotations of our 55 joints, and whether the file's shape space is SMPL-X's."""
    if not any(key in arrays for key in (*ROOT, *POSE)):
        return None, False
    plain = {k: _axis_angle(k, v) for k, v in arrays.items() if k in (*ROOT, *POSE) or _part(k)}
    plain["pose"] = plain.pop("rotmat", plain.get("pose"))
    plain = {key: value for key, value in plain.items() if value is not None}
    body = plain.get("body_pose")
    is_smpl = body is not None and body.size == 69
    if is_smpl:  # SMPL's two last joints are palms
        plain["body_pose"] = body.reshape(-1)[:63]
    whole = _first(plain, POSE)
    is_smpl |= whole is not None and whole.size in (69, 72)
    motion = from_arrays(str(path), {k: v.reshape(1, -1) for k, v in plain.items()})
    notes.update({k: v for k, v in motion.notes.items() if k == "hands"})
    return motion.poses[0], not is_smpl


def _part(key: str) -> bool:
    return key.endswith("pose") or key.startswith("pose_")


def _axis_angle(key: str, array: np.ndarray) -> np.ndarray:
    """Rotations as axis-angle vectors in a row; matrices are converted."""
    if array.ndim > 1 and array.shape[-2:] == (3, 3) and (array.ndim > 2 or key in ROOT):
        return matrix_to_axis_angle(array).reshape(-1)
    return array.reshape(-1)
