"""Turntable clips, scored without a refit: what tables of samplers and sweeps of strength need.

Two questions are put to a clip: how near is it to the truth where the photo did not look (side and
back), and how much does it keep of what the photo did see?
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.evaluate.bench import Bench
from toolkit.evaluate.cases import procedural_case
from toolkit.evaluate.crops import CROP_PX, Crops, crop_square
from toolkit.evaluate.kernel_distance import kid
from toolkit.evaluate.reference import Reference
from toolkit.evaluate.scores import octave_energies, round_floats
from toolkit.evaluate.stats import in_sector, mean_interval, paired_change, person_values
from toolkit.evaluate.variants import as_render
from toolkit.measure.metrics import masked_psnr
from toolkit.measure.perceptual import compare_features, pool_features
from toolkit.prior.prior import Condition
from toolkit.prior.sdedit import SDEditConfig, Velocity, sdedit
from toolkit.profiles.base import PipelineConfig
from toolkit.refine.edit import as_clip, as_frames, clip_condition
from toolkit.refine.target import matte
from toolkit.render.api import Render

SEEN_ABOVE = 0.5  # a pixel counts as seen by the photo from here on
MIN_SEEN_PX = 200  # a view with fewer seen pixels does not count


@dataclass
class ClipScorer:
    """One person's coarse clip and truth, from the photo alone.

    Attributes:
        bench: the person's stages.
    """

    bench: Bench

    @classmethod
    def from_seed(
        cls, seed: int, split: str, folder: Path, config: PipelineConfig | None = None
    ) -> "ClipScorer":
        """One of our own people: the photo is taken, the person found; stages are still to come.

        Args:
            seed: of the person.
            split: "val" or "test", people that no model has seen.
            folder: gets the photo and the finished stages.
            config: of the pipeline.
        """
        case = procedural_case(seed, split, Path(folder), num_views=1)
        return cls(Bench.open(case, Path(folder) / "job", config))

    def prepare(self) -> None:
        """Compute everything that is shared by all clips, so that timing shows the edits only."""
        _ = self.bench.turntable, self.reference.crops, self._coarse, self._seen_crops

    @cached_property
    def reference(self) -> Reference:
        """The truth in the turntable's A pose."""
        return Reference.of(self.bench.turntable_scene)

    @cached_property
    def x0(self) -> Float[Tensor, "1 3 T H W"]:
        """The coarse clip in [-1, 1]."""
        return as_clip(self.bench.turntable.rgb)

    @cached_property
    def keep(self) -> Float[Tensor, "1 1 T H W"]:
        """What the photo saw of it, in [0, 1]."""
        return self.bench.turntable.seen.permute(3, 0, 1, 2)[None]

    def condition(self, *, repair: bool) -> Condition:
        """What a prior knows of the clip.

        Args:
            repair: for the repairer, which sees the coarse clip; the plain prior must not.
        """
        condition = clip_condition(self.bench.turntable)
        return condition if repair else replace(condition, coarse=None, seen=None, carried=None)

    def edit(
        self, velocity: Velocity, config: SDEditConfig, *, repair: bool, seed: int = 0, **hooks: Any
    ) -> Float[Tensor, "T H W 3"]:
        """SDEdit of the coarse clip.

        Args:
            velocity: of the prior.
            config: how far the clip is noised and how it comes back.
            repair: whether the prior sees the coarse clip, see `condition`.
            seed: of the noise.
            hooks: further arguments of `sdedit`, such as `keep` and `project`.
        """
        clip = sdedit(
            velocity,
            self.x0,
            self.condition(repair=repair),
            config=config,
            generator=torch.Generator().manual_seed(seed),
            **hooks,
        )
        return as_frames(clip)

    @cached_property
    def _coarse(self) -> tuple[Render, Crops]:
        """The coarse clip, cut out as every other clip is."""
        turntable = self.bench.turntable
        drawn = as_render(self.bench, *matte(turntable.rgb, turntable.alpha))
        return drawn, self.reference.truth.crop_as_truth(drawn.rgb, drawn.alpha)

    @cached_property
    def _seen_crops(self) -> Float[Tensor, "C S S"]:
        """What the photo saw, in the squares around the true person."""
        turntable, boxes = self.bench.turntable, self.reference.boxes
        return torch.stack(
            [
                # channel 3 is what `crop_square` takes for the coverage
                crop_square(turntable.rgb[i], turntable.seen[i], box, CROP_PX)[..., 3]
                for i, box in enumerate(boxes)
            ]
        )

    def score_clip(self, clip: Float[Tensor, "T H W 3"]) -> dict:
        """`score` of a prior's frames, cut out as the refit would see them."""
        return self.score(as_render(self.bench, *matte(clip, self.bench.turntable.alpha)))

    def score(self, drawn: Render) -> dict:
        """Numbers of one clip or of an avatar's renders.

        `psnr`, `perceptual`, `sharpness...`: side and back, against the truth, as in
        `evaluate.scores`. `seen_psnr`: against the truth where the photo saw; `kept_psnr`,
        `kept_perceptual`: against the coarse clip in the same places. `features`: of side and back
        views, for KID.
        """
        truth, true = self.reference.scene.views, self.reference.crops
        rgb = drawn.rgb.clamp(0, 1)
        crops = self.reference.truth.crop_as_truth(rgb, drawn.alpha)
        views = {
            "psnr": masked_psnr(rgb, truth.rgb, truth.alpha > 0.5).tolist(),
            "perceptual": compare_features(crops.features, true.features, true.alpha).tolist(),
            "azimuths_deg": truth.azimuths_deg.tolist(),
            **octave_energies(crops, true),
        }
        chosen = in_sector(truth.azimuths_deg, "side_back")
        return (
            person_values(views, "side_back")
            | self._faithfulness(rgb, crops)
            | {
                "features": round_floats(pool_features([f[chosen] for f in crops.features])),
                "true_features": round_floats(pool_features([f[chosen] for f in true.features])),
            }
        )

    def _faithfulness(self, rgb: Float[Tensor, "T H W 3"], crops: Crops) -> dict[str, float]:
        """Means over the views that show enough of what the photo saw."""
        turntable, truth = self.bench.turntable, self.reference.scene.views
        seen = (turntable.seen > SEEN_ABOVE) & (truth.alpha > 0.5)
        chosen = seen.sum((1, 2, 3)) >= MIN_SEEN_PX
        coarse, coarse_crops = self._coarse
        features = compare_features(crops.features, coarse_crops.features, self._seen_crops)
        return {
            "seen_psnr": float(masked_psnr(rgb, truth.rgb, seen)[chosen].mean()),
            "kept_psnr": float(masked_psnr(rgb, coarse.rgb, seen)[chosen].mean()),
            "kept_perceptual": float(features[chosen].mean()),
        }


