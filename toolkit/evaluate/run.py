"""The whole evaluation: people, their records, tables, one figure."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from toolkit.errors import MissingFileError, fail
from toolkit.evaluate.findings import is_success, misalignment, targets
from toolkit.evaluate.markdown import write_markdown
from toolkit.evaluate.plot import draw_figure
from toolkit.evaluate.scenes import CLIPS
from toolkit.evaluate.score_config import ScoreConfig, Source
from toolkit.evaluate.score_person import read_person, score_person
from toolkit.evaluate.summary import (
    evaluation,
    face_scale,
    main_views,
    mean_seconds,
    pose_views,
    tests,
    with_refined,
)
from toolkit.evaluate.variants import FRAMES, MEANING, VARIANTS, why_not
from toolkit.measure.lpips import why_no_lpips
from toolkit.profiles.choose import load_profile
from toolkit.run import report
from toolkit.run.folder import write_json
from toolkit.run.progress import Progress, silent

FEATURES = "EfficientNet-Lite0, block 14, mean over the picture (192 numbers), crops of 224 px"


@dataclass(frozen=True)
class EvaluateConfig:
    """Who is scored, and how.

    Attributes:
        split: of our own people, "val" or "test"; ignored with `people`.
        people: folder of other people's cases (`person_*`, see `case_folder.read_case`), or None.
        num: the most people that are scored.
        seed: of the bootstrap; that of the avatars is `score.pipeline.seed`.
        workers: processes; each needs about 1 GB of memory.
        score: variants, poses and the pipeline's settings.
    """

    split: str = "test"
    people: Path | None = None
    num: int = 64
    seed: int = 0
    workers: int = 1
    score: ScoreConfig = field(default_factory=lambda: ScoreConfig(clips=CLIPS))

    def __post_init__(self):
        unknown = sorted(set(self.score.variants) - set(VARIANTS))
        if unknown or not self.score.variants:
            fail(
                "variants",
                got=unknown or "none",
                wanted=f"some of {', '.join(VARIANTS)}",
                fix="Separate names by commas.",
            )
        if self.num < 1 or self.workers < 1:
            fail(
                "evaluate",
                got=f"num {self.num}, workers {self.workers}",
                wanted="1 or more of each",
                fix="Check the numbers.",
            )


def find_people(config: EvaluateConfig) -> list[Source]:
    """The people of a run, in order.

    Args:
        config: the split and its number of people, or the folder.

    Raises:
        MissingFileError: the folder has no `person_*`.
    """
    if config.people is None:
        return [
            Source(f"{config.split}_{seed:07d}", config.split, seed) for seed in range(config.num)
        ]
    folders = sorted(p for p in Path(config.people).glob("person_*") if p.is_dir())
    if not folders:
        fail(
            f"{config.people}",
            got="no folder person_*",
            wanted="one folder per person",
            fix="See toolkit.evaluate.case_folder.read_case.",
            kind=MissingFileError,
        )
    return [Source(folder.name, folder=folder) for folder in folders[: config.num]]


def evaluate(out_dir: str | Path, config: EvaluateConfig | None = None) -> dict:
    """Score everybody and write `evaluation.json`, `details.json`, `evaluation.md` and `.png`.

    Records that a killed run has finished are read back from `people/`; if a photo, weight or
    setting has changed, they are made anew.

    Args:
        out_dir: folder for the results.
        config: who is scored, and how.

    Returns:
        The content of `evaluation.json`: {variant: {sector: {measure: {mean, low, high}}}}.

    Raises:
        ToolkitError: nobody to score, an unknown variant, or nobody could be scored.
    """
    config, out_dir = config or EvaluateConfig(), Path(out_dir)
    sources = find_people(config)
    reasons = {name: why_not(name, posable=config.people is None) for name in config.score.variants}
    skipped = {name: reason for name, reason in reasons.items() if reason}
    score = ScoreConfig(
        **{
            **vars(config.score),
            "variants": tuple(name for name in config.score.variants if name not in skipped),
        }
    )
    fingerprint = load_profile(score.pipeline.profile).fingerprint
    task = partial(score_person, out_dir=out_dir / "people", config=score, fingerprint=fingerprint)
    with Progress("people", len(sources)) as tick, silent():
        for _ in _run_all(task, sources, config.workers):
            tick()
    records = {s.name: read_person(s, out_dir / "people", score, fingerprint) for s in sources}
    failed = {name: r["failed"]["error"] for name, r in records.items() if "failed" in r}
    people = {name: r for name, r in records.items() if name not in failed}
    if not people:
        fail(
            "evaluate",
            got=f"{len(failed)} people, all failed: {next(iter(failed.values()))}",
            wanted="at least one that the pipeline can work on",
            fix="Look at the photos.",
        )
    notes = skipped | ({"lpips": reason} if (reason := why_no_lpips()) else {})
    return _write(out_dir, config, score, people, {"skipped": notes, "failed": failed})


def _run_all(task: Callable[[Source], str], sources: list[Source], workers: int) -> Iterator[str]:
    """Run the task on everybody, here or in processes of one thread each."""
    if workers == 1:
        yield from map(task, sources)
        return
    context = multiprocessing.get_context("spawn")  # torch and numba do not survive a fork
    with ProcessPoolExecutor(min(workers, len(sources)), context, initializer=_one_thread) as pool:
        jobs = [pool.submit(_quietly, task, source) for source in sources]
        for job in as_completed(jobs):
            yield job.result()


def _one_thread() -> None:
    """The processes share the cores already; threads in each would only compete for them."""
    import torch

    torch.set_num_threads(1)


def _quietly(task: Callable[[Source], str], source: Source) -> str:
    with silent():  # that of the parent does not reach a spawned process
        return task(source)


def _write(
    out_dir: Path, config: EvaluateConfig, score: ScoreConfig, people: dict, notes: dict
) -> dict:
    """Tables, details and the figure.

    Args:
        out_dir: folder for the results.
        config: who is scored.
        score: with the variants that can be made for these people.
        people: everybody's records.
        notes: what was skipped and who failed, for `details.json`.
    """
    avatars = [v for v in score.variants if v not in FRAMES]  # these can be posed anew
    reached = targets(people, seed=config.seed)
    table = evaluation(people, score.variants, main_views, seed=config.seed)
    details = notes | {
        "people": sorted(people),
        "source": str(config.people or config.split),
        "meaning": {v: MEANING[v] for v in score.variants},
        "kid_features": FEATURES,
        "clips": score.clips if config.people is None else [],
        "tests": tests(people, score.variants, main_views, seed=config.seed),
        "novel_poses": evaluation(people, avatars, pose_views, seed=config.seed),
        "novel_poses_tests": tests(people, avatars, pose_views, seed=config.seed),
        "targets": reached,
        "success": is_success(reached),
        "misalignment": misalignment(people, seed=config.seed),
        "face_distance_of_different_people": face_scale(people),
        "seconds": mean_seconds(people, ("truth", *score.variants)),
        "cpu_seconds": mean_seconds(people, ("truth", *score.variants), "cpu_seconds"),
        "pipeline": asdict(score.pipeline),
        "versions": report.versions(),
    }
    result = with_refined(table)
    write_json(out_dir / "evaluation.json", result)
    write_json(out_dir / "details.json", details)
    write_markdown(out_dir / "evaluation.md", table, details)
    draw_figure(out_dir / "evaluation.png", table, details, out_dir / "people")
    return result
