"""A skeleton of another program onto our 55 joints, by names and by directions of bones.

    source, at rest --zero angles--> its bones point somewhere: T-pose, A-pose, ...
    ours, at rest   --------------> T-pose

In each frame a source joint has turned by D from its rest pose, in the world. If both skeletons
rested in one pose, ours would turn by the same D. They do not: an arm that hangs at rest in the
source would start from our T-pose. So our joint first turns by C, the smallest rotation that brings
our bone of the T-pose to the direction of the source's bone at rest: R = D C. Then our limbs point
where those of the source point, in every frame.

C is applied to limbs only. Spine, neck and head of different skeletons bend differently at rest,
though both stand upright; and feet stand flat at rest in both, so only their heading is matched.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from toolkit.body.model import JOINT_NAMES
from toolkit.body.motion_bvh import BvhMotion
from toolkit.body.motion_names import INDEX, match_names
from toolkit.body.motion_raw import RawMotion, raw_motion
from toolkit.body.rotations import matrix_to_axis_angle
from toolkit.errors import fail

# the joint at the far end of each limb's bone
LIMBS = {"hip": "knee", "knee": "ankle", "shoulder": "elbow", "elbow": "wrist"}
NEEDED = ("pelvis", *(f"{s}_{j}" for s in ("left", "right") for j in ("hip", "knee", "ankle")))
APART_DEG = 25.0  # from frame 0 to 1; then frame 0 is a T-pose that the converter put there


def retarget(
    name: str, bvh: BvhMotion, joints: Float[np.ndarray, "J 3"], parents: Sequence[int]
) -> RawMotion:
    """Poses of our joints that hold our limbs as the source's are held.

    Args:
        name: of the file, for messages.
        bvh: the source.
        joints: ours in the T-pose, metres, y up, facing +z.
        parents: of our joints, -1 for the root.

    Raises:
        InputError: pelvis or legs cannot be told by the joints' names.
    """
    mapping = match_names(bvh.names)
    if missing := [joint for joint in NEEDED if INDEX[joint] not in mapping]:
        fail(
            f"{name}, joints {', '.join(bvh.names[:6])}, ...",
            got=f"none that means {', '.join(missing)}",
            wanted="names as CMU's, Mixamo's or SMPL's",
            fix="Rename the joints, e.g. Hips, LeftUpLeg, LeftLeg, LeftFoot.",
        )
    rest = _rest_places(bvh)
    axes = _our_axes(name, rest, mapping)
    turns, places = bvh.world()
    turns = axes @ turns @ axes.T  # (T,J,3,3) in our axes
    rest, places = rest @ axes.T, places @ axes.T
    world = _our_turns(turns, mapping, _corrections(rest, mapping, joints), parents)
    poses = _to_local(world, parents)
    first = int(_starts_apart(bvh.rotations[:3, list(mapping.values())]))
    hip, knee, ankle = (rest[mapping[INDEX[f"left_{joint}"]]] for joint in ("hip", "knee", "ankle"))
    legs = float(np.linalg.norm(hip - knee) + np.linalg.norm(knee - ankle))
    notes = {"format": "bvh", "joints matched": len(mapping), "first frames dropped": first}
    pelvis = places[first:, mapping[0]]
    return raw_motion(name, poses[first:], pelvis, bvh.fps, up="y", legs=legs, notes=notes)


def _rest_places(bvh: BvhMotion) -> np.ndarray:
    """Joints at rest, (J,3): where they are with all angles zero."""
    places = np.zeros_like(bvh.offsets)
    for j, parent in enumerate(bvh.parents):
        places[j] = bvh.offsets[j] + (places[parent] if parent >= 0 else 0)
    return places


def _our_axes(name: str, rest: np.ndarray, mapping: dict[int, int]) -> Float[np.ndarray, "3 3"]:
    """The rotation from the file's axes to ours: up from the legs, left from the hips."""
    at = lambda joint: rest[mapping[INDEX[joint]]]  # noqa: E731
    up = at("left_hip") + at("right_hip") - at("left_ankle") - at("right_ankle")
    left = at("left_hip") - at("right_hip")
    if np.linalg.norm(np.cross(up, left)) < 1e-6 * max(1.0, np.linalg.norm(up)) ** 2:
        fail(name, got="legs without length", wanted="a person", fix="Check OFFSET.")
    up, left = (_nearest_axis(v) for v in (up, left))
    if np.dot(up, left):
        fail(name, got="hips above legs", wanted="a standing person", fix="Check OFFSET.")
    return np.stack([left, up, np.cross(left, up)])  # rows: our x, y and z in the file's axes


