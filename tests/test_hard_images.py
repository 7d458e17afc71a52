"""Photos as they come: over a hundred files are the right picture, or one error that names them."""

import io
import os
import sys
import zlib

import numpy as np
import pillow_heif
import pytest
from hard_pictures import SPACES, SRGB, chunk, cmyk_profile, grey_profile, png, profile, rgb_profile
from PIL import Image

from toolkit.errors import MissingCapabilityError, MissingFileError, ToolkitError
from toolkit.photo.decode import decode
from toolkit.photo.load import read_photo

pillow_heif.register_heif_opener()  # the tests write HEIC; the reader registers it by itself


def _picture() -> np.ndarray:
    """96 x 128, smooth, without any symmetry; the top left corner is red."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    rgb = np.stack([0.2 + 0.6 * x / 127, 0.8 * y / 95, 0.5 + 0.2 * np.sin(x / 20)], axis=-1)
    rgb[:24, :24] = [0.9, 0.1, 0.1]
    return (rgb * 255).round().astype(np.uint8)


PICTURE = _picture()
RGB = PICTURE / 255.0
GREY8 = np.asarray(Image.fromarray(PICTURE).convert("L"))
LOSSY = 0.02  # mean error of a file at quality 95
OPTIONS = {  # format -> what Pillow needs to write it well
    "png": {},
    "bmp": {},
    "tiff": {},
    "webp": {"lossless": True},
    "jpeg": {"quality": 98, "subsampling": 0},
    "avif": {"quality": 95, "subsampling": "4:4:4", "speed": 9},
    "heif": {"quality": 95, "chroma": 444},
}
EXACT = ("png", "bmp", "tiff", "webp")


def encoded(pixels, kind, mode=None, **options) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **OPTIONS.get(kind, {}) | options)
    return buffer.getvalue()


def written(folder, data: bytes, name="photo"):
    path = folder / name
    path.write_bytes(data)
    return path


def error(photo, expected) -> float:
    assert photo.rgb.shape == expected.shape and photo.rgb.dtype == np.float32
    assert photo.rgb.min() >= 0 and photo.rgb.max() <= 1
    return float(np.abs(photo.rgb - expected).max())


def mean_error(photo, expected) -> float:
    assert photo.rgb.shape == expected.shape
    return float(np.abs(photo.rgb - expected).mean())


# --- formats and names ---


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_format_is_told_by_its_content(tmp_path, kind):
    for name in ("photo", "photo.jpg", "Photo.PNG", "photo.txt"):
        photo = read_photo(written(tmp_path, encoded(PICTURE, kind), name))
        if kind in EXACT:
            assert error(photo, RGB) < 1e-6
        assert mean_error(photo, RGB) < LOSSY and photo.alpha is None and not photo.notes


@pytest.mark.parametrize(
    "kind, options",
    [
        ("tiff", {"compression": "tiff_lzw"}),
        ("tiff", {"compression": "tiff_adobe_deflate"}),
        ("tiff", {"compression": "packbits"}),
        ("tiff", {"compression": "jpeg", "quality": 98}),
        ("jpeg", {"progressive": True}),
        ("jpeg", {"quality": 90, "subsampling": 2}),
        ("jpeg", {"comment": b"\xff\x00" * 100}),
        ("webp", {"lossless": False, "quality": 95}),
        ("png", {"compress_level": 0}),
        ("avif", {"subsampling": "4:2:0"}),
        ("heif", {"chroma": 420}),
    ],
)
def test_ways_to_pack_a_format(tmp_path, kind, options):
    assert mean_error(read_photo(written(tmp_path, encoded(PICTURE, kind, **options))), RGB) < 0.03


# --- EXIF orientation ---

# What the file stores, so that the picture is upright after the camera's tag has been followed.
STORED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("kind", ["png", "tiff", "webp", "jpeg", "avif"])
@pytest.mark.parametrize("tag", STORED)
def test_every_orientation_is_the_same_picture(tmp_path, tag, kind):
    """The same numbers, so the same body; a mirror tag that was not followed would swap hands."""
    exif = Image.Exif()
    exif[0x0112] = tag
    data = encoded(STORED[tag](PICTURE), kind, exif=exif)
    photo = read_photo(written(tmp_path, data))
    assert error(photo, RGB) < (1e-6 if kind in EXACT else 0.08)
    assert mean_error(photo, RGB) < (1e-6 if kind in EXACT else LOSSY)


@pytest.mark.parametrize("tag", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_means_upright(tmp_path, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    assert error(read_photo(written(tmp_path, encoded(PICTURE, "png", exif=exif))), RGB) < 1e-6


def test_broken_exif_data_do_no_harm(tmp_path):
    data = encoded(PICTURE, "png", exif=b"Exif\0\0MM\0\x2a\0\0\xff\xff" + bytes(30))
    assert error(read_photo(written(tmp_path, data)), RGB) < 1e-6


def test_a_turned_16_bit_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    levels = GREY8.astype(np.uint16)[..., None] * 257
    turned = np.rot90(levels, 1)
    data = png(turned, 16, 0, chunk(b"eXIf", exif.tobytes()[6:]))
    assert error(read_photo(written(tmp_path, data)), np.repeat(levels / 65535, 3, 2)) < 1e-6


# --- colour profiles ---


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("kind", ["png", "tiff", "webp", "jpeg", "avif", "heif"])
def test_an_embedded_profile_is_followed(tmp_path, kind, name):
    data = encoded(PICTURE, kind, icc_profile=rgb_profile(SPACES[name]))
    photo, wanted = read_photo(written(tmp_path, data)), SPACES[name].to_srgb(RGB)
    if kind in EXACT:
        assert error(photo, wanted) < 2.5 / 255
    assert mean_error(photo, wanted) < 0.01 < mean_error(photo, RGB)
    assert len(photo.notes) == 1 and "converted to sRGB" in photo.notes[0]


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA"])
def test_a_profile_of_a_picture_in_another_mode(tmp_path, mode):
    image = Image.fromarray(PICTURE).convert(mode)
    space = SPACES["Adobe RGB"]
    image.save(tmp_path / "a.png", icc_profile=rgb_profile(space))
    plain = np.asarray(image.convert("RGB")) / 255.0
    assert error(read_photo(tmp_path / "a.png"), space.to_srgb(plain)) < 2.5 / 255


def test_the_profile_of_srgb_changes_nothing(tmp_path):
    from PIL import ImageCms

    official = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (official, rgb_profile(SRGB)):
        photo = read_photo(written(tmp_path, encoded(PICTURE, "png", icc_profile=data)))
        assert error(photo, RGB) < 1e-6 and not photo.notes


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_a_profile_of_greys(tmp_path, depth, gamma):
    levels = GREY8.astype(np.int64)[..., None] * (257 if depth == 16 else 1)
    packed = zlib.compress(grey_profile(gamma))
    data = png(levels, depth, 0, chunk(b"iCCP", b"g\0\0" + packed))
    linear = (GREY8 / 255.0) ** gamma
    low = linear <= 0.0031308
    wanted = np.where(low, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    got = read_photo(written(tmp_path, data)).rgb[..., 0]
    assert np.abs(got - wanted)[GREY8 > 8].max() < 2.5 / 255


@pytest.mark.parametrize("kind", ["tiff", "jpeg"])
def test_inks_are_colours_by_their_profile(tmp_path, kind):
    """The profile's inks are all grey: so is the picture, whatever its inks would look like."""
    inks = np.zeros((96, 128, 4), np.uint8)
    inks[..., 2] = np.linspace(0, 255, 128).astype(np.uint8)  # yellow
    image = Image.fromarray(inks, "CMYK")
    image.save(tmp_path / "a", kind, icc_profile=cmyk_profile(), quality=98)
    rgb = read_photo(tmp_path / "a").rgb
    assert np.ptp(rgb, axis=2).max() < 0.02
    lightness = 100 - 25 * np.array([0.0, 1.0])
    y = ((lightness + 16) / 116) ** 3
    wanted = 1.055 * y ** (1 / 2.4) - 0.055
    assert abs(rgb[50, 2, 0] - wanted[0]) < 0.03 and abs(rgb[50, -2, 0] - wanted[1]) < 0.03


