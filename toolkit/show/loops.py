"""Films that play by themselves on a page: GIF and WebP, beside MP4."""

import os
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Real
from PIL import Image

from toolkit.errors import fail
from toolkit.run.files import atomic_path
from toolkit.show.export import Array, to_uint8, write_video

ENDINGS = (".mp4", ".gif", ".webp")
GIF_TICK_MS = 10  # GIF counts in hundredths of a second


def film_ending(path: str | os.PathLike) -> str:
    """The kind of film that a path asks for.

    Raises:
        InputError: another ending than those in `ENDINGS`.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        fail("film", got=f"the name {path}", wanted=", ".join(ENDINGS), fix="Try --out film.mp4")
    return ending


def write_film(
    path: str | os.PathLike,
    frames: Sequence[Real[Array, "H W 3"]],
    fps: float,
    *,
    loop: bool = True,
    quality: int = 80,
) -> None:
    """Write an MP4, GIF or WebP film, by the path's ending.

    Args:
        path: of the file.
        frames: floats in [0, 1] or uint8, at least one.
        fps: frames per second; a GIF rounds the time of a frame to hundredths of a second.
        loop: a GIF or WebP starts again at its end; players decide that for an MP4.
        quality: of a WebP, 0 to 100.

    Raises:
        InputError: another ending, or no frames.
    """
    if film_ending(path) == ".mp4":
        return write_video(path, frames, fps)
    if not len(frames):
        fail("write_film", got="no frames", wanted="one or more", fix="Film at least one pose.")
    pictures = [Image.fromarray(to_uint8(frame)) for frame in frames]
    options = {"save_all": True, "append_images": pictures[1:]}
    milliseconds = 1000 / fps
    if film_ending(path) == ".gif":
        palette = _palette(pictures)
        first, *rest = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
        duration = max(2 * GIF_TICK_MS, round(milliseconds / GIF_TICK_MS) * GIF_TICK_MS)
        options |= {"append_images": rest, "duration": duration, "optimize": False}
        options |= {"loop": 0} if loop else {}
    else:
        first = pictures[0]
        options |= {"duration": round(milliseconds), "quality": quality, "loop": 0 if loop else 1}
    with atomic_path(path) as tmp:
        first.save(tmp, **options)


def _palette(pictures: list[Image.Image], most: int = 8) -> Image.Image:
    """One palette for all frames, from a sample of them: palettes of their own would flicker."""
    sample = pictures[:: -(-len(pictures) // most)]
    width, height = sample[0].size
    strip = Image.new("RGB", (width, height * len(sample)))
    for row, picture in enumerate(sample):
        strip.paste(picture, (0, row * height))
    return strip.quantize(255, method=Image.Quantize.MEDIANCUT)
