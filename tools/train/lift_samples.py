"""What the landmark net says about rendered people, beside their true bodies: the lifter's data.

    python -m tools.train.lift_samples --people runs/people --num 4000 --workers 2 --worker 0

Reads the person crops of `tools.train.people`, lays each over a backdrop and asks the net as the
pipeline does. Blocks of 50 people go to `runs/lift/SPLIT_FIRSTSEED.npz`; existing blocks are kept.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from jaxtyping import Float, Int
from tqdm import tqdm

from toolkit.people.paint.backdrop import sample_backdrop
from toolkit.photo.detection.candidates import upright_roi
from toolkit.photo.detection.landmarks import read_points
from toolkit.photo.detection.roi import Roi
from toolkit.run.files import atomic_path
from tools.command import run
from tools.train.people import FOLDER, list_people

BORDER, BLOCK = 72, 50  # pixels around the crop; people per file
TRUTH = ("betas", "pose", "transl")


def picture_of(
    rgba: Float[np.ndarray, "256 256 4"], frame: Float[np.ndarray, "4"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "S S 3"], Int[np.ndarray, "4"]]:
    """The crop with a border, over a backdrop; black beyond the photo, as the net sees it.

    Args:
        rgba: straight colour on white and coverage, in [0, 1].
        frame: left, top, right, bottom of the photo in pixels of the crop.
        rng: of backdrop, gamma and grain.

    Returns:
        The picture, and the photo's frame in its pixels.
    """
    side = len(rgba) + 2 * BORDER
    place = sample_backdrop(rng, (side // 2, side // 2), horizon=rng.uniform(0.3, 0.9))
    image = place.repeat(2, axis=0).repeat(2, axis=1)  # out of focus anyway
    alpha, inner = rgba[..., 3:], slice(BORDER, side - BORDER)
    image[inner, inner] = rgba[..., :3] - (1 - alpha) + (1 - alpha) * image[inner, inner]
    image = image.clip(0, 1) ** rng.uniform(0.9, 1.1)
    image += rng.normal(0, rng.uniform(0.002, 0.012), image.shape)
    left, top, right, bottom = frame = np.rint(frame + BORDER).clip(0, side).astype(int)
    known = np.zeros((side, side, 1), np.float32)
    known[top:bottom, left:right] = 1
    return (image.clip(0, 1) * known).astype(np.float32), frame


def person_square(
    alpha: Float[np.ndarray, "256 256"], hip: Float[np.ndarray, "2"], rng: np.random.Generator
) -> Roi:
    """About the square that the net would choose: around the hips, as large as the body."""
    rows, cols = np.nonzero(alpha > 0.5)
    far = np.hypot(cols + BORDER - hip[0], rows + BORDER - hip[1]).max() * rng.uniform(0.95, 1.1)
    turn = rng.normal(0, np.deg2rad(3))
    center = hip + rng.normal(0, 0.02, 2) * far
    return upright_roi(center, center - far * np.array([-np.sin(turn), np.cos(turn)]))


def read_person(path: Path) -> dict[str, np.ndarray]:
    """The net's answer in pixels of the bordered crop, the camera and the true body."""
    with np.load(path, allow_pickle=False) as data:
        names = ("photo", "frame", "photo_Ks", "photo_viewmats", *TRUTH)
        arrays = {name: data[name] for name in names}
    seed = int(path.stem)
    rng = np.random.default_rng([seed, 5])
    rgba = arrays["photo"].astype(np.float32) / 255
    image, frame = picture_of(rgba, arrays["frame"], rng)
    K, pelvis = arrays["photo_Ks"][0].copy(), arrays["photo_viewmats"][0][:3, 3]
    K[:2, 2] += BORDER
    hip = (K @ pelvis)[:2] / pelvis[2]
    answer = read_points(image, person_square(rgba[..., 3], hip, rng))
    inside = ((answer.keypoints[:, :2] >= frame[:2]) & (answer.keypoints[:, :2] < frame[2:])).all(1)
    keypoints = answer.keypoints * np.column_stack([np.ones((33, 2)), inside])
    return {
        "seed": np.int64(seed),
        "keypoints": keypoints.astype(np.float32),
        "world": answer.world.astype(np.float32),
        "score": np.float32(answer.score),
        "K": K,
        "pelvis": pelvis,
        **{name: arrays[name] for name in TRUTH},
    }


def main(  # noqa: PLR0913 - one argument per option
    people: Annotated[Path, typer.Option(help="folder of tools.train.people")] = FOLDER,
    split: Annotated[Literal["train", "val"], typer.Option(help="which people")] = "train",
    num: Annotated[int, typer.Option(help="at most so many people")] = 4000,
    out: Annotated[Path, typer.Option(help="folder for the blocks")] = Path("runs/lift"),
    workers: Annotated[int, typer.Option(help="number of processes started by hand")] = 1,
    worker: Annotated[int, typer.Option(help="which of them this one is, from 0")] = 0,
) -> None:
    """Ask the net about everybody and write the blocks that are missing."""
    torch.set_num_threads(1)
    paths = list_people(people, split)[:num]
    blocks = [paths[i : i + BLOCK] for i in range(0, len(paths), BLOCK)]
    for block in tqdm(blocks[worker::workers], desc="blocks", mininterval=10):
        file = out / f"{split}_{int(block[0].stem):07d}.npz"
        if not file.exists():
            rows = [read_person(path) for path in block]
            with atomic_path(file) as partial:
                np.savez_compressed(partial, **{n: np.stack([r[n] for r in rows]) for n in rows[0]})


if __name__ == "__main__":
    raise SystemExit(run(main))
