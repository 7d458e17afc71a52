"""Which weights serve a stage of the full profile together, and which of several sets is taken.

A stage takes the first set that is complete on this machine; `TOOLKIT_LHM` and `TOOLKIT_WAN` name
another one.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from toolkit.errors import fail
from toolkit.weights.table import WEIGHTS, locate, require

STAND_IN = "STAND_IN.txt"  # in every folder that tools/upkeep/tiny_weights.py makes


def _lhm(size: str, points: str) -> tuple[str, ...]:
    return f"lhm-{size}", f"lhm-points-{points}", "sapiens-1b"


# "HF" are LHM's half- and full-body models; the first of a set names it.
SETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "body": (("smplx",),),
    "pose": (("multi-hmr",),),
    "coarse": (
        _lhm("500m-hf", "40k"),
        _lhm("1b-hf", "40k"),
        _lhm("500m", "40k"),
        _lhm("1b", "40k"),
        _lhm("mini", "20k"),
    ),
    "prior": (("wan2.1-t2v-1.3b",), ("wan2.1-t2v-14b",), ("wan2.1-i2v-14b-480p",)),
}
CHOSEN_BY = {"coarse": "TOOLKIT_LHM", "prior": "TOOLKIT_WAN"}


def choose(stage: str) -> dict[str, Path]:
    """Names and folders of the weights that a stage uses.

    Raises:
        InputError: the stage's variable names no set.
        MissingFileError: no set is complete; with the command for what the nearest one lacks.
    """
    sets = _asked_for(stage) or SETS[stage]
    lacks = [[name for name in names if not locate(WEIGHTS[name]).complete] for names in sets]
    best = min(range(len(sets)), key=lambda index: len(lacks[index]))  # of equals the first
    return {name: require(name) for name in sets[best]}


def _asked_for(stage: str) -> tuple[tuple[str, ...], ...]:
    """The set that the environment names; nothing if it names none."""
    variable = CHOSEN_BY.get(stage, "")
    name = os.environ.get(variable, "")
    found = tuple(names for names in SETS[stage] if names[0] == name)
    if name and not found:
        fail(
            variable,
            got=repr(name),
            wanted=f"one of {', '.join(s[0] for s in SETS[stage])}",
            fix="Unset it to take the first set that is complete.",
        )
    return found


def label(name: str, folder: Path) -> str:
    """The weight's name; what `tools/upkeep/tiny_weights.py` made does not go by the bare name."""
    return f"{name} (stand-in)" if is_stand_in(folder) else name


def is_stand_in(folder: Path) -> bool:
    """Whether the folder holds tiny random weights in place of the published ones."""
    return (folder / STAND_IN).is_file()


def fingerprint(chosen: dict[str, Path]) -> str:
    """Changes when a weight file is exchanged."""
    return hash_ends(
        {
            f"{name} {path.relative_to(folder)}": path
            for name, folder in chosen.items()
            for path in _files(folder, WEIGHTS[name].files)
        }
    )


def hash_ends(files: dict[str, Path]) -> str:
    """Digest of labelled files; reads the ends of each, not all of 30 GB."""
    hasher = hashlib.sha256()
    for label, path in files.items():
        size = path.stat().st_size
        hasher.update(f"{label} {size}".encode())
        with path.open("rb") as file:
            hasher.update(file.read(2**20))
            file.seek(max(0, size - 2**20))
            hasher.update(file.read())
    return hasher.hexdigest()[:16]


def _files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(found)
