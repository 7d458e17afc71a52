"""Read one photo of a person: any common file, upright, RGB, of a sane size; or one clear error."""

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
MAX_SIDE_PX = 2048  # larger photos are scaled down: the nets see 256 px, the Gaussians about 1000
MAX_FILE_PIXELS = 100_000_000  # above this a file is a decompression bomb or a panorama
MAX_ASPECT = 5.0
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
_EXIF_IFD, _FOCAL_35MM_TAG = 0x8769, 0xA405


@dataclass(frozen=True)
class Photo:
    """One photo, ready for the nets.

    Attributes:
        rgb: sRGB in [0, 1], upright, composited on white where the file is transparent.
        alpha: the file's own cut-out in [0, 1], or None when it has none or all is opaque.
        focal_px: focal length in pixels of `rgb` from the EXIF data, or None.
    """

    rgb: Float[np.ndarray, "H W 3"]
    alpha: Float[np.ndarray, "H W"] | None = None
    focal_px: float | None = None


def read_photo(path: str | os.PathLike) -> Photo:
    """Read a PNG, JPEG, WebP, BMP or TIFF file, with transparency and focal length.

    Raises:
        MissingFileError: nothing at `path`, or a folder.
        InputError: not a picture, damaged, too small, too long, animated or blank.
    """
    image = _open(Path(path))
    focal_35mm = _focal_35mm(image)
    image = _upright(image)
    _check_shape(path, image.size)
    rgb, alpha = _to_arrays(_shrunk(image))
    _check_content(path, rgb)
    height, width = rgb.shape[:2]
    # The 35 mm equivalent is defined on the diagonal of the 36 x 24 mm film frame.
    focal = focal_35mm and focal_35mm * math.hypot(width, height) / math.hypot(36.0, 24.0)
    return Photo(rgb, alpha, focal or None)


def load_photo(path: str | os.PathLike) -> Float[np.ndarray, "H W 3"]:
    """The upright RGB picture in [0, 1] of a file; see `read_photo` for errors."""
    return read_photo(path).rgb


def _open(path: Path) -> Image.Image:
    """Decode the whole file, so that a truncated one fails here and not later."""
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd EXIF; the pixels are what counts
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
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001  broken EXIF blocks are common and harmless
        return image


def _focal_35mm(image: Image.Image) -> float | None:
    """35 mm equivalent focal length in mm, when the camera wrote a believable one."""
    try:
        value = float(image.getexif().get_ifd(_EXIF_IFD).get(_FOCAL_35MM_TAG, 0))
    except Exception:  # noqa: BLE001  same reason as above
        return None
    return value if 10.0 <= value <= 400.0 else None


def _shrunk(image: Image.Image) -> Image.Image:
    scale = MAX_SIDE_PX / max(image.size)
    if scale >= 1:
        return image
    size = tuple(max(1, round(side * scale)) for side in image.size)
    if image.mode not in ("RGB", "RGBA", "L", "LA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _to_arrays(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """RGB on white and the alpha channel, when it separates something."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        levels = np.asarray(image, dtype=np.float32)
        top = 65535.0 if levels.max() > 255 else (255.0 if levels.max() > 1 else 1.0)
        return np.repeat((levels / top).clip(0, 1)[..., None], 3, axis=2), None
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"), dtype=np.float32) / 255.0, None
    rgba = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255.0
    alpha = rgba[..., 3]
    rgb = rgba[..., :3] * alpha[..., None] + 1.0 - alpha[..., None]
    covered = float((alpha > 0.5).mean())
    return rgb, alpha.copy() if 0.02 < covered < 0.98 else None


def _check_shape(path, size: tuple[int, int]):
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


def _check_content(path, rgb: np.ndarray):
    """Blank pictures (lens cap, failed export) are refused before any net sees them."""
    if float(rgb.std(axis=(0, 1)).max()) < 0.01:
        colour = np.round(rgb.mean(axis=(0, 1)), 2).tolist()
        fail(
            f"Photo {path}",
            got=f"one flat colour {colour}",
            wanted="a photo of a person",
            fix="Check that the picture was saved correctly.",
        )
