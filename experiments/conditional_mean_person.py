"""One person of `experiments.conditional_mean`: the truths that share its photo, and the errors."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import binary_erosion
from torch import Tensor

from experiments.coarse_scores import renders, sectors
from toolkit.body.model import BodyModel
from toolkit.body.motion import a_pose
from toolkit.coarse.observation import observe
from toolkit.errors import fail
from toolkit.measure.blur import band_contrast
from toolkit.measure.metrics import masked_psnr
from toolkit.measure.variance import split_error
from toolkit.people.alternatives import sample_alternative_lights, sample_alternatives
from toolkit.people.draw.render import render_person
from toolkit.people.person import Person
from toolkit.people.redraw import redraw_noise
from toolkit.people.sample import sample_person
from toolkit.render.api import Render
from tools.train.people import Sample, load_sample

NECK, HIPS = 12, 0  # joints between the bands of rows
INNER_PX = 2
LIGHTS = 4  # other lights per person
SAME_PICTURE = 0.003  # half a grey level, and rounding

Views = tuple[Float[Tensor, "M C H W 3"], Float[Tensor, "M C H W 1"]]
Masks = dict[str, Bool[Tensor, "C H W"]]


def draw_truths(
    person: Person, sample: Sample, frames: list[int], num: int, lit: bool
) -> dict[str, Views]:
    """RGB and alpha of the person and of the others with the same photo, for every kind."""
    same, rng = sample_alternatives(person, num - 1), np.random.default_rng(person.seed)
    groups = {"choices": same, "grain": [redraw_noise(other, rng) for other in same]}
    if lit:
        groups["light"] = sample_alternative_lights(person, LIGHTS)
    cameras, drawn = sample.turn_cameras[frames], {}
    for kind, group in groups.items():
        views = [
            render_person(p, cameras, pose=a_pose(), transl=sample.transl, supersample=2)
            for p in [person, *group]
        ]
        drawn[kind] = torch.stack([v.rgb for v in views]), torch.stack([v.alpha for v in views])
    return drawn


@torch.no_grad()
def draw_avatar(sample: Sample, setup: SimpleNamespace) -> Render:
    """The coarse avatar's turntable, made from the one photo on the true body."""
    guess = SimpleNamespace(betas=sample.betas, pose=sample.pose, transl=sample.transl)
    seen = observe(sample.crop, guess, setup.body, setup.anchors)
    gaussians = setup.model(sample.crop, setup.layout, seen)
    return renders(gaussians, guess, sample, setup.body, setup.anchors)[1]


def regions(
    alpha: Float[Tensor, "M C H W 1"], sample: Sample, frames: list[int], body: BodyModel
) -> Masks:
    """Masks by name, from the mean coverage of all truths."""
    person = alpha.mean(0)[..., 0] > 0.5
    inner = np.stack([binary_erosion(m, iterations=INNER_PX) for m in person.numpy()])
    joints = body(sample.betas, a_pose(), sample.transl).joints
    rows = sample.turn_cameras[frames].project(joints[[NECK, HIPS]])[0][..., 1]
    row = torch.arange(person.shape[1])[None, :, None] + 0.5  # pixel centres
    neck, hips = rows[:, :1, None], rows[:, 1:, None]
    return {
        "person": person,
        "inner": torch.from_numpy(inner),
        "head": person & (row < neck),
        "trunk": person & (row >= neck) & (row < hips),
        "legs": person & (row >= hips),
    }


def compare(
    drawn: Float[Tensor, "C H W 3"], truths: Float[Tensor, "M C H W 3"], masks: Masks
) -> dict[str, dict[str, float]]:
    """Split of the error, PSNRs and the part of the bias that a gain would mend, by region."""
    mean, scores = truths.mean(0), {}
    for name, mask in masks.items():
        split, m = split_error(drawn, truths, mask), mask[..., None].float()
        # The gain per view and channel that brings the avatar nearest to the mean, least squares.
        gain = (m * drawn * mean).sum((1, 2), True) / (m * drawn**2).sum((1, 2), True)
        mended = split_error(drawn * gain, truths, mask)
        singles = torch.stack([masked_psnr(drawn, t, mask) for t in truths])
        scores[name] = {
            "bias": split.bias.mean(),
            "variance": split.variance.mean(),
            "tint": (split.bias - mended.bias).mean(),
            "psnr_one": singles.mean(),
            "psnr_mean": masked_psnr(drawn, mean, mask).mean(),
        }
    return {name: {k: float(v) for k, v in row.items()} for name, row in scores.items()}


def contrasts(
    drawn: Float[Tensor, "C H W 3"], truths: Float[Tensor, "M C H W 3"], mask: Bool[Tensor, "C H W"]
) -> dict[str, list[float]]:
    """Mean squared contrast in four octaves: of a single truth, of their mean, of the avatar."""

    def energy(pictures: Float[Tensor, "C H W 3"]) -> list[float]:
        bands = [band_contrast(p, m) ** 2 for p, m in zip(pictures, mask.float(), strict=True)]
        return np.nanmean(bands, axis=0).tolist()

    return {
        "truth": np.mean([energy(t) for t in truths[:4]], axis=0).tolist(),
        "mean": energy(truths.mean(0)),
        "avatar": energy(drawn),
    }


def examine(
    path: Path, setup: SimpleNamespace, split: str, num_truths: int, lit: bool
) -> list[dict]:
    """A row per kind of truths and sector.

    Raises:
        InputError: the rendered file does not show what the generator draws today.
    """
    sample, seed = load_sample(path), int(path.stem)
    person = sample_person(seed, split)
    groups = {k: v[:: max(1, len(v) - 1)][:2] for k, v in sectors(seed).items()}
    frames = sorted({f for group in groups.values() for f in group})
    turn, rows = draw_avatar(sample, setup), []
    truths = draw_truths(person, sample, frames, num_truths, lit)
    off = float((truths["choices"][0][0] - sample.turn_rgba[frames][..., :3]).abs().max())
    if off > SAME_PICTURE:
        fail(
            str(path),
            got=f"a person that differs by {off:.3f} from what the generator draws today",
            wanted="the same pictures",
            fix="Remove the file and run again.",
        )
    for kind, (rgb, alpha) in truths.items():
        masks = regions(alpha, sample, frames, setup.body)
        for sector, group in groups.items():
            at = [frames.index(f) for f in group]
            chosen = {name: mask[at] for name, mask in masks.items()}
            rows.append(
                {
                    "seed": seed,
                    "kind": kind,
                    "sector": sector,
                    "framing": person.attributes["framing"],
                    "regions": compare(turn.rgb[group], rgb[:, at], chosen),
                    "contrast": contrasts(turn.rgb[group], rgb[:, at], chosen["person"]),
                }
            )
    return rows
