"""Pictures and videos on disk: the same frames give the same bytes."""

import os
from collections.abc import Sequence

import numpy as np
import torch

from toolkit.errors import fail
from toolkit.run.files import atomic_path

# one thread and no muxer or encoder stamps: the file depends on the frames and on ffmpeg alone
_FFMPEG_EXACT = [
    "-threads",
    "1",
    "-fflags",
    "+bitexact",
    "-flags:v",
    "+bitexact",
    "-map_metadata",
    "-1",
    "-movflags",
    "+faststart",
]


def to_uint8(image) -> np.ndarray:
    """A picture or a stack as uint8; floats are in [0, 1], rounded to nearest."""
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def write_image(path: str | os.PathLike, image) -> None:
    """Write a PNG or JPEG from (H,W,3) floats in [0, 1] or uint8; no dates inside."""
    from PIL import Image

    pixels = to_uint8(image)
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4):
        fail("write_image", got=pixels.shape, wanted="(H, W, 1, 3 or 4)", fix="Give one picture.")
    with atomic_path(path) as tmp:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(tmp)


def even_size(frames: np.ndarray) -> np.ndarray:
    """Repeat the last row or column where a side is odd: H.264 stores colour at half size."""
    height, width = frames.shape[1:3]
    return np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def write_video(
    path: str | os.PathLike, frames: Sequence, fps: float = 12.0, *, quality: int = 18
) -> None:
    """Write an MP4 (H.264, yuv420p) that every browser plays.

    Args:
        path: ends in .mp4.
        frames: (T,H,W,3) floats in [0, 1] or uint8, T >= 1.
        fps: frames a second.
        quality: constant rate factor of x264; 0 is lossless, 18 looks so, 28 is small.
    """
    from imageio_ffmpeg import write_frames

    stack = np.stack([to_uint8(frame) for frame in frames]) if len(frames) else np.empty(0)
    if stack.ndim != 4 or stack.shape[-1] != 3:
        fail(
            "write_video",
            got=stack.shape,
            wanted="(T, H, W, 3) with T >= 1",
            fix="Give RGB frames of one size.",
        )
    stack = even_size(stack)
    with atomic_path(path) as tmp:
        writer = write_frames(
            str(tmp),
            (stack.shape[2], stack.shape[1]),
            fps=fps,
            quality=None,
            codec="libx264",
            macro_block_size=2,
            pix_fmt_out="yuv420p",
            output_params=["-crf", str(quality), *_FFMPEG_EXACT],
        )
        writer.send(None)  # the generator's way to start
        for frame in stack:
            writer.send(np.ascontiguousarray(frame))
        writer.close()


def read_video(path: str | os.PathLike) -> tuple[np.ndarray, float]:
    """Frames (T,H,W,3) uint8 of a video, and its frames a second."""
    from imageio_ffmpeg import read_frames

    reader = read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    frames = [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]
    return np.stack(frames), float(meta["fps"])
