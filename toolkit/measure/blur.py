"""Second fault of the coarse avatar: blur where the photo did not look.

Sharpness is the contrast of a picture's luminance in octave bands of spatial frequency, inside
the person. Frequencies count in cycles per picture pixel, so pictures to be compared must
show the person at one size (`match_height`).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from toolkit.errors import fail
from toolkit.measure.misalignment import _LUMA, _picture, _plane, _resize
from toolkit.measure.sectors import mean_by_sector

NUM_BANDS = 4  # band k spans 1/2^(k+2) to 1/2^(k+1) cycles a pixel; band 0 is the finest
ERODE_SHARE = 0.015  # of the person's height: how far the window keeps off the outline


@dataclass(frozen=True)
class Sharpness:
    """RMS contrast of some views in octave bands.

    Attributes:
        bands: contrast of each view and band, finest first; NaN where the person is too thin.
        azimuths_deg: of the views.
    """

    bands: Float[np.ndarray, "C K"]
    azimuths_deg: Float[np.ndarray, " C"]

    @property
    def fine(self) -> Float[np.ndarray, " C"]:
        """One number a view: RMS contrast of the two finest bands, above 1/8 cycle a pixel."""
        return np.sqrt((self.bands[:, :2] ** 2).sum(1))

    def by_sector(self) -> dict[str, float]:
        """Mean of `fine` over front, three-quarter, side, back and all views."""
        return mean_by_sector(self.fine, self.azimuths_deg)


def measure_sharpness(rgb, alpha, azimuths) -> Sharpness:
    """Octave-band contrast of each view.

    Args:
        rgb: pictures (C,H,W,3) in [0, 1], tensor or array.
        alpha: coverage (C,H,W) or (C,H,W,1).
        azimuths: of the cameras, degrees (`sectors.azimuths_deg`).
    """
    if len(rgb) != len(alpha) or len(rgb) != len(azimuths):
        fail(
            "sharpness",
            got=f"{len(rgb)} pictures, {len(alpha)} masks, {len(azimuths)} azimuths",
            wanted="one of each a view",
            fix="Give the clip's own masks and cameras.",
        )
    bands = [band_contrast(image, mask) for image, mask in zip(rgb, alpha, strict=True)]
    return Sharpness(np.stack(bands), np.asarray(azimuths, np.float64))


def band_contrast(rgb, mask, num_bands: int = NUM_BANDS) -> Float[np.ndarray, " K"]:
    """RMS contrast of one picture in octave bands inside the eroded mask, finest first.

    The luminance is continued beyond the person by its nearest value, so that the outline counts
    for nothing; each band is filtered out in the Fourier domain and averaged over the window.
    Source: ours; octave bands of Simoncelli & Freeman 1995, whose squares add up to one.
    """
    return band_contrasts([rgb], mask, num_bands)[0]


def band_contrasts(pictures, mask, num_bands: int = NUM_BANDS) -> Float[np.ndarray, "P K"]:
    """`band_contrast` of several pictures inside one mask, which is looked at once."""
    inside = _plane(mask) > 0.5
    window = _window(inside)
    if window.sum() < 64:  # too thin to hold one period of the coarser bands
        return np.full((len(pictures), num_bands), np.nan)
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    # outside the person, the value of the nearest pixel inside
    extended = np.stack([(_picture(rgb) @ _LUMA)[tuple(nearest)] for rgb in pictures])
    spectra = np.fft.rfft2(extended.astype(np.float64))
    filtered = np.fft.irfft2(
        spectra[:, None] * _band_filters(inside.shape, num_bands), s=inside.shape
    )
    return np.sqrt((window * filtered**2).sum((2, 3)) / window.sum())


@lru_cache(maxsize=4)
def _band_filters(shape: tuple[int, int], num_bands: int) -> Float[np.ndarray, "K H w"]:
    """Gain of each octave at the frequencies of `rfft2`."""
    fy, fx = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    octave = -np.log2(np.maximum(np.hypot(fy[:, None], fx[None]), 1e-9))
    distances = [np.clip(np.abs(octave - (band + 1.5)), 0, 1) for band in range(num_bands)]
    return np.stack([np.cos(np.pi / 2 * distance) for distance in distances])


def _window(inside: np.ndarray) -> np.ndarray:
    """1 deep inside the person, 0 on the outline, a raised cosine between."""
    rows = np.flatnonzero(inside.any(1))
    if not len(rows):
        return np.zeros(inside.shape)
    rim = max(1.5, ERODE_SHARE * (rows[-1] - rows[0] + 1))
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((depth - rim) / rim, 0, 1))


def match_height(rgb, mask, height_px: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its mask resized so that the person is `height_px` tall."""
    inside = _plane(mask)
    rows = np.flatnonzero((inside > 0.5).any(1))
    if not len(rows):
        fail("match_height", got="an empty mask", wanted="a person", fix="Look at the mask.")
    zoom = height_px / (rows[-1] - rows[0] + 1)
    image = _picture(rgb)
    resized = np.stack([_resize(image[..., i], zoom) for i in range(3)], -1)
    return resized, _resize(inside, zoom)


def reference_sharpness(photo, mask, render_alpha) -> float:
    """Fine contrast of a photo, shrunk to the height that the person has in a render.

    Args:
        photo: (H,W,3) in [0, 1]; must show as much of the body as the render does.
        mask: the person in it, (H,W).
        render_alpha: coverage of one render, (h,w) or (h,w,1).
    """
    rows = np.flatnonzero((_plane(render_alpha) > 0.5).any(1))
    if not len(rows):
        fail(
            "reference_sharpness",
            got="an empty render",
            wanted="a person in it",
            fix="Render with a camera that sees the avatar.",
        )
    resized = match_height(photo, mask, rows[-1] - rows[0] + 1)
    return float(np.hypot(*band_contrast(*resized)[:2]))


def compare_sharpness(
    before: Sharpness, after: Sharpness, reference: float | None = None
) -> dict[str, dict[str, float]]:
    """Fine contrast by sector: before, after, their ratio, and after over `reference`."""
    first, second = before.by_sector(), after.by_sector()
    table = {
        "before": first,
        "after": second,
        "ratio": {s: second[s] / max(first[s], 1e-9) for s in second if s in first},
    }
    if reference is not None:
        table["to_reference"] = {s: second[s] / max(reference, 1e-9) for s in second}
    return table
