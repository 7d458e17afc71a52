"""Render people whose truth is known, for trainings and experiments: `runs/people/SPLIT/SEED.npz`.

    python -m tools.train.people --split train --num 4000
    python -m tools.train.people --split val --num 48

A file holds:
    photo    (256,256,4) uint8, the photo's person crop on white, with its coverage
    turn     (13,192,96,4) uint8, the turntable in the A-pose on a dynamic orbit, front first
    posed    (2,192,192,4) uint8, random views in the photo's pose
    surface  (8000,3) float16, points of the dressed surface in the A-pose that the turntable sees
    betas, pose, transl, and every camera

Files that exist are kept. Three people take about a second of one core.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from jaxtyping import Float, UInt8
from torch import Tensor
from tqdm import tqdm

from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.cameras import Cameras, orbit_cameras
from toolkit.people.draw.render import PersonViews, render_person
from toolkit.people.dress.assemble import pose_mesh
from toolkit.people.figure import load_figure, pose_figure
from toolkit.people.person import Person
from toolkit.people.sample import sample_person
from toolkit.photo.crop import PhotoCrop, crop_from_premultiplied, crop_photo
from toolkit.prior.orbit import OrbitConfig, orbit, turntable_cameras
from toolkit.render.mesh import rasterize_mesh
from toolkit.run.files import atomic_path
from tools.command import run

FIRST_SEED = {"train": 0, "val": 1_000_000, "test": 2_000_000}
FOLDER = Path("runs/people")
PHOTO_PX = 320  # rendered at this size, then cropped and reduced to the network's 256
NUM_SURFACE = 8000


@dataclass(frozen=True)
class Sample:
    """One person as trainings read it; RGBA is straight colour composited on white, and coverage.

    Attributes:
        crop: the photo as the coarse model sees it.
        photo_rgba: the truth in the photo's view.
        turn_rgba, turn_cameras: the truth on the turntable, A-pose.
        posed_rgba, posed_cameras: the truth from two random directions, photo's pose.
        betas, pose, transl: the true body of the photo; transl is the turntable's as well.
        surface: points of the dressed surface in the A-pose, metres.
    """

    crop: PhotoCrop
    photo_rgba: Float[Tensor, "256 256 4"]
    turn_rgba: Float[Tensor, "13 192 96 4"]
    turn_cameras: Cameras
    posed_rgba: Float[Tensor, "2 192 192 4"]
    posed_cameras: Cameras
    betas: Float[Tensor, " B"]
    pose: Float[Tensor, "55 3"]
    transl: Float[Tensor, "3"]
    surface: Float[Tensor, "P 3"]


def make_sample(seed: int, split: str, body: BodyModel) -> dict[str, np.ndarray]:
    """Render one person; arrays as in the module's docstring."""
    person = sample_person(seed, split=split)
    rest = -body.rest_joints(person.betas)[0]
    camera = person.photo_camera.resized(PHOTO_PX, PHOTO_PX)
    photo = render_person(person, camera, supersample=2)
    mask = photo.alpha[0, ..., 0]
    image = ((photo.rgb[0] - (1 - mask[..., None])) / mask[..., None].clamp_min(1e-3)).clamp(0, 1)
    crop = crop_photo(image, mask, camera)
    on_white = torch.cat([crop.rgb * crop.mask + 1 - crop.mask, crop.mask[None]]).permute(1, 2, 0)
    turn_cameras = turntable_cameras(orbit(OrbitConfig(seed=seed)))
    turn = render_person(person, turn_cameras, pose=a_pose(), transl=rest, supersample=2)
    posed_cameras = around(photo_center(photo, camera), seed)
    posed = render_person(person, posed_cameras, supersample=2)
    return {
        "photo": to_bytes(on_white),
        "turn": to_bytes(rgba(turn)),
        "posed": to_bytes(rgba(posed)),
        "betas": person.betas.numpy(),
        "pose": person.pose.numpy(),
        "transl": rest.numpy(),
        "frame": photo_frame(crop.camera, camera),
        "surface": surface_points(person, turn_cameras),
        **pack("photo", crop.camera),
        **pack("turn", turn_cameras),
        **pack("posed", posed_cameras),
    }


def surface_points(person: Person, cameras: Cameras) -> Float[np.ndarray, "P 3"]:
    """Points of the dressed surface in the A-pose that some camera sees, drawn at random."""
    posed = pose_figure(person.betas, a_pose(), person.transl)
    vertices, _ = pose_mesh(person.mesh, load_figure(), posed)
    per_view = []
    for camera in (cameras[i] for i in range(len(cameras))):
        seen = rasterize_mesh(vertices, person.mesh.faces, camera, discard=person.mesh.fields)
        corners = vertices[person.mesh.faces[seen.face_id[seen.mask]]]  # (pixels, 3 corners, 3)
        per_view.append((corners * seen.bary[seen.mask][..., None]).sum(axis=1))
    points = np.concatenate(per_view)
    chosen = np.random.default_rng(person.seed).choice(len(points), NUM_SURFACE)
    return points[chosen].astype(np.float16)


