"""The 33 body points of BlazePose, in the order of its landmark net.

"Left" and "right" are the person's own.
"""

KEYPOINT_NAMES = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
)
# Index of each point's partner when the picture is flipped: left and right change places. The "\0"
# holds the place of one word while the other is replaced.
MIRROR = [
    KEYPOINT_NAMES.index(n.replace("left", "\0").replace("right", "left").replace("\0", "right"))
    for n in KEYPOINT_NAMES
]
