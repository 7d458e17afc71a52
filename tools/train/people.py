"""Render training people to `runs/people/<split>/<seed>.npz`.

    python -m tools.train.people --split train --first 0 --num 1500
    python -m tools.train.people --split val --num 16

A file holds: photo (256,256,4) uint8, person crop on white and coverage; turn (13,192,96,4), the
A-posed turntable on a dynamic orbit (seed = the person's), front first; posed (2,192,192,4), random
views in the photo's pose; every camera; betas, pose, transl (of both poses); surface (8000,3)
float16, points of the dressed surface that the turntable sees, in the A-pose.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.cameras import Cameras, orbit_cameras
from toolkit.people.draw.render import render_person
from toolkit.people.dress.assemble import pose_mesh
from toolkit.people.figure import load_figure, pose_figure
from toolkit.people.person import Person
from toolkit.people.sample import sample_person
from toolkit.photo.crop import PhotoCrop, crop_from_premultiplied, crop_photo
from toolkit.prior.orbit import OrbitConfig, orbit, turntable_cameras
from toolkit.render.mesh import rasterize_mesh
from toolkit.run.files import atomic_path

FIRST_SEED = {"train": 0, "val": 1_000_000, "test": 2_000_000}
PHOTO_PX = 320  # rendered at this size, then cropped and reduced to the network's 256
NUM_SURFACE = 8000


@dataclass(frozen=True)
class Sample:
    """One person as the trainings read it; RGBA is straight colour on white, and coverage."""

    crop: PhotoCrop
    photo_rgba: Tensor
    turn_rgba: Tensor
    turn_cameras: Cameras
    posed_rgba: Tensor
    posed_cameras: Cameras
    betas: Tensor
    pose: Tensor
    transl: Tensor
    surface: Tensor


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


def surface_points(person: Person, cameras: Cameras) -> np.ndarray:
    """Points of the dressed A-posed surface that some camera sees, evenly thinned."""
    posed = pose_figure(person.betas, a_pose(), person.transl)
    vertices, _ = pose_mesh(person.mesh, load_figure(), posed)
    found = []
    for camera in (cameras[i] for i in range(len(cameras))):
        seen = rasterize_mesh(vertices, person.mesh.faces, camera, discard=person.mesh.fields)
        corners = vertices[person.mesh.faces[seen.face_id[seen.mask]]]
        found.append((corners * seen.bary[seen.mask][..., None]).sum(axis=1))
    points = np.concatenate(found)
    chosen = np.random.default_rng(person.seed).choice(len(points), NUM_SURFACE)
    return points[chosen].astype(np.float16)


def photo_frame(crop: Cameras, photo: Cameras) -> np.ndarray:
    """Left, top, right, bottom of the photo in pixels of its crop."""
    inside_out = (crop.Ks[0] @ torch.linalg.inv(photo.Ks[0])).numpy()
    corners = np.array([[0, 0, 1], [photo.width, photo.height, 1]]) @ inside_out.T
    return corners[:, :2].ravel().astype(np.float32)


def photo_center(views, camera: Cameras) -> Tensor:
    """Middle of what the photo shows, world metres."""
    y, x = torch.nonzero(views.alpha[0, ..., 0] > 0.5, as_tuple=True)
    depth = views.depth[0].reshape(camera.height, camera.width)[y, x].median()
    pixel = torch.tensor([(x.max() + x.min() + 1) / 2, (y.max() + y.min() + 1) / 2, 1.0])
    cam = torch.linalg.inv(camera.Ks[0]) @ pixel * depth
    return camera.viewmats[0, :3, :3].T @ (cam - camera.viewmats[0, :3, 3])


def around(center: Tensor, seed: int) -> Cameras:
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


def rgba(views) -> Tensor:
    return torch.cat([views.rgb, views.alpha], dim=-1)


def to_bytes(values: Tensor) -> np.ndarray:
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def pack(name: str, cameras: Cameras) -> dict[str, np.ndarray]:
    return {f"{name}_viewmats": cameras.viewmats.numpy(), f"{name}_Ks": cameras.Ks.numpy()}


def load_sample(path: Path) -> Sample:
    """Read one file of `make_people`."""
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


def list_people(folder: str, split: str) -> list[Path]:
    """Files of one split, by seed."""
    return sorted(Path(folder, split).glob("[0-9]*.npz"))


def main(args) -> None:
    """Render what is missing."""
    body = load_body()
    first = FIRST_SEED[args.split] + args.first
    for seed in tqdm(range(first, first + args.num)):
        path = Path(args.out, args.split, f"{seed:07d}.npz")
        if path.exists() or time.time() > args.until:
            continue
        with atomic_path(path) as tmp, open(tmp, "wb") as file:
            np.savez(file, **make_sample(seed, args.split, body))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=FIRST_SEED, default="train")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--num", type=int, default=1500)
    parser.add_argument("--until", type=float, default=float("inf"), help="unix time to stop at")
    parser.add_argument("--out", default="runs/people")
    main(parser.parse_args())