def photo_frame(crop: Cameras, photo: Cameras) -> Float[np.ndarray, "4"]:
    """Left, top, right, bottom of the photo in pixels of its crop."""
    inside_out = (crop.Ks[0] @ torch.linalg.inv(photo.Ks[0])).numpy()
    corners = np.array([[0, 0, 1], [photo.width, photo.height, 1]]) @ inside_out.T
    return corners[:, :2].ravel().astype(np.float32)


def photo_center(views: PersonViews, camera: Cameras) -> Float[Tensor, "3"]:
    """Middle of what the photo shows, at its median depth; world metres."""
    y, x = torch.nonzero(views.alpha[0, ..., 0] > 0.5, as_tuple=True)
    depth = views.depth[0].reshape(camera.height, camera.width)[y, x].median()
    pixel = torch.tensor([(x.max() + x.min() + 1) / 2, (y.max() + y.min() + 1) / 2, 1.0])
    cam = torch.linalg.inv(camera.Ks[0]) @ pixel * depth
    return camera.viewmats[0, :3, :3].T @ (cam - camera.viewmats[0, :3, 3])


def around(center: Float[Tensor, "3"], seed: int) -> Cameras:
    """Two random cameras around the photo's pose, wide enough for raised arms."""
    rng = np.random.default_rng([seed, 77])
    azimuths = rng.uniform(40, 320, 2)
    return orbit_cameras(
        azimuths,
        rng.uniform(-15, 25, 2),
        radius_m=5.3,
        fov_y_deg=25.0,
        size=(192, 192),
        target=center,
    )


def rgba(views: PersonViews) -> Float[Tensor, "C H W 4"]:
    """Colour on white and coverage, side by side."""
    return torch.cat([views.rgb, views.alpha], dim=-1)


def to_bytes(values: Float[Tensor, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Values in [0, 1] as 0..255."""
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def pack(name: str, cameras: Cameras) -> dict[str, np.ndarray]:
    """The arrays under which a file keeps cameras."""
    return {f"{name}_viewmats": cameras.viewmats.numpy(), f"{name}_Ks": cameras.Ks.numpy()}


def load_sample(path: Path) -> Sample:
    """Read one person's file."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {k: torch.from_numpy(data[k]) for k in data.files}
    images = {k: arrays[k].float() / 255 for k in ("photo", "turn", "posed")}
    cameras = {
        k: Cameras(
            arrays[f"{k}_viewmats"], arrays[f"{k}_Ks"], images[k].shape[-2], images[k].shape[-3]
        )
        for k in images
    }
    rgb, mask = images["photo"][..., :3], images["photo"][..., 3]
    stack = torch.cat([rgb - (1 - mask[..., None]), mask[..., None]], dim=-1).permute(2, 0, 1)
    crop = crop_from_premultiplied(stack.clamp(0, 1), cameras["photo"], arrays["frame"])
    return Sample(
        crop,
        images["photo"],
        images["turn"],
        cameras["turn"],
        images["posed"],
        cameras["posed"],
        arrays["betas"],
        arrays["pose"],
        arrays["transl"],
        arrays["surface"].float(),
    )


def list_people(folder: Path, split: str) -> list[Path]:
    """Files of one split, by seed."""
    return sorted(Path(folder, split).glob("[0-9]*.npz"))


def write_people(
    folder: Path, split: str, *, num: int, first: int = 0, until: float = float("inf")
) -> list[Path]:
    """Render what is missing of `num` people, and return the files of those that are there.

    Args:
        folder: e.g. `runs/people`.
        split: "train", "val" or "test".
        num: how many.
        first: number of the first of them within the split.
        until: Unix time after which no further person is begun.
    """
    body, start = load_body(), FIRST_SEED[split] + first
    paths = [Path(folder, split, f"{seed:07d}.npz") for seed in range(start, start + num)]
    missing = [path for path in paths if not path.exists()]
    for path in tqdm(missing, desc=f"render {split} people", disable=not missing):
        if time.time() > until:
            break
        with atomic_path(path) as tmp, open(tmp, "wb") as file:
            np.savez(file, **make_sample(int(path.stem), split, body))
    return [path for path in paths if path.exists()]


def main(
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="which people")] = "train",
    first: Annotated[int, typer.Option(help="number of the first person in the split")] = 0,
    num: Annotated[int, typer.Option(help="how many")] = 1500,
    until: Annotated[float, typer.Option(help="Unix time to stop at")] = float("inf"),
    out: Annotated[Path, typer.Option(help="folder")] = FOLDER,
) -> None:
    """Render what is missing."""
    write_people(out, split, num=num, first=first, until=until)


if __name__ == "__main__":
    raise SystemExit(run(main))
