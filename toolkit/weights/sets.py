"""Which weights serve a stage of the full profile together, and which of several sets is taken.

A stage takes the first set that is complete on this machine. `TOOLKIT_LHM` and `TOOLKIT_WAN` choose
another one.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from toolkit.errors import fail
from toolkit.weights.search import locate, require
from toolkit.weights.table import WEIGHTS

STAND_IN = "STAND_IN.txt"  # in every folder that tools/upkeep/tiny_weights.py makes


def _lhm(size: str, points: str) -> tuple[str, ...]:
    return f"lhm-{size}", f"lhm-points-{points}", "sapiens-1b"


# The first weight of a set names it. LHM's "HF" models are trained for half and full bodies.
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
    "prompts": (("llama-3.3-70b",), ("qwen2.5-7b",), ("smollm2-1.7b",)),
    # FLUX.1-dev last, although it is the paper's: its licence forbids to train on its pictures
    "images": (("flux.1-schnell",), ("flux.2-klein-4b",), ("z-image-turbo",), ("flux.1-dev",)),
}
CHOSEN_BY = {"coarse": "TOOLKIT_LHM", "prior": "TOOLKIT_WAN"}  # environment variables


def pick(stage: str) -> tuple[str, ...]:
    """Names of the weights that a stage uses, whether they are here or not: the one rule for it.

    Both a run and the doctor ask here, so that they cannot disagree.

    Args:
        stage: a key of `SETS`.

    Returns:
        The set that the stage's environment variable names, else the first complete one, else the
        one that lacks least.

    Raises:
        InputError: the stage's environment variable names no set.
    """
    sets = _set_from_environment(stage) or SETS[stage]
    lacking = [sum(not locate(WEIGHTS[name]).complete for name in names) for names in sets]
    return sets[min(range(len(sets)), key=lambda index: lacking[index])]  # the first of equals


def choose(stage: str) -> dict[str, Path]:
    """Names and folders of the weights that a stage uses.

    Args:
        stage: a key of `SETS`.

    Raises:
        InputError: the stage's environment variable names no set.
        MissingFileError: they are not complete; the message holds the command that fetches them.
    """
    return {name: require(name) for name in pick(stage)}


def _set_from_environment(stage: str) -> tuple[tuple[str, ...], ...]:
    """The one set that the stage's environment variable names; empty if it is not set."""
    variable = CHOSEN_BY.get(stage, "")
    name = os.environ.get(variable, "")
    matching = tuple(names for names in SETS[stage] if names[0] == name)
    if name and not matching:
        fail(
            variable,
            got=repr(name),
            wanted=f"one of {', '.join(s[0] for s in SETS[stage])}",
            fix="Unset it to take the first set that is complete.",
        )
    return matching


def label(name: str, folder: Path) -> str:
    """The weight's name, marked if the folder holds a stand-in, so that no report confuses them."""
    return f"{name} (stand-in)" if is_stand_in(folder) else name


def is_stand_in(folder: Path) -> bool:
    """Whether the folder holds tiny random weights in place of the published ones."""
    return (folder / STAND_IN).is_file()


def fingerprint(chosen: dict[str, Path]) -> str:
    """A digest that changes when a weight file is exchanged.

    Args:
        chosen: names and folders, as `choose` returns them.
    """
    return hash_ends(
        {
            f"{name} {path.relative_to(folder)}": path
            for name, folder in chosen.items()
            for path in _files(folder, WEIGHTS[name].files)
        }
    )


def hash_ends(files: dict[str, Path]) -> str:
    """Digest of labelled files: of each its size and its first and last MB, not all of 30 GB.

    The start of a safetensors file holds the names and shapes of all its tensors; the end holds the
    last of their values. Another training of the same network therefore gives another digest.
    """
    hasher = hashlib.sha256()
    for name, path in files.items():
        size = path.stat().st_size
        hasher.update(f"{name} {size}".encode())
        with path.open("rb") as file:
            hasher.update(file.read(2**20))
            file.seek(max(0, size - 2**20))
            hasher.update(file.read())
    return hasher.hexdigest()[:16]


def _files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Every file of the folder that a pattern matches, each once, in a fixed order."""
    return sorted({p for pattern in patterns for p in folder.glob(pattern) if p.is_file()})
