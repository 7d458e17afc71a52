"""One person, scored. Every variant's numbers are a file, so that a kill costs one variant."""

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.rig import Avatar
from toolkit.errors import InputError
from toolkit.evaluate.align import joint_errors_mm
from toolkit.evaluate.bench import Bench
from toolkit.evaluate.crops import CROP_PX, crop_square
from toolkit.evaluate.reference import Reference
from toolkit.evaluate.scenes import for_body, pose_scenes
from toolkit.evaluate.score_config import ScoreConfig, Source, make_case
from toolkit.evaluate.scores import round_floats, score_views
from toolkit.evaluate.true_body import photo_misalignment
from toolkit.evaluate.variants import FRAMES, TRUE_BODY, VARIANTS
from toolkit.measure.drift import measure_drift
from toolkit.measure.perceptual import pool_features
from toolkit.run.folder import read_json, write_json
from toolkit.show.export import write_image

SHOWN_DEG = (0.0, 90.0, 180.0)  # views in the pictures beside the records


@dataclass
class PersonScorer:
    """Scores a person's avatars against the truth, which is prepared when it is first needed.

    Attributes:
        bench: the person's stages.
        clips: novel poses, names of motion clips.
        base: the scorer of the same person on the estimated body, whose prepared truth is shared;
            None for that scorer itself.
    """

    bench: Bench
    clips: tuple[str, ...]
    base: "PersonScorer | None" = None

    @cached_property
    def photo(self) -> Reference:
        """The truth in the photo's pose."""
        if self.base is not None:
            return self._on_this_body(self.base.photo)
        return Reference.of(self.bench.scene)

    @cached_property
    def turntable(self) -> Reference:
        """The truth in the turntable's A pose."""
        return Reference.of(self.bench.turntable_scene)

    @cached_property
    def poses(self) -> list[Reference]:
        """The truth in the novel poses; people from folders have none."""
        if self.bench.case.person is None or not self.clips:
            return []
        if self.base is not None:
            return [self._on_this_body(reference) for reference in self.base.poses]
        return [Reference.of(s) for s in pose_scenes(self.bench.case, self.bench.body, self.clips)]

    def _on_this_body(self, reference: Reference) -> Reference:
        return reference.with_scene(for_body(reference.scene, self.bench.body))

    @cached_property
    def on_true_body(self) -> "PersonScorer":
        """The same truth, for avatars on the true body."""
        return PersonScorer(self.bench.on_true_body(), self.clips, base=self)

    def score(self, name: str) -> tuple[dict, np.ndarray]:
        """Numbers of a variant, and three of its views side by side as one picture."""
        return (self.on_true_body if name in TRUE_BODY else self)._score_here(name)

    def _score_here(self, name: str) -> tuple[dict, np.ndarray]:
        """With this scorer's own body."""
        variant = VARIANTS[name](self.bench)
        if not isinstance(variant, Avatar):  # frames: there is no avatar that could be posed anew
            return {"views": score_views(variant, self.turntable)}, _strip(
                variant.rgb, self.turntable
            )
        drawn = self.photo.scene.draw(variant)
        joints = joint_errors_mm(self.photo.scene.joints, self.photo.scene.views.joints)
        drift = measure_drift(self.bench.coarse.gaussians, variant.gaussians)
        record = {
            "views": score_views(drawn, self.photo),
            "poses": [score_views(ref.scene.draw(variant), ref) for ref in self.poses],
            "person": joints
            | photo_misalignment(self.bench, variant)
            | {"drift_mm": drift.mean_mm, "drift_p95_mm": drift.p95_mm},
        }
        return record, _strip(drawn.rgb, self.photo)

    def truth(self) -> tuple[dict, np.ndarray]:
        """Features of the true views: one half of KID, and how far apart true faces are."""
        turntable = {} if self.bench.case.person is None else {"turntable": self.turntable}
        scenes = {"photo": self.photo, **turntable}
        features = {
            name: round_floats(pool_features(ref.crops.features)) for name, ref in scenes.items()
        }
        features["poses"] = [round_floats(pool_features(ref.crops.features)) for ref in self.poses]
        faces = list(self.photo.crops.faces.values())
        record = {"features": features, "face": round_floats(faces[0]) if faces else None}
        return record, _strip(self.photo.scene.views.rgb, self.photo)


def _strip(
    rgb: Float[Tensor, "C H W 3"], reference: Reference
) -> Float[np.ndarray, "height width 3"]:
    """Crops of the front, side and back views, side by side."""
    azimuths = reference.scene.views.azimuths_deg
    nearest = [int(np.argmin(np.abs((azimuths - a + 180) % 360 - 180))) for a in SHOWN_DEG]
    plain = torch.zeros(*rgb.shape[1:3], 1)  # `crop_square` wants a coverage; it is not shown
    return torch.cat(
        [crop_square(rgb[i], plain, reference.boxes[i], CROP_PX)[..., :3] for i in nearest], dim=1
    ).numpy()


def read_record(path: Path, key: str) -> dict | None:
    """A finished record of the same inputs, else None."""
    record = read_json(path) if path.is_file() else {}
    return record if record.get("key") == key else None


def score_person(source: Source, out_dir: Path, config: ScoreConfig, fingerprint: str) -> str:
    """Make those of a person's records that are missing; returns the person's name.

    A photo in which the pipeline finds nobody, or cannot go on, is a result too: `failed.json`.

    Args:
        source: the person.
        out_dir: holds one folder per person.
        config: variants, poses and the pipeline's settings.
        fingerprint: of the models' weights.
    """
    folder, key = Path(out_dir) / source.name, config.key(source, fingerprint)
    need_own_person = FRAMES + TRUE_BODY  # cannot be variant for people from folders
    names = (
        "truth",
        *(v for v in config.variants if source.folder is None or v not in need_own_person),
    )
    missing = [v for v in names if read_record(folder / f"{v}.json", key) is None]
    if not missing or read_record(folder / "failed.json", key) is not None:
        return source.name
    case = make_case(source, folder, config)  # a folder that is not as documented stops the run
    try:
        scorer = PersonScorer(Bench.open(case, folder / "job", config.pipeline), config.clips)
        for name in missing:
            _write_record(scorer, name, folder, key)
    except InputError as error:
        write_json(folder / "failed.json", {"key": key, "error": str(error)})
    return source.name


def _write_record(scorer: PersonScorer, name: str, folder: Path, key: str) -> None:
    """One record and the picture beside it."""
    start, cpu_start = time.perf_counter(), time.process_time()
    record, picture = scorer.truth() if name == "truth" else scorer.score(name)
    write_image(folder / f"{name}.png", picture)
    write_json(
        folder / f"{name}.json",
        {
            "key": key,
            "seconds": round(time.perf_counter() - start, 2),
            "cpu_seconds": round(time.process_time() - cpu_start, 2),
            **record,
        },
    )


def read_person(source: Source, out_dir: Path, config: ScoreConfig, fingerprint: str) -> dict:
    """All of a person's records by variant; `{"failed": ...}` if the pipeline could not go on."""
    folder, key = Path(out_dir) / source.name, config.key(source, fingerprint)
    names = ("failed", "truth", *config.variants)
    records = {name: read_record(folder / f"{name}.json", key) for name in names}
    return {name: record for name, record in records.items() if record is not None}
