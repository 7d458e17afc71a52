"""Is a set whole? Every file against its checksum, every sample against the index."""

import json
import zipfile
from collections.abc import Iterator

from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.index import read_index, rows_of
from toolkit.dataset.bulk.log import LINES, SUMMARY
from toolkit.dataset.bulk.manifest import Manifest, sha256_of, unseal
from toolkit.dataset.bulk.quantise import decode
from toolkit.dataset.bulk.tars import read_members, read_samples
from toolkit.errors import ToolkitError
from toolkit.run.progress import Progress


def verify(folder: SetFolder) -> list[str]:
    """What is wrong with a set, one sentence each; nothing if it is whole.

    Args:
        folder: of the set.

    Raises:
        MissingFileError: there is no set in it.
    """
    try:
        manifest = Manifest.load(folder)
    except ToolkitError as error:
        if not folder.manifest.is_file():
            raise
        return [str(error)]
    if not manifest.finished:
        return [f"{folder.path} is not finished: run the command that made it once more."]
    problems = [*_files(folder, manifest), *_log(folder)]
    with Progress("shards", len(manifest.shards)) as tick:
        damaged = []
        for shard in manifest.shards:
            damaged += _checked(folder, shard.file, shard.sha256)
            tick()
    # a damaged file differs from the index in any case: one sentence about it is enough
    return problems + damaged or [*_samples(folder, manifest)]


def _checked(folder: SetFolder, name: str, digest: str) -> list[str]:
    path = folder.path / name
    if not path.is_file():
        return [f"{name} is missing."]
    return [] if sha256_of(path) == digest else [f"{name} was changed or damaged."]


def _files(folder: SetFolder, manifest: Manifest) -> Iterator[str]:
    """Every file beside the shards, and files that the set does not know."""
    for name, digest in manifest.files.items():
        yield from _checked(folder, name, digest)
    known = {*manifest.files, *(shard.file for shard in manifest.shards)}
    shards = sorted(p for p in folder.shards.glob("*") if p.is_file())
    for path in [*folder.others(), *shards]:
        if (name := path.relative_to(folder.path).as_posix()) not in known:
            yield f"{name} does not belong to the set."


def _log(folder: SetFolder) -> Iterator[str]:
    """The log has checksums of its own, for it differs from run to run."""
    summary = folder.log / SUMMARY
    if not summary.is_file():
        return
    try:
        digest = unseal(summary)["files"][LINES]
    except ToolkitError as error:
        yield str(error)
        return
    yield from _checked(folder, f"log/{LINES}", digest)


def _samples(folder: SetFolder, manifest: Manifest) -> Iterator[str]:
    """The index against the shards, and whether each sample can be read."""
    rows, found = read_index(folder), list(rows_of(folder, manifest))
    if [row["id"] for row in rows] != [row["id"] for row in found]:
        yield "index.parquet lists other samples than the shards hold."
    names = [row["id"] for row in found]
    if len(set(names)) < len(names):
        yield "a sample is there twice."
    for row, real in zip(rows, found, strict=False):
        if any(row.get(name) != value for name, value in real.items()):
            yield f"{real['id']} differs from its row in index.parquet."
    for shard in manifest.shards:
        if list(shard.samples) != [name for name, _ in read_samples(folder.path / shard.file)]:
            yield f"{shard.file} holds other samples than dataset.json says."
        for name, data in read_members(folder.path / shard.file, "gaussians.npz"):
            if not _readable(data):
                yield f"{name} in {shard.file} cannot be read."


def _readable(data: bytes) -> bool:
    try:
        return all(bool(g.means.isfinite().all()) for g in decode(data))
    except (ToolkitError, zipfile.BadZipFile, json.JSONDecodeError):
        return False
