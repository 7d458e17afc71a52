"""Turntable clips, scored without a refit: what tables of samplers and sweeps of strength need.

Two questions to a clip: how near is it to the truth where the photo did not look (side and back),
and how much of what the photo did see has it kept?
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.evaluate.bench import Bench
from toolkit.evaluate.cases import from_seed
from toolkit.evaluate.scores import (
    CROP_PX,
    Look,
    Reference,
    band_energies,
    crop_square,
    look_at_person,
    round_floats,
)
from toolkit.evaluate.stats import in_sector, interval, kid, paired, person_values
from toolkit.evaluate.variants import frames
from toolkit.measure.metrics import masked_psnr
from toolkit.measure.perceptual import compare_features, pool_features
from toolkit.prior.prior import Condition
from toolkit.prior.sdedit import SDEditConfig, Velocity, sdedit
from toolkit.profiles.base import PipelineConfig
from toolkit.refine.edit import as_clip, as_frames, clip_condition
from toolkit.refine.target import matte
from toolkit.render.api import Render

MOST_SEEN, FEWEST_PX = 0.5, 200  # a pixel was seen above it; a view counts from so many on


@dataclass
class ClipScorer:
    """One person's coarse clip and truth, from the photo alone.

    Attributes:
        bench: its stages.
    """

    bench: Bench

    @classmethod
    def from_seed(
        cls, seed: int, split: str, folder: Path, config: PipelineConfig | None = None
    ) -> "ClipScorer":
        """A procedural person: the photo is taken, the body fitted, the coarse clip rendered."""
        case = from_seed(seed, split, Path(folder), num_views=1)
        return cls(Bench.open(case, Path(folder) / "job", config))

    def prepare(self) -> None:
        """Make now what is otherwise made when first asked for, so that timing shows edits only."""
        _ = self.bench.turntable, self.reference.look, self._coarse, self._seen_crops

    @cached_property
    def reference(self) -> Reference:
        return Reference.of(self.bench.turntable_scene)

    @cached_property
    def x0(self) -> Float[Tensor, "1 3 T H W"]:
        """The coarse clip in model units."""
        return as_clip(self.bench.turntable.rgb)

    @cached_property
    def keep(self) -> Float[Tensor, "1 1 T H W"]:
        """What the photo saw."""
        return self.bench.turntable.seen.permute(3, 0, 1, 2)[None]

    def condition(self, *, repair: bool) -> Condition:
        """What the repairer is told, or the plain prior, which must not see the coarse clip."""
        condition = clip_condition(self.bench.turntable)
        return condition if repair else replace(condition, coarse=None, seen=None, carried=None)

    def edit(
        self, velocity: Velocity, config: SDEditConfig, *, repair: bool, seed: int = 0, **more
    ) -> Float[Tensor, "T H W 3"]:
        """SDEdit of the coarse clip; `more` goes to `sdedit`."""
        clip = sdedit(
            velocity,
            self.x0,
            self.condition(repair=repair),
            config=config,
            generator=torch.Generator().manual_seed(seed),
            **more,
        )
        return as_frames(clip)

    @cached_property
    def _coarse(self) -> tuple[Render, Look]:
        """The coarse clip, cut out as every other is."""
        turntable = self.bench.turntable
        drawn = frames(self.bench, *matte(turntable.rgb, turntable.alpha))
        return drawn, look_at_person(drawn.rgb, drawn.alpha, self.reference.truth)

    @cached_property
    def _seen_crops(self) -> Float[Tensor, "C S S"]:
        turntable, boxes = self.bench.turntable, self.reference.boxes
        return torch.stack(
            [
                crop_square(turntable.rgb[i], turntable.seen[i], box, CROP_PX)[..., 3]
                for i, box in enumerate(boxes)
            ]
        )

    def score_clip(self, clip: Float[Tensor, "T H W 3"]) -> dict:
        """`score` of a prior's frames, cut out as the refit would see them."""
        return self.score(frames(self.bench, *matte(clip, self.bench.turntable.alpha)))

    def score(self, drawn: Render) -> dict:
        """Numbers of one clip or of an avatar's renders.

        `psnr`, `perceptual`, `sharpness...`: side and back, against the truth, as in `measures`.
        `seen_psnr`: against the truth where the photo saw; `kept_psnr`, `kept_perceptual`:
        against the coarse clip there. `features`: of side and back views, for KID.
        """
        truth, rgb = self.reference.scene.views, drawn.rgb.clamp(0, 1)
        look, true = look_at_person(rgb, drawn.alpha, self.reference.truth), self.reference.look
        bands = [
            band_energies(look.rgb[i], true.rgb[i], torch.minimum(look.alpha[i], true.alpha[i]))
            for i in range(len(rgb))
        ]
        views = {
            "psnr": masked_psnr(rgb, truth.rgb, truth.alpha > 0.5).tolist(),
            "perceptual": compare_features(look.features, true.features, true.alpha).tolist(),
            "energy": [ours for ours, _ in bands],
            "energy_true": [own for _, own in bands],
            "azimuths_deg": truth.azimuths_deg.tolist(),
        }
        chosen = in_sector(truth.azimuths_deg, "side_back")
        return (
            person_values(views, "side_back")
            | self._kept(rgb, look)
            | {
                "features": round_floats(pool_features([f[chosen] for f in look.features])),
                "true_features": round_floats(pool_features([f[chosen] for f in true.features])),
            }
        )

    def _kept(self, rgb: Tensor, look: Look) -> dict[str, float]:
        """Faithfulness, over the views that show enough of what the photo saw."""
        turntable, truth = self.bench.turntable, self.reference.scene.views
        seen = (turntable.seen > MOST_SEEN) & (truth.alpha > 0.5)
        shown = seen.sum((1, 2, 3)) >= FEWEST_PX
        coarse, coarse_look = self._coarse
        features = compare_features(look.features, coarse_look.features, self._seen_crops)
        return {
            "seen_psnr": float(masked_psnr(rgb, truth.rgb, seen)[shown].mean()),
            "kept_psnr": float(masked_psnr(rgb, coarse.rgb, seen)[shown].mean()),
            "kept_perceptual": float(features[shown].mean()),
        }