@pytest.mark.parametrize(
    "data",
    [b"rubbish", bytes(200), rgb_profile(SPACES["ROMM RGB"])[:300], cmyk_profile()]
    + [grey_profile(1.8), profile(b"RGB ", {}), profile(b"5CLR", {})],
    ids=["text", "zeros", "cut off", "of inks", "of greys", "no tags", "five colours"],
)
def test_a_profile_that_does_not_work_is_said(tmp_path, data):
    photo = read_photo(written(tmp_path, encoded(PICTURE, "png", icc_profile=data)))
    assert error(photo, RGB) < 1e-6
    assert len(photo.notes) == 1 and "cannot be used" in photo.notes[0]


# --- depths and modes ---

DEEP = PICTURE.astype(np.int64) * 257 - np.arange(128)[None, :, None] % 200 * (PICTURE > 0)
ALPHA = np.zeros((96, 128, 1), np.int64)
ALPHA[20:90, 30:100] = 1


def test_dark_16_bit_pictures_stay_dark(tmp_path):
    levels = np.linspace(0, 250, 96 * 128).astype(np.int64).reshape(96, 128, 1)
    with pytest.raises(ToolkitError, match="flat colour .0.0, 0.0, 0.0"):  # black to every eye
        read_photo(written(tmp_path, png(levels, 16, 0)))
    levels = levels * 20
    photo = read_photo(written(tmp_path, png(levels, 16, 0)))
    assert error(photo, np.repeat(levels / 65535, 3, 2)) < 1e-6
    Image.fromarray(levels[..., 0].astype(np.uint16)).save(tmp_path / "a.tif")
    assert error(read_photo(tmp_path / "a.tif"), np.repeat(levels / 65535, 3, 2)) < 1e-6


