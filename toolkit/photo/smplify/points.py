"""The 33 photo points as averages of a body's vertices: of our body, and of a licensed SMPL-X one.

Limb points are the joints; face, hands and feet are vertices that the `smplx` package names, and
corners of eyes and mouth are SMPL-X's own face landmarks.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.model import JOINT_NAMES, BodyModel
from toolkit.errors import fail
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES

NUM_SMPLX_VERTICES = 10475
# Point -> joint that lies there, without the side; as in our body's regressor.
_JOINT = {name: name for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}
_JOINT |= {"pinky": "pinky1", "index": "index1", "thumb": "thumb2"}
# Point -> key of smplx.vertex_ids, {} being the side's letter.
_VERTEX = {"eye": "{}eye", "ear": "{}ear", "heel": "{}Heel", "foot_index": "{}BigToe"}
# Point -> row of the 51 landmarks, which are iBUG's 68 without the 17 of the jaw.
_LANDMARK = {
    "right_eye_outer": 36 - 17,
    "right_eye_inner": 39 - 17,
    "left_eye_inner": 42 - 17,
    "left_eye_outer": 45 - 17,
    "mouth_right": 48 - 17,
    "mouth_left": 54 - 17,
}


def point_regressor(body: BodyModel) -> Float[Tensor, "33 V"]:
    """Weights of the vertices in each point; rows sum to 1.

    Raises:
        InputError: neither our body nor an SMPL-X one with its face landmarks.
    """
    if "blazepose33" in body.extra:
        return torch.tensor(np.asarray(body.extra["blazepose33"], np.float32))
    known = {"lmk_faces_idx", "lmk_bary_coords"} <= body.extra.keys()
    if len(body.v_template) != NUM_SMPLX_VERTICES or not known:
        fail(
            "Body",
            got=f"{len(body.v_template)} vertices without a 'blazepose33' regressor",
            wanted="the body that ships with us, or the official SMPLX_NEUTRAL.npz",
            fix="Fit with load_body(), then carry the pose over.",
        )
    return torch.stack([_row(body, name) for name in KEYPOINT_NAMES])


def _row(body: BodyModel, name: str) -> Float[Tensor, " V"]:
    from smplx.vertex_ids import vertex_ids

    side, _, part = name.partition("_")
    if part in _JOINT:
        return body.J_regressor[JOINT_NAMES.index(f"{side}_{_JOINT[part]}")]
    row = torch.zeros(len(body.v_template))
    if name in _LANDMARK:
        index = _LANDMARK[name]
        corners = body.faces[int(body.extra["lmk_faces_idx"][index])]
        row[corners] = torch.from_numpy(np.float32(body.extra["lmk_bary_coords"][index]))
        return row
    key = (
        "nose"
        if name == "nose"
        else _VERTEX[part].format(side[0] if part in ("eye", "ear") else side[0].upper())
    )
    row[vertex_ids["smplx"][key]] = 1.0
    return row
