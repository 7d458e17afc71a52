"""What a set holds, in a few lines."""

from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.manifest import Manifest

SHOWN = ("seed", "selection", "profile", "prompts", "images", "num_gaussians", "fit_steps", "steps")


def describe(folder: SetFolder) -> str:
    """Lines for the terminal.

    Args:
        folder: of the set, finished or not.

    Raises:
        MissingFileError: there is no set in it.
        InputError: `dataset.json` was changed.
    """
    manifest = Manifest.load(folder)
    size = sum(shard.bytes for shard in manifest.shards)
    state = "finished" if manifest.finished else "not finished: run the same command once more"
    lines = [
        f"{folder.path}: {manifest.people} people of {manifest.count} records, {state}",
        f"{len(manifest.shards)} shards, {size / 1e6:.1f} MB, "
        f"{size / max(manifest.people, 1) / 1e3:.0f} kB per person",
        *(f"rejected: {number} {reason}" for reason, number in manifest.rejected.items()),
        f"in quarantine: {manifest.failed}",
    ]
    if manifest.sources:
        lines.append(f"merged from {len(manifest.sources)} sets")
    lines += [f"{n}: {manifest.settings[n]}" for n in SHOWN if n in manifest.settings]
    lines += [f"version of {stage}: {digest}" for stage, digest in manifest.versions.items()]
    return "\n".join(lines)
