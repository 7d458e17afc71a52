"""Whatever is wrong with the input: one clear line, exit code 2, and nothing half-written."""

import pickle

import numpy as np
import pytest
import skimage.data
from PIL import Image

from toolkit.cli import main


def save(path, pixels, **options):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def noise(height=200, width=200):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3))


def two_people():
    one = skimage.data.astronaut()
    return np.concatenate([one, one[:, ::-1]], axis=1)


def tiny_person():
    canvas = np.full((1200, 1200, 3), 200, np.uint8)
    small = Image.fromarray(skimage.data.astronaut()).resize((70, 70))
    canvas[600:670, 600:670] = np.asarray(small)
    return canvas


def truncated(path):
    save(path, skimage.data.astronaut())
    path.write_bytes(path.read_bytes()[:9000])
    return path


def written(path, data):
    path.write_bytes(data)
    return path


def animated(path):
    frames = [Image.fromarray(noise().astype(np.uint8)) for _ in range(2)]
    frames[0].save(path, save_all=True, append_images=[frames[1].rotate(90)], duration=100)
    return path


PHOTOS = {
    "missing": lambda d: d / "nobody.png",
    "folder": lambda d: d,
    "empty": lambda d: written(d / "a.png", b""),
    "text": lambda d: written(d / "a.png", b"I am no picture"),
    "pickle": lambda d: written(d / "a.png", pickle.dumps({"a": np.zeros(3)})),
    "truncated": lambda d: truncated(d / "a.jpg"),
    "too small": lambda d: save(d / "a.png", skimage.data.astronaut()[:40, :40]),
    "too long": lambda d: save(d / "a.png", noise(100, 1200)),
    "one colour": lambda d: save(d / "a.png", np.full((300, 300, 3), 90)),
    "animated": lambda d: animated(d / "a.gif"),
    "noise": lambda d: save(d / "a.png", noise(400, 400)),
    "a cat": lambda d: save(d / "a.png", skimage.data.cat()),
    "two people": lambda d: save(d / "a.png", two_people()),
    "tiny person": lambda d: save(d / "a.png", tiny_person()),
}


def refused(arguments, capsys) -> str:
    """The one line on stderr of a run that must be refused."""
    assert main([str(a) for a in arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_that_cannot_be_used(name, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    photo, out = PHOTOS[name](tmp_path / "in"), tmp_path / "out"
    line = refused(["avatar", photo, "--out", out], capsys)
    assert "got" in line and "wanted" in line
    assert not out.exists()


@pytest.mark.parametrize(
    "options,word",
    [
        (["--profile", "magic"], "profile"),
        (["--profile", "full"], "GPU"),
        (["--strength", "1.5"], "strength"),
        (["--strength", "nan"], "strength"),
        (["--views", "12"], "views"),
        (["--gaussians", "12"], "gaussians"),
        (["--seed", "x"], "seed"),
        (["--size", "big"], "size"),
        (["--size", "100x50"], "size"),
    ],
)
def test_an_option_that_makes_no_sense(options, word, tmp_path, capsys):
    photo, out = save(tmp_path / "a.png", skimage.data.astronaut()), tmp_path / "out"
    assert word in refused(["avatar", photo, "--out", out, *options], capsys)
    assert not out.exists()


def test_of_an_animation_the_first_frame_is_taken_and_said(tmp_path, capsys):
    photo = animated(tmp_path / "a.gif")
    assert main(["avatar", str(photo), "--out", str(tmp_path / "out")]) == 2  # there is nobody
    assert f"note: {photo} holds several frames" in capsys.readouterr().out


def test_an_output_folder_that_is_a_file(tmp_path, capsys):
    photo = save(tmp_path / "a.png", skimage.data.astronaut())
    out = written(tmp_path / "out", b"mine")
    assert "--out" in refused(["avatar", photo, "--out", out], capsys)
    assert out.read_bytes() == b"mine"
