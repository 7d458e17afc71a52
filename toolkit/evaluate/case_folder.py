"""People that somebody else made, as folders: the layout is in the docstring of `read_case`."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.errors import MissingFileError, fail
from toolkit.evaluate.cases import Case, Views
from toolkit.run.files import atomic_path
from toolkit.run.folder import write_json
from toolkit.show.export import to_uint8

MAX_VIEW_PX = 512  # larger views are scaled down: the avatar's Gaussians are coarser than that
LAYOUT = "See toolkit.evaluate.case_folder.read_case."


def read_case(folder: Path) -> Case:
    """A person that somebody else made.

    The folder holds `photo.png`; `views/NNN.png` (RGBA, exact alpha, the person in the photo's
    pose); `cameras.json` = {"photo": C, "views": [C, ...]} with C = {file, K (3x3), viewmat (4x4
    world to camera, OpenCV axes), width, height, azimuth_deg, elevation_deg}, world y up, metres,
    pelvis at the origin, azimuth 0 the photo's; `truth.json` with `joints_coco17` (17x3, metres).

    Raises:
        MissingFileError, InputError: a file is missing or is not as above.
    """
    folder = Path(folder)
    cameras, truth = _read_json(folder / "cameras.json"), _read_json(folder / "truth.json")
    try:
        records = cameras["views"]
        pictures, view_cameras = zip(*(_read_view(folder, r) for r in records), strict=True)
        joints = torch.tensor(truth["joints_coco17"], dtype=torch.float32)
        azimuths = np.array([record["azimuth_deg"] for record in records], np.float64)
        photo, photo_camera = _picture_path(folder, cameras["photo"]), _camera(cameras["photo"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        fail(
            f"Case {folder}",
            got=repr(error),
            wanted="cameras.json and truth.json as documented",
            fix=LAYOUT,
        )
    if joints.shape != (17, 3) or not joints.isfinite().all():
        fail(
            f"{folder}/truth.json",
            got=f"joints_coco17 {tuple(joints.shape)}",
            wanted="(17, 3), finite metres",
            fix="Give COCO's 17 keypoints.",
        )
    rgba = torch.stack(_to_one_size(pictures))
    height, width = rgba.shape[1:3]
    stacked = Cameras(
        torch.cat([camera.viewmats for camera in view_cameras]),
        torch.cat([camera.resized(width, height).Ks for camera in view_cameras]),
        width,
        height,
    )
    # colour is premultiplied here, so adding 1 - alpha puts it on white
    rgb, alpha = rgba[..., :3] + 1 - rgba[..., 3:], rgba[..., 3:]
    return Case(folder.name, photo, photo_camera, Views(stacked, rgb, alpha, azimuths, joints))


def save_case(case: Case, folder: Path) -> None:
    """Write a case in the layout that `read_case` reads, with 8 bits per channel."""
    views, folder = case.views, Path(folder)
    # elevation as seen from the middle of the hips (11 and 12 in COCO's order)
    offsets = views.cameras.centers - views.joints[[11, 12]].mean(0)
    elevations = torch.rad2deg(torch.asin(offsets[:, 1] / offsets.norm(dim=1)))
    records = []
    for i in range(len(views.cameras)):
        alpha = views.alpha[i]
        rgb = (views.rgb[i] - 1 + alpha) / alpha.clamp_min(1e-3)  # off the white, not premultiplied
        name = f"views/{i:03d}.png"
        with atomic_path(folder / name) as tmp:
            Image.fromarray(to_uint8(torch.cat([rgb, alpha], -1))).save(tmp, optimize=True)
        records.append(_camera_record(name, views.cameras[i], views.azimuths_deg[i], elevations[i]))
    with atomic_path(folder / "photo.png") as tmp:
        tmp.write_bytes(Path(case.photo).read_bytes())
    photo = _camera_record("photo.png", case.photo_camera, 0.0, 0.0)
    write_json(folder / "cameras.json", {"photo": photo, "views": records})
    write_json(folder / "truth.json", {"joints_coco17": views.joints.tolist()})


def _camera_record(file: str, camera: Cameras, azimuth: float, elevation: float) -> dict:
    return {
        "file": file,
        "K": camera.Ks[0].tolist(),
        "viewmat": camera.viewmats[0].tolist(),
        "width": camera.width,
        "height": camera.height,
        "azimuth_deg": round(float(azimuth), 4),
        "elevation_deg": round(float(elevation), 4),
    }


def _read_json(path: Path) -> dict:
    if not path.is_file():
        fail(
            f"{path}",
            got="no such file",
            wanted="photo.png, views/, cameras.json and truth.json",
            fix=LAYOUT,
            kind=MissingFileError,
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        fail(f"{path}", got=str(error), wanted="JSON", fix="Write the file again.")


def _picture_path(folder: Path, record: dict) -> Path:
    """The record's picture, whose path starts at the person's folder or at `views/`."""
    for path in (folder / record["file"], folder / "views" / record["file"]):
        if path.is_file():
            return path
    fail(
        f"{folder / record['file']}",
        got="no such file",
        wanted="the picture of a camera",
        fix="Check `file` in cameras.json.",
        kind=MissingFileError,
    )


def _camera(record: dict) -> Cameras:
    """One camera of the record's picture size."""
    view, K = (torch.tensor(record[k], dtype=torch.float32)[None] for k in ("viewmat", "K"))
    if not (torch.isfinite(view).all() and torch.isfinite(K).all()):
        raise ValueError("a camera with NaN or Inf")
    return Cameras(view, K, int(record["width"]), int(record["height"]))


def _read_view(folder: Path, record: dict) -> tuple[Float[Tensor, "H W 4"], Cameras]:
    """A picture with premultiplied colour, and its camera."""
    path, camera = _picture_path(folder, record), _camera(record)
    with Image.open(path) as image:
        if image.mode != "RGBA" or image.size != (camera.width, camera.height):
            fail(
                f"{path}",
                got=f"{image.mode} of {image.size}",
                wanted=f"RGBA of {(camera.width, camera.height)}",
                fix="Write exact alpha.",
            )
        rgba = torch.from_numpy(np.asarray(image, np.float32) / 255)
    # premultiplied, so that colour behind the outline does not bleed in when it is resized
    return torch.cat([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1), camera


def _to_one_size(pictures: Sequence[Tensor]) -> list[Float[Tensor, "H W 4"]]:
    """All pictures at the first one's size, and at most `MAX_VIEW_PX`."""
    height, width = pictures[0].shape[:2]
    zoom = min(1.0, MAX_VIEW_PX / max(height, width))
    size = (max(1, round(height * zoom)), max(1, round(width * zoom)))
    return [
        picture
        if picture.shape[:2] == size
        else torch.nn.functional.interpolate(
            picture.permute(2, 0, 1)[None],
            size=size,
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )[0]
        .permute(1, 2, 0)
        .clamp(0, 1)
        for picture in pictures
    ]
