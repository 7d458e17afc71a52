"""Pictures and videos: what is written is what was given, byte for byte reproducible."""

import numpy as np
import pytest
import torch

from toolkit.errors import InputError
from toolkit.show.export import read_video, to_uint8, write_image, write_video


def ramp(num=5, height=48, width=64):
    """Smooth moving frames, so that a lossy codec stays close."""
    y, x = np.mgrid[:height, :width]
    frames = [np.stack([x / width, y / height, (x + y + 4 * t) % 97 / 97], -1) for t in range(num)]
    return np.stack(frames).astype(np.float32)


def test_same_frames_give_identical_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, ramp(), fps=12)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.mp4", "b.mp4"))
    assert first == second
    write_video(tmp_path / "c.mp4", ramp()[::-1], fps=12)
    assert (tmp_path / "c.mp4").read_bytes() != first


def test_video_reads_back(tmp_path):
    frames = ramp()
    write_video(tmp_path / "v.mp4", torch.from_numpy(frames), fps=10)
    back, fps = read_video(tmp_path / "v.mp4")
    assert back.shape == frames.shape and fps == 10
    assert np.abs(back[..., 1] / 255 - frames[..., 1]).mean() < 0.03


def test_odd_sizes_are_padded_to_even(tmp_path):
    write_video(tmp_path / "v.mp4", ramp(3, 31, 45))
    back, _ = read_video(tmp_path / "v.mp4")
    assert back.shape == (3, 32, 46, 3)


def test_bad_frames_leave_no_file(tmp_path):
    for bad in ([], np.zeros((2, 8, 8))):
        with pytest.raises(InputError, match="T, H, W, 3"):
            write_video(tmp_path / "v.mp4", bad)
    assert list(tmp_path.iterdir()) == []


def test_image_round_trip(tmp_path):
    from PIL import Image

    image = np.random.default_rng(0).random((7, 5, 3)).astype(np.float32)
    write_image(tmp_path / "i.png", torch.from_numpy(image))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "i.png")), to_uint8(image))
    assert to_uint8(np.array([-1.0, 0.5, 2.0])).tolist() == [0, 128, 255]
