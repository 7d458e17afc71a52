"""A skinned mesh with vertex colours as glTF, which Blender, Unity, Unreal and three.js can move.

The 55 joints become nodes, each at its offset from its parent. In the T-pose no node is turned, so
the inverse bind matrix of a joint is just the way back to the origin. A motion becomes an
animation: one rotation per joint and frame, and the pelvis' place.
"""

import os

import numpy as np
import torch

from toolkit.body.model import JOINT_NAMES
from toolkit.body.motion import Motion
from toolkit.body.rig import Rig
from toolkit.body.rotations import matrix_to_quat, rodrigues
from toolkit.export.glb_file import INDICES, VERTICES, GlbWriter
from toolkit.export.glb_splats import srgb_to_linear
from toolkit.export.proxy import ProxyMesh

STILL_RAD = 1e-4  # a joint that never turns by more has no track in the animation


def write_glb_mesh(
    mesh: ProxyMesh,
    rig: Rig,
    path: str | os.PathLike,
    *,
    motion: Motion | None = None,
    name: str = "avatar",
) -> None:
    """Write a GLB file with mesh, skeleton, skin and perhaps an animation.

    Args:
        mesh: in the T-pose.
        rig: gives the joints and their parents.
        path: of the file.
        motion: becomes the animation; None writes none.
        name: of the mesh's node.
    """
    glb = GlbWriter()
    joints = rig.joints.detach().numpy()
    parents = rig.parents.tolist()
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    inverse[:, 3, :3] = -joints  # glTF stores matrices column by column: the last row in memory
    glb.document |= {
        "scenes": [{"nodes": [len(joints), 0]}],
        "nodes": [*_joint_nodes(joints, parents), {"name": name, "mesh": 0, "skin": 0}],
        "skins": [
            {
                "joints": list(range(len(joints))),
                "skeleton": 0,
                "inverseBindMatrices": glb.add(inverse),
            }
        ],
        "meshes": [{"name": name, "primitives": [_primitive(glb, mesh)]}],
        # the avatar's colours already hold its light and shade, so the material adds none
        "materials": [
            {
                "name": "vertex colours",
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
                "extensions": {"KHR_materials_unlit": {}},
                "doubleSided": True,
            }
        ],
        "extensionsUsed": ["KHR_materials_unlit"],
    }
    if motion is not None:
        glb.document["animations"] = [_animation(glb, motion, joints[0])]
    glb.save(path)


def _joint_nodes(joints: np.ndarray, parents: list[int]) -> list[dict]:
    nodes = []
    for j, (joint, parent) in enumerate(zip(joints, parents, strict=True)):
        offset = joint if parent < 0 else joint - joints[parent]
        node = {"name": JOINT_NAMES[j], "translation": [float(v) for v in offset]}
        if children := [k for k, p in enumerate(parents) if p == j]:
            node["children"] = children
        nodes.append(node)
    return nodes


def _primitive(glb: GlbWriter, mesh: ProxyMesh) -> dict:
    add = lambda a, **more: glb.add(a, target=VERTICES, **more)  # noqa: E731
    colors = srgb_to_linear(mesh.colors).numpy()
    return {
        "attributes": {
            "POSITION": add(mesh.vertices.numpy(), bounds=True),
            "NORMAL": add(mesh.normals.numpy()),
            "COLOR_0": add(colors),
            # glTF wants a joint whose weight is zero to be number 0
            "JOINTS_0": add((mesh.joint_ids * (mesh.weights > 0)).numpy().astype(np.uint8)),
            "WEIGHTS_0": add(mesh.weights.numpy()),
        },
        "indices": glb.add(mesh.faces.numpy().astype(np.uint32).reshape(-1), target=INDICES),
        "material": 0,
    }


def _animation(glb: GlbWriter, motion: Motion, pelvis: np.ndarray) -> dict:
    """Rotations of the joints that move, and the pelvis' place, over time."""
    times = glb.add((np.arange(len(motion)) / motion.fps).astype(np.float32), bounds=True)
    quats = _continuous(matrix_to_quat(rodrigues(motion.poses)))[..., [1, 2, 3, 0]].numpy()
    tracks = [(0, "translation", motion.transl.numpy() + pelvis)]
    tracks += [
        (j, "rotation", quats[:, j])
        for j in range(motion.poses.shape[1])
        if motion.poses[:, j].abs().max() > STILL_RAD
    ]
    samplers, channels = [], []
    for node, path, values in tracks:
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        samplers.append({"input": times, "output": glb.add(values.astype(np.float32))})
    return {"name": "motion", "samplers": samplers, "channels": channels}


def _continuous(quats: torch.Tensor) -> torch.Tensor:
    """q and -q turn alike; each frame takes the sign nearer to the frame before it."""
    agree = (quats[1:] * quats[:-1]).sum(-1) >= 0
    flips = torch.where(agree, 1.0, -1.0).cumprod(0)
    return torch.cat([quats[:1], quats[1:] * flips[..., None]])
