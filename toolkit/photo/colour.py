"""From a decoded picture of any colour mode to sRGB numbers and coverage.

A file's numbers are colours only together with its colour profile: the same (0, 255, 0) is a
stronger green in Display P3, which phones write, than in sRGB, which our networks were trained on.
So an embedded profile is used to convert the picture. A file without one is sRGB, as browsers have
it.
"""

import io

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageCms

from toolkit.errors import fail, one_line

MAX_SIDE_PX = 2048  # larger photos are scaled down: the networks see 256 px, the refit about 1000
# Colours outside of sRGB become the nearest one inside; black stays black, as Photoshop has it.
INTENT, FLAGS = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
# Colour space of a profile -> modes of the pictures that it can belong to, the first one to convert
MODES = {
    "RGB": ("RGB", "RGBA", "RGBX", "P", "PA", "RGBa", "L", "LA", "1"),
    "GRAY": ("L", "LA", "1", "I;16", "I;16B", "I;16L", "I;16N", "I", "F"),
    "CMYK": ("CMYK",),
}
_CMS_ERRORS = (OSError, ValueError, TypeError, ImageCms.PyCMSError)


def to_arrays(
    image: Image.Image, name: str
) -> tuple[Float[np.ndarray, "H W 3"], Float[np.ndarray, "H W"] | None, tuple[str, ...]]:
    """RGB on white, scaled down to `MAX_SIDE_PX`, and coverage.

    Args:
        image: decoded and upright.
        name: of the file, for messages.

    Returns:
        sRGB in [0, 1]; the alpha channel if it separates a part of the picture from the rest, else
        None; a note if a colour profile was used or could not be used.

    Raises:
        InputError: 32-bit numbers whose white is unknown.
    """
    profile, note = _fitting_profile(image, name)
    if image.mode == "F" or image.mode.startswith("I"):
        rgb, alpha = _deep_grey(image, name, profile)
    else:
        image = _to_srgb(image, profile)
        pixels = np.asarray(_shrunk(image), dtype=np.float32) / 255.0
        rgb, alpha = pixels[..., :3], pixels[..., 3] if image.mode == "RGBA" else None
    if alpha is None:
        return rgb, None, note
    rgb = rgb * alpha[..., None] + 1.0 - alpha[..., None]  # composited on white
    covered = float((alpha > 0.5).mean())
    return rgb, alpha.copy() if 0.02 < covered < 0.98 else None, note


def _fitting_profile(
    image: Image.Image, name: str
) -> tuple[ImageCms.ImageCmsTransform | None, tuple[str, ...]]:
    """The way to sRGB by the embedded profile, and a note; None where colours are sRGB already."""
    if image.mode == "LAB":  # TIFF; the numbers are colours by themselves
        return _transform(ImageCms.createProfile("LAB"), "LAB"), ()
    data = image.info.get("icc_profile")
    if not data:
        return None, ()
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = profile.profile.xcolor_space.strip()
        if image.mode not in MODES.get(space, ()):
            raise ValueError(f"it is for {space}, the picture is {image.mode}")
        transform = _transform(profile, MODES[space][0])
        if space == "RGB" and _changes_nothing(transform):
            return None, ()
        described = one_line(Exception(ImageCms.getProfileDescription(profile)))
        return transform, (f"{name}: its colours were converted to sRGB ({described[11:]}).",)
    except _CMS_ERRORS as error:
        why = one_line(error)
        return None, (f"{name}: its colour profile cannot be used, sRGB is assumed ({why}).",)


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    srgb = ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(profile, srgb, mode, "RGB", INTENT, FLAGS)


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether the profile is sRGB itself, by what it does to 17 x 17 x 17 colours."""
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(17, -1, 3)
    there = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform))
    return int(np.abs(there.astype(int) - colours).max()) <= 1


def _to_srgb(image: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """RGB or RGBA in sRGB, of an 8-bit picture of any mode."""
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    elif transform is None and image.mode in ("1", "L"):
        return _shrunk(image.convert("L")).convert("RGB")  # before it takes three times the memory
    mode = "RGB" if transform is None else transform.input_mode
    plain = image if image.mode == mode else image.convert(mode)
    if transform is not None:
        plain = ImageCms.applyTransform(plain, transform)
    if alpha is not None:
        plain.putalpha(alpha)
    return plain


def _deep_grey(
    image: Image.Image, name: str, transform: ImageCms.ImageCmsTransform | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """16-bit and float greys, which Pillow's own conversions would cut off at 255."""
    levels = np.asarray(image, dtype=np.float32)
    white = _white_of(image, levels, name)
    grey = _shrunk(Image.fromarray((levels / white).clip(0, 1)))
    values = np.asarray(grey).clip(0, 1)
    if transform is not None:  # the profile's curve, from 256 points of it
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        curve = np.asarray(ImageCms.applyTransform(ramp, transform), np.float32)[0, :, 1]
        values = np.interp(values, np.linspace(0, 1, 256), curve / 255.0).astype(np.float32)
    key, alpha = image.info.get("transparency"), None
    if isinstance(key, int):  # the one grey that a PNG declares to be transparent
        opaque = Image.fromarray((levels != key).astype(np.float32))
        alpha = np.asarray(_shrunk(opaque)).clip(0, 1)
    return np.repeat(values[..., None], 3, axis=2), alpha


def _white_of(image: Image.Image, levels: Float[np.ndarray, "H W"], name: str) -> float:
    """The number that means white: it follows from the file's kind, never from the picture.

    A picture may be dark. To take its largest value for white would brighten it.
    """
    if image.mode == "F":  # all programs that write decimal numbers take 1 for white
        if np.isfinite(levels).all() and -0.01 <= levels.min() and levels.max() <= 1.5:
            return 1.0
        span = f"{levels.min():.4g} to {levels.max():.4g}"
        got, wanted = f"decimal numbers from {span}", "0 (black) to 1 (white)"
    elif image.mode == "I" and image.format != "PNG":  # PNG: 16 bits, in older versions of Pillow
        got, wanted = "32-bit whole numbers", "8 or 16 bits per channel"
    else:
        return 65535.0
    fail(f"Photo {name}", got=got, wanted=wanted, fix="Save it as PNG or JPEG.")


def _shrunk(image: Image.Image) -> Image.Image:
    """Scale a picture that is too large down to `MAX_SIDE_PX`; L, RGB, RGBA or F."""
    scale = MAX_SIDE_PX / max(image.size)
    if scale >= 1:
        return image
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