def measure(make: Callable[[], object]) -> tuple[object, float]:
    """What `make` returns, and the CPU seconds it took."""
    start = time.process_time()
    made = make()
    return made, time.process_time() - start


def summarise(scores: dict[str, Sequence[dict]], *, baseline: str, seed: int = 0) -> dict:
    """Rows of a table from the scores of the same people under each name.

    Returns:
        name -> measure -> {mean, low, high}; with `kid`, and `change`: the paired difference from
        the baseline in PSNR and perceptual distance, with its p.
    """
    rows = {}
    for name, people in scores.items():
        generator = np.random.default_rng(seed)
        keys = [k for k in people[0] if not k.endswith("features")]
        row = {k: interval([p[k] for p in people if k in p], generator) for k in keys}
        row["kid"] = kid(
            [np.array(p["features"]) for p in people],
            [np.array(p["true_features"]) for p in people],
            generator,
        )
        row["change"] = {
            k: paired(
                {str(i): p[k] for i, p in enumerate(scores[baseline])},
                {str(i): p[k] for i, p in enumerate(people)},
                generator,
            )
            for k in ("psnr", "perceptual")
        }
        rows[name] = row
    return rows


def markdown(rows: dict[str, dict], columns: dict[str, tuple[str, str]]) -> str:
    """A table of means; columns: measure -> (title, format)."""
    lines = [
        "| | " + " | ".join(title for title, _ in columns.values()) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, row in rows.items():
        cells = [_cell(row.get(key), form) for key, (_, form) in columns.items()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: dict | None, form: str) -> str:
    if value is None or not np.isfinite(value["mean"]):
        return ""
    return format(value["mean"], form)
