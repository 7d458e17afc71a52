"""The 33 points of the detector as weighted averages of a body's vertices.

Our own body brings such a regressor in its file. For a licensed SMPL-X body it is built here: limb
points are joints, points of face, hands and feet are vertices that the `smplx` package names, and
the corners of eyes and mouth are SMPL-X's own face landmarks.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.model import JOINT_NAMES, BodyModel
from toolkit.errors import fail
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES

NUM_SMPLX_VERTICES = 10475
# Point -> joint at the same place, both without the side, as in our body's regressor.
_JOINT = {name: name for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}
_JOINT |= {"pinky": "pinky1", "index": "index1", "thumb": "thumb2"}
# Point -> key in smplx.vertex_ids, where {} stands for the side's letter.
_VERTEX = {"eye": "{}eye", "ear": "{}ear", "heel": "{}Heel", "foot_index": "{}BigToe"}
# Point -> row of SMPL-X's 51 landmarks, which are iBUG's 68 without the first 17 (the jaw line).
_LANDMARK = {
    "right_eye_outer": 36 - 17,
    "right_eye_inner": 39 - 17,
    "left_eye_inner": 42 - 17,
    "left_eye_outer": 45 - 17,
    "mouth_right": 48 - 17,
    "mouth_left": 54 - 17,
}


def point_regressor(body: BodyModel) -> Float[Tensor, "33 V"]:
    """Weight of each vertex in each point; rows sum to 1.

    Raises:
        InputError: the body is neither ours nor an SMPL-X body with its face landmarks.
    """
    if "blazepose33" in body.extra:
        return torch.tensor(np.asarray(body.extra["blazepose33"], np.float32))
    known = {"lmk_faces_idx", "lmk_bary_coords"} <= body.extra.keys()
    if len(body.v_template) != NUM_SMPLX_VERTICES or not known:
        fail(
            "Body",
            got=f"{len(body.v_template)} vertices without a 'blazepose33' regressor",
            wanted="our own body, or the official SMPLX_NEUTRAL.npz",
            fix="Fit with toolkit.body.load_body(), then use the pose with your body.",
        )
    return torch.stack([_row(body, name) for name in KEYPOINT_NAMES])


def _row(body: BodyModel, name: str) -> Float[Tensor, " V"]:
    """One point's row of the regressor of an SMPL-X body."""
    from smplx.vertex_ids import vertex_ids  # only a licensed body needs it

    side, _, part = name.partition("_")
    if part in _JOINT:
        return body.J_regressor[JOINT_NAMES.index(f"{side}_{_JOINT[part]}")]
    row = torch.zeros(len(body.v_template))
    if name in _LANDMARK:
        index = _LANDMARK[name]
        # A landmark lies in a triangle: three vertices with barycentric weights.
        corners = body.faces[int(body.extra["lmk_faces_idx"][index])]
        row[corners] = torch.from_numpy(np.float32(body.extra["lmk_bary_coords"][index]))
        return row
    # The package writes "leye" and "rear", but "LHeel" and "RBigToe".
    key = (
        "nose"
        if name == "nose"
        else _VERTEX[part].format(side[0] if part in ("eye", "ear") else side[0].upper())
    )
    row[vertex_ids["smplx"][key]] = 1.0
    return row
