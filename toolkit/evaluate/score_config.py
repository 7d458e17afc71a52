"""Who is scored and what their numbers depend on: both together are the identity of a record."""

from dataclasses import dataclass
from pathlib import Path

from toolkit.evaluate.case_folder import read_case
from toolkit.evaluate.cases import Case, procedural_case
from toolkit.evaluate.variants import VARIANTS
from toolkit.measure.lpips import load_lpips
from toolkit.profiles.base import PipelineConfig
from toolkit.run.folder import digest

VERSION = 3  # raise it when a measure changes, so that old records are made anew


@dataclass(frozen=True)
class Source:
    """Where a person comes from: one of our own by its seed, or somebody else's folder.

    Attributes:
        name: of the person and of the folder with its records.
        split: "val" or "test", of our own people.
        seed: of our own people.
        folder: see `case_folder.read_case`; None for our own people.
    """

    name: str
    split: str = ""
    seed: int = -1
    folder: Path | None = None

    def key(self) -> str:
        """Identity of the photo and the truth."""
        if self.folder is None:
            return digest(self.split, str(self.seed))
        files = sorted(p for p in self.folder.rglob("*") if p.is_file())
        return digest(*(part for p in files for part in (p.name, p.read_bytes())))


@dataclass(frozen=True)
class ScoreConfig:
    """What a person's numbers depend on besides the person.

    Attributes:
        variants: keys of `variants.VARIANTS`.
        clips: novel poses, names of motion clips; only for our own people.
        pipeline: how avatars are made.
        photo_px: height and width of our own people's photos.
        view_px: height and width of their true views.
        num_views: true views, evenly around the person.
    """

    variants: tuple[str, ...] = tuple(VARIANTS)
    clips: tuple[str, ...] = ()
    pipeline: PipelineConfig = PipelineConfig()
    photo_px: int = 512
    view_px: int = 256
    num_views: int = 12

    def key(self, source: Source, fingerprint: str) -> str:
        """Identity of a record. Adding a variant leaves the records of the others valid."""
        clips = self.clips if source.folder is None else ()
        has_lpips = load_lpips() is not None
        return digest(
            str(VERSION),
            source.key(),
            repr(self.pipeline),
            fingerprint,
            repr((clips, self.photo_px, self.view_px, self.num_views, has_lpips)),
        )


def make_case(source: Source, folder: Path, config: ScoreConfig) -> Case:
    """Photo and truth of a source; our own people's photo is written into `folder`."""
    if source.folder is not None:
        return read_case(source.folder)
    return procedural_case(
        source.seed,
        source.split,
        folder,
        photo_px=config.photo_px,
        view_px=config.view_px,
        num_views=config.num_views,
    )
