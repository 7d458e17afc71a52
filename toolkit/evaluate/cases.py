"""What is scored: a photo, and pictures of the same person that the pipeline never sees.

Our own people (`procedural_case`) and other people's folders (`case_folder.read_case`) become the
same `Case`, so that everything after this module treats them alike.
"""

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
from toolkit.people.draw.photo import photo_camera, photo_of
from toolkit.people.draw.render import render_person
from toolkit.people.person import Person
from toolkit.people.sample import NUM_SKIN, sample_person
from toolkit.run.files import atomic_path

VIEW_PX, NUM_VIEWS = 256, 12  # of our own people
ELEVATIONS_DEG = (0.0, 10.0, 20.0)  # of the true views, in turn around the person

Azimuths = Sequence[float] | Float[np.ndarray, " C"]  # degrees; 0 is the photo's side


@dataclass(frozen=True)
class Views:
    """True pictures of a person in one pose; world as in `docs/conventions.md`.

    Attributes:
        cameras: one per picture.
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
        photo_camera: its true camera. The pipeline does not know it; only scoring uses it.
        views: the truth, in the photo's pose.
        person: the procedural person, who can be posed anew; None for other people's folders.
    """

    name: str
    photo: Path
    photo_camera: Cameras
    views: Views
    person: Person | None = None


def coco_joints(vertices: Float[Tensor, "V 3"]) -> Float[Tensor, "17 3"]:
    """COCO's 17 keypoints of a posed body of ours: each is a weighted mean of vertices."""
    return torch.from_numpy(load_body().extra["coco17"]).float() @ vertices


def true_views(
    person: Person,
    cameras: Cameras,
    azimuths: Azimuths,
    *,
    pose: Float[Tensor, "55 3"] | None = None,
    transl: Float[Tensor, " 3"] | None = None,
) -> Views:
    """Render a procedural person as the truth.

    Args:
        person: who is rendered.
        cameras: from where.
        azimuths: of the cameras around the person, degrees.
        pose: radians; the person's own pose, that of its photo, if None.
        transl: metres; the person's own if None.
    """
    pose = person.pose if pose is None else pose
    transl = person.transl if transl is None else transl
    drawn = render_person(person, cameras, pose=pose, transl=transl, supersample=2)
    vertices = load_body()(person.betas, pose, transl, person.expression).vertices
    return Views(
        cameras, drawn.rgb, drawn.alpha, np.asarray(azimuths, np.float64), coco_joints(vertices)
    )


def cameras_around(azimuths: Azimuths, center: Float[Tensor, " 3"]) -> Cameras:
    """Cameras whose pictures hold a person with stretched limbs.

    Args:
        azimuths: one per camera, degrees; the elevations follow `ELEVATIONS_DEG`.
        center: middle of the body, metres.
    """
    elevations = [ELEVATIONS_DEG[i % len(ELEVATIONS_DEG)] for i in range(len(azimuths))]
    # at 5.3 m a field of view of 25 degrees covers 2.35 m: arms held up or out fit in
    return orbit_cameras(
        list(azimuths),
        elevations,
        radius_m=5.3,
        fov_y_deg=25.0,
        size=(VIEW_PX, VIEW_PX),
        target=center,
    )


def body_center(
    person: Person, pose: Float[Tensor, "55 3"], transl: Float[Tensor, " 3"]
) -> Float[Tensor, " 3"]:
    """Middle of the box around the posed skin, metres."""
    points = load_body()(person.betas, pose, transl).vertices[:NUM_SKIN]
    return (points.amin(0) + points.amax(0)) / 2


def procedural_case(
    seed: int,
    split: str,
    folder: Path,
    *,
    photo_px: int = 512,
    view_px: int = VIEW_PX,
    num_views: int = NUM_VIEWS,
) -> Case:
    """One of our own people: the photo is written into a folder, the truth rendered.

    Args:
        seed: of the person, see `people.sample.sample_person`.
        split: "val" or "test", people that no model has seen.
        folder: gets `photo.png`.
        photo_px: height and width of the photo.
        view_px: height and width of the true views.
        num_views: true views, evenly around the person.
    """
    person = sample_person(seed, split)
    size = (photo_px, photo_px)
    picture, _ = photo_of(person, size, supersample=2)
    path = Path(folder) / "photo.png"
    with atomic_path(path) as tmp:
        Image.fromarray(picture).save(tmp)
    azimuths = np.arange(num_views) * 360.0 / num_views
    cameras = cameras_around(azimuths, body_center(person, person.pose, person.transl))
    return Case(
        f"{split}_{person.seed:07d}",
        path,
        photo_camera(person.photo_camera, size),
        true_views(person, cameras.resized(view_px, view_px), azimuths),
        person,
    )
