"""Everything around the network: weights from a folder, one photo in, Gaussians on our rig out.

folder --load_folder--> Reconstruction --anchors--> Anchors   (once a body)
photo, mask, body ------predict-------------------> Gaussians in the T-pose, one an anchor
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from toolkit.body.anchors import HEAD_JOINTS, Anchors
from toolkit.body.binding import nearest_anchors
from toolkit.body.model import BodyModel
from toolkit.coarse.lhm import encoders
from toolkit.coarse.lhm import images as lhm_images
from toolkit.coarse.lhm import network as lhm
from toolkit.errors import MissingFileError, fail
from toolkit.gaussians import Gaussians

MAX_BODY_GAP_M = 0.01  # between the checkpoint's points and the body's template: another body
SMALL_POINTS, SMALL_SOURCE_PX, SOURCE_PX = 20_000, 512, 1024  # MINI was trained on 512 px


@dataclass(frozen=True)
class Reconstruction:
    """A checkpoint with all that inference needs.

    Attributes:
        points: of the zero-pose template, metres; body before head.
        source_px: width at which the person is framed.
        fingerprint: of the files, so that a resumed run does not mix two checkpoints.
    """

    model: lhm.LHM
    body_encoder: encoders.BodyEncoder
    head_encoder: encoders.HeadEncoder
    points: Float[Tensor, "N 3"]
    source_px: int
    fingerprint: str


def load_folder(
    folder: str | os.PathLike,
    *,
    points: str | os.PathLike | None = None,
    sapiens: str | os.PathLike | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Reconstruction:
    """Read a checkpoint folder: config.json, model.safetensors, 1_N.ply, sapiens*.

    The first two are a released repository such as 3DAIGC/LHM-MINI (also within `step_NNNNNN/`),
    the PLY is in its prior archive under `dense_sample_points/`, Sapiens-1B is a release of its
    own.

    Args:
        points: folder of the PLY, if it is another one.
        sapiens: folder of Sapiens, if it is another one.
        dtype: of transformer and encoders; left out: bfloat16 on a GPU, float32 on a CPU.

    Raises:
        MissingFileError: naming the file that is not there.
        InputError: a file of another kind, or damaged.
    """
    root = Path(folder)
    if not root.is_dir():
        fail(
            f"LHM folder {root}",
            got="no such folder",
            wanted="a folder with the released files",
            fix="See notebooks/03_lhm_coarse for what to fetch.",
            kind=MissingFileError,
        )
    if dtype is None:
        dtype = torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32
    weights = find_file(root, "model.safetensors")
    config_path = find_file(root, "config.json")
    config = _read_json(config_path)
    state = read_tensors(weights)
    model = lhm.load(state, config, device=device, dtype=dtype)
    ply = find_file(Path(points or root), f"1_{model.config.points}.ply")
    backbone = find_file(Path(sapiens or root), "sapiens*")
    kind = {"device": device, "dtype": dtype}
    body = encoders.load_body_encoder(encoders.read_sapiens(backbone), **kind)
    small = SMALL_SOURCE_PX if model.config.points == SMALL_POINTS else SOURCE_PX
    sizes = " ".join(f"{p.name}:{p.stat().st_size}" for p in (weights, ply, backbone))
    return Reconstruction(
        model,
        body,
        encoders.load_head_encoder(state, **kind),
        read_points(ply),
        int(config.get("source_image_res", small)),
        f"{sizes} {config_path.read_text()}",
    )


def find_file(root: Path, pattern: str) -> Path:
    """The file of this name below `root`; of several `step_NNNNNN` folders the newest.

    Raises:
        MissingFileError: there is none.
    """

    def step(path: Path) -> int:
        return max(
            (int(m[1]) for part in path.parts if (m := re.fullmatch(r"step_(\d+)", part))),
            default=-1,
        )

    found = [p for p in root.rglob(pattern) if p.is_file()]
    if not found:
        fail(
            f"LHM folder {root}",
            got=f"no {pattern}",
            wanted="config.json, model.safetensors, 1_N.ply and sapiens*",
            fix="See notebooks/03_lhm_coarse for what to fetch.",
            kind=MissingFileError,
        )
    return max(found, key=lambda p: (step(p), -len(p.parts), p.name))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file that we use; the 0.8 GB skinning grid is not even read."""
    try:
        with safe_open(str(path), "pt") as file:
            return {
                key: file.get_tensor(key)
                for key in file.keys()
                if key.startswith("encoder.") or not lhm.NOT_OURS.match(key)
            }
    except (SafetensorError, OSError) as error:
        fail(path, got=f"{error}", wanted="a safetensors file", fix="Get the file again.")


def _read_json(path: Path) -> dict:
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        fail(path, got=f"{error}", wanted="JSON", fix="Get the file again.")
    return config if isinstance(config, dict) else {}


