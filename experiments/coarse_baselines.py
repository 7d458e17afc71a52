"""What a coarse avatar has to beat: the front mirrored to the back, and the nearest neighbour."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor
from tqdm import tqdm

from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.coarse.observation import AnchorLayout
from toolkit.gaussians import Gaussians
from toolkit.people.draw.render import PersonViews, render_person
from toolkit.people.sample import sample_person
from toolkit.prior.orbit import OrbitConfig, orbit, turntable_cameras
from toolkit.run.files import atomic_path
from tools.train.people import Sample, to_bytes

DEPTH_WEIGHT = 0.2  # in the search for a mirrored anchor, place in the picture counts first


def mirror_front(
    gaussians: Gaussians, visible: Bool[Tensor, " N"], layout: AnchorLayout
) -> Gaussians:
    """Give each unseen Gaussian the colour of the seen one at its front-back mirror place (T-pose).

    Args:
        gaussians: an avatar.
        visible: what the photo saw.
        layout: where the anchors lie in the T-pose.
    """
    points, middle = layout.points, layout.points[:, 2].median()
    squeeze = torch.tensor([1.0, 1.0, DEPTH_WEIGHT])
    mirrored = points * torch.tensor([1.0, 1, -1]) + torch.stack(
        [0 * middle, 0 * middle, 2 * middle]
    )
    tree = cKDTree((points[visible] * squeeze).numpy())
    place = torch.from_numpy(tree.query((mirrored * squeeze).numpy())[1])
    colors = gaussians.colors
    return gaussians.recolored(torch.where(visible[:, None], colors, colors[visible][place]))


@dataclass(frozen=True)
class FrontLibrary:
    """Frontal pictures of training people in the A-pose, at half size.

    Attributes:
        fronts: on white, in [0, 1].
        seeds: of the people, in the same order.
    """

    fronts: Float[np.ndarray, "P h w 3"]
    seeds: list[int]

    @classmethod
    def draw(cls, num: int, cache: Path) -> "FrontLibrary":
        """Frame 0 of the turntables of the first `num` training people.

        Six of them take about a second, so they are kept in the file `cache`.
        """
        if not cache.is_file():
            fronts = np.stack([draw_front(seed) for seed in tqdm(range(num), desc="fronts")])
            with atomic_path(cache) as tmp:
                np.savez(tmp, fronts=fronts)
        with np.load(cache, allow_pickle=False) as data:
            return cls(data["fronts"], list(range(len(data["fronts"]))))

    def nearest(self, front: Float[Tensor, "H W 3"], rows: int) -> int:
        """Seed of the person whose front differs least in the first `rows` rows of pixels."""
        query = halved(front.numpy())[: rows // 2]
        errors = [float(((f[: rows // 2] - query) ** 2).sum()) for f in self.fronts]
        return self.seeds[int(np.argmin(errors))]


def draw_front(seed: int) -> Float[np.ndarray, "h w 3"]:
    """One training person as its file of `tools.train.people` shows it in frame 0, at half size."""
    person = sample_person(seed, "train")
    rest = -load_body().rest_joints(person.betas)[0]
    camera = turntable_cameras(orbit(OrbitConfig(seed=seed)))[0]
    view = render_person(person, camera, pose=a_pose(), transl=rest, supersample=2)
    return halved(to_bytes(view.rgb[0]).astype(np.float32) / 255)


def halved(picture: Float[np.ndarray, "H W C"]) -> Float[np.ndarray, "h w C"]:
    """Means of 2 x 2 pixels."""
    h, w, c = picture.shape
    return picture.reshape(h // 2, 2, w // 2, 2, c).mean((1, 3))


def dress_like(seed: int, sample: Sample) -> tuple[PersonViews, PersonViews]:
    """The true body in a training person's hair, clothes and light: photo's view and turntable."""
    person = replace(sample_person(seed, "train"), betas=sample.betas)
    front = render_person(
        person, sample.crop.camera, pose=sample.pose, transl=sample.transl, supersample=2
    )
    return front, render_person(
        person, sample.turn_cameras, pose=a_pose(), transl=sample.transl, supersample=2
    )
