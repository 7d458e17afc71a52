"""Skin weights on the 55 joints: mixamo's and the default rig's, symmetric and smooth."""

import numpy as np
from jaxtyping import Float

from tools.bake.makehuman import MakeHuman, smplx_joints

JOINTS = smplx_joints()
HEAD, JAW, LEFT_EYE, RIGHT_EYE = 15, 22, 23, 24
Weights = Float[np.ndarray, "V 55"]
SMOOTHED = ("body", "helper-tights", "helper-skirt", "helper-hair")


def skin_weights(human: MakeHuman) -> Weights:
    """Rows sum to exactly 1. The head's share is split into head, jaw and eyes."""
    mixamo, default = human.bone_weights("mixamo"), human.bone_weights("default")
    weights = np.stack([mixamo.get(j[3], np.zeros(len(human.obj[0]))) for j in JOINTS], axis=1)
    head = sum(default[b] for b in human.bone_children("head"))
    for joint, bone in ((JAW, "jaw"), (LEFT_EYE, "eye.L"), (RIGHT_EYE, "eye.R")):
        share = sum(default[b] for b in human.bone_children(bone)) / np.maximum(head, 1e-9)
        weights[:, joint] = weights[:, HEAD] * np.clip(share, 0, 1)
    weights[:, HEAD] -= weights[:, JAW : RIGHT_EYE + 1].sum(axis=1)
    weights /= weights.sum(axis=1, keepdims=True)  # mixamo's rows sum to 0.2 ... 2
    weights = smooth(human, symmetric(human, weights))
    return quantise(rigid_cubes(human, weights))


def symmetric(human: MakeHuman, weights: Weights) -> Weights:
    """The mean of the weights and their mirror image."""
    names = [j[0] for j in JOINTS]
    other = {"left": "right", "righ": "left"}
    swap = [
        names.index(n.replace(n.split("_")[0], other[n[:4]])) if n[:4] in other else i
        for i, n in enumerate(names)
    ]
    return (weights + weights[human.mirror][:, swap]) / 2


def smooth(human: MakeHuman, weights: Weights, passes: int = 6) -> Weights:
    """Move each vertex's weights half way to its neighbours' mean; jaw and eyes stay as painted."""
    quads = np.concatenate([human.obj[2][g][0] for g in SMOOTHED])
    edges = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])
    a, b = np.concatenate([edges, edges[:, ::-1]]).T
    degree = np.maximum(np.bincount(a, minlength=len(weights)), 1)[:, None]
    face = weights[:, JAW : RIGHT_EYE + 1].sum(axis=1) > 0.01
    free = (np.bincount(a, minlength=len(weights)) > 0) & ~face
    for _ in range(passes):
        mean = np.zeros_like(weights)
        np.add.at(mean, a, weights[b])
        weights = np.where(free[:, None], (weights + mean / degree) / 2, weights)
    return weights


def rigid_cubes(human: MakeHuman, weights: Weights) -> Weights:
    """Bind each joint cube to one joint, so that regressed joints stay exact in every pose."""
    weights = weights.copy()
    for name, (quads, _) in human.obj[2].items():
        if name.startswith("joint-"):
            ids = np.unique(quads)
            weights[ids] = np.eye(55)[weights[ids].mean(axis=0).argmax()]
    for j in range(54, -1, -1):
        for cube in JOINTS[j][2]:
            weights[human.cube(cube)] = np.eye(55)[j]
    return weights


def quantise(weights: Weights, levels: int = 2048) -> Weights:
    """Round rows to multiples of 1/levels that still sum to exactly 1: small files."""
    scaled = np.where(weights < 1 / 512, 0, weights)
    scaled = scaled / scaled.sum(axis=1, keepdims=True) * levels
    whole = np.floor(scaled)
    missing = (levels - whole.sum(axis=1)).round().astype(int)
    order = np.argsort(
        np.argsort(whole - scaled, axis=1), axis=1
    )  # rank of the remainder, largest first
    return (whole + (order < missing[:, None])) / levels
