"""The body: SMPL-X layout in, vertices and joints out. Reads our CC0 body.npz and a licensed SMPLX_NEUTRAL.npz."""

import os
import zipfile
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.assets import model_path
from toolkit.errors import MissingFileError, fail

NUM_JOINTS = 55
JOINT_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "jaw",
    "left_eye", "right_eye",
    *(f"{side}_{finger}{i}" for side in ("left", "right")
      for finger in ("index", "middle", "pinky", "ring", "thumb") for i in (1, 2, 3)))
REQUIRED_KEYS = ("v_template", "f", "shapedirs", "J_regressor", "kintree_table", "weights")


@dataclass(frozen=True)
class BodyOutput:
    """A posed body. `transforms` take a point of the shaped rest body to the posed body, per joint."""

    vertices: Float[Tensor, "V 3"]
    joints: Float[Tensor, "J 3"]
    transforms: Float[Tensor, "J 4 4"]


@dataclass(frozen=True)
class BodyModel:
    """A body of V vertices and 55 joints; metres, y up, T-pose, faces +z.

    Attributes:
        shapedirs: vertex displacement per unit of each beta, m.
        expr_dirs: the same for expression coefficients.
        faces_body: triangles of what a camera sees: skin without inner cavities, and the eyes.
        layers: further meshes over the same vertices, name -> triangles: "tights" (a closed suit),
            "skirt", "hair", "lashes", "mouth", "cavity"; empty for a licensed SMPL-X file.
        posedirs: pose correctives (V, 3, 486), or None where they are zero.
        extra: the file's other arrays, as numpy: vt, ft, part, masks, vertex_layer, blazepose33, ...
    """

    v_template: Float[Tensor, "V 3"]
    shapedirs: Float[Tensor, "V 3 S"]
    expr_dirs: Float[Tensor, "V 3 E"]
    J_regressor: Float[Tensor, "J V"]
    lbs_weights: Float[Tensor, "V J"]
    parents: Int[Tensor, " J"]
    faces: Int[Tensor, "F 3"]
    faces_body: Int[Tensor, "F 3"]
    layers: dict[str, Tensor] = field(default_factory=dict)
    posedirs: Tensor | None = None
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def load(path: str | os.PathLike | None = None, *, num_betas: int = 20) -> "BodyModel":
        """The default body, or any npz in SMPL-X layout. The same path is read once.

        Raises:
            MissingFileError: no such file.
            InputError: not an npz in SMPL-X layout, a pickle inside, or not 55 joints.
        """
        default = model_path("body.npz", made_by="python tools/bake_body.py") if path is None else path
        return load_body(os.path.abspath(default), num_betas)

    @property
    def num_betas(self) -> int:
        return self.shapedirs.shape[2]

    def shaped(self, betas: Float[Tensor, " S"], expression: Float[Tensor, " E"] | None = None) -> Tensor:
        """Vertices (V, 3) of the T-pose with this shape; fewer betas than `num_betas` are filled with zeros."""
        vertices = self.v_template + blend(self.shapedirs, betas, "betas")
        return vertices if expression is None else vertices + blend(self.expr_dirs, expression, "expression")

    def rest_joints(self, betas: Float[Tensor, " S"]) -> Float[Tensor, "J 3"]:
        """Joints of the shaped T-pose."""
        return self.J_regressor @ self.shaped(betas)

    def __call__(self, betas: Float[Tensor, " S"], pose: Float[Tensor, "J 3"], transl: Tensor | None = None,
                 expression: Float[Tensor, " E"] | None = None) -> BodyOutput:
        """Pose the body; differentiable in every argument.

        Args:
            betas: shape, roughly N(0, 1).
            pose: axis-angle rotations relative to the parent, radians; row 0 is the global orientation.
            transl: added to the posed body, m.
            expression: face coefficients, about 0 to 1.

        Source: Loper et al. 2015, Eq. 2-4; Pavlakos et al. 2019.
        """
        check_pose(pose)
        vertices = self.shaped(betas, expression)
        rotmats = rodrigues(pose)
        joints = self.J_regressor @ vertices
        if self.posedirs is not None:
            feature = (rotmats[1:] - torch.eye(3).to(rotmats)).reshape(-1)
            vertices = vertices + self.posedirs @ feature
        transforms = joint_transforms(rotmats, joints, self.parents)
        posed = lbs(vertices, self.lbs_weights, transforms)
        posed_joints = (transforms[:, :3, :3] @ joints[..., None])[..., 0] + transforms[:, :3, 3]
        if transl is not None:
            shift = torch.cat([torch.zeros(3, 3), transl.reshape(3, 1)], dim=1)
            bottom = torch.zeros(1, 4)
            transforms = transforms + torch.cat([shift, bottom]).to(transforms)
            posed, posed_joints = posed + transl, posed_joints + transl
        return BodyOutput(posed, posed_joints, transforms)

    def named_betas(self, **attributes: float) -> Float[Tensor, " S"]:
        """Betas of the average person with these attributes, each in [0, 1].

        Names: gender (0 female, 1 male), age (0: 25 years, 1: 90 years), child, muscle, weight, height,
        proportions, cup, african, asian. What is not named stays at the population's mean.
        """
        if "named_betas" not in self.extra:
            fail("Named attributes", got="a body file without 'named_betas'", wanted="our body.npz",
                 fix="Load the default body, or set betas directly.")
        names = [str(n) for n in self.extra["named_betas_names"]]
        unknown = sorted(set(attributes) - set(names))
        if unknown:
            fail("Named attributes", got=unknown, wanted=f"some of {names}", fix="Check the spelling.")
        means = dict(zip(names, self.extra["named_means"], strict=True))
        steps = np.array([attributes.get(n, means[n]) - means[n] for n in names], np.float32)
        return torch.from_numpy(steps @ self.extra["named_betas"])


