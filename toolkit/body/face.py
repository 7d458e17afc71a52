"""Which anchors are the face: the one part that must not be copied to the other side."""

from jaxtyping import Bool
from torch import Tensor

from toolkit.body.anchors import HEAD_JOINTS
from toolkit.body.rig import Rig

EYE_JOINTS = (23, 24)
HAIRLINE_M = 0.055  # above the eyes
EARS_M = 0.07  # behind the eyes


def face_anchors(rig: Rig) -> Bool[Tensor, " N"]:
    """Anchors of the face: the front half of the head, from the hairline down."""
    eyes, places = rig.joints[list(EYE_JOINTS)].mean(0).cpu(), rig.anchors_rest.cpu()
    on_head = rig.lbs_weights[:, list(HEAD_JOINTS)].sum(1).cpu() > 0.5
    below_hairline = places[:, 1] < eyes[1] + HAIRLINE_M
    return on_head & below_hairline & (places[:, 2] > eyes[2] - EARS_M)
