"""What is scored: a photo, and pictures of the same person that the pipeline never sees.

Our own people (`from_seed`) and foreign folders (`from_folder`) become the same `Case`; the
folder's layout is in the docstring of `from_folder`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from toolkit.body.npz import load_body
from toolkit.cameras import Cameras, orbit_cameras
from toolkit.errors import MissingFileError, fail
from toolkit.people.draw.photo import photo_camera, photo_of
from toolkit.people.draw.render import render_person
from toolkit.people.person import Person
from toolkit.people.sample import sample_person
from toolkit.run.files import atomic_path
from toolkit.show.export import to_uint8

MAX_VIEW_PX = 512  # larger views are scaled down: the avatar's Gaussians are coarser than that
VIEW_PX, NUM_VIEWS = 256, 12  # of our own people
ELEVATIONS_DEG = (0.0, 10.0, 20.0)  # in turn around the person


@dataclass(frozen=True)
class Views:
    """True pictures of a person in one pose; world as in `docs/conventions.md`.

    Attributes:
        cameras: C cameras.
        rgb: on white, in [0, 1].
        alpha: coverage, in [0, 1].
        azimuths_deg: 0 is the photo's side.
        joints: COCO's 17 keypoints of this pose, metres.
    """

    cameras: Cameras
    rgb: Float[Tensor, "C H W 3"]
    alpha: Float[Tensor, "C H W 1"]
    azimuths_deg: Float[np.ndarray, " C"]
    joints: Float[Tensor, "17 3"]


@dataclass(frozen=True)
class Case:
    """One person to be scored.

    Attributes:
        name: of the person, unique in a run.
        photo: path of the only picture that the pipeline sees.
        photo_camera: its true camera; used for scoring alone.
        views: the truth, in the photo's pose.
        person: the procedural person, who can be posed anew; None for foreign cases.
    """

    name: str
    photo: Path
    photo_camera: Cameras
    views: Views
    person: Person | None = None


def coco_joints(vertices: Float[Tensor, "V 3"]) -> Float[Tensor, "17 3"]:
    """COCO's 17 keypoints on a posed body of ours."""
    return torch.from_numpy(load_body().extra["coco17"]).float() @ vertices


def true_views(person: Person, cameras: Cameras, azimuths, *, pose=None, transl=None) -> Views:
    """Render a procedural person; its own pose if none is given."""
    pose = person.pose if pose is None else pose
    transl = person.transl if transl is None else transl
    drawn = render_person(person, cameras, pose=pose, transl=transl, supersample=2)
    vertices = load_body()(person.betas, pose, transl, person.expression).vertices
    return Views(
        cameras, drawn.rgb, drawn.alpha, np.asarray(azimuths, np.float64), coco_joints(vertices)
    )


def around(azimuths, center: Float[Tensor, " 3"]) -> Cameras:
    """Cameras that hold a person with stretched limbs; `center` is the middle of the body."""
    elevations = [ELEVATIONS_DEG[i % len(ELEVATIONS_DEG)] for i in range(len(azimuths))]
    return orbit_cameras(
        list(azimuths),
        elevations,
        radius_m=5.3,
        fov_y_deg=25.0,
        size=(VIEW_PX, VIEW_PX),
        target=center,
    )


def middle(person: Person, pose: Tensor, transl: Tensor) -> Float[Tensor, " 3"]:
    """Middle of the box around the posed body."""
    points = load_body()(person.betas, pose, transl).vertices[:13380]  # skin without layers
    return (points.amin(0) + points.amax(0)) / 2


def from_seed(
    seed: int,
    split: str,
    folder: Path,
    *,
    photo_px: int = 512,
    view_px: int = VIEW_PX,
    num_views: int = NUM_VIEWS,
) -> Case:
    """A procedural person: its photo is written into `folder`, its truth rendered.

    Args:
        seed: of the person, see `people.sample.sample_person`.
        split: "val" or "test" for people that no model has seen.
        folder: gets `photo.png`.
    """
    person = sample_person(seed, split)
    size = (photo_px, photo_px)
    picture, _ = photo_of(person, size, supersample=2)
    path = Path(folder) / "photo.png"
    with atomic_path(path) as tmp:
        Image.fromarray(picture).save(tmp)
    azimuths = np.arange(num_views) * 360.0 / num_views
    cameras = around(azimuths, middle(person, person.pose, person.transl))
    return Case(
        f"{split}_{person.seed:07d}",
        path,
        photo_camera(person.photo_camera, size),
        true_views(person, cameras.resized(view_px, view_px), azimuths),
        person,
    )


