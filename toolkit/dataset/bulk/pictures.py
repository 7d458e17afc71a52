"""Pictures inside a shard: encoded in memory, the same picture to the same bytes."""

import io

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from toolkit.show.export import to_uint8


def webp(image: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """A picture as WebP.

    Args:
        image: sRGB.
        quality: 1 to 100.
    """
    return _save(Image.fromarray(image), "WEBP", quality=quality, method=4)


def unwebp(data: bytes) -> UInt8[np.ndarray, "H W 3"]:
    """The pixels that `webp` left."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def png(mask: Float[np.ndarray, "H W"]) -> bytes:
    """A map in [0, 1] as a grey PNG of 8 bits."""
    return _save(Image.fromarray(to_uint8(mask)), "PNG", optimize=True)


def thumbnail(image: Float[np.ndarray, "H W 3"] | UInt8[np.ndarray, "H W 3"], px: int) -> bytes:
    """A small JPEG whose longer side has `px` pixels."""
    small = Image.fromarray(to_uint8(image))
    small.thumbnail((px, px), Image.Resampling.LANCZOS)
    return _save(small, "JPEG", quality=80)


def _save(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