DEPTHS = {
    "16-bit RGB": (png(DEEP, 16, 2), DEEP / 65535),
    "16-bit grey": (png(DEEP[..., :1], 16, 0), np.repeat(DEEP[..., :1] / 65535, 3, 2)),
    "16-bit grey + alpha": (
        png(np.concatenate([DEEP[..., :1], np.full_like(ALPHA, 65535)], 2), 16, 4),
        np.repeat(DEEP[..., :1] / 65535, 3, 2),
    ),
    "16-bit RGBA": (
        png(np.concatenate([DEEP, ALPHA * 65535], 2), 16, 6),
        DEEP / 65535 * ALPHA + 1 - ALPHA,
    ),
    "8-bit grey": (png(GREY8[..., None], 8, 0), np.repeat(GREY8[..., None] / 255, 3, 2)),
    "4-bit grey": (png(GREY8[..., None] >> 4, 4, 0), np.repeat((GREY8[..., None] >> 4) / 15, 3, 2)),
    "2-bit grey": (png(GREY8[..., None] >> 6, 2, 0), np.repeat((GREY8[..., None] >> 6) / 3, 3, 2)),
    "1-bit": (png(GREY8[..., None] >> 7, 1, 0), np.repeat(GREY8[..., None] >> 7, 3, 2) * 1.0),
}
WHEEL = np.random.default_rng(0).integers(0, 256, (16, 3))
INDEX = (GREY8 >> 4)[..., None].astype(np.int64)
PLTE = chunk(b"PLTE", WHEEL.astype(np.uint8).tobytes())
DEPTHS |= {
    "palette": (png(INDEX, 4, 3, PLTE), WHEEL[INDEX[..., 0]] / 255),
    "palette of 8 bits": (png(INDEX, 8, 3, PLTE), WHEEL[INDEX[..., 0]] / 255),
    "palette with one clear colour": (
        png(INDEX, 4, 3, PLTE, chunk(b"tRNS", bytes([255] * 5 + [0]))),
        np.where(INDEX == 5, 1.0, WHEEL[INDEX[..., 0]] / 255),
    ),
    "palette with half-clear colours": (
        png(INDEX, 4, 3, PLTE, chunk(b"tRNS", bytes([51] * 16))),
        0.2 * WHEEL[INDEX[..., 0]] / 255 + 0.8,
    ),
    "grey with a clear one": (
        png(INDEX * 17, 8, 0, chunk(b"tRNS", bytes([0, 5 * 17]))),
        np.where(INDEX == 5, 1.0, np.repeat(INDEX / 15, 3, 2)),
    ),
    "16-bit grey with a clear one": (
        png(INDEX * 4000, 16, 0, chunk(b"tRNS", (5 * 4000).to_bytes(2, "big"))),
        np.where(INDEX == 5, 1.0, np.repeat(INDEX * 4000 / 65535, 3, 2)),
    ),
    "RGB with a clear colour": (
        png(PICTURE, 8, 2, chunk(b"tRNS", b"".join(bytes([0, c]) for c in PICTURE[2, 2].tolist()))),
        np.where((PICTURE == PICTURE[2, 2]).all(2, keepdims=True), 1.0, RGB),
    ),
}


