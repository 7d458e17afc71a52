"""`index.parquet`: one row per sample, made from the JSON inside the shards."""

import io
import json
from collections.abc import Iterator

from toolkit.dataset.bulk.folder import SetFolder, write_bytes
from toolkit.dataset.bulk.manifest import Manifest, sha256
from toolkit.dataset.bulk.tars import read_samples, repack


def rows_of(folder: SetFolder, manifest: Manifest) -> Iterator[dict]:
    """One flat row per sample, in order."""
    versions = {f"version_{stage}": digest for stage, digest in sorted(manifest.versions.items())}
    for shard in manifest.shards:
        for name, parts in read_samples(folder.path / shard.file):
            packed = repack(name, parts)
            yield {
                "id": name,
                "key": shard.samples.get(name),
                "shard": shard.file,
                "bytes": len(packed),
                "sha256": sha256(packed),
                **flat(json.loads(parts["json"])),
                **versions,
            }


def flat(content: dict) -> dict:
    """Scalars of a sample's JSON, those one level down as `group_name`; lists are left out.

    {"metrics": {"iou": 0.9}, "pose": [0, 1]} becomes {"metrics_iou": 0.9}
    """
    row = {}
    for name, value in content.items():
        parts = value if isinstance(value, dict) else {"": value}
        for part, inner in parts.items():
            if not isinstance(inner, dict | list):
                row["_".join(filter(None, (name, part))).replace(" ", "_")] = inner
    return row


def write_index(folder: SetFolder, manifest: Manifest) -> None:
    """Write `index.parquet`; the same rows give the same bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = list(rows_of(folder, manifest))
    names = dict.fromkeys(name for row in rows for name in row)  # in the order of appearance
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd")
    write_bytes(folder.index, buffer.getvalue())


def read_index(folder: SetFolder) -> list[dict]:
    """The rows of `index.parquet`."""
    from pyarrow import parquet

    return parquet.read_table(folder.index).to_pylist()
