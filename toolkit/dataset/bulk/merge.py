"""Two sets to one: shards are copied, samples that are in both are taken once."""

import shutil
from pathlib import Path

from toolkit.dataset.bulk.folder import SetFolder, write_bytes
from toolkit.dataset.bulk.manifest import Manifest, Shard, sha256
from toolkit.dataset.bulk.synthesize import finish
from toolkit.dataset.bulk.tars import join, read_samples, repack
from toolkit.dataset.bulk.verify import verify
from toolkit.errors import fail


def merge(parts: list[Path], out_dir: Path) -> Manifest:
    """Join sets in the order given.

    Ids of samples hold a part of their key, so they stay unique. The merged set cannot be topped
    up: it is no sequence of records.

    Args:
        parts: folders of finished sets; they are not changed.
        out_dir: folder of the new one; empty or not there.

    Raises:
        InputError: a part is not whole, or `out_dir` is not empty.
        DiskError: the disk is full, or the folder cannot be written.
    """
    folders = [SetFolder(part) for part in parts]
    for folder in folders:
        if problems := verify(folder):
            fail(f"{folder.path}", got=problems[0], wanted="a set that is whole", fix="Mend it.")
    target = SetFolder(out_dir)
    if target.path.exists() and (target.path.is_file() or any(target.path.iterdir())):
        fail(
            f"{out_dir}", got="a folder that is not empty", wanted="a new one", fix="Change --out."
        )
    sources = [Manifest.load(folder) for folder in folders]
    merged = Manifest({}, {}, sources=[_origin(source) for source in sources])
    with target.locked():
        known: set[str] = set()
        for folder, source in zip(folders, sources, strict=True):
            for shard in source.shards:
                _copy_shard(folder, shard, target, merged, known)
            first = merged.count
            merged.count += source.count
            _copy_notes(folder, target, first)
        finish(target, merged)
    return merged


def _origin(source: Manifest) -> dict:
    """What is to be known of a part of a merged set."""
    if source.sources:
        return {"sources": source.sources}
    return {"settings": source.settings, "versions": source.versions}


def _copy_shard(
    folder: SetFolder, shard: Shard, target: SetFolder, merged: Manifest, known: set[str]
) -> None:
    """A shard without the samples that are there already."""
    packed, samples = [], {}
    for name, parts in read_samples(folder.path / shard.file):
        if shard.samples[name] not in known:
            packed.append(repack(name, parts))
            samples[name] = shard.samples[name]
    known |= set(samples.values())
    if not samples:
        return
    data = join(packed)
    file = f"shards/people-{len(merged.shards):06d}.tar"
    write_bytes(target.path / file, data)
    span = Shard(
        file,
        merged.count + shard.first,
        merged.count + shard.last,
        samples,
        sha256(data),
        len(data),
    )
    merged.shards.append(span)


def _copy_notes(folder: SetFolder, target: SetFolder, first: int) -> None:
    """Rejects and quarantine; their numbers are continued."""
    for source, copies in (
        (folder.rejects, target.rejects),
        (folder.quarantine, target.quarantine),
    ):
        for path in sorted(source.glob("*.*")):
            copies.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copies / f"{first + int(path.stem):06d}{path.suffix}")