@pytest.mark.parametrize("name", DEPTHS)
def test_every_depth_keeps_its_colours_to_one_level(tmp_path, name):
    data, wanted = DEPTHS[name]
    assert error(read_photo(written(tmp_path, data)), wanted) <= 1 / 255 + 1e-6


@pytest.mark.parametrize("name", [n for n in DEPTHS if "RGBA" in n or "one" in n and "clear" in n])
def test_transparency_becomes_coverage(tmp_path, name):
    alpha = read_photo(written(tmp_path, DEPTHS[name][0])).alpha
    clear = (INDEX == 5) if "RGBA" not in name else ALPHA == 0
    np.testing.assert_array_equal(alpha, ~clear[..., 0])


@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "avif", "heif"])
def test_alpha_of_every_format(tmp_path, kind):
    data = encoded(np.concatenate([PICTURE, ALPHA.astype(np.uint8) * 255], 2), kind)
    photo = read_photo(written(tmp_path, data))
    assert mean_error(photo, RGB * ALPHA + 1 - ALPHA) < LOSSY
    assert np.abs(photo.alpha - ALPHA[..., 0]).mean() < LOSSY


@pytest.mark.parametrize("kind", ["tiff", "jpeg"])
def test_inks_without_a_profile(tmp_path, kind):
    """CMYK as TIFF has it, and inverted as Adobe writes JPEG (Pillow writes that marker)."""
    data = encoded(PICTURE, kind, mode="CMYK")
    photo = read_photo(written(tmp_path, data))
    assert mean_error(photo, RGB) < 0.003
    if kind == "tiff":
        assert error(photo, RGB) <= 1 / 255 + 1e-6


def test_lab_and_premultiplied_tiffs(tmp_path):
    from PIL import ImageCms

    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    ImageCms.applyTransform(Image.fromarray(PICTURE), to_lab).save(tmp_path / "lab.tif")
    assert mean_error(read_photo(tmp_path / "lab.tif"), RGB) < 0.01
    rgba = np.concatenate([PICTURE, np.full((96, 128, 1), 128, np.uint8)], 2)
    data = encoded(rgba, "tiff")
    straight, multiplied = (b"\x52\x01\x03\0\1\0\0\0" + bytes([kind]) for kind in (2, 1))
    assert data.count(straight) == 1  # the tag ExtraSamples
    photo = read_photo(written(tmp_path, data.replace(straight, multiplied)))
    dark = PICTURE.max(2) <= 128  # multiplied colours are at most alpha
    assert dark.sum() > 100 and np.abs(photo.rgb - RGB - 127 / 255)[dark].max() < 2 / 255


FLOATS = {
    "0 to 1": (RGB[..., 0], None),
    "0 to 255": (PICTURE[..., 0] * 1.0, "0 .black. to 1"),
    "NaN": (np.full((96, 128), np.nan), "0 .black. to 1"),
    "negative": (RGB[..., 0] - 3, "0 .black. to 1"),
}


@pytest.mark.parametrize("name", FLOATS)
def test_decimal_numbers_are_never_guessed_at(tmp_path, name):
    values, says = FLOATS[name]
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "a.tif")
    if says is None:
        assert error(read_photo(tmp_path / "a.tif"), np.repeat(values[..., None], 3, 2)) < 1e-6
        return
    with pytest.raises(ToolkitError, match=says):
        read_photo(tmp_path / "a.tif")