def _nearest_axis(vector: np.ndarray) -> np.ndarray:
    axis = np.zeros(3)
    longest = np.abs(vector).argmax()
    axis[longest] = np.sign(vector[longest])
    return axis


def _corrections(
    rest: np.ndarray, mapping: dict[int, int], joints: np.ndarray
) -> Float[np.ndarray, "J 3 3"]:
    """C of each of our joints; the identity outside of the limbs."""
    turns = np.tile(np.eye(3), (len(JOINT_NAMES), 1, 1))
    for side in ("left", "right"):
        for near, far in LIMBS.items():
            a, b = INDEX[f"{side}_{near}"], INDEX[f"{side}_{far}"]
            if a in mapping and b in mapping:
                turns[a] = _smallest_turn(
                    joints[b] - joints[a], rest[mapping[b]] - rest[mapping[a]]
                )
        # hand and fingers continue the forearm
        for j, name in enumerate(JOINT_NAMES):
            if name == f"{side}_wrist" or (name.startswith(side) and j >= 25):
                turns[j] = turns[INDEX[f"{side}_elbow"]]
        a, b = INDEX[f"{side}_ankle"], INDEX[f"{side}_foot"]
        if b in mapping:
            flat = np.array([1, 0, 1])
            sole, ours = rest[mapping[b]] - rest[mapping[a]], joints[b] - joints[a]
            turns[a] = turns[b] = _smallest_turn(ours * flat, sole * flat)
    return turns


def _smallest_turn(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation about the common normal that brings one direction to another."""
    if min(np.linalg.norm(source), np.linalg.norm(target)) < 1e-9:
        return np.eye(3)  # a bone without length points nowhere
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis, cosine = np.cross(a, b), float(np.clip(a @ b, -1, 1))
    if np.linalg.norm(axis) < 1e-9:  # equal, or opposite: then any normal will do
        normal = np.cross(a, [0.0, 0.0, 1.0] if abs(a[2]) < 0.9 else [1.0, 0.0, 0.0])
        angle = 0.0 if cosine > 0 else np.pi
        return Rotation.from_rotvec(angle * normal / np.linalg.norm(normal)).as_matrix()
    return Rotation.from_rotvec(np.arccos(cosine) * axis / np.linalg.norm(axis)).as_matrix()


def _our_turns(
    turns: np.ndarray, mapping: dict[int, int], corrections: np.ndarray, parents: Sequence[int]
) -> np.ndarray:
    """R = D C in the world, (T,55,3,3); a joint without a partner goes with its parent."""
    world = np.tile(np.eye(3), (len(turns), len(JOINT_NAMES), 1, 1))
    for j, parent in enumerate(parents):
        if j in mapping:
            world[:, j] = turns[:, mapping[j]] @ corrections[j]
        elif parent >= 0:
            world[:, j] = world[:, parent]
    return world


def _to_local(world: np.ndarray, parents: Sequence[int]) -> Float[np.ndarray, "T J 3"]:
    """Turns in the world to axis-angle vectors relative to the parents."""
    above = [max(p, 0) for p in parents]
    local = np.swapaxes(world[:, above], -1, -2) @ world
    local[:, 0] = world[:, 0]
    return matrix_to_axis_angle(local)


def _starts_apart(rotations: np.ndarray) -> bool:
    """True if the motion jumps from frame 0 to frame 1, and goes on smoothly from there."""
    if len(rotations) < 3:
        return False
    turned = np.swapaxes(rotations[1:], -1, -2) @ rotations[:-1]
    cosine = (np.trace(turned, axis1=2, axis2=3) - 1) / 2
    first, second = np.degrees(np.arccos(np.clip(cosine, -1, 1))).max(1)
    return bool(first > APART_DEG and first > 5 * second)
