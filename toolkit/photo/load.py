"""Read one photo: upright, sRGB, at most 2048 pixels long; or fail with one clear error."""

import math
import os
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from toolkit.errors import fail, reading
from toolkit.photo.colour import to_arrays
from toolkit.photo.decode import decode

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
        notes: what a user may want to know: which frame was taken, which colours were converted.
    """

    rgb: Float[np.ndarray, "H W 3"]
    alpha: Float[np.ndarray, "H W"] | None = None
    focal_px: float | None = None
    pixel: float = 1.0
    notes: tuple[str, ...] = ()


def read_photo(path: str | os.PathLike) -> Photo:
    """Read a PNG, JPEG, WebP, HEIC, AVIF, BMP, TIFF or GIF file.

    Args:
        path: a picture with sides of at least 64 pixels, none over 5 times the other. Of several
            frames the first one is taken. HEIC needs the package pillow-heif.

    Returns:
        Its colours in sRGB, its transparency and its focal length.

    Raises:
        MissingFileError: `path` does not exist or is a folder.
        MissingCapabilityError: HEIC or AVIF, and no package that reads it.
        InputError: the file is no picture, damaged, too small, too large, too long or blank.
    """
    image, notes = decode(path)
    fix = "Save it as PNG or JPEG."
    wanted = "a picture of known colours"
    with warnings.catch_warnings(), reading(f"Photo {path}", wanted=wanted, fix=fix):
        warnings.simplefilter("ignore")  # as in `decode`
        focal_35mm = _focal_35mm(image)
        upright = _upright(image)
        rgb, alpha, more = to_arrays(upright, str(path))
    pixel = max(upright.size) / max(rgb.shape[:2])
    _check_content(path, rgb)
    height, width = rgb.shape[:2]
    # The 35 mm equivalent is defined by the diagonal of the 36 x 24 mm film frame, so
    # focal_px / diagonal_px = focal_35mm / 43.3 mm. It survives scaling and rotation.
    focal = focal_35mm and focal_35mm * math.hypot(width, height) / math.hypot(36.0, 24.0)
    return Photo(rgb, alpha, focal or None, pixel, notes + more)


def load_photo(path: str | os.PathLike) -> Float[np.ndarray, "H W 3"]:
    """The upright RGB picture of a file, in [0, 1]; raises what `read_photo` raises."""
    return read_photo(path).rgb


def _upright(image: Image.Image) -> Image.Image:
    """Turn the picture as EXIF's orientation field says: cameras store it as the sensor lies."""
    kind = image.format  # which a turned copy forgets
    try:
        image = ImageOps.exif_transpose(image)
        image.format = kind
        return image
    except Exception:  # noqa: BLE001  broken EXIF data are common and harmless
        return image


def _focal_35mm(image: Image.Image) -> float | None:
    """35 mm equivalent focal length in mm; None unless the camera wrote a plausible value."""
    try:
        value = float(image.getexif().get_ifd(_EXIF_IFD).get(_FOCAL_35MM_TAG, 0))
    except Exception:  # noqa: BLE001  broken EXIF data, as in `_upright`
        return None
    return value if 10.0 <= value <= 400.0 else None


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
