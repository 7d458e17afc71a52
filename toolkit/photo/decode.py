"""From a file that anybody may have written to a decoded picture, or to one clear error."""

import io
import math
import os
import stat
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

from toolkit.errors import MissingCapabilityError, MissingFileError, fail, reading

MIN_SIDE_PX = 64
MAX_FILE_PIXELS = (
    100_000_000  # more is a decompression bomb (tiny file, huge picture) or a panorama
)
MAX_FILE_BYTES = 2**30  # 100 megapixels of 16-bit RGB have 0.6 GB
MAX_ASPECT = 5.0  # longer side over shorter side
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
# Files that people take for pictures: how they begin, what they are. The first match counts.
KINDS = (
    (b"<svg", "an SVG drawing"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML file"),
    (b"%pdf", "a PDF"),
    (b"8bps", "a Photoshop file"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cjxl ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjp  ", "a JPEG 2000 picture"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"#?radiance", "a Radiance HDR picture"),
    (b"pk\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1ae\xdf\xa3", "a film"),
)
SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"II*\0", b"MM\0*", b"BM")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


def decode(path: str | os.PathLike) -> tuple[Image.Image, tuple[str, ...]]:
    """Decode the whole file here, so that a truncated file does not fail in a later stage.

    The kind of the file is told by its content; its name does not matter.

    Args:
        path: see `load.read_photo`.

    Returns:
        The picture as it is stored, and notes for the user: which frame of several was taken.

    Raises:
        MissingFileError: there is no such file.
        MissingCapabilityError: HEIC or AVIF, and no package that reads it.
        InputError: everything else that is wrong with the file.
    """
    data = _read_bytes(Path(path))
    formats = [name for name in (*FORMATS, *_heif_plugin(path, data)) if _is_known(name)]
    fix = "Copy or download it again."
    with warnings.catch_warnings(), reading(f"Photo {path}", wanted="a complete picture", fix=fix):
        warnings.simplefilter("ignore")  # Pillow warns about odd EXIF data; we need the pixels
        try:
            image = Image.open(io.BytesIO(data), formats=formats)
        except Image.DecompressionBombError:  # Pillow's own limit, at twice ours
            _refuse_size(path, "far more pixels")
        except UnidentifiedImageError:
            _refuse_kind(path, data)
        # limits are checked on the header, before the pixels take memory
        _check_shape(path, image.size)
        notes = ()
        if getattr(image, "is_animated", False):
            notes = (f"{path} holds several frames or pictures; the first one is used.",)
        image.load()
    return image, notes


def _read_bytes(path: Path) -> bytes:
    """All bytes of a regular file of a size that a photo can have."""
    name, wanted = f"Photo {path}", "an image file"
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        got = "a link that leads nowhere" if os.path.islink(path) else "no such file"
        if isinstance(error, PermissionError):
            got = "a folder that may not be entered"
        fail(name, got=got, wanted=wanted, fix="Check the path.", kind=MissingFileError)
    if stat.S_ISDIR(status.st_mode):
        fail(name, got="a folder", wanted=wanted, fix="Give a file in it.", kind=MissingFileError)
    if not stat.S_ISREG(status.st_mode):
        fail(name, got="a device or pipe", wanted=wanted, fix="Save it first.")
    if status.st_size == 0:
        fail(name, got="an empty file", wanted=wanted, fix="Copy or download it again.")
    if status.st_size > MAX_FILE_BYTES:
        size = f"{status.st_size / 2**30:.1f} GB"
        fail(name, got=size, wanted="at most 1 GB", fix="Save it as JPEG or PNG.")
    try:
        return path.read_bytes()
    except PermissionError:
        fix = f"Try: chmod u+r {path.name}"
        fail(name, got="no permission to read", wanted="a readable file", fix=fix)
    except OSError as error:
        fail(name, got=error.strerror, wanted="a readable file", fix="Copy it elsewhere.")


def _is_known(name: str) -> bool:
    """Whether this Pillow has a reader of that name; asking for another one is an error."""
    Image.init()
    return name in Image.OPEN


def _brand(data: bytes) -> bytes:
    """The brand of an ISO media file: HEIC, AVIF, and also MP4 and MOV; else nothing.

    "mif1" and "msf1" are brands of any HEIF file; what is inside then stands among the others.
    """
    if data[4:8] != b"ftyp":
        return b""
    size = int.from_bytes(data[:4], "big")
    major, others = data[8:12], [data[i : i + 4] for i in range(16, min(size, 256), 4)]
    avif = [brand for brand in others if brand in AVIF_BRANDS]
    return avif[0] if major in (b"mif1", b"msf1") and avif else major


def _heif_plugin(path: str | os.PathLike, data: bytes) -> tuple[str, ...]:
    """Pillow's name for HEIF if this is one, with its reader registered; phones write HEIC."""
    if _brand(data) not in HEIF_BRANDS:
        return ()
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        fail(
            f"Photo {path}",
            got="a HEIC picture",
            wanted="the package pillow-heif, which reads it",
            fix="Install it with: pip install pillow-heif (or save the photo as JPEG).",
            kind=MissingCapabilityError,
        )
    register_heif_opener()
    return ("HEIF",)


def _refuse_kind(path: str | os.PathLike, data: bytes) -> None:
    """Say what the file is, as far as its first bytes tell it."""
    brand = _brand(data)
    if brand in AVIF_BRANDS and not features.check("avif"):
        fail(
            f"Photo {path}",
            got="an AVIF picture",
            wanted="a Pillow that reads it",
            fix="Install it with: pip install --upgrade 'pillow>=11.3'",
            kind=MissingCapabilityError,
        )
    starts = (*SIGNATURES, bytes(16))
    if brand in (*AVIF_BRANDS, *HEIF_BRANDS) or data.startswith(starts):
        fail(
            f"Photo {path}",
            got="a damaged file (its header makes no sense)",
            wanted="a complete picture",
            fix="Copy or download it again.",
        )
    head = data[:64].lower()
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    kinds = [kind for start, kind in KINDS if head.startswith(start) or text.startswith(start)]
    fail(
        f"Photo {path}",
        got="a film" if brand else next(iter(kinds), "a file that is not a picture"),
        wanted="PNG, JPEG, WebP, HEIC, AVIF, BMP, TIFF or GIF",
        fix="Convert it (SVG, RAW and PDF are not read).",
    )


def _check_shape(path: str | os.PathLike, size: tuple[int, int]) -> None:
    """Refuse pictures that are too large, too small for a person, or too long for one."""
    width, height = size
    shape = f"{width} x {height} pixels"
    if math.prod(size) > MAX_FILE_PIXELS:
        _refuse_size(path, shape)
    if min(size) < MIN_SIDE_PX:
        fail(
            f"Photo {path}",
            got=shape,
            wanted=f"at least {MIN_SIDE_PX} pixels on each side",
            fix="Use a larger picture.",
        )
    if max(size) > MAX_ASPECT * min(size):
        fail(
            f"Photo {path}",
            got=shape,
            wanted=f"sides within 1:{MAX_ASPECT:.0f}",
            fix="Crop it around the person.",
        )


def _refuse_size(path: str | os.PathLike, got: str) -> None:
    fail(f"Photo {path}", got=got, wanted="at most 100 megapixels", fix="Scale it down.")