def timed(make: Callable[[], object]) -> tuple[object, float]:
    """What `make` returns, and the CPU seconds it took."""
    start = time.process_time()
    result = make()
    return result, time.process_time() - start


def summarise(scores: dict[str, Sequence[dict]], *, baseline: str, seed: int = 0) -> dict:
    """Rows of a table from the scores of the same people under each name.

    Args:
        scores: name -> `ClipScorer.score` of each person, in the same order under every name.
        baseline: the name that all are compared with.
        seed: of the bootstrap.

    Returns:
        name -> measure -> {mean, low, high}; with `kid`, and `change`: the paired difference from
        the baseline in PSNR and perceptual distance, with its p.
    """
    rows = {}
    for name, people in scores.items():
        generator = np.random.default_rng(seed)
        keys = [k for k in people[0] if not k.endswith("features")]
        row = {k: mean_interval([p[k] for p in people if k in p], generator) for k in keys}
        row["kid"] = kid(
            [np.array(p["features"]) for p in people],
            [np.array(p["true_features"]) for p in people],
            generator,
        )
        row["change"] = {
            k: paired_change(
                {str(i): p[k] for i, p in enumerate(scores[baseline])},
                {str(i): p[k] for i, p in enumerate(people)},
                generator,
            )
            for k in ("psnr", "perceptual")
        }
        rows[name] = row
    return rows


def means_table(rows: dict[str, dict], columns: dict[str, tuple[str, str]]) -> str:
    """A Markdown table of the means in `summarise`'s rows.

    Args:
        rows: what `summarise` returned.
        columns: measure -> (title, format).
    """
    lines = [
        "| | " + " | ".join(title for title, _ in columns.values()) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, row in rows.items():
        cells = [_mean_cell(row.get(key), form) for key, (_, form) in columns.items()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _mean_cell(value: dict | None, form: str) -> str:
    if value is None or not np.isfinite(value["mean"]):
        return ""
    return format(value["mean"], form)
