"""The readers that are given damaged files: whole files to damage, and how each is read."""

import io
import json
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, features
from plyfile import PlyData, PlyElement

from toolkit.body.motion import load_clip
from toolkit.body.motion_feet import Skeleton
from toolkit.body.motion_import import import_motion
from toolkit.body.npz import _load, load_body
from toolkit.body.rig import Avatar, Rig
from toolkit.cli import main
from toolkit.dataset.bulk.config import BulkConfig, read_config
from toolkit.dataset.bulk.quantise import Steps, decode, encode
from toolkit.errors import ToolkitError
from toolkit.export.formats import SPLAT_FORMATS
from toolkit.export.splats import read_splats, write_splats
from toolkit.gaussians import Gaussians, load_ply
from toolkit.photo.load import read_photo

NUM = 12  # Gaussians, vertices and so on: small files are read fast, and damage hits their headers


LEG = """JOINT {0}UpLeg {{ OFFSET {1} 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
JOINT {0}Leg {{ OFFSET 0 -40 0 CHANNELS 3 Zrotation Xrotation Yrotation
JOINT {0}Foot {{ OFFSET 0 -40 0 CHANNELS 3 Zrotation Xrotation Yrotation
End Site {{ OFFSET 0 0 9 }} }} }} }}
"""
BVH = "HIERARCHY\nROOT Hips\n{ OFFSET 0 90 0 CHANNELS 6 Xposition Yposition Zposition "
BVH += "Zrotation Xrotation Yrotation\n" + LEG.format("Left", 9) + LEG.format("Right", -9)
BVH += "}\nMOTION\nFrames: 2\nFrame Time: 0.0333\n" + (" ".join(["1.5"] * 24) + "\n") * 2


@dataclass(frozen=True)
class Target:
    """A reader and what it reads.

    Attributes:
        name: what a user calls the input.
        endings: of the files, in the order of the seeds.
        seeds: makes whole files.
        read: reads a file; a `ToolkitError` means that it was refused.
    """

    name: str
    endings: tuple[str, ...]
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]


def _saved(save: Callable[[io.BytesIO], None]) -> bytes:
    stream = io.BytesIO()
    save(stream)
    return stream.getvalue()


def _pictures() -> list[bytes]:
    """66 x 70 pixels in every format that Pillow writes here."""
    y, x = np.mgrid[0:66, 0:70]
    rgb = np.stack([3 * x, 3 * y, x + y], axis=-1).astype(np.uint8)
    image, exif = Image.fromarray(rgb), Image.Exif()
    exif[0x0112] = 6
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames = {"save_all": True, "append_images": [Image.fromarray(rgb[::-1].copy())]}
    kinds = [
        (image, "PNG", {"exif": exif, "icc_profile": icc}),
        (image.convert("P"), "PNG", {"transparency": 3}),
        (Image.fromarray(rgb[..., 0].astype(np.uint16) * 257), "PNG", {}),
        (image, "JPEG", {"exif": exif, "icc_profile": icc}),
        (image.convert("CMYK"), "JPEG", {"progressive": True}),
        (image, "MPO", frames),
        (image, "WEBP", {"lossless": True, "exif": exif}),
        (image, "WEBP", frames),
        (image, "GIF", frames),
        (image, "TIFF", {"compression": "tiff_lzw", "exif": exif}),
        (image, "TIFF", {}),
        (image, "BMP", {}),
    ]
    if features.check("avif"):
        kinds.append((image, "AVIF", {"speed": 10}))
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
        kinds.append((image, "HEIF", {}))
    except ImportError:
        pass  # the table says how many files there were
    return [_saved(lambda f, k=k: k[0].save(f, k[1], **k[2])) for k in kinds]


@cache
def _avatar() -> Avatar:
    rng = torch.Generator().manual_seed(0)
    body = load_body()
    quats = torch.nn.functional.normalize(torch.randn(NUM, 4, generator=rng), dim=1)
    places = torch.randn(NUM, 3, generator=rng)
    gaussians = Gaussians.from_colors(
        places, quats, torch.full((NUM, 3), 0.02), torch.full((NUM,), 0.9), places.sigmoid()
    )
    weights = torch.eye(55)[:NUM]
    return Avatar(
        gaussians,
        Rig(places, weights, body.rest_joints(torch.zeros(20)), body.parents, torch.zeros(20)),
    )


@cache
def _skeleton() -> Skeleton:
    rig = _avatar().rig
    return Skeleton(rig.joints, rig.parents, -1.0)


