"""Does the refit tear pieces off? Validation people in hard poses, and two photos.

    python -m experiments.debris                      # 24 people and the photos, writes the table
    python -m experiments.debris --num 2 --out runs/debris.json        # a trial

Each person is photographed, and the whole job runs on the photo up to the refit, which is done with
each of `FITS`. "Pieces" are what `measure.debris` counts in the photo's camera at 640 pixels. PSNR
is taken in the photo's own view, inside the mask, and on turntable views of the true person in the
A pose. A person's numbers are kept in runs/debris, so a killed run goes on.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import matplotlib.cbook
import numpy as np
import skimage.data
import torch
import typer
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from experiments.document import Out, TableOnly, markdown_table, number, publish
from experiments.hard_poses import hard_person
from experiments.refit import WAYS
from toolkit import pipeline
from toolkit.body.motion import a_pose
from toolkit.body.rig import Avatar
from toolkit.errors import ToolkitError
from toolkit.measure.debris import count_debris
from toolkit.people.draw.photo import photo_of
from toolkit.people.draw.render import render_person
from toolkit.people.person import Person
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.orbit import static_orbit, turntable_cameras
from toolkit.profiles.base import PipelineConfig, Profile
from toolkit.profiles.choose import load_profile
from toolkit.refine.refit import FitConfig
from toolkit.refine.turntable import pose_for_turntable
from toolkit.render.api import render
from toolkit.run.files import atomic_path
from toolkit.run.folder import digest, read_json, write_json
from tools.command import run

FITS = {way.words: way.config for way in (WAYS["adam_100"], WAYS["solve_2_60"])}
PIECES_PX = 640
SIDE_VIEWS = (1, 2, 3)  # of a turntable of four
PHOTOS = {"astronaut": skimage.data.astronaut, "hopper": lambda: _sample("grace_hopper.jpg")}
KEPT = Path("runs/debris")


def _sample(name: str) -> np.ndarray:
    return np.asarray(Image.open(matplotlib.cbook.get_sample_data(name, asfileobj=False)))


def measure(num: int, fits: dict[str, FitConfig]) -> dict:
    """Rows of all people and photos, fresh or from an earlier run."""
    torch.set_num_threads(1)
    profile, people, photos = load_profile("embedded"), {}, {}
    for index in tqdm(range(num), desc="people"):
        pose, person = hard_person(index)
        picture = photo_of(person, supersample=2)[0]
        people[str(index)] = {"pose": pose} | kept(picture, profile, fits, person)
    for name, load in PHOTOS.items():
        photos[name] = kept(load(), profile, fits, None)
    return {"people": people, "photos": photos}


def kept(
    picture: np.ndarray, profile: Profile, fits: dict[str, FitConfig], person: Person | None
) -> dict:
    """The rows of one picture by fit; those of an earlier run of the same code are read back."""
    key = digest(picture.tobytes(), repr(fits), profile.fingerprint)
    path = KEPT / f"{key}.json"
    if not path.exists():
        write_json(path, score_picture(picture, profile, fits, person))
    return read_json(path)


def score_picture(
    picture: np.ndarray, profile: Profile, fits: dict[str, FitConfig], person: Person | None
) -> dict:
    """Pieces and PSNR of the coarse avatar and of each fit; or why the photo was refused."""
    config = PipelineConfig().resolved(profile)
    with atomic_path(KEPT / "photo.png") as tmp:
        Image.fromarray(picture).save(tmp, format="PNG")
    try:
        photo, detection = pipeline.read_person(KEPT / "photo.png")
    except ToolkitError as error:
        return {"refused": str(error)}
    body = profile.fit_body(photo, detection)
    anchors = profile.make_anchors(config.num_gaussians)
    coarse = pipeline.predict_coarse(profile, photo, body, anchors)
    visible = pipeline.seen_anchors(photo, body, profile, anchors)
    turntable = pipeline.make_turntable(coarse, visible, config, profile)
    clip = pipeline.edit_turntable(turntable, config, profile)
    targets = pipeline.make_targets(photo, body, coarse, turntable, clip)
    truth = None if person is None else true_turntable(person)
    avatars = {"coarse": coarse} | {
        name: pipeline.refit(coarse, targets, fit, config.seed) for name, fit in fits.items()
    }
    return {name: score(a, photo.rgb, body, truth) for name, a in avatars.items()}


def true_turntable(person: Person) -> Float[Tensor, "T H W 4"]:
    """The dressed person in the A pose from four sides, on white, with coverage."""
    cameras = turntable_cameras(static_orbit(4), size=(192, 96))
    views = render_person(replace(person, pose=a_pose()), cameras, supersample=2)
    return torch.cat([views.rgb, views.alpha], dim=-1)


@torch.no_grad()
def score(
    avatar: Avatar,
    photo: Float[np.ndarray, "H W 3"],
    body: PhotoBody,
    truth: Float[Tensor, "T H W 4"] | None,
) -> dict[str, float]:
    """Pieces, PSNR in the photo's view, and PSNR of side and back."""
    posed = avatar.posed(body.pose, body.transl)
    scale = PIECES_PX / body.camera.height
    large = body.camera.resized(round(scale * body.camera.width), PIECES_PX)
    alpha = render(posed, large).alpha[0, ..., 0].numpy()
    own = render(posed, body.camera).rgb[0].numpy()
    inside = np.asarray(body.mask) > 0.5
    result = {
        "pieces": count_debris(alpha),
        "photo_db": psnr(np.square(own - photo)[inside].mean()),
    }
    if truth is not None:
        cameras = turntable_cameras(static_orbit(4), size=(192, 96))
        drawn = render(pose_for_turntable(avatar), cameras).rgb
        views = list(SIDE_VIEWS)
        error = (drawn - truth[..., :3]).square()[views]
        result["side_db"] = psnr(error[truth[views, ..., 3] > 0.5].mean())
    return result


def psnr(squared_error: float) -> float:
    """PSNR in dB of a mean squared error."""
    return -10 * float(np.log10(max(float(squared_error), 1e-12)))


def tables(numbers: dict) -> dict[str, str]:
    """A row per avatar: people, and the photos."""
    people = [row for row in numbers["people"].values() if "refused" not in row]
    photos = [row for row in numbers["photos"].values() if "refused" not in row]
    refused = len(numbers["people"]) - len(people)
    names = [name for name in people[0] if name != "pose"]
    rows = []
    for name in names:
        pieces = [row[name]["pieces"] for row in people]
        rows.append(
            [
                name,
                number(np.mean(pieces), 2),
                str(max(pieces)),
                str(sum(p > 0 for p in pieces)),
                number(np.mean([row[name]["photo_db"] for row in people]), 2),
                number(np.mean([row[name]["side_db"] for row in people]), 2),
                ", ".join(str(row[name]["pieces"]) for row in photos),
            ]
        )
    heads = ["", "pieces, mean", "most", "people with any", "photo's view, dB", "side + back, dB"]
    caption = (
        f"{len(people)} val people in hard poses (refused: {refused}), and "
        f"{len(photos)} photos ({', '.join(numbers['photos'])}). Goal: no pieces.\n\n"
    )
    return {"": caption + markdown_table([*heads, "pieces, photos"], rows)}


def main(
    num: Annotated[int, typer.Option(help="number of people")] = 24,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Measure and write docs/results/debris.json with its table."""
    publish("debris", lambda: measure(num, FITS), tables, table_only=table_only, out=out)


if __name__ == "__main__":
    raise SystemExit(run(main))
