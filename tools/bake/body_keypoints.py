"""Keypoints of the body: COCO-17, BlazePose-33, and what `smplx` needs besides joints."""

import numpy as np
from jaxtyping import Float, Int

from tools.bake.makehuman import MakeHuman, smplx_joints

COCO17 = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    *(
        f"{s}_{j}"
        for j in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for s in ("left", "right")
    ),
)
BLAZEPOSE33 = (
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
    *(
        f"{s}_{j}"
        for j in (
            "shoulder",
            "elbow",
            "wrist",
            "pinky",
            "index",
            "thumb",
            "hip",
            "knee",
            "ankle",
            "heel",
            "foot_index",
        )
        for s in ("left", "right")
    ),
)


def _most_moved(human: MakeHuman, target: str, count: int = 4) -> Int[np.ndarray, " N"]:
    """Ids of the skin vertices that a target moves most, left side only."""
    moved = np.linalg.norm(human.target(target), axis=1)
    moved[np.unique(human.obj[2]["body"][0]).max() + 1 :] = 0
    return np.argsort(-moved * (human.obj[0][:, 0] > 0.005))[:count]


def _mirror(
    vertices: Float[np.ndarray, "V 3"], ids: Int[np.ndarray, " N"]
) -> Int[np.ndarray, " N"]:
    """The nearest skin vertices on the other side."""
    skin = vertices[:13380]
    return np.array(
        [
            np.linalg.norm(skin - vertices[i] * [-1, 1, 1], axis=1).argmin()
            for i in np.atleast_1d(ids)
        ]
    )


def landmark_ids(human: MakeHuman) -> dict[str, Int[np.ndarray, " N"]]:
    """Vertex ids of named surface points, found from geometry and from what single targets move."""
    vertices = human.obj[0]
    skin = vertices[:13380]
    near = lambda p: np.array([np.linalg.norm(skin - p, axis=1).argmin()])  # noqa: E731
    cube = lambda name: vertices[human.cube(f"joint-{name}")].mean(axis=0)  # noqa: E731
    eye = vertices[np.unique(human.obj[2]["helper-l-eye"][0])]
    middle = np.flatnonzero(
        (np.abs(skin[:, 0]) < 0.004) & (skin[:, 1] > 0.67) & (skin[:, 1] < 0.73)
    )
    foot = np.flatnonzero((skin[:, 1] < -0.75) & (skin[:, 0] > 0))
    left = {
        "eye_outer": _most_moved(human, "eyes/l-eye-corner1-up"),
        "eye_inner": _most_moved(human, "eyes/l-eye-corner2-up"),
        "eye": np.unique(human.obj[2]["helper-l-eye"][0])[np.argsort(-eye[:, 2])[:8]],
        "ear": _most_moved(human, "ears/l-ear-trans-up", 60),
        "mouth": _most_moved(human, "mouth/mouth-angles-up"),
        "heel": foot[[skin[foot, 2].argmin()]],
        "big_toe": near(cube("l-toe-1-3") + [0, 0, 0.02]),
        "small_toe": near(cube("l-toe-5-4") + [0, 0, 0.02]),
    }
    left |= {
        f: near(cube(f"l-finger-{k}-4"))
        for f, k in {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}.items()
    }
    points = {"nose": middle[[skin[middle, 2].argmax()]]}
    right_eye = np.unique(human.obj[2]["helper-r-eye"][0])
    for name, ids in left.items():
        points[f"left_{name}"] = ids
        points[f"right_{name}"] = _mirror(vertices, ids)
    points["right_eye"] = right_eye[np.argsort(-vertices[right_eye, 2])[:8]]
    return points


