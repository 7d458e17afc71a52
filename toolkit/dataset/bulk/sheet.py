"""`sheet.jpg`: the first people of a set, each as photo, coarse, and refined front and back."""

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from PIL import Image

from toolkit.dataset.bulk.folder import SetFolder, write_bytes
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.bulk.tars import read_samples

PICTURES = ("thumb_photo.jpg", "thumb_coarse.jpg", "thumb_front.jpg", "thumb_back.jpg")
PEOPLE, COLUMNS = 24, 4
CELL_PX, GAP_PX = (128, 64, 64, 64), 12  # widths of the four pictures; all are 128 high


def write_sheet(
    folder: SetFolder, manifest: Manifest, path: Path | None = None, *, people: int = PEOPLE
) -> None:
    """Write a sheet; nothing if the samples hold no thumbnails.

    Args:
        folder: of the set.
        manifest: names its shards.
        path: of the picture; None is `sheet.jpg` in the set.
        people: at most so many.
    """
    rows = list(islice(_thumbnails(folder, manifest), people))
    if not rows:
        return
    width, height = sum(CELL_PX) + GAP_PX, 128 + GAP_PX
    columns = min(COLUMNS, len(rows))
    sheet = Image.new(
        "RGB", (columns * width + GAP_PX, -(-len(rows) // columns) * height + GAP_PX), "white"
    )
    for place, pictures in enumerate(rows):
        x, y = GAP_PX + place % columns * width, GAP_PX + place // columns * height
        for cell, data in zip(CELL_PX, pictures, strict=True):
            with Image.open(io.BytesIO(data)) as picture:
                sheet.paste(picture, (x + (cell - picture.width) // 2, y))
            x += cell
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    write_bytes(path or folder.path / "sheet.jpg", buffer.getvalue())


def _thumbnails(folder: SetFolder, manifest: Manifest) -> Iterator[list[bytes]]:
    """The four pictures of each sample, in order."""
    for shard in manifest.shards:
        for _, parts in read_samples(folder.path / shard.file):
            if all(name in parts for name in PICTURES):
                yield [parts[name] for name in PICTURES]
