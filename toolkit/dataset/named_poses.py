"""The vocabulary's poses as joint rotations; a little variation comes from the person's seed.

A T-pose's left arm lies along +x. A turn about z by a negative angle lowers it, a turn of the elbow
about y by a negative angle bends the forearm forward; the right side has the other signs.
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from toolkit.people.pose import stance

LEFT_HIP, RIGHT_HIP, SPINE, LEFT_KNEE, RIGHT_KNEE, NECK = 1, 2, (3, 6, 9), 4, 5, 12
SHOULDERS, ELBOWS, WRISTS = (16, 17), (18, 19), (20, 21)
SIDES = (1, -1)  # left, right: the sign of turns about y and z

# pose -> how far each upper arm is lowered, swung forward and twisted, and how far the elbow is
# bent, all in degrees. The twist decides where the bent forearm points: 0 forward, 90 to the body.
ARMS = {
    "hands on hips": (52, -4, 68, 72),
    "arms crossed": (74, 30, 64, 100),
    "arms raised": (-58, 0, 0, 15),
}
UNEVEN_DEG = 4.0  # by which the left arm is swung further forward, and the right one less
SPREAD_DEG = 3.0  # standard deviation of the variation


def named_pose(name: str, rng: np.random.Generator) -> Float[np.ndarray, "55 3"]:
    """Axis-angle per joint of a pose of the vocabulary, without the global orientation.

    Args:
        name: one of `vocabulary.POSES`.
        rng: varies the angles, and the stance below them.
    """
    pose = stance(rng)
    if name in ARMS:
        _place_arms(pose, np.array(ARMS[name], float) + rng.normal(0, SPREAD_DEG, 4))
    elif name == "leaning forward":
        pose[list(SPINE), 0] += np.deg2rad(rng.uniform(12, 16))
        pose[NECK, 0] -= np.deg2rad(20)  # the face stays up
    elif name == "mid-stride":
        step = np.deg2rad(rng.uniform(24, 30)) * rng.choice(SIDES)
        pose[[LEFT_HIP, RIGHT_HIP], 0] = -step, step
        back = LEFT_KNEE if step < 0 else RIGHT_KNEE
        pose[back, 0] = np.deg2rad(30)
        for joint, side in zip(SHOULDERS, SIDES, strict=True):  # arms swing against the legs
            arm = Rotation.from_rotvec(pose[joint])
            pose[joint] = (Rotation.from_rotvec([side * step * 0.8, 0, 0]) * arm).as_rotvec()
    return pose


def _place_arms(pose: Float[np.ndarray, "55 3"], degrees: Float[np.ndarray, " 4"]) -> None:
    """Set shoulders and elbows; the sides differ a little, so that crossed forearms pass."""
    lower, swing, twist, bend = np.deg2rad(degrees)
    for side, shoulder, elbow, wrist in zip(SIDES, SHOULDERS, ELBOWS, WRISTS, strict=True):
        swing += side * np.deg2rad(UNEVEN_DEG)
        turns = [[-swing, 0, 0], [0, 0, -side * lower], [twist, 0, 0]]
        first, second, third = (Rotation.from_rotvec(turn) for turn in turns)
        pose[shoulder] = (first * second * third).as_rotvec()
        pose[elbow] = [0, -side * bend, 0]
        pose[wrist] = 0