def read_points(path: str | os.PathLike) -> Float[Tensor, "N 3"]:
    """Vertices of a PLY, metres, in the file's order, which the network relies on.

    Raises:
        InputError: not a PLY of finite points.
    """
    from plyfile import PlyData

    try:
        vertex = PlyData.read(os.fspath(path))["vertex"]
        points = np.stack([np.asarray(vertex[axis], np.float32) for axis in "xyz"], axis=1)
        if not len(points) or not np.isfinite(points).all():
            raise ValueError(f"{len(points)} points, NaN or none")
    except Exception as error:  # noqa: BLE001  plyfile raises many kinds
        fail(
            path,
            got=f"{type(error).__name__}: {error}",
            wanted="a PLY of points",
            fix="Take 1_N.ply from the prior files of the release.",
        )
    return torch.from_numpy(points)


def anchors(reconstruction: Reconstruction, body: BodyModel) -> Anchors:
    """LHM's query points as anchors of `body`, which must be the checkpoint's kind of body.

    Skinning and the first shape directions are the checkpoint's own (of the nearest vertex);
    normals and further shape directions are `body`'s.

    Raises:
        InputError: a body of another template.
    """
    points, skin = reconstruction.points, reconstruction.model.skin
    still = torch.zeros(len(body.parents), 3)
    near = nearest_anchors(points, body, torch.zeros(0), still, torch.zeros(3))
    gap = float((near.points - points).norm(dim=1).mean())
    if gap > MAX_BODY_GAP_M or skin.skinning_weight.shape[1] != len(body.parents):
        fail(
            "Body for LHM",
            got=f"a template {100 * gap:.1f} cm away from the checkpoint's points",
            wanted="the body the checkpoint was made with (SMPL-X)",
            fix="Load your SMPLX_NEUTRAL.npz with BodyModel.load.",
        )
    weights = skin.skinning_weight.cpu()
    own = skin.shape_dirs.cpu()[..., : near.shapedirs.shape[2]]
    directions = torch.cat([own, near.shapedirs[..., own.shape[2] :]], dim=2)
    return Anchors(
        near.faces,
        near.bary,
        points,
        near.normals,
        weights,
        directions,
        weights[:, HEAD_JOINTS].sum(1) > 0.5,
    )


def predict(
    reconstruction: Reconstruction,
    image: Float[Tensor, "H W 3"],
    mask: Float[Tensor, "H W"],
    photo_body,
    body: BodyModel,
    anchors: Anchors,
) -> Gaussians:
    """One Gaussian an anchor from one photo, in the T-pose of the shaped body.

    Args:
        image: in [0, 1]. mask: person coverage in [0, 1].
        photo_body: betas, pose, transl and camera of the person in this photo.
        anchors: of `anchors(reconstruction, body)`.

    Raises:
        InputError: an empty mask, NaN, or anchors of another body or checkpoint.
    """
    if anchors.points.shape != reconstruction.points.shape or not torch.allclose(
        anchors.points, reconstruction.points, atol=1e-4
    ):
        fail(
            "Anchors",
            got=f"{len(anchors)} that are not this checkpoint's points",
            wanted=f"its {len(reconstruction.points)} query points",
            fix="Make them with lhm_photo.anchors(reconstruction, body).",
        )
    image, mask = torch.as_tensor(image).float(), torch.as_tensor(mask).float()
    output = reconstruct(
        reconstruction, image, mask, head_vertices(photo_body, body), photo_body.camera
    )
    betas = photo_body.betas.detach().float()
    num = min(len(betas), reconstruction.model.config.betas)
    gaussians = lhm.zero_pose(reconstruction.model, output, betas[:num]).to("cpu")
    further = anchors.shapedirs[..., num : len(betas)] @ betas[num:]  # LHM itself stops at 10 betas
    return gaussians.replace(means=gaussians.means + further)


def reconstruct(
    reconstruction: Reconstruction,
    image: Float[Tensor, "H W 3"],
    mask: Float[Tensor, "H W"],
    head: Float[Tensor, "V 3"],
    camera,
) -> lhm.LHMOutput:
    """Photo to the network's output: prepare, encode, run; independent of shape and pose.

    Args:
        head: vertices of the head in the photo's world, metres; they say where its crop lies.
        camera: of the photo.
    """
    device = reconstruction.model.pcl_embed.mlp.weight.device
    framed = lhm_images.frame_person(image, mask, source_px=reconstruction.source_px)
    crop = lhm_images.crop_head(image, lhm_images.head_box(head, camera))
    body_tokens = reconstruction.body_encoder(lhm_images.body_input(framed).to(device))
    head_tokens = reconstruction.head_encoder(lhm_images.head_input(crop).to(device))
    return lhm.forward(reconstruction.model, body_tokens, head_tokens, reconstruction.points)


def head_vertices(photo_body, body: BodyModel) -> Float[Tensor, "V 3"]:
    """The head's visible vertices, posed as in the photo."""
    vertices = body(photo_body.betas, photo_body.pose, photo_body.transl).vertices
    seen = body.faces_body.unique()
    return vertices[seen[body.lbs_weights[seen][:, HEAD_JOINTS].sum(1) > 0.5]]
