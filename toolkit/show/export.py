"""Pictures and videos on disk: the same frames give the same bytes."""

import os
from collections.abc import Sequence

import numpy as np
import torch
from imageio_ffmpeg import read_frames, write_frames
from jaxtyping import Real, UInt8
from PIL import Image

from toolkit.errors import fail
from toolkit.run.files import atomic_path

Array = np.ndarray | torch.Tensor

# One thread, and no stamp of muxer or encoder: the file depends on the frames and on ffmpeg alone.
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


def to_array(value: Array) -> np.ndarray:
    """A tensor from any device, or an array, as a NumPy array; values are not changed."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def to_uint8(image: Real[Array, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """A picture or a stack as uint8; floats are in [0, 1] and rounded to the nearest step."""
    image = to_array(image)
    if image.dtype == np.uint8:
        return image
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def write_image(path: str | os.PathLike, image: Real[Array, "H W C"]) -> None:
    """Write one picture, with no date inside.

    Args:
        path: ends in .png or .jpg.
        image: floats in [0, 1] or uint8, with 1 (grey), 3 or 4 (alpha last) channels.

    Raises:
        InputError: another shape.
    """
    pixels = to_uint8(image)
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4):
        fail("write_image", got=pixels.shape, wanted="(H, W, 1, 3 or 4)", fix="Pass one picture.")
    with atomic_path(path) as tmp:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(tmp)


def write_video(
    path: str | os.PathLike,
    frames: Sequence[Real[Array, "H W 3"]],
    fps: float = 12.0,
    *,
    quality: int = 18,
) -> None:
    """Write an MP4 (H.264, yuv420p) that every browser plays.

    Args:
        path: ends in .mp4.
        frames: a sequence or one (T,H,W,3) array; floats in [0, 1] or uint8, at least one frame.
        fps: frames per second.
        quality: constant rate factor of x264; 0 is lossless, 18 looks so, 28 is small.

    Raises:
        InputError: no frames, or frames of another shape.
    """
    stack = np.stack([to_uint8(frame) for frame in frames]) if len(frames) else np.empty(0)
    if stack.ndim != 4 or stack.shape[-1] != 3:
        fail(
            "write_video",
            got=stack.shape,
            wanted="(T, H, W, 3) with T >= 1",
            fix="Pass RGB frames of one size.",
        )
    stack = even_size(stack)
    with atomic_path(path) as tmp:
        writer = write_frames(
            str(tmp),
            (stack.shape[2], stack.shape[1]),  # ffmpeg's order: width, height
            fps=fps,
            quality=None,  # a scale of imageio's own; we pass x264's -crf instead
            codec="libx264",
            macro_block_size=2,
            pix_fmt_out="yuv420p",
            output_params=["-crf", str(quality), *_FFMPEG_EXACT],
        )
        writer.send(None)  # a generator has to run to its first yield before it takes a frame
        for frame in stack:
            writer.send(np.ascontiguousarray(frame))
        writer.close()


def even_size(frames: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T h w 3"]:
    """Repeat the last row or column where a side is odd: H.264 stores colour at half size."""
    height, width = frames.shape[1:3]
    return np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def read_video(path: str | os.PathLike) -> tuple[UInt8[np.ndarray, "T H W 3"], float]:
    """Frames of a video, and how many of them there are per second."""
    reader = read_frames(str(path))
    meta = next(reader)  # the generator's first item describes the video, the others are frames
    width, height = meta["size"]
    frames = [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]
    return np.stack(frames), float(meta["fps"])