def from_folder(folder: Path) -> Case:
    """A person that somebody else made.

    The folder holds `photo.png`; `views/NNN.png` (RGBA, exact alpha, the person in the photo's
    pose); `cameras.json` = {"photo": C, "views": [C, ...]} with C = {file, K (3x3), viewmat (4x4
    world to camera, OpenCV axes), width, height, azimuth_deg, elevation_deg}, world y up, metres,
    pelvis at the origin, azimuth 0 the photo's; `truth.json` with `joints_coco17` (17x3, metres).

    Raises:
        MissingFileError, InputError: a file is missing or is not as above.
    """
    folder = Path(folder)
    cameras, truth = _json(folder / "cameras.json"), _json(folder / "truth.json")
    try:
        records = cameras["views"]
        rgba, found = zip(*(_view(folder, record) for record in records), strict=True)
        joints = torch.tensor(truth["joints_coco17"], dtype=torch.float32)
        azimuths = np.array([record["azimuth_deg"] for record in records], np.float64)
        photo, photo_view = _existing(folder, cameras["photo"]), _camera(cameras["photo"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        fail(
            f"Case {folder}",
            got=repr(error),
            wanted="cameras.json and truth.json as documented",
            fix="See toolkit.evaluate.cases.from_folder.",
        )
    if joints.shape != (17, 3) or not joints.isfinite().all():
        fail(
            f"{folder}/truth.json",
            got=f"joints_coco17 {tuple(joints.shape)}",
            wanted="(17, 3), finite metres",
            fix="Give COCO's 17 keypoints.",
        )
    stack = torch.stack(_one_size(rgba))
    views = Cameras(
        torch.cat([c.viewmats for c in found]),
        torch.cat([c.resized(stack.shape[2], stack.shape[1]).Ks for c in found]),
        stack.shape[2],
        stack.shape[1],
    )
    # pictures were premultiplied before they were resized
    return Case(
        folder.name,
        photo,
        photo_view,
        Views(views, stack[..., :3] + 1 - stack[..., 3:], stack[..., 3:], azimuths, joints),
    )


def save_case(case: Case, folder: Path) -> None:
    """Write a case in the layout that `from_folder` reads (8 bits a channel)."""
    from toolkit.run.folder import write_json

    views, folder = case.views, Path(folder)
    offsets = views.cameras.centers - views.joints[[11, 12]].mean(0)
    elevations = torch.rad2deg(torch.asin(offsets[:, 1] / offsets.norm(dim=1)))
    records = []
    for i in range(len(views.cameras)):
        alpha = views.alpha[i]
        rgb = (views.rgb[i] - 1 + alpha) / alpha.clamp_min(1e-3)
        name = f"views/{i:03d}.png"
        with atomic_path(folder / name) as tmp:
            Image.fromarray(to_uint8(torch.cat([rgb, alpha], -1))).save(tmp, optimize=True)
        records.append(_record(name, views.cameras[i], views.azimuths_deg[i], elevations[i]))
    with atomic_path(folder / "photo.png") as tmp:
        tmp.write_bytes(Path(case.photo).read_bytes())
    photo = _record("photo.png", case.photo_camera, 0.0, 0.0)
    write_json(folder / "cameras.json", {"photo": photo, "views": records})
    write_json(folder / "truth.json", {"joints_coco17": views.joints.tolist()})


def _record(file: str, camera: Cameras, azimuth: float, elevation: float) -> dict:
    return {
        "file": file,
        "K": camera.Ks[0].tolist(),
        "viewmat": camera.viewmats[0].tolist(),
        "width": camera.width,
        "height": camera.height,
        "azimuth_deg": round(float(azimuth), 4),
        "elevation_deg": round(float(elevation), 4),
    }


def _json(path: Path) -> dict:
    if not path.is_file():
        fail(
            f"{path}",
            got="no such file",
            wanted="photo.png, views/, cameras.json and truth.json",
            fix="See toolkit.evaluate.cases.from_folder.",
            kind=MissingFileError,
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        fail(f"{path}", got=str(error), wanted="JSON", fix="Write the file again.")


def _existing(folder: Path, record: dict) -> Path:
    """The record's file, named from the person's folder or from `views/`."""
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


def _view(folder: Path, record: dict) -> tuple[Tensor, Cameras]:
    """Premultiplied RGBA (H,W,4) and its camera."""
    path, camera = _existing(folder, record), _camera(record)
    with Image.open(path) as image:
        if image.mode != "RGBA" or image.size != (camera.width, camera.height):
            fail(
                f"{path}",
                got=f"{image.mode} of {image.size}",
                wanted=f"RGBA of {(camera.width, camera.height)}",
                fix="Write exact alpha.",
            )
        rgba = torch.from_numpy(np.asarray(image, np.float32) / 255)
    return torch.cat([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1), camera


def _one_size(pictures: Sequence[Tensor]) -> list[Tensor]:
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