def blend(directions: Float[Tensor, "V 3 S"], values: Float[Tensor, " S"], name: str) -> Float[Tensor, "V 3"]:
    """Sum of the first len(values) directions, each times its value."""
    if values.ndim != 1 or values.shape[0] > directions.shape[2] or not torch.isfinite(values).all():
        fail(name, got=f"shape {tuple(values.shape)}, finite: {bool(torch.isfinite(values).all())}",
             wanted=f"at most {directions.shape[2]} finite numbers in one row",
             fix="Cut the list, or drop the batch axis.")
    return directions[..., :values.shape[0]] @ values


def check_pose(pose: Tensor) -> None:
    if tuple(pose.shape) != (NUM_JOINTS, 3) or not torch.isfinite(pose).all():
        fail("pose", got=f"shape {tuple(pose.shape)}, finite: {bool(torch.isfinite(pose).all())}",
             wanted="(55, 3) finite axis-angle rotations in radians",
             fix="Fill missing joints with zeros; row 0 is the global orientation.")


def rodrigues(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of axis-angle vectors, radians. Exact and differentiable at zero.

    Source: R = I + sin(a)/a K + (1 - cos(a))/a^2 K^2.
    """
    square = (axis_angle**2).sum(-1)[..., None, None]
    small = square < 1e-8
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    first = torch.where(small, 1 - square / 6, angle.sin() / angle)
    second = torch.where(small, 0.5 - square / 24, 2 * ((angle / 2).sin() / angle) ** 2)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    K = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*axis_angle.shape, 3)
    return torch.eye(3).to(axis_angle) + first * K + second * (K @ K)


def joint_transforms(rotmats: Float[Tensor, "J 3 3"], joints: Float[Tensor, "J 3"],
                     parents: Int[Tensor, " J"]) -> Float[Tensor, "J 4 4"]:
    """Forward kinematics: what takes a rest-pose point to the posed body, if it hung on one joint only."""
    offsets = torch.cat([joints[:1], joints[1:] - joints[parents[1:]]])
    bottom = torch.tensor([[[0.0, 0.0, 0.0, 1.0]]]).to(joints).expand(len(joints), 1, 4)
    local = torch.cat([torch.cat([rotmats, offsets[..., None]], dim=2), bottom], dim=1)
    world = [local[0]]
    for j, parent in enumerate(parents.tolist()[1:], start=1):
        world.append(world[parent] @ local[j])
    world = torch.stack(world)
    moved = world[:, :3, 3] - (world[:, :3, :3] @ joints[..., None])[..., 0]  # posed minus rotated rest joint
    return torch.cat([torch.cat([world[:, :3, :3], moved[..., None]], dim=2), bottom], dim=1)


def lbs(points: Float[Tensor, "N 3"], weights: Float[Tensor, "N J"],
        transforms: Float[Tensor, "J 4 4"]) -> Float[Tensor, "N 3"]:
    """Linear blend skinning: each point moves with the weighted mean of its joints' transforms.

    Source: Loper et al. 2015, Eq. 4.
    """
    blended = (weights @ transforms[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
    return (blended[..., :3] @ points[..., None])[..., 0] + blended[..., 3]


@cache
def load_body(path: str, num_betas: int) -> BodyModel:
    """Read an npz in SMPL-X layout; see `BodyModel.load`."""
    if not os.path.isfile(path):
        raise MissingFileError(f"{path} does not exist. Give a body .npz, or leave it out for the default body.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {k: file[k] for k in file.files if k != "posedirs"}
            zero = "joint_names" in file.files  # our own bake: no pose correctives
            posedirs = None if zero or "posedirs" not in file.files else file["posedirs"]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        fail(path, got=f"{type(error).__name__}: {error}", wanted="an .npz of plain arrays in SMPL-X layout",
             fix="Official files: take SMPLX_NEUTRAL.npz, not the .pkl.")
    return _from_arrays(path, arrays, posedirs, num_betas)


def _from_arrays(path: str, arrays: dict, posedirs, num_betas: int) -> BodyModel:
    missing = [k for k in REQUIRED_KEYS if k not in arrays]
    if missing:
        fail(path, got=f"no {missing}", wanted="the SMPL-X keys", fix="Is this a body file? See data/models/body.md.")
    joints, columns = arrays["kintree_table"].shape[-1], arrays["shapedirs"].shape[-1]
    if joints != NUM_JOINTS or arrays["J_regressor"].shape[0] != NUM_JOINTS:
        fail(path, got=f"{joints} joints", wanted="55 (SMPL-X)", fix="SMPL and SMPL-H files do not fit.")
    split, shapes, expressions = (300, 300, 100) if columns >= 400 else (10, 10, 10)  # as smplx reads them
    shapes = min(num_betas, int(arrays.get("num_betas", shapes)))
    expressions = min(int(arrays.get("num_expressions", 10)), expressions)
    real = {k: torch.from_numpy(arrays[k].astype(np.float32)) for k in ("v_template", "J_regressor", "weights")}
    dirs = arrays["shapedirs"]
    parts = [torch.from_numpy(dirs[..., a:b].astype(np.float32)).contiguous()
             for a, b in ((0, shapes), (split, split + expressions))]
    parents = torch.from_numpy(arrays["kintree_table"][0].astype(np.int64))
    parents[0] = -1
    faces = torch.from_numpy(arrays["f"].astype(np.int64))
    layers = {str(n): torch.from_numpy(arrays[f"faces_{n}"].astype(np.int64)) for n in arrays.get("layer_names", ())}
    extra = {k: v for k, v in arrays.items() if k not in REQUIRED_KEYS and not k.startswith(("faces_", "hands_"))}
    if posedirs is not None:
        posedirs = torch.from_numpy(np.asarray(posedirs, np.float32))
    return BodyModel(real["v_template"], *parts, real["J_regressor"], real["weights"], parents, faces, faces,
                     layers, posedirs, extra)
