"""Read one photo: upright, RGB, at most 2048 pixels long; or fail with one clear error."""

import io
import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError

from toolkit.errors import MissingFileError, ToolkitError, fail

MIN_SIDE_PX = 64
MAX_SIDE_PX = 2048  # larger photos are scaled down: the networks see 256 px, the refit about 1000
MAX_FILE_PIXELS = (
    100_000_000  # more is a decompression bomb (tiny file, huge picture) or a panorama
)
MAX_ASPECT = 5.0  # longer side over shorter side
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
# EXIF's numbers for its own directory in the file and for the field FocalLengthIn35mmFilm.
_EXIF_IFD, _FOCAL_35MM_TAG = 0x8769, 0xA405


@dataclass(frozen=True)
class Photo:
    """One photo, ready for the networks.

    Attributes:
        rgb: sRGB in [0, 1], upright, composited on white where the file is transparent.
        alpha: coverage in [0, 1] from the file's transparency; None when the file has no
            transparency, or when it separates nothing (all opaque or all transparent).
        focal_px: focal length in pixels of `rgb` from the EXIF data; None when it is unknown.
        pixel: side of one pixel of `rgb` in pixels of the file; over 1 where it was scaled down.
    """

    rgb: Float[np.ndarray, "H W 3"]
    alpha: Float[np.ndarray, "H W"] | None = None
    focal_px: float | None = None
    pixel: float = 1.0


def read_photo(path: str | os.PathLike) -> Photo:
    """Read a PNG, JPEG, WebP, BMP, TIFF or GIF file, with its transparency and focal length.

    Args:
        path: a still picture with sides of at least 64 pixels, none over 5 times the other.

    Raises:
        MissingFileError: `path` does not exist or is a folder.
        InputError: the file is no picture, damaged, too small, too long, animated or blank.
    """
    image = _open(Path(path))
    focal_35mm = _focal_35mm(image)
    image = _upright(image)
    _check_shape(path, image.size)
    rgb, alpha = _to_arrays(_shrunk(image))
    pixel = max(image.size) / max(rgb.shape[:2])
    _check_content(path, rgb)
    height, width = rgb.shape[:2]
    # The 35 mm equivalent is defined by the diagonal of the 36 x 24 mm film frame, so
    # focal_px / diagonal_px = focal_35mm / 43.3 mm. It survives scaling and rotation.
    focal = focal_35mm and focal_35mm * math.hypot(width, height) / math.hypot(36.0, 24.0)
    return Photo(rgb, alpha, focal or None, pixel)


def load_photo(path: str | os.PathLike) -> Float[np.ndarray, "H W 3"]:
    """The upright RGB picture of a file, in [0, 1]; raises what `read_photo` raises."""
    return read_photo(path).rgb


def _open(path: Path) -> Image.Image:
    """Decode the whole file here, so that a truncated file does not fail in a later stage."""
    if path.is_dir() or not path.exists():
        fail(
            f"Photo {path}",
            got="a folder" if path.is_dir() else "no such file",
            wanted="an image file",
            fix="Check the path.",
            kind=MissingFileError,
        )
    if not path.is_file():
        fail(f"Photo {path}", got="a device or pipe", wanted="an image file", fix="Save it first.")
    if path.stat().st_size == 0:
        fail(
            f"Photo {path}",
            got="an empty file",
            wanted="an image file",
            fix="Copy or download it again.",
        )
    try:
        return _decode(path)
    except ToolkitError:
        raise
    except UnidentifiedImageError:
        fail(
            f"Photo {path}",
            got="a file that is not a picture",
            wanted="PNG, JPEG or WebP",
            fix="Convert it (HEIC, SVG, RAW and PDF are not read).",
        )
    except PermissionError:
        fail(
            f"Photo {path}",
            got="no permission to read",
            wanted="a readable file",
            fix=f"Try: chmod u+r {path.name}",
        )
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        fail(
            f"Photo {path}",
            got=f"a damaged file ({error})",
            wanted="a complete picture",
            fix="Copy or download it again.",
        )