def test_32_bit_numbers_have_no_known_white(tmp_path):
    Image.fromarray(PICTURE[..., 0].astype(np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(ToolkitError, match="32-bit"):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGB", "16-bit", "palette", "clear colour"])
def test_large_pictures_keep_their_colours_when_they_shrink(tmp_path, mode):
    tall = np.repeat(np.repeat(PICTURE, 24, 0), 24, 1)
    grey = np.repeat(np.repeat(GREY8, 24, 0), 24, 1)[..., None].astype(np.int32)
    key = b"".join(bytes([0, c]) for c in PICTURE[2, 2].tolist())
    data, wanted = {
        "RGB": lambda: (png(tall, 8, 2), RGB),
        "16-bit": lambda: (png(grey * 257, 16, 0), np.repeat(GREY8[..., None] / 255, 3, 2)),
        "palette": lambda: (png(grey >> 4, 4, 3, PLTE), WHEEL[INDEX[..., 0]] / 255),
        "clear colour": lambda: (
            png(tall, 8, 2, chunk(b"tRNS", key)),
            np.where((PICTURE == PICTURE[2, 2]).all(2, keepdims=True), 1.0, RGB),
        ),
    }[mode]()
    photo = read_photo(written(tmp_path, data))
    assert photo.rgb.shape == (1536, 2048, 3) and photo.pixel == pytest.approx(1.5)
    assert np.abs(photo.rgb[8::16, 8::16] - wanted).mean() < 0.01


# --- several pictures in a file ---


def several(kind: str, path) -> None:
    frames = [Image.fromarray(p) for p in (PICTURE, PICTURE[::-1].copy(), PICTURE[:, ::-1].copy())]
    options = OPTIONS.get(kind, {}) if kind != "mpo" else {"quality": 98}
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff", "avif", "mpo", "heif"])
def test_of_several_frames_the_first_is_taken_and_said(tmp_path, kind):
    several(kind, tmp_path / "many")
    photo = read_photo(tmp_path / "many")
    assert mean_error(photo, RGB) < 0.04
    assert len(photo.notes) == 1 and "the first one" in photo.notes[0]


# --- sizes ---


def claims(width: int, height: int) -> bytes:
    """A PNG that says that it is large; its pixels are missing."""
    return png(np.zeros((1, 1)), 8, 0, size=(width, height))


SIZES = {
    "1 x 1": ("1 x 1", png(np.zeros((1, 1, 3)), 8, 2)),
    "63 high": ("128 x 63", png(PICTURE[:63], 8, 2)),
    "ribbon": ("1000 x 100", png(np.tile(PICTURE, (2, 8, 1))[:100, :1000], 8, 2)),
    "20,000 x 20,000": ("far more|20000 x 20000", claims(20_000, 20_000)),
    "13,000 x 10,000": ("13000 x 10000", claims(13_000, 10_000)),
    "2^31": ("far more", claims(2**31 - 1, 2**31 - 1)),
    "none": ("damaged|0 x", claims(0, 0)),
    "GIF of 65,535": (
        "far more",
        b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b"," + bytes(4) + b"\xff" * 4 + bytes(9),
    ),
    "BMP of 2^31": (
        "damaged|far more",
        b"BM" + bytes(12) + b"\x28\0\0\0" + b"\xff\xff\xff\x7f" * 2,
    ),
    "pixels missing": ("damaged", claims(2000, 2000)),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_no_photo_has_are_told_from_the_header(tmp_path, name):
    says, data = SIZES[name]
    with pytest.raises(ToolkitError, match=says):
        read_photo(written(tmp_path, data))


def test_the_smallest_and_the_longest_picture_that_is_taken(tmp_path):
    assert read_photo(written(tmp_path, png(PICTURE[:64, :64], 8, 2))).rgb.shape == (64, 64, 3)
    stripes = (np.arange(20_000)[None, :, None] // 500 % 2).astype(np.uint8).repeat(4000, 0)
    photo = read_photo(written(tmp_path, png(stripes, 1, 0)))
    assert photo.rgb.shape == (410, 2048, 3) and photo.pixel == pytest.approx(20_000 / 2048)


def test_text_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    bomb = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(200 * 2**20), 9))
    with pytest.raises(ToolkitError, match="damaged"):
        read_photo(written(tmp_path, png(PICTURE, 8, 2, *[bomb] * 2)))


# --- damaged files ---

WHOLE = {kind: encoded(PICTURE, kind) for kind in OPTIONS} | {"gif": encoded(PICTURE, "gif")}


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_that_was_cut_off(tmp_path, kind, share):
    data = WHOLE[kind][: max(20, int(share * len(WHOLE[kind])))]
    with pytest.raises(ToolkitError, match="damaged.*complete picture"):
        read_photo(written(tmp_path, data))


@pytest.mark.parametrize("kind", WHOLE)
def test_rubbish_after_the_first_bytes(tmp_path, kind):
    rubbish = np.random.default_rng(0).integers(0, 256, 3000).astype(np.uint8).tobytes()
    with pytest.raises(ToolkitError, match="Photo .*got"):
        read_photo(written(tmp_path, WHOLE[kind][:24] + rubbish))


# --- what is no picture ---

KINDS = {
    "nothing": (b"", "an empty file"),
    "zeros": (bytes(5000), "damaged"),
    "text": (b"hello", "not a picture"),
    "SVG": (b"\xef\xbb\xbf\n<svg xmlns='http://www.w3.org/2000/svg'></svg>", "SVG"),
    "web page": (b"<!DOCTYPE html><title>Not found</title>", "web page"),
    "XML": (b"<?xml version='1.0'?><svg/>", "XML"),
    "PDF": (b"%PDF-1.7\n", "PDF"),
    "PSD": (b"8BPS\0\1" + bytes(50), "Photoshop"),
    "JPEG XL": (b"\xff\x0a" + bytes(50), "JPEG XL"),
    "JPEG XL, boxed": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    "EXR": (b"v/1\x01" + bytes(50), "OpenEXR"),
    "HDR": (b"#?RADIANCE\n", "Radiance"),
    "ZIP": (b"PK\x03\x04" + bytes(50), "ZIP"),
    "gzip": (b"\x1f\x8b" + bytes(50), "gzip"),
    "MP4": (b"\0\0\0\x20ftypisom" + bytes(50), "a film"),
    "MOV": (b"\0\0\0\x20ftypqt  " + bytes(50), "a film"),
    "MKV": (b"\x1aE\xdf\xa3" + bytes(50), "a film"),
    "pickle": (b"\x80\x04cos\nsystem\n.", "not a picture"),
    "JSON": (b'{"photo": 1}', "not a picture"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_picture_is_called_by_its_name(tmp_path, name):
    data, says = KINDS[name]
    with pytest.raises(ToolkitError, match=says) as caught:
        read_photo(written(tmp_path, data, "photo.jpg"))
    assert "\n" not in str(caught.value)


def test_heic_without_its_package_names_both(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = written(tmp_path, WHOLE["heif"], "IMG_0001.jpg")
    with pytest.raises(MissingCapabilityError, match="HEIC.*pip install pillow-heif"):
        read_photo(path)


def test_avif_of_the_general_brand_needs_no_heic_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = WHOLE["avif"]
    assert data[8:12] == b"avif" and b"avif" in data[16:32]
    photo = read_photo(written(tmp_path, data[:8] + b"mif1" + data[12:]))
    assert mean_error(photo, RGB) < LOSSY


def test_avif_without_its_reader_names_both(tmp_path, monkeypatch):
    from PIL import features

    monkeypatch.delitem(Image.OPEN, "AVIF")
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(MissingCapabilityError, match="AVIF.*pillow>="):
        read_photo(written(tmp_path, WHOLE["avif"]))


# --- what is no file ---


def _loop(folder):
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return folder / "a"


def _dangling(folder):
    (folder / "a").symlink_to(folder / "gone.jpg")
    return folder / "a"


def _pipe(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _sparse(folder):
    with open(folder / "huge", "wb") as file:
        file.truncate(3 * 2**30)
    return folder / "huge"


PATHS = {
    "missing": (lambda d: d / "none.png", MissingFileError, "no such file"),
    "in a file": (lambda d: written(d, b"x") / "a.png", MissingFileError, "no such file"),
    "folder": (lambda d: d, MissingFileError, "a folder"),
    "loop of links": (_loop, MissingFileError, "leads nowhere"),
    "dangling link": (_dangling, MissingFileError, "leads nowhere"),
    "too long a name": (lambda d: d / ("x" * 300), MissingFileError, "no such file"),
    "zero in the name": (lambda d: d / "a\0b", MissingFileError, "no such file"),
    "pipe": (_pipe, ToolkitError, "pipe"),
    "device": (lambda d: "/dev/zero", ToolkitError, "device"),
    "3 GB": (_sparse, ToolkitError, "3.0 GB"),
}


@pytest.mark.parametrize("name", PATHS)
def test_what_is_no_file(tmp_path, name):
    make, kind, says = PATHS[name]
    with pytest.raises(kind, match=says):
        read_photo(make(tmp_path))


def test_a_link_to_a_photo_is_the_photo(tmp_path):
    written(tmp_path, WHOLE["png"], "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert error(read_photo(tmp_path / "link"), RGB) < 1e-6


def test_a_name_and_a_message_of_the_file_cannot_steer_a_terminal(tmp_path):
    evil = chunk(b"zTXt", b"k\0\0\x1b]0;title\x07\n\n")
    with pytest.raises(ToolkitError) as caught:
        decode(written(tmp_path, b"\x89PNG\r\n\x1a\n" + evil + b"\x1b[2J\n" * 9))
    assert str(caught.value).isprintable()
