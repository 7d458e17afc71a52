"""Where a weight is looked for on this machine; nothing here downloads or opens a connection.

A weight lies in `TOOLKIT_WEIGHTS/<name>` or, if it comes from the Hugging Face hub, in the hub's
cache at the pinned revision. The first complete copy is taken, so a folder of your own wins.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name

from toolkit.errors import MissingFileError, fail
from toolkit.weights.commands import fetch_command, weights_dir
from toolkit.weights.table import WEIGHTS
from toolkit.weights.weight import Weight


@dataclass(frozen=True)
class Located:
    """What this machine holds of a weight.

    Attributes:
        folder: the first complete copy, else the first incomplete one, else None.
        missing: patterns and shards that `folder` lacks.
        looked: every folder that was tried, in order.
        bytes: on disk, of all files in `folder`.
    """

    folder: Path | None
    missing: tuple[str, ...]
    looked: tuple[Path, ...]
    bytes: int = 0

    @property
    def complete(self) -> bool:
        """Whether the weight can be loaded from `folder`."""
        return self.folder is not None and not self.missing


def hub_cache() -> Path:
    """The hub's cache as huggingface_hub itself reads it from `HF_HUB_CACHE`, `HF_HOME`, ..."""
    return Path(constants.HF_HUB_CACHE)


def locate(weight: Weight) -> Located:
    """Look in a weight's own folders, then in the hub's cache; the first complete copy wins."""
    looked = _places(weight)
    incomplete = None
    for folder in (path for path in looked if path.is_dir()):
        missing = missing_files(folder, weight.files)
        if set(missing) >= set(weight.files):
            continue  # the folder exists, but holds no file of this weight
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        located = Located(folder, missing, looked, size)
        if located.complete:
            return located
        incomplete = incomplete or located
    return incomplete or Located(None, weight.files, looked)


def require(name: str) -> Path:
    """Folder of a complete copy of a weight.

    Args:
        name: a key of `WEIGHTS`.

    Raises:
        InputError: the table has no such row.
        MissingFileError: no complete copy; the message holds the licence, the size and the command.
    """
    if name not in WEIGHTS:
        fail("weight", got=repr(name), wanted=f"one of {', '.join(WEIGHTS)}", fix="Check the name.")
    weight, located = WEIGHTS[name], locate(WEIGHTS[name])
    if not located.complete:
        gate = ", accept its terms first" if weight.gated else ""
        fail(
            f"Weight {name} ({weight.licence}, {weight.size_text}{gate})",
            got=f"no {', '.join(located.missing[:3])} in {located.folder or located.looked[0]}",
            wanted="a complete copy",
            fix=f"Get it with: {fetch_command(weight)}",
            kind=MissingFileError,
        )
    return located.folder


def missing_files(folder: Path, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns that match no file, and shards that an index names but the folder does not hold.

    We check this ourselves, because huggingface_hub can tell whether a snapshot is complete only
    for downloads into its own cache, and never for a folder that was copied from another machine.
    A link whose target is gone (an interrupted download) counts as missing.

    Args:
        folder: one copy of a weight.
        patterns: `Weight.files`.
    """
    missing = [p for p in patterns if not any(path.is_file() for path in folder.glob(p))]
    # A large model is cut into shards; its index maps each tensor's name to a shard's file.
    for index in sorted(folder.rglob("*.safetensors.index.json")):
        try:
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, OSError):
            missing.append(f"{index.relative_to(folder)} (unreadable)")
            continue
        missing += [
            str(shard.relative_to(folder))
            for name in shards
            if not (shard := index.parent / name).is_file()
        ]
    return tuple(missing)


def _places(weight: Weight) -> tuple[Path, ...]:
    """Every folder that may hold a weight, in the order in which they are tried."""
    own_folder = os.environ.get(weight.folder_variable) if weight.folder_variable else None
    places = [Path(own_folder).expanduser()] if own_folder else []
    places.append(weights_dir() / weight.name)
    if weight.on_hub:
        places.append(_hub_snapshot(weight))
    return tuple(places)


def _hub_snapshot(weight: Weight) -> Path:
    """The hub cache's folder of the pinned revision (unpinned: of main), or where it would be."""
    try:
        # An empty list of patterns asks for the folder alone, and `missing_files` then says what it
        # lacks. With other patterns the library raises an error for an incomplete snapshot.
        return Path(
            snapshot_download(
                weight.source, revision=weight.revision, allow_patterns=[], local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        repository = repo_folder_name(repo_id=weight.source, repo_type="model")
        return hub_cache() / repository / "snapshots" / (weight.revision or "main")