def face_landmarks(
    template: Float[np.ndarray, "V 3"],
    points: dict[str, Int[np.ndarray, " N"]],
    faces: Int[np.ndarray, "F 3"],
) -> dict[str, np.ndarray]:
    """smplx's 51 face landmarks (brows, nose, eyes, mouth), approximate."""
    at = {k: template[v].mean(axis=0) for k, v in points.items()}
    rows = []
    for side in ("right", "left"):
        inner, outer = at[f"{side}_eye_inner"], at[f"{side}_eye_outer"]
        ends = (outer, inner) if side == "right" else (inner, outer)
        rows += [
            ends[0] + (ends[1] - ends[0]) * t + [0, 0.018, 0.01] for t in np.linspace(-0.1, 1.1, 5)
        ]
    bridge = (at["left_eye_inner"] + at["right_eye_inner"]) / 2
    rows += [bridge + (at["nose"] - bridge) * t for t in (0, 0.35, 0.7, 1)]
    rows += [at["nose"] + [x, -0.012, -0.012] for x in np.linspace(-0.014, 0.014, 5)]
    for side in ("right", "left"):
        inner, outer = at[f"{side}_eye_inner"], at[f"{side}_eye_outer"]
        a, b = (outer, inner) if side == "right" else (inner, outer)
        ring = ((0, 0), (0.33, 0.005), (0.67, 0.005), (1, 0), (0.67, -0.005), (0.33, -0.005))
        rows += [a + (b - a) * t + [0, y, 0.006] for t, y in ring]
    a, b = at["right_mouth"], at["left_mouth"]
    for count, height in ((12, 0.009), (8, 0.003)):
        angle = np.pi - 2 * np.pi * np.arange(count) / count
        rows += [
            (a + b) / 2 + (b - a) / 2 * np.cos(t) + [0, height * np.sin(t), 0.012] for t in angle
        ]
    centres = template[faces].mean(axis=1)
    index = [np.linalg.norm(centres - r, axis=1).argmin() for r in rows]
    return {
        "lmk_faces_idx": np.array(index, np.int64),
        "lmk_bary_coords": np.full((51, 3), 1 / 3, np.float32),
    }


def keypoints(
    human: MakeHuman,
    template: Float[np.ndarray, "V 3"],
    regressor: Float[np.ndarray, "55 V"],
    faces: Int[np.ndarray, "F 3"],
) -> dict[str, np.ndarray]:
    """COCO-17 and BlazePose-33 regressors over posed vertices, smplx's extra ids and landmarks."""
    points, joint_row = landmark_ids(human), {j[0]: i for i, j in enumerate(smplx_joints())}
    same = {"mouth_left": "left_mouth", "mouth_right": "right_mouth"}
    same |= {
        f"{s}_{a}": f"{s}_{b}1"
        for s in ("left", "right")
        for a, b in (("pinky", "pinky"), ("index", "index"))
    }
    same |= {f"{s}_thumb": f"{s}_thumb2" for s in ("left", "right")}
    same |= {f"{s}_foot_index": f"{s}_big_toe" for s in ("left", "right")}

    def row(name: str) -> Float[np.ndarray, " V"]:
        name = same.get(name, name)
        if name in joint_row and not name.endswith("_eye"):
            return regressor[joint_row[name]]
        out = np.zeros(len(template), np.float32)
        out[points[name]] = 1 / len(points[name])
        return out

    extra = ["nose", "right_eye", "left_eye", "right_ear", "left_ear"]
    extra += [f"{s}_{p}" for s in ("left", "right") for p in ("big_toe", "small_toe", "heel")]
    extra += [
        f"{s}_{p}" for s in ("left", "right") for p in ("thumb", "index", "middle", "ring", "pinky")
    ]
    return {
        "coco17": np.stack([row(n) for n in COCO17]),
        "coco17_names": np.array(COCO17),
        "blazepose33": np.stack([row(n) for n in BLAZEPOSE33]),
        "blazepose33_names": np.array(BLAZEPOSE33),
        "extra_joints_idxs": np.array([points[n][0] for n in extra], np.int64),
        **face_landmarks(template, points, faces),
    }
