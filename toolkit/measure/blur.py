"""Second fault of the coarse avatar: it is blurred where the photo did not see the person.

Sharpness is measured as the contrast of the brightness inside the person, in octave bands of
spatial frequency. Frequencies are in cycles per pixel, so two pictures can only be compared if they
show the person at the same size (`match_height`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from toolkit.errors import fail
from toolkit.measure.pictures import LUMA, Picture, Plane, as_picture, as_plane, resize_plane
from toolkit.measure.sectors import mean_by_sector

NUM_BANDS = 4  # band k spans 1/2^(k+2) to 1/2^(k+1) cycles per pixel; band 0 is the finest
ERODE_SHARE = 0.015  # of the person's height: the rim inside the outline that is left out


@dataclass(frozen=True)
class Sharpness:
    """RMS contrast of C views in K octave bands.

    Attributes:
        bands: finest first; NaN where the person is too thin to tell.
        azimuths_deg: of the views; 0 is the front.
    """

    bands: Float[np.ndarray, "C K"]
    azimuths_deg: Float[np.ndarray, " C"]

    @property
    def fine(self) -> Float[np.ndarray, " C"]:
        """One number per view: RMS contrast of the two finest bands, above 1/8 cycle per pixel."""
        return np.sqrt((self.bands[:, :2] ** 2).sum(1))

    def by_sector(self) -> dict[str, float]:
        """Mean of `fine` over the front, three-quarter, side, back and all views."""
        return mean_by_sector(self.fine, self.azimuths_deg)


def measure_sharpness(
    rgb: Sequence[Picture], alpha: Sequence[Plane], azimuths: Sequence[float] | np.ndarray
) -> Sharpness:
    """Measure the octave-band contrast of each view.

    Args:
        rgb: one picture per view, e.g. a clip (C,H,W,3).
        alpha: coverage of the person, one per view.
        azimuths: of the cameras, degrees (`sectors.azimuths_deg`).

    Raises:
        InputError: the numbers of pictures, masks and azimuths differ.
    """
    if len(rgb) != len(alpha) or len(rgb) != len(azimuths):
        fail(
            "sharpness",
            got=f"{len(rgb)} pictures, {len(alpha)} masks, {len(azimuths)} azimuths",
            wanted="one of each per view",
            fix="Give the clip's own masks and cameras.",
        )
    bands = [band_contrast(image, mask) for image, mask in zip(rgb, alpha, strict=True)]
    return Sharpness(np.stack(bands), np.asarray(azimuths, np.float64))


def band_contrast(rgb: Picture, mask: Plane, num_bands: int = NUM_BANDS) -> Float[np.ndarray, " K"]:
    """RMS contrast of one picture in octave bands inside the eroded mask, finest first.

    The step from person to background would outweigh all texture, so each pixel outside takes the
    brightness of the nearest pixel inside. Each band is then filtered out in the Fourier domain,
    and its square is averaged over a window that leaves out the rim.

    Source: ours; octave bands of Simoncelli & Freeman 1995, whose squares add up to one.
    """
    return band_contrasts([rgb], mask, num_bands)[0]


def band_contrasts(
    pictures: Sequence[Picture], mask: Plane, num_bands: int = NUM_BANDS
) -> Float[np.ndarray, "P K"]:
    """`band_contrast` of several pictures inside one mask, whose window is computed only once."""
    inside = as_plane(mask) > 0.5
    window = _window(inside)
    if window.sum() < 64:  # too thin to hold one period of the coarser bands
        return np.full((len(pictures), num_bands), np.nan)
    # for each pixel the row and column (2,H,W) of the nearest pixel inside
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    extended = np.stack([(as_picture(rgb) @ LUMA)[tuple(nearest)] for rgb in pictures])
    spectra = np.fft.rfft2(extended.astype(np.float64))
    # (P,1,H,w) * (K,H,w) -> each picture in each band
    filtered = np.fft.irfft2(
        spectra[:, None] * _band_filters(inside.shape, num_bands), s=inside.shape
    )
    return np.sqrt((window * filtered**2).sum((2, 3)) / window.sum())


@lru_cache(maxsize=4)
def _band_filters(shape: tuple[int, int], num_bands: int) -> Float[np.ndarray, "K H w"]:
    """Gain of each band at the frequencies of `rfft2`.

    On a logarithmic axis of frequency each band is a cosine hump from one band's middle to the
    next: cos^2 + sin^2 = 1, so neighbouring bands share the energy and count none of it twice.
    """
    fy, fx = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    octave = -np.log2(np.maximum(np.hypot(fy[:, None], fx[None]), 1e-9))
    distances = [np.clip(np.abs(octave - (band + 1.5)), 0, 1) for band in range(num_bands)]
    return np.stack([np.cos(np.pi / 2 * distance) for distance in distances])


def _window(inside: Bool[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
    """Weight of each pixel: 1 deep inside the person, 0 near the outline, a smooth step between."""
    rows = np.flatnonzero(inside.any(1))
    if not len(rows):
        return np.zeros(inside.shape)
    rim = max(1.5, ERODE_SHARE * (rows[-1] - rows[0] + 1))
    # padded, so that the picture's border counts as outside
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((depth - rim) / rim, 0, 1))


def match_height(
    rgb: Picture, mask: Plane, height_px: float
) -> tuple[Float[np.ndarray, "H W 3"], Float[np.ndarray, "H W"]]:
    """Resize a picture and its mask so that the person is `height_px` tall.

    Raises:
        InputError: an empty mask.
    """
    inside = as_plane(mask)
    rows = np.flatnonzero((inside > 0.5).any(1))
    if not len(rows):
        fail("match_height", got="an empty mask", wanted="a person", fix="Look at the mask.")
    zoom = height_px / (rows[-1] - rows[0] + 1)
    image = as_picture(rgb)
    resized = np.stack([resize_plane(image[..., i], zoom) for i in range(3)], -1)
    return resized, resize_plane(inside, zoom)


def reference_sharpness(photo: Picture, mask: Plane, render_alpha: Plane) -> float:
    """Fine contrast of the photo, shrunk to the height that the person has in a render.

    Args:
        photo: must show as much of the body as the render does.
        mask: coverage of the person in the photo.
        render_alpha: coverage of the person in one render.

    Raises:
        InputError: an empty mask or render.
    """
    rows = np.flatnonzero((as_plane(render_alpha) > 0.5).any(1))
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
    """Table of fine contrast by sector: before, after, and the ratio after / before.

    Args:
        before, after: of the same views.
        reference: the contrast to reach, e.g. `reference_sharpness`; adds after / reference.
    """
    first, second = before.by_sector(), after.by_sector()
    table = {
        "before": first,
        "after": second,
        "ratio": {s: second[s] / max(first[s], 1e-9) for s in second if s in first},
    }
    if reference is not None:
        table["to_reference"] = {s: second[s] / max(reference, 1e-9) for s in second}
    return table
