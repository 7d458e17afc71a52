"""From MakeHuman's A-pose to the T-pose that the body model's zero pose is."""

import numpy as np
from jaxtyping import Float

from tools.bake.makehuman import smplx_joints

JOINTS = smplx_joints()
PARENTS = np.array([j[1] for j in JOINTS])
NAMES = [j[0] for j in JOINTS]


def frame(along: Float[np.ndarray, "3"], side: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation matrix whose rows are an orthonormal frame from two directions."""
    a = along / np.linalg.norm(along)
    b = side - a * (a @ side)
    b /= np.linalg.norm(b)
    return np.stack([a, b, np.cross(a, b)])


def rest_rotations(joints: Float[np.ndarray, "55 3"]) -> Float[np.ndarray, "55 3 3"]:
    """World rotations that take MakeHuman's A-pose to the T-pose.

    Arms go to +-x with the elbow's hinge on y and the palms down; thighs 5.5 deg and shanks 4.5 deg
    outward.
    """
    at = {name: joints[i] for i, name in enumerate(NAMES)}
    world = np.tile(np.eye(3), (55, 1, 1))
    for s, sign in (("left", 1.0), ("right", -1.0)):
        upper, fore = at[f"{s}_elbow"] - at[f"{s}_shoulder"], at[f"{s}_wrist"] - at[f"{s}_elbow"]
        x = np.array([sign, 0.0, 0.0])
        hinge, hinge_rest = np.cross(upper, fore), np.array([0.0, -sign, 0.0])
        palm, across = at[f"{s}_middle1"] - at[f"{s}_wrist"], at[f"{s}_index1"] - at[f"{s}_pinky1"]
        world[NAMES.index(f"{s}_shoulder")] = frame(x, hinge_rest).T @ frame(upper, hinge)
        world[NAMES.index(f"{s}_elbow")] = frame(x, hinge_rest).T @ frame(fore, hinge)
        hand = frame(x, np.array([0.0, 0.0, 1.0])).T @ frame(palm, across)
        for i, name in enumerate(NAMES):
            if name == f"{s}_wrist" or (i >= 25 and name.startswith(s)):
                world[i] = hand
        forward = np.array([0.0, 0.0, 1.0])
        for a, b, out_deg, front_deg in (("hip", "knee", 5.5, 1.0), ("knee", "ankle", 4.5, -4.0)):
            want = np.array(
                [sign * np.tan(np.radians(out_deg)), -1.0, np.tan(np.radians(front_deg))]
            )
            world[NAMES.index(f"{s}_{a}")] = frame(want, forward).T @ frame(
                at[f"{s}_{b}"] - at[f"{s}_{a}"], forward
            )
    return world


def to_t_pose(
    vertices: Float[np.ndarray, "V 3"],
    regressor: Float[np.ndarray, "55 V"],
    weights: Float[np.ndarray, "V 55"],
) -> Float[np.ndarray, "V 3"]:
    """One person from MakeHuman's rest to the T-pose, pelvis at the origin.

    The T-pose is the one which linear blend skinning takes back to MakeHuman's shape exactly
    (inverse skinning), so arms-down poses show the sculpted shoulder and elbow, not a shrunken one.

    Args:
        vertices: at MakeHuman's rest, metres.
        regressor: joints from vertices.
        weights: skin weights.
    """
    joints = regressor @ vertices
    world = rest_rotations(joints)
    posed = np.zeros_like(joints)
    for j in range(1, 55):
        posed[j] = posed[PARENTS[j]] + world[PARENTS[j]] @ (joints[j] - joints[PARENTS[j]])
    back = world.transpose(0, 2, 1)
    offsets = joints - np.einsum("jab,jb->ja", back, posed)
    blended = (weights @ back.reshape(55, 9)).reshape(-1, 3, 3)
    return np.linalg.solve(blended, (vertices - weights @ offsets)[..., None])[..., 0]
