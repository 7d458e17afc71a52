"""Photos come in upright, RGB and whole, or with one clear error."""

import numpy as np
import pytest
from PIL import Image

from toolkit.errors import InputError, MissingFileError, ToolkitError
from toolkit.photo.colour import MAX_SIDE_PX
from toolkit.photo.load import load_photo, read_photo


@pytest.fixture
def picture():
    """A 96 x 128 picture with a gradient and one marked corner (top left is red)."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    rgb = np.stack([x / 127, y / 95, 0.5 + 0 * x], axis=-1)
    rgb[:24, :24] = [1, 0, 0]
    return (rgb * 255).round().astype(np.uint8)


@pytest.mark.parametrize("suffix,tolerance", [("png", 0), ("webp", 0.1), ("jpg", 0.1), ("bmp", 0)])
def test_formats_give_the_same_picture(tmp_path, picture, suffix, tolerance):
    Image.fromarray(picture).save(tmp_path / f"a.{suffix}", quality=95)
    rgb = load_photo(tmp_path / f"a.{suffix}")
    assert rgb.dtype == np.float32 and rgb.shape == (96, 128, 3)
    assert np.abs(rgb - picture / 255.0)[30:, 30:].mean() <= tolerance * 0.2 + 1e-6
    assert rgb[8, 8, 0] > 0.9 and rgb[8, 8, 1] < 0.1


@pytest.mark.parametrize(
    "orientation,corner",
    [(1, (8, 8)), (2, (8, -8)), (3, (-8, -8)), (4, (-8, 8)), (6, (8, -8)), (8, (-8, 8))],
)
def test_exif_rotation_is_applied(tmp_path, picture, orientation, corner):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    rgb = load_photo(tmp_path / "a.png")
    assert rgb.shape[:2] == ((128, 96) if orientation >= 5 else (96, 128))
    red = rgb[corner]
    assert red[0] > 0.9 and red[2] < 0.1


def test_focal_length_follows_the_exif_equivalent(tmp_path, picture):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=exif)
    expected = 50 * np.hypot(96, 128) / np.hypot(36, 24)
    assert read_photo(tmp_path / "a.jpg").focal_px == pytest.approx(expected, rel=1e-6)
    Image.fromarray(picture).save(tmp_path / "b.jpg")
    assert read_photo(tmp_path / "b.jpg").focal_px is None


def test_alpha_is_composited_on_white_and_kept(tmp_path, picture):
    alpha = np.zeros((96, 128, 1), np.uint8)
    alpha[30:90, 40:100] = 255
    Image.fromarray(np.concatenate([picture, alpha], -1)).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_allclose(photo.rgb[alpha[..., 0] == 0], 1.0)
    np.testing.assert_allclose(photo.alpha, alpha[..., 0] / 255.0)


def test_opaque_alpha_is_no_mask(tmp_path, picture):
    opaque = np.full((96, 128, 1), 255, np.uint8)
    Image.fromarray(np.concatenate([picture, opaque], -1)).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").alpha is None


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "I;16"])
def test_colour_modes_become_rgb(tmp_path, picture, mode):
    grey = Image.fromarray(picture).convert("L")
    image = (
        Image.fromarray(np.asarray(grey, np.uint16) * 257)
        if mode == "I;16"
        else Image.fromarray(picture).convert(mode)
    )
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    rgb = load_photo(path)
    assert rgb.shape == (96, 128, 3) and 0 <= rgb.min() and rgb.max() <= 1
    if mode in ("L", "LA", "I;16"):
        np.testing.assert_allclose(rgb[..., 0], np.asarray(grey) / 255.0, atol=2e-3)


def test_large_photo_is_scaled_down_with_its_aspect(tmp_path, picture):
    Image.fromarray(picture).resize((4000, 3000)).save(tmp_path / "a.jpg")
    assert load_photo(tmp_path / "a.jpg").shape == (MAX_SIDE_PX * 3 // 4, MAX_SIDE_PX, 3)


def _missing(path, picture):
    return path / "none.png"


def _folder(path, picture):
    return path


def _empty(path, picture):
    (path / "a.png").touch()
    return path / "a.png"


def _text(path, picture):
    (path / "a.png").write_text("not a picture, whatever the name says")
    return path / "a.png"


def _truncated(path, picture):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(
        path / "a.jpg"
    )
    data = (path / "a.jpg").read_bytes()
    (path / "a.jpg").write_bytes(data[: len(data) // 2])
    return path / "a.jpg"


def _corrupt(path, picture):
    Image.fromarray(picture).save(path / "a.png")
    data = bytearray((path / "a.png").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    (path / "a.png").write_bytes(data)
    return path / "a.png"


def _small(path, picture):
    Image.fromarray(picture[:40]).save(path / "a.png")
    return path / "a.png"


def _ribbon(path, picture):
    Image.fromarray(np.tile(picture, (1, 8, 1))).save(path / "a.png")
    return path / "a.png"


def _blank(path, picture):
    Image.fromarray(np.zeros_like(picture)).save(path / "a.png")
    return path / "a.png"


@pytest.mark.parametrize(
    "make,kind,says",
    [
        (_missing, MissingFileError, "no such file"),
        (_folder, MissingFileError, "a folder"),
        (_empty, InputError, "empty file"),
        (_text, InputError, "not a picture"),
        (_truncated, InputError, "damaged"),
        (_corrupt, InputError, "damaged"),
        (_small, InputError, "128 x 40"),
        (_ribbon, InputError, "1024 x 96"),
        (_blank, InputError, "flat colour"),
    ],
)
def test_bad_files_give_one_clear_error(tmp_path, picture, make, kind, says):
    with pytest.raises(ToolkitError, match=says) as caught:
        load_photo(make(tmp_path, picture))
    assert isinstance(caught.value, kind)
    assert "wanted" in str(caught.value) and "\n" not in str(caught.value)