def _decode(path: Path) -> Image.Image:
    """Read and decode; limits are checked on the header, before the pixels take memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd EXIF data; we need the pixels
        image = Image.open(io.BytesIO(path.read_bytes()), formats=FORMATS)
        if math.prod(image.size) > MAX_FILE_PIXELS:
            fail(
                f"Photo {path}",
                got=f"{image.width} x {image.height} pixels",
                wanted="at most 100 megapixels",
                fix="Scale it down.",
            )
        if getattr(image, "n_frames", 1) > 1:
            fail(
                f"Photo {path}",
                got=f"{image.n_frames} frames or pages",
                wanted="one still picture",
                fix="Save one frame as PNG.",
            )
        image.load()
    return image


def _upright(image: Image.Image) -> Image.Image:
    """Turn the picture as EXIF's orientation field says: cameras store it as the sensor lies."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001  broken EXIF data are common and harmless
        return image


def _focal_35mm(image: Image.Image) -> float | None:
    """35 mm equivalent focal length in mm; None unless the camera wrote a plausible value."""
    try:
        value = float(image.getexif().get_ifd(_EXIF_IFD).get(_FOCAL_35MM_TAG, 0))
    except Exception:  # noqa: BLE001  broken EXIF data, as in `_upright`
        return None
    return value if 10.0 <= value <= 400.0 else None


def _shrunk(image: Image.Image) -> Image.Image:
    """Scale a picture that is too large down to `MAX_SIDE_PX`."""
    scale = MAX_SIDE_PX / max(image.size)
    if scale >= 1:
        return image
    size = tuple(max(1, round(side * scale)) for side in image.size)
    # Palette and other modes hold indices or packed bits, which must not be averaged.
    if image.mode not in ("RGB", "RGBA", "L", "LA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _to_arrays(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """RGB on white, and the alpha channel if it separates a part of the picture from the rest."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        levels = np.asarray(image, dtype=np.float32)
        # 16-bit and float files do not say where white lies: it is guessed from the largest value.
        top = 65535.0 if levels.max() > 255 else (255.0 if levels.max() > 1 else 1.0)
        return np.repeat((levels / top).clip(0, 1)[..., None], 3, axis=2), None
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"), dtype=np.float32) / 255.0, None
    rgba = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255.0
    alpha = rgba[..., 3]
    rgb = rgba[..., :3] * alpha[..., None] + 1.0 - alpha[..., None]  # composited on white
    covered = float((alpha > 0.5).mean())
    return rgb, alpha.copy() if 0.02 < covered < 0.98 else None


def _check_shape(path: str | os.PathLike, size: tuple[int, int]) -> None:
    """Refuse pictures that are too small for a person or too long for one."""
    width, height = size
    if min(size) < MIN_SIDE_PX:
        fail(
            f"Photo {path}",
            got=f"{width} x {height} pixels",
            wanted=f"at least {MIN_SIDE_PX} pixels on each side",
            fix="Use a larger picture.",
        )
    if max(size) > MAX_ASPECT * min(size):
        fail(
            f"Photo {path}",
            got=f"{width} x {height} pixels",
            wanted=f"sides within 1:{MAX_ASPECT:.0f}",
            fix="Crop it around the person.",
        )


def _check_content(path: str | os.PathLike, rgb: Float[np.ndarray, "H W 3"]) -> None:
    """Refuse blank pictures (lens cap, failed export) before any network sees them."""
    if float(rgb.std(axis=(0, 1)).max()) < 0.01:
        colour = np.round(rgb.mean(axis=(0, 1)), 2).tolist()
        fail(
            f"Photo {path}",
            got=f"one flat colour {colour}",
            wanted="a photo of a person",
            fix="Check that the picture was saved correctly.",
        )