def _through_file(name: str, write: Callable[[Path], None]) -> bytes:
    """What a writer that wants a path writes."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def _plys() -> list[bytes]:
    binary = _through_file("a.ply", _avatar().gaussians.save_ply)
    large = _avatar().gaussians.replace(sh=torch.zeros(NUM, 4, 3))
    table = PlyData.read(io.BytesIO(_through_file("a.ply", large.save_ply)))["vertex"].data
    element = PlyElement.describe(table, "vertex")
    texts = [PlyData([element], text=True), PlyData([element], byte_order=">")]
    return [binary, *(_saved(ply.write) for ply in texts)]


def _npz(**arrays: np.ndarray) -> bytes:
    return _saved(lambda f: np.savez(f, **arrays))


def _bodies() -> list[bytes]:
    tree = np.stack([_skeleton().parents.numpy(), np.arange(55)])
    arrays = {
        "v_template": np.zeros((NUM, 3), np.float32),
        "weights": np.full((NUM, 55), 1 / 55, np.float32),
        "f": np.arange(9).reshape(3, 3),
        "shapedirs": np.zeros((NUM, 3, 20), np.float32),
        "J_regressor": np.full((55, NUM), 1 / NUM, np.float32),
        "kintree_table": tree,
    }
    return [_npz(**arrays)]


def _motions() -> list[bytes]:
    walk = load_clip("walk")
    poses, transl = walk.poses[:3].numpy(), walk.transl[:3].numpy()
    flat = poses.reshape(3, -1)
    parts = {"root_orient": flat[:, :3], "pose_body": flat[:, 3:66], "trans": transl}
    frame = {"root_pose": poses[0, 0].tolist(), "body_pose": poses[0, 1:22].tolist()}
    return [
        _npz(poses=flat, trans=transl, fps=np.array(30.0), gender=np.array("female")),
        _npz(**parts, betas=np.zeros(16)),
        _saved(lambda f: np.save(f, flat)),
        BVH.encode(),
        json.dumps([frame | {"trans": [0, 0, 0]}] * 2).encode(),
        json.dumps({"pose": poses[0].tolist(), "transl": [0, 0, 0]}).encode(),
    ]


def _splats() -> list[bytes]:
    save = lambda kind: lambda path: write_splats(_avatar().gaussians, path, kind)  # noqa: E731
    return [_through_file(f"a.{kind}", save(kind)) for kind in SPLAT_FORMATS]


def _settings() -> list[bytes]:
    lines = [f"{key} = {json.dumps(value)}" for key, value in BulkConfig().to_json().items()]
    plain = [line for line in lines if "null" not in line and "gates" not in line]
    chosen = 'selection = ["gender=woman", "hat!=none"]\n[gates]\nmin_iou = 0.8\n'
    plain = [line for line in plain if "selection" not in line]
    return ["\n".join([*plain, chosen]).encode()]


def _read_body(path: Path) -> object:
    _load.cache_clear()  # a body is kept as long as the process lives
    return load_body(path)


def _export(path: Path) -> object:
    """The command `export`, which must leave a whole file or none."""
    out = path.with_name("out.ply")
    words = ["export", str(path), "--format", "ply", "--pose", "a", "--out", str(out)]
    with redirect_stderr(io.StringIO()) as told, redirect_stdout(io.StringIO()):
        code = main(words)
    if code:
        raise ToolkitError(told.getvalue())
    gaussians = load_ply(out)
    out.unlink()
    return gaussians


TARGETS = (
    Target("photo", (".jpg",), _pictures, read_photo),
    Target("PLY", (".ply",), _plys, load_ply),
    Target("avatar", (".npz",), lambda: [_through_file("a.npz", _avatar().save)], Avatar.load),
    Target("body", (".npz",), _bodies, _read_body),
    Target(
        "motion",
        (".npz", ".npz", ".npy", ".bvh", ".json", ".json"),
        _motions,
        lambda path: import_motion(path, _skeleton()),
    ),
    Target("splats", tuple(f".{kind}" for kind in SPLAT_FORMATS), _splats, read_splats),
    Target("settings", (".toml",), _settings, read_config),
    Target(
        "record of a data set",
        (".npz",),
        lambda: [encode(_avatar().gaussians, _avatar().gaussians, Steps())],
        lambda path: decode(path.read_bytes()),
    ),
    Target("command export", (".npz",), lambda: [_through_file("a.npz", _avatar().save)], _export),
)
