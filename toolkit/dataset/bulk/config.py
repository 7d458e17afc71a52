"""Settings of a bulk run, from a TOML file or from the command line."""

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from toolkit.dataset.selection import parse_selection
from toolkit.errors import MissingFileError, fail, one_line
from toolkit.run.options import check_num_gaussians

TRIED = {  # steps of the stored Gaussians, until one keeps `quantise.MIN_DB`
    "fine": ("fine",),
    "compact": ("coarse", "medium", "fine"),
}
SEEDS = 1_000_000  # of procedural people in the "train" split


@dataclass(frozen=True)
class Gates:
    """What an avatar has to reach to be in the set; measured in the photo's own view.

    Attributes:
        min_iou: of the refined avatar's silhouette with the person's mask.
        max_shift_percent: by how much its texture lies off, in percent of the person's height.
        max_drift_mm: mean distance of the refined Gaussians from the coarse ones.
    """

    min_iou: float = 0.85
    max_shift_percent: float = 1.0
    max_drift_mm: float = 4.0


@dataclass(frozen=True)
class BulkConfig:
    """What the bytes of a set depend on, besides the code, the weights and the number of people.

    Attributes:
        seed: of the records, the pictures and the avatars.
        selection: attributes that are fixed or excluded, e.g. "gender=woman", "hat!=none".
        profile: of the avatars, "embedded" or "full".
        prompts: "grammar", a chat model of `toolkit.weights`, or "http://host:port#model".
        images: "procedural", or a preset of `toolkit.dataset.images_diffusers`.
        photo_px: height and width of procedural photos.
        photo_quality: of the WebP that is stored, and that the avatar is made from.
        num_gaussians: of an avatar; None takes the profile's default.
        fit_steps: of the refit, after two passes of a linear solve for the colours.
        steps: of the stored Gaussians: "fine", or "compact", which takes the largest steps that
            lose little enough of this person.
        shard_size: records per shard.
        gates: what an avatar has to reach.
    """

    seed: int = 0
    selection: tuple[str, ...] = ()
    profile: str = "embedded"
    prompts: str = "grammar"
    images: str = "procedural"
    photo_px: int = 512
    photo_quality: int = 90
    num_gaussians: int | None = None
    fit_steps: int = 30
    steps: str = "fine"
    shard_size: int = 128
    gates: Gates = field(default_factory=Gates)

    def __post_init__(self):
        ranges = {
            "seed": (0, 2**31),
            "photo_px": (128, 2048),
            "photo_quality": (1, 100),
            "fit_steps": (0, 10_000),
            "shard_size": (1, 100_000),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                fail(name, got=repr(value), wanted=f"{low} to {high}", fix="See --help.")
        for owner in (self, self.gates):
            for entry in fields(owner):
                _check_kind(entry.name, getattr(owner, entry.name), entry.default)
        if self.steps not in TRIED:
            fail("steps", got=repr(self.steps), wanted=f"one of {', '.join(TRIED)}", fix="Try one.")
        parse_selection(self.selection)  # refuses what is unknown

    def to_json(self) -> dict:
        """Settings as JSON has them."""
        return asdict(self) | {"selection": list(self.selection)}


def _check_kind(name: str, value: object, default: object) -> None:
    """Words where the default is a word, numbers where it is a number, also for None."""
    if isinstance(default, str) and not isinstance(value, str):
        fail(name, got=repr(value), wanted="a text in quotes", fix=f'Try "{default}".')
    if isinstance(default, float) and (type(value) not in (int, float) or not 0 <= value < 1e6):
        fail(name, got=repr(value), wanted="a number from 0", fix=f"Try {default}.")
    if name == "num_gaussians":
        if value is not None and type(value) is not int:
            fail(name, got=repr(value), wanted="a whole number", fix="Try 20000.")
        check_num_gaussians(value)


def read_config(path: Path | None, *, selection: Iterable[str] = ()) -> BulkConfig:
    """Settings from a TOML file; what it does not name has its default.

    Args:
        path: keys are those of `BulkConfig`, and of `Gates` in a table [gates]; None: no file.
        selection: added to the file's.

    Raises:
        MissingFileError: there is no such file.
        InputError: it is no TOML, or has an unknown key or a bad value.
    """
    content = _read_toml(path) if path else {}
    gates = content.pop("gates", {})
    chosen = content.get("selection", [])
    words = isinstance(chosen, list) and all(isinstance(word, str) for word in chosen)
    if not isinstance(gates, dict) or not words:
        wanted = 'a table [gates], and selection = ["gender=woman"]'
        fail(f"{path}", got=f"gates {gates!r}, selection {chosen!r}", wanted=wanted, fix="Edit it.")
    for kind, given in ((BulkConfig, content), (Gates, gates)):
        known = [f.name for f in fields(kind)]
        if unknown := sorted(set(given) - set(known)):
            fail(f"{path}", got=f"{unknown[0]!r}", wanted=f"{', '.join(known)}", fix="Rename it.")
    content["selection"] = (*content.get("selection", ()), *selection)
    return replace(BulkConfig(), **content, gates=Gates(**gates))


def _read_toml(path: Path) -> dict:
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist. Give the path of a TOML file.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        fail(
            f"{path}",
            got=one_line(error),
            wanted="TOML",
            fix='For example: images = "z-image-turbo"',
        )
